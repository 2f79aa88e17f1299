"""The law of the rate to start from: what must hold whatever its constants are, and the formula as it is documented."""

from dataclasses import replace

import pytest

from freeness import InputError
from freeness.advice import Curvature, Descent, StartFacts, start_rate
from freeness.advice.learning_rate import learning_rate

FACTS = StartFacts(200.0, 30.0, 0.5, 2.0, 0.6, 40_000, batch=16)


def rate(loss="half_squared_error", optimizer="sgd", **changes):
    return start_rate(replace(FACTS, **changes), loss, optimizer).recommended


def test_a_squared_loss_times_a_constant_wants_the_rate_over_it():
    """½ mean over 10 outputs is ½Σ/10, and MSE twice that: the curvature says so, ratios do not change."""
    assert rate("half_mean_squared_error", sharpness=20.0, head=3.0) == pytest.approx(10 * rate())
    assert rate("mse", sharpness=40.0, head=6.0) == pytest.approx(5 * rate())


@pytest.mark.parametrize("loss", ["half_squared_error", "mse", "cross_entropy"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adam", "adamw"])
def test_sharper_models_get_less_and_larger_batches_more(loss, optimizer):
    assert rate(loss, optimizer, sharpness=400.0) < rate(loss, optimizer) < rate(loss, optimizer, batch=32)
    assert rate(loss, optimizer, batch=64) == rate(loss, optimizer, batch=1000)  # not tried beyond
    found = start_rate(FACTS, loss, optimizer)
    assert found.limit > found.recommended > 0 and found.formula and found.evidence


@pytest.mark.parametrize("loss", ["half_squared_error", "cross_entropy"])
def test_momentum_steps_less_and_without_memory_it_is_sgd(loss):
    assert rate(loss, "momentum") < rate(loss)
    assert rate(loss, Descent("momentum", momentum=0.0)) == pytest.approx(rate(loss))


def test_quiet_outputs_get_less_down_to_a_floor_and_loud_starts_more():
    assert rate(loudness=0.01) < rate(loudness=0.5) < rate(loudness=5.0) == rate(loudness=1.0)
    assert rate(loudness=1e-12) == rate(loudness=1e-20) > 0
    assert rate(excess=80.0) == rate(excess=8.0) > rate() > rate(excess=1.0) == rate(excess=0.5)


@pytest.mark.parametrize(
    ("loss", "optimizer", "expected"),
    [
        ("half_squared_error", "sgd", 1.8 * 16**0.32 / (5 * 30 + 200 * 0.5**-0.6 * 2**-0.44)),
        ("half_squared_error", "momentum", 1.8 * 16**0.58 * 0.1**0.55 / (5 * 30 + 200 * 0.5**-0.6 * 2**-0.44)),
        ("cross_entropy", "sgd", 0.034 * 16**0.8 * 200**-0.6 * 30**0.25),
        ("cross_entropy", "momentum", 0.0034 * 16**0.8 * 200**-0.6 * 30**0.25),
        ("half_squared_error", "adam", 1.9 * 16**0.15 * 0.6**0.56 * 200**-0.25 / 200),
        ("cross_entropy", "adam", 0.48 * 16**0.42 * 200**-0.25 / 200),
    ],
)
def test_the_documented_formula(loss, optimizer, expected):
    assert rate(loss, optimizer) == pytest.approx(expected)


def test_normalised_layers_take_more_under_a_squared_loss():
    assert rate(normalised=True) > rate() and rate("cross_entropy", normalised=True) == rate("cross_entropy")


def test_outputs_that_do_not_move_get_no_rate():
    with pytest.raises(InputError, match="sharpness > 0"):
        rate(sharpness=0.0)
    with pytest.raises(InputError, match="optimizer among"):
        rate(optimizer="lion")


def test_the_advice_carries_the_start_and_says_where_it_comes_from():
    start = start_rate(FACTS, "cross_entropy", "sgd")
    found = learning_rate(Curvature(200.0, 0.0, 16, start), "cross_entropy", "sgd", 10)
    assert (found.recommended, found.limit, found.unstable) == (start.recommended, start.limit, start.limit)
    assert found.bound == pytest.approx(0.01)
    assert start.formula in found.reason and start.evidence in found.reason
    plain = learning_rate(Curvature(200.0, 0.0, 16), "cross_entropy", "sgd", 10)
    assert plain.recommended == pytest.approx(0.0035) and plain.unstable == plain.bound and plain.limit is None
