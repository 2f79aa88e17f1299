"""A watched run in words and pictures."""

import dataclasses

import numpy as np

from freeness.advice import StepCheck, WatchedLayer, WatchedRun, WatchRecord, WatchWarning
from freeness.show import answer_of, picture_bytes, render_watch, watched_layers_picture, watched_rate_picture
from freeness.show.picture import HeatMap, Rule, Series

RUN = WatchedRun(
    tuple(StepCheck(k, 0.1, 2.0 / k, 1.0, {"first": 10.0**-k, "<head>": 1.0}) for k in range(1, 6)),
    (
        WatchRecord(1, 0.1, critical=0.4, bound=0.5, sharpness=4.0),
        WatchRecord(4, 0.1, critical=0.05, layers=(WatchedLayer("<head>", 1.0, 2.0, 0.1),)),
    ),
    (WatchWarning(4, "rate", "The rate 0.1 is 2 times the critical one."),),
)


def test_the_answer_says_where_the_rate_stands_and_what_was_said():
    answer = answer_of(RUN)
    rows = {part.label: part.text for part in answer.sections[0].parts}
    assert rows["rate / critical rate"] == "2" and rows["loss"] == "0.4"
    assert "2 times the critical" in answer.section("Warnings").parts[0].text
    assert answer.section("Visits").parts[0].rows[1][:3] == ("4", "0.1", "0.05")
    assert answer.section("Layers").parts[0].rows == (("<head>", "1", "2", "0.1"),)


def test_what_was_predicted_of_the_curvature_stands_beside_what_happened_or_that_it_was_not_followed():
    seen = [WatchRecord(k, 0.1, first_sharpness=2.0 + k, first_batch=1) for k in (1, 11, 21)]
    seen[0] = dataclasses.replace(seen[0], sharpening=-0.5)
    told = answer_of(WatchedRun((), tuple(seen), ())).section("Sharpening").parts
    assert "predicted to change it by -0.5" in told[0].text and "step 1 to 11 it changed by +1" in told[1].text
    assert "likely to end above" in told[-1].text
    assert "ask for every=10" in answer_of(RUN).section("Sharpening").parts[0].text


def test_a_short_run_of_one_visit_shows_the_steps_that_were_seen_and_says_what_was_not_measured():
    layers = (WatchedLayer("fc", 1.0, 2.0, 0.1),)
    answer = answer_of(WatchedRun(RUN.checks, (WatchRecord(1, 0.1, layers=layers, drift=0.1),), ()))
    standing = answer.sections[0].parts
    assert {part.label: part.text for part in standing[:3]}["loss of the first step"] == "2"
    assert "ask for every=10" in standing[-1].text
    table, *meant = answer.section("Visits").parts
    assert table.header == ("step", "rate", "drift") and [part.text[:6] for part in meant] == ["drift:"]
    assert answer.section("Steps").parts[0].rows[-1] == ("5", "0.1", "0.4", "1")


def test_of_many_visits_a_dozen_are_shown_and_the_page_says_so():
    many = tuple(WatchRecord(step, 0.1, critical=0.4) for step in range(1, 31))
    table, said, *_ = answer_of(WatchedRun((), many, ())).section("Visits").parts
    assert len(table.rows) == 12 and said.text == "12 visits of 30 are shown."


def test_a_run_of_which_nothing_is_known_is_shown_as_such():
    nothing = WatchedRun((), (), ())
    assert answer_of(nothing).sections[0].parts[0].text == "No step was seen yet."
    assert watched_rate_picture(nothing).sentence == "No step was seen."
    assert watched_layers_picture(nothing).sentence == "No gradient was seen."


def test_the_rate_is_drawn_beside_the_critical_one_and_the_bound():
    picture = watched_rate_picture(RUN)
    series = {one.key: one for one in picture.drawings if isinstance(one, Series)}
    assert series["rate"].x.tolist() == [1, 2, 3, 4, 5]
    assert (series["critical"].x.tolist(), series["critical"].y.tolist()) == ([1, 4], [0.4, 0.05])
    assert series["bound"].y.tolist() == [0.5]
    assert [rule.at for rule in picture.drawings if isinstance(rule, Rule)] == [4]


def test_gradients_of_layers_are_a_heat_map_with_the_first_layer_at_the_bottom():
    (heat,) = watched_layers_picture(RUN).drawings
    assert isinstance(heat, HeatMap)
    assert np.allclose(heat.z, [[-1, -2, -3, -4, -5], [0] * 5])  # rows from the bottom
    assert heat.y.tolist() == [0.5, 1.5, 2.5]
    assert heat.x.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5] and heat.limits == (-5, 0)
    assert picture_bytes(watched_layers_picture(RUN), "png").startswith(b"\x89PNG")


def test_the_page_needs_nothing_beside_it_and_escapes_names():
    page = render_watch(RUN, refresh=7)
    assert page.count("data:image/png;base64,") == 2 and "&lt;head&gt;" in page and "<head>first" not in page
    assert 'http-equiv="refresh" content="7"' in page and "refresh" not in render_watch(RUN)
    assert "http://" not in page and "https://" not in page
