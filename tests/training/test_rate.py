"""The one record of a rate: by whatever rule it is found, it says the same things, and its interval holds what was searched."""

import numpy as np
import pytest

from freeness import InputError, batch_learning_rate, mlp
from freeness.advice import Training, theory_rate
from freeness.training import (
    Curvature,
    Rate,
    StartFacts,
    loss_of,
    measured_rate,
    optimizer_of,
    rate_of_sharpness,
    start_rate,
)
from tests.told import words_and_sentences

FACTS = StartFacts(200.0, 0.5, 0.02, 0.6, 40_000, batch=16)
INPUTS = np.random.default_rng(0).standard_normal((12, 8))
RULES = {
    "curvature": lambda loss, optimizer: measured_rate(Curvature(3.0, 0.1, 16), loss, optimizer),
    "curvature and trials": lambda loss, optimizer: measured_rate(
        Curvature(3.0, 0.1, 16, start_rate(FACTS, loss, optimizer)), loss, optimizer
    ),
    "trials": lambda loss, optimizer: start_rate(FACTS, loss, optimizer),
    "sharpness": lambda loss, optimizer: rate_of_sharpness(3.0, loss_of(loss), optimizer_of(optimizer), 16),
    "theory": lambda loss, optimizer: theory_rate(mlp(3, [8, 30, 30, 4], "tanh"), Training(loss, optimizer, 16)),
    "batches": lambda loss, optimizer: batch_learning_rate(
        mlp(3, [8, 30, 30, 4], "tanh"), INPUTS, Training(loss, optimizer, 4)
    ),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", ["half_squared_error", "cross_entropy"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_every_rule_tells_one_record(rule, loss, optimizer):
    rate = RULES[rule](loss, optimizer)
    assert isinstance(rate, Rate) and rate.known
    assert (rate.loss, rate.optimizer, rate.batch) == (loss, optimizer, 4 if rule == "batches" else 16)
    assert rate.recommended > 0 and rate.reason and rate.evidence and rate.formula
    if rule != "batches":  # which are bounded in mean square
        assert rate.bound == pytest.approx(optimizer_of(optimizer).bound(rate.sharpness))
    assert rate.error == rate.sharpness_error
    words_and_sentences(rate.reason)
    assert all(line and line not in rate.reason for line in rate.details)
    if "trials" in rule or rule == "theory":
        assert rate.low < rate.recommended < rate.high
    else:
        assert rate.low is None and rate.high is None and not rate.wide


def test_what_was_measured_on_a_batch_replaces_what_the_trials_measured():
    start = start_rate(FACTS, "mse", "sgd")
    rate = measured_rate(Curvature(3.0, 0.1, 8, start, predicted=2.0), "mse", "sgd")
    assert (rate.sharpness, rate.sharpness_error, rate.batch, rate.bound) == (3.0, 0.1, 8, pytest.approx(2 / 3))
    assert (rate.recommended, rate.low, rate.high, rate.formula) == (
        start.recommended,
        start.low,
        start.high,
        start.formula,
    )
    assert rate.predicted_sharpness == 2.0 and "measured is 1.50 times that" in " ".join(rate.details)


def test_no_rate_says_why():
    rate = Rate(float("nan"), float("nan"), 0.0, "the outputs do not move", "mse", "sgd", 8)
    assert not rate.known and rate.reason == "the outputs do not move"
    with pytest.raises(InputError, match="sharpness > 0"):
        measured_rate(Curvature(0.0, 0.0, 8), "mse", "sgd")
