import json
import pickle
from urllib.parse import urlencode

import numpy as np
import pytest
import torch

from freeness.app.upload import MOST_BYTES
from freeness.network import mlp
from freeness.torch import build
from tests.app.conftest import explorer, tab_of
from tests.app.pages import fits, taken, unlabelled

pytestmark = [pytest.mark.slow, pytest.mark.always]

SMALL = {"depth": 3, "width": 12, "activation": "tanh", "data": "gaussian"}


def small_model():
    network = mlp(3, [784, 12, 12, 10], "tanh", "haar", sigma_w=1.0, sigma_b=0.0)
    return build(network, torch.Generator().manual_seed(5))


class Runs:
    """An object whose unpickling would run code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_bundled_model_is_analysed_as_by_the_command(page):
    page.goto("/report?" + urlencode(SMALL))
    page.get_by_role("button", name="Analyse").click()
    report = page.frame_locator("iframe[title=Report]")
    report.get_by_text("Input–output Jacobian").first.wait_for()
    document = json.loads(taken(page, "JSON"))
    words = page.get_by_text("Learning rate to start from: ").first.inner_text()
    shown = float(words.split("start from: ")[1].split()[0].rstrip(".,"))
    assert shown == pytest.approx(document["learning_rate"]["recommended"], rel=1e-3)
    assert b"<html" in taken(page, "HTML")[:300].lower()


def test_uploaded_weights_are_those_that_are_analysed(page, tmp_path):
    model = small_model()
    torch.save(model.state_dict(), tmp_path / "trained.pt")
    page.goto("/report?" + urlencode(SMALL))
    page.get_by_label("Trained weights").set_input_files(tmp_path / "trained.pt")
    page.get_by_text("Weights taken: 3 tensors, 9672 numbers of trained.pt.").wait_for()
    page.get_by_role("button", name="Analyse").click()
    report = page.frame_locator("iframe[title=Report]")
    report.get_by_text("Input–output Jacobian").first.wait_for()
    report.get_by_text("weights of trained.pt").first.wait_for()
    page.get_by_text("Weights of trained.pt. ").wait_for()
    assert "weights of trained.pt" in json.loads(taken(page, "JSON"))["title"]
    page.get_by_role("button", name="Remove the trained weights").click()
    page.get_by_text("No weights loaded").wait_for()
    page.get_by_role("button", name="Analyse").click()
    report.get_by_text("no weights loaded").first.wait_for()


def test_weights_of_another_architecture_are_refused(page, tmp_path):
    torch.save(small_model().state_dict(), tmp_path / "trained.pt")
    page.goto("/report?" + urlencode(SMALL | {"width": 13}))
    page.get_by_label("Trained weights").set_input_files(tmp_path / "trained.pt")
    page.get_by_role("alert").get_by_text("expected 0.weight of shape (13, 784), got (12, 784)").wait_for()
    refused = page.get_by_text("trained.pt was refused and no trained weights are loaded")
    refused.wait_for()
    page.get_by_role("button", name="Analyse").click()
    page.get_by_text("No weights loaded. ").wait_for()
    assert refused.is_visible()
    assert not [place for place in page.get_by_text("0.00%").all() if place.is_visible()]


def test_pickled_code_is_not_run(page, tmp_path):
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    page.goto("/report?" + urlencode(SMALL))
    page.get_by_label("Trained weights").set_input_files(tmp_path / "evil.pt")
    page.get_by_role("alert").get_by_text("expected a readable .pt file").wait_for()
    assert not (tmp_path / "ran").exists()


def test_page_fits_a_phone_and_everything_is_labelled(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/report")
    page.get_by_label("Trained weights").wait_for(state="attached")
    assert fits(page)
    assert not unlabelled(page)


MODEL = """
from torch import nn


def make():
    return nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 3))
"""


@pytest.mark.slow  # a server of its own
def test_the_page_opens_on_the_model_that_the_server_was_started_with(browser, tmp_path):
    (tmp_path / "mine.py").write_text(MODEL, encoding="utf-8")
    model = f"{tmp_path / 'mine.py'}:make"
    with explorer(tmp_path, "--model", model) as server, tab_of(browser, server) as page:
        page.goto("/report?data=gaussian")
        page.get_by_text(model).first.wait_for()
        assert not page.get_by_label("Depth, weight matrices").is_visible()
        page.get_by_role("button", name="Analyse").click()
        page.frame_locator("iframe[title=Report]").get_by_text("mine.py:make, no weights loaded").first.wait_for()
        page.goto("/report?model=bundled")
        page.get_by_label("Depth, weight matrices").wait_for()


def own_data(folder):
    """A file of twenty numbers a sample, and three classes."""
    rng = np.random.default_rng(0)
    np.savez(folder / "mine.npz", inputs=rng.standard_normal((40, 20)), targets=np.arange(40) % 3)
    return folder / "mine.npz"


def test_uploaded_data_give_the_widths_and_are_what_is_analysed(page, tmp_path):
    page.goto("/report?" + urlencode(SMALL))
    page.get_by_label("Data, .npz").set_input_files(own_data(tmp_path))
    page.get_by_text("Data taken: 40 samples of 20 numbers of mine.npz, with targets.").wait_for()
    assert (page.get_by_label("Inputs").input_value(), page.get_by_label("Outputs").input_value()) == ("20", "3")
    page.get_by_role("button", name="Analyse").click()
    page.frame_locator("iframe[title=Report]").get_by_text("data: mine.npz").first.wait_for()
    assert json.loads(taken(page, "JSON"))["parameters"] == 20 * 12 + 12 * 12 + 12 * 3


def test_data_that_are_none_are_refused_and_leave_the_choice(page, tmp_path):
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    page.goto("/report?" + urlencode(SMALL))
    page.get_by_label("Data, .npz").set_input_files(tmp_path / "other.npz")
    page.get_by_role("alert").get_by_text("expected arrays named inputs and targets in 'other.npz', got x").wait_for()
    page.get_by_text("other.npz was refused and no data is loaded").wait_for()
    assert page.get_by_label("Data", exact=True).is_visible()


def test_without_leave_no_model_file_is_taken_and_the_way_is_said(page):
    page.goto("/report")
    page.get_by_text("freeness app --model mymodel.py:build").wait_for()
    assert page.locator("input[type=file]").count() == 2


@pytest.mark.slow  # a server of its own
def test_an_uploaded_model_is_run_with_its_weights_where_that_was_allowed(browser, tmp_path):
    (tmp_path / "mine.py").write_text(MODEL, encoding="utf-8")
    names = {}
    exec(MODEL, names)
    torch.save(names["make"]().state_dict(), tmp_path / "trained.pt")
    with explorer(tmp_path, "--run-uploads") as server, tab_of(browser, server) as page:
        page.goto("/report?data=gaussian")
        page.get_by_label("Model file").set_input_files(tmp_path / "mine.py")
        page.get_by_text("Model taken: mine.py.").wait_for()
        page.get_by_label("Trained weights").set_input_files(tmp_path / "trained.pt")
        page.get_by_text("Weights taken: 4 tensors").wait_for()
        page.get_by_role("button", name="Analyse").click()
        shown = page.frame_locator("iframe[title=Report]").get_by_text("mine.py:make, weights of trained.pt")
        shown.first.wait_for()


def test_a_file_that_is_refused_is_told_why(page, tmp_path):
    (tmp_path / "w.npy").write_bytes(b"small")
    with (tmp_path / "large.pt").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    page.goto("/report?" + urlencode(SMALL))
    for name, why in (("w.npy", "as .safetensors or .pt, got w.npy"), ("large.pt", "at most 64 MB, got large.pt")):
        page.get_by_label("Trained weights").set_input_files(tmp_path / name)
        page.get_by_role("alert").get_by_text(why).wait_for()
