import math

import pytest

from freeness.show import answer_of, found_rate_picture, picture_of, plain
from freeness.show.picture import Rule, Series
from freeness.training import RateSetting, RateTrial, Schedule, found_rate


def trial(rate: float, steps: int) -> RateTrial:
    return RateTrial(rate, tuple(1 + math.log(rate / 0.03) ** 2 / 9 + 1 / (k + 1) for k in range(steps)))


@pytest.fixture
def record():
    trials = [
        trial(0.001, 8),
        *(trial(rate, 40) for rate in (0.01, 0.03, 0.09)),
        RateTrial(0.8, (math.nan,), stopped=True),
    ]
    return found_rate(trials, RateSetting("mse", "adam", 64, Schedule(40), (1.0, 0.1)), 2.0, (1.2, 1.5))


def test_the_picture_shows_every_trial_at_every_length_it_came_to(record):
    picture = picture_of(record)
    series = {drawn.name: drawn for drawn in picture.drawings if isinstance(drawn, Series)}
    assert series["after 8 steps"].x.tolist() == [0.001, 0.01, 0.03, 0.09]
    assert series["after 40 steps"].x.tolist() == [0.01, 0.03, 0.09]
    assert series["after 8 steps"].y[1] == pytest.approx(trial(0.01, 8).score)
    rules = [drawn.at for drawn in picture.drawings if isinstance(drawn, Rule)]
    assert rules == [record.recommended, record.low, record.high, 0.8]
    assert f"{record.recommended:.3g}" in found_rate_picture(record, title="mine").sentence


def test_the_answer_says_rate_interval_cost_groups_and_what_diverged(record):
    answer = answer_of(record)
    assert answer.title.startswith(f"Learning rate {record.recommended:.3g} for adam")
    said = " ".join(part.text for part in answer.sections[0].parts)  # pyright: ignore[reportAttributeAccessIssue]
    assert "1.20 runs of 40 steps, of 1.5" in said and "No warm-up" in said and "From 0.8 on training diverged" in said
    assert f"{record.recommended:.3g}, {0.1 * record.recommended:.3g}" in said
    rows = answer.sections[1].parts[0].rows  # pyright: ignore[reportAttributeAccessIssue]
    assert rows[-1] == ("0.8", "1", "diverged")


def test_numbers_that_are_none_are_null_in_json(record):
    assert plain(record)["trials"][-1]["losses"] == [None]
