import itertools
import math

import numpy as np
import pytest

from freeness.errors import InputError
from freeness.training import Leg, RateTrial, diverges, halved, rates_between, run_all
from freeness.training.found import minimum_of


def trainer(best: float, breaks: float, noise: float = 0.0):
    """Trials whose loss after k steps is lowest at ``best``, and that leave the numbers from ``breaks`` on."""
    drawn = np.random.default_rng(0).standard_normal(1000)
    run: dict[float, int] = {}

    def perform(leg: Leg) -> RateTrial:
        losses = []
        for k in range(leg.until):
            off = math.log(leg.rate / best)
            losses.append(
                math.nan if leg.rate >= breaks and k == 3 else math.exp(noise * drawn[k] + 0.1 * off**2) + 1 / (k + 1)
            )
            if diverges(losses):
                break
        run[leg.rate] = len(losses)
        return RateTrial(leg.rate, tuple(losses), diverges(losses))

    return perform, run


@pytest.mark.parametrize("budget", [45, 100, 300, 1500])
@pytest.mark.parametrize(("low", "high"), [(1e-3, 1e-2), (1e-5, 1e-1), (1e-3, 2e-3)])
def test_the_budget_is_kept_and_nearly_spent(budget, low, high):
    perform, run = trainer(best=3e-3, breaks=1.0)
    trials = run_all(halved(rates_between(low, high), budget, 10_000), perform)
    assert 0.9 * budget <= sum(run.values()) <= budget
    assert all(run[rate] == trial.steps for rate, trial in trials.items())


@pytest.mark.parametrize("best", np.geomspace(1e-5, 3e-1, 7).tolist())
def test_the_best_rate_is_found_inside_the_interval_and_beyond_it(best):
    perform, _ = trainer(best, breaks=100 * best)
    trials = run_all(halved(rates_between(1e-4, 3e-2), 300, 200), perform)
    assert minimum_of(list(trials.values())).rate == pytest.approx(best, rel=0.02)


def test_rates_that_diverge_are_paid_only_until_they_do_and_never_chosen():
    perform, run = trainer(best=1.0, breaks=0.05)
    trials = run_all(halved(rates_between(1e-4, 1e-1), 300, 200), perform)
    found = minimum_of(list(trials.values()))
    assert all(run[rate] == 4 and trials[rate].score == math.inf for rate in trials if rate >= 0.05)
    assert found.rate < 0.05 and found.high <= 0.1 * (1 + 1e-9)


@pytest.mark.parametrize("breaks", np.geomspace(0.02, 0.06, 5, endpoint=False).tolist())
def test_close_rates_come_nearer_to_where_training_breaks_at_the_same_cost(breaks):
    found = {}
    for close in (False, True):
        perform, run = trainer(best=1.0, breaks=breaks)
        trials = run_all(halved(rates_between(1e-4, 7.29e-2), 300, 200, close), perform)
        found[close] = minimum_of(list(trials.values())).rate
        assert 0.9 * 300 <= sum(run.values()) <= 300
    assert found[False] <= found[True] < breaks and found[True] > breaks / math.sqrt(3) * (1 - 1e-9)


def test_close_rates_are_not_tried_where_no_rate_stands_out():
    perform, _ = trainer(best=3e-3, breaks=1.0)
    wide = halved(rates_between(1e-4, 1e-1), 300, 200, close=True)
    apart = sorted(rate for rate, trial in run_all(wide, perform).items() if trial.steps > 60)
    assert all(b / a > 2.5 for a, b in itertools.pairwise(apart))


@pytest.mark.parametrize("best", [1e-5, 3e-5, 1e-4])
def test_a_field_that_is_left_downwards_may_have_a_gap_where_the_next_rate_breaks(best):
    perform, _ = trainer(best, breaks=1e-3)
    trials = run_all(halved(rates_between(1e-2, 7.29), 300, 200), perform)
    assert minimum_of(list(trials.values())).rate == pytest.approx(best, rel=0.02)


@pytest.mark.parametrize("low", [2e-4, 1e-1, 10.0])
def test_a_field_that_diverges_whole_is_left_downwards_however_far(low):
    perform, _ = trainer(best=1e-5, breaks=1e-4)
    trials = run_all(halved(rates_between(low, 100 * low), 300, 200), perform)
    assert minimum_of(list(trials.values())).rate == pytest.approx(1e-5, rel=0.02)


def test_trials_go_on_where_they_stood_and_the_last_have_one_length():
    legs: list[Leg] = []
    perform, _ = trainer(best=3e-3, breaks=1.0)
    run_all(halved(rates_between(1e-4, 1e-1), 300, 200), lambda leg: (legs.append(leg), perform(leg))[1])
    lengths = [leg.until for leg in legs]
    assert len(set(lengths[-3:])) == 1 and lengths[-1] > 60
    assert all(leg.rate in before.kept for before, leg in itertools.pairwise(legs[7:]))


def test_too_few_steps_and_no_interval_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="raise cost"):
        next(halved([1.0, 2.0], 10, 10))
    for low, high in ((0.0, 1.0), (2.0, 1.0), (math.nan, 1.0)):
        with pytest.raises(InputError, match="0 < low < high"):
            rates_between(low, high)


def test_losses_far_above_the_first_ones_diverge_and_a_single_jump_does_not():
    calm = [2.0] * 6
    assert not diverges([*calm, 50.0]) and not diverges([*calm, 50.0, 50.0, 50.0])
    assert diverges([*calm, 50.0, 50.0, 50.0, 50.0]) and diverges([*calm, math.inf])
