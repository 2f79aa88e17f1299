"""From data to the page, with the small network."""

from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from freeness.data import CLASSES
from freeness.errors import InputError
from freeness.interpret import FitOptions, StoryOptions, TrainingWatch, fit, tell
from freeness.interpret.fashion import Recipe, tell_of
from freeness.show import ablation_table, render_interpretation, role_table, state_table, write_interpretation
from freeness.torch import initialize_

from .small_images import small_data, small_loader, small_network, trained_network


@pytest.fixture(scope="module")
def told():
    return tell(trained_network(), *small_data(), StoryOptions((0, 3), classes=CLASSES, data="<small> images"))


class Reader(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.loads, self.open, self.text = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.loads += [value for key, value in attrs if key == "src" or (key == "href" and tag != "a")]
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_page_is_one_well_formed_file(told, tmp_path):
    page = write_interpretation(told, tmp_path / "new").read_text(encoding="utf-8")
    reader = Reader(page)
    assert reader.open == [] and all(load.startswith("data:") for load in reader.loads)
    assert len(reader.loads) == 1 + 2 + 2 * 2  # icon; accuracy and roles; two for each image
    text = " ".join(reader.text)
    assert "<small> images" in text and "class neurons" in text and "Sneaker" in text


def test_tables_are_the_record(told):
    assert [row[0] for row in ablation_table(told).rows] == list(CLASSES)
    assert [row[0] for row in role_table(told).rows] == [str(layer) for layer in range(1, 9)]
    assert state_table(told).rows == ()
    assert told.settled.sum() == told.samples == 1000
    assert told.accuracy_error[-1] == pytest.approx((told.accuracy[-1] * (1 - told.accuracy[-1]) / 1000) ** 0.5)
    for story, index in zip(told.images, (0, 3), strict=True):
        assert story.predicted == story.likelihoods[-1].argmax() and story.label == small_data()[1][1][index]
        assert (story.likelihoods[story.settled - 1 :].argmax(1) == story.predicted).all()


def test_training_is_told_where_it_was_watched():
    from dataclasses import replace

    model = small_network(3)
    watch = TrainingWatch(model, small_data()[1][0][:1])
    done = fit(model, small_loader(500), FitOptions(epochs=1, watch=watch))
    told = replace(tell(model, *small_data()), states=tuple(watch.states), fit=done)
    assert [row[0] for row in state_table(told).rows] == ["0", "4"]
    assert escape(done.designed.reason) in render_interpretation(told)


def test_other_starts_are_read_by_the_lens_and_say_so():
    model = small_network(4)
    initialize_(model.stack, "haar")
    told = tell(model, *small_data(), StoryOptions((0,), start="haar"))
    assert told.images == () and told.ablations == () and told.roles == ()
    assert len(told.accuracy) == 3
    page = render_interpretation(told)
    assert "closest honest thing" in page and "logit lens" in page and "class neurons p" not in page


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, d: tell(m, d, d, StoryOptions((5000,))), "images from 0"),
        (lambda m, d: tell(m, d, d, StoryOptions(classes=("a",))), "10 names"),
        (lambda m, d: tell(m, d, (d[0], d[1] + 5)), "more classes than the network"),
        (lambda m, d: tell(m, d, (d[0], d[1][:5])), "one label each"),
        (lambda m, d: StoryOptions(share=0.0), "share"),
        (lambda m, d: tell_of(m, "identity", None), "784 pixels"),
        (lambda m, d: Recipe(depth=1), "depth ≥ 2"),
        (lambda m, d: Recipe(start="nonsense"), "start"),
        (lambda m, d: Recipe(activation="linear"), "bends"),
        (lambda m, d: Recipe(images=0), "images"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call(trained_network(), small_data()[0])


def test_network_is_left_as_it_was():
    model = small_network(3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    tell(model, *small_data(), StoryOptions((1,)))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state()) and model.training
    assert np.isfinite(tell(model, *small_data()).accuracy).all()
