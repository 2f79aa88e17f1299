import math

import numpy as np
import pytest

from freeness.errors import InputError
from freeness.training import RateSetting, RateTrial, Schedule, found_rate, minimum_of, warm_up

RATES = (0.01, 0.03, 0.09)


def trials(best: float, curvature: float = 0.3, noise: float = 0.0, steps: int = 60) -> list[RateTrial]:
    drawn = np.random.default_rng(1).standard_normal((len(RATES), steps))
    heights = [curvature * math.log(rate / best) ** 2 for rate in RATES]
    return [
        RateTrial(rate, tuple(np.exp(height + noise * row).tolist()))
        for rate, height, row in zip(RATES, heights, drawn, strict=True)
    ]


@pytest.mark.parametrize("best", [0.02, 0.03, 0.045])
def test_the_lowest_point_of_a_parabola_is_found_exactly(best):
    found = minimum_of(trials(best))
    assert found.rate == pytest.approx(best)
    assert found.error == pytest.approx(0, abs=0.02)
    assert math.log(found.high / best) == pytest.approx(math.log(best / found.low))


def test_the_interval_ends_where_the_loss_is_5_percent_higher():
    found = minimum_of(trials(0.03, curvature=1.0))
    assert math.log(found.high / 0.03) ** 2 == pytest.approx(math.log(1.05), rel=1e-6)


def test_noise_widens_the_interval_and_is_told_as_a_standard_error():
    calm, noisy = minimum_of(trials(0.03)), minimum_of(trials(0.03, noise=0.5))
    assert noisy.high / noisy.low > calm.high / calm.low
    assert noisy.error == pytest.approx(math.sqrt(2) * 0.5 / math.sqrt(21), rel=0.5)


def test_losses_below_0_are_taken_as_they_are():
    some = [RateTrial(rate, (math.log(rate / 0.03) ** 2 - 5,) * 20) for rate in RATES]
    assert minimum_of(some).rate == pytest.approx(0.03)


def test_shorter_trials_do_not_count_beside_longer_ones():
    short = RateTrial(0.3, (0.1,) * 8)
    assert minimum_of([*trials(0.03), short]).rate == pytest.approx(0.03)


def test_trials_that_all_diverge_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="expected a rate at which training goes on"):
        minimum_of([RateTrial(1.0, (math.nan,), stopped=True)])


def record(shape: str = "constant", steps: int = 240, loss: str = "cross_entropy"):
    return found_rate(trials(0.03), RateSetting(loss, "adam", 64, Schedule(steps, shape)), 1.0, (1.0, 1.5))


def test_the_drift_with_length_is_told_where_the_rate_is_constant():
    same, longer, falling = record(steps=60), record(steps=240), record("cosine", 240)
    assert same.recommended == pytest.approx(0.03) == falling.recommended
    assert longer.recommended == pytest.approx(0.03 * 0.25**0.25) and "falls with the length" in longer.reason
    assert longer.low == pytest.approx(0.5 * same.low) and longer.high == pytest.approx(same.high)
    assert longer.length == 60


def test_under_squared_losses_the_best_rate_does_not_drift():
    found = record(steps=240, loss="mse")
    assert found.recommended == pytest.approx(0.03) and "falls with the length" not in found.reason


@pytest.mark.parametrize(
    ("setting", "low", "high"),
    [
        (RateSetting("half_squared_error", "sgd", 1, Schedule(60)), 0.03 / math.sqrt(3), None),
        (RateSetting("half_squared_error", "sgd", 64, Schedule(60)), 0.03 / math.sqrt(3), 0.03 * math.sqrt(3)),
        (RateSetting("cross_entropy", "sgd", 1, Schedule(60)), None, None),
        (RateSetting("half_squared_error", "adam", 1, Schedule(60), memory=10), None, None),
    ],
)
def test_where_training_breaks_near_the_interval_reaches_half_a_place_and_higher_where_that_pays_later(
    setting, low, high
):
    found, plain = found_rate(trials(0.03), setting, 1.0, (1.0, 1.5)), minimum_of(trials(0.03))
    assert found.low == pytest.approx(low or plain.low)
    assert found.high == pytest.approx(high or (3**1.5 if setting.pays_later else 1) * plain.high)


def test_optimisers_that_average_gradients_warm_up_from_0_until_they_have():
    for rate in (0.5, 10.0):
        up = warm_up(rate, 1.0, Schedule(200), memory=10)
        assert (up.steps, up.start) == (10, 0.0) and "from 0 over 10 steps" in up.reason
    assert warm_up(0.5, 1.0, Schedule(4), memory=10).steps == 3


def test_a_warm_up_is_told_only_above_the_critical_rate_and_saves_what_lies_below_it():
    assert warm_up(0.5, 1.0, Schedule(200)).steps == 0
    up = warm_up(10.0, 1.0, Schedule(200))
    assert up.start == 1.0 and up.steps == pytest.approx(0.1 * 200 * (1 - 1 / 10))
