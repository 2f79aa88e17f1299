"""What a watch says of given numbers: troubles are named once, steady runs are left in peace."""

import math
import random

import pytest

from freeness.advice import Lookout, StepCheck, WatchedLayer, WatchRecord


def steady(seed, steps, spread=0.3):
    """Losses and gradients that fall slowly and scatter by factors."""
    draw = random.Random(seed)
    for step in range(1, steps + 1):
        level = step**-0.3
        yield StepCheck(step, 0.1, level * draw.lognormvariate(0, spread), level * draw.lognormvariate(0, spread))


@pytest.mark.parametrize("seed", range(20))
def test_a_steady_run_of_a_thousand_steps_is_left_in_peace(seed):
    lookout = Lookout()
    assert not [said for check in steady(seed, 1000) for said in lookout.checked(check)]


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_bad_batch_is_named_by_its_step_once_the_next_one_has_come(what):
    lookout = Lookout()
    said = []
    for check in steady(0, 100):
        if check.step == 60:
            values = {"loss": check.loss, "gradient": check.gradient}
            check = StepCheck(60, 0.1, **(values | {what: 40.0}))
        said += lookout.checked(check)
    assert [(warning.kind, warning.step) for warning in said] == [("batch", 60)]
    assert f"its {what} is" in said[0].sentence


def test_a_gradient_that_stays_up_is_growth_and_no_bad_batch():
    lookout = Lookout()
    said = []
    for check in steady(0, 100):
        times = 10 if check.step >= 60 else 1
        said += lookout.checked(StepCheck(check.step, 0.1, check.loss, times * check.gradient))
    assert [warning.kind for warning in said] == ["growth"]
    assert 60 < said[0].step < 70


def test_clipping_in_every_step_is_seen_in_equal_norms_and_said_once():
    lookout = Lookout()
    said = []
    for check in steady(1, 300):
        clipped = 1.0 if check.step > 100 else check.gradient
        said += lookout.checked(StepCheck(check.step, 0.1, check.loss, clipped))
    assert [warning.kind for warning in said] == ["clipping"]
    assert "norm 1:" in said[0].sentence


def test_a_rate_beyond_half_of_most_batches_critical_rate_is_said_once_until_it_was_below():
    lookout = Lookout()
    critical = [0.5, 0.1, 0.5, 0.15, 0.12, 0.1, 0.5, 0.5, 0.5, 0.1, 0.1]  # one batch of three is no harm
    said = []
    for k, value in enumerate(critical):
        said += lookout.visited(WatchRecord(10 * k, 0.1, critical=value))
    assert [(warning.kind, warning.step) for warning in said] == [("rate", 30), ("rate", 100)]
    assert "0.67 of the critical one" in said[0].sentence and "lower it to 0.025" in said[0].sentence


def test_while_the_rate_rises_it_is_the_warm_up_and_is_said_before():
    lookout = Lookout()
    said = []
    for step in range(1, 61):
        lookout.checked(StepCheck(step, 0.01 * step))
        if step % 10 == 0:
            said += lookout.visited(WatchRecord(step, 0.01 * step, critical=0.8))
    assert [(warning.kind, warning.step) for warning in said] == [
        ("warm-up", 40)
    ]  # 0.4 is reached at 40, seen by the median of 3
    assert "longer" in said[0].sentence


@pytest.mark.parametrize(("rates", "step"), [(lambda k: 0.01 * k, 60), (lambda k: 0.01 * 1.05**k, 80)])
def test_a_rate_that_grows_by_a_factor_is_followed_on_by_that_factor(rates, step):
    """Half of a critical rate that is met twenty steps from now, along a line and along a power."""
    lookout, said = Lookout(), []
    for k in range(1, step + 1):
        lookout.checked(StepCheck(k, rates(k)))
        if k % 10 == 0:
            said += lookout.visited(WatchRecord(k, rates(k), critical=2 * rates(step - 10 + 20) / 1.0001))
    assert [(warning.kind, warning.step) for warning in said] == [
        ("warm-up", step)
    ]  # one visit behind, by the median of three


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (1, "end the warm-up at 0.1. λ rises"),
        (-1, "make the warm-up longer. λ falls"),
        (0, "longer, or end it at 0.1."),
    ],
)
def test_advice_for_a_warm_up_hears_which_way_the_curvature_goes(way, words):
    lookout = Lookout()
    said = []
    for step in range(1, 61):
        lookout.checked(StepCheck(step, 0.01 * step))
        if step % 10 == 0:
            seen = 9.0 + 0.2 * step * way if way else None
            said += lookout.visited(WatchRecord(step, 0.01 * step, critical=0.8, first_sharpness=seen, first_batch=10))
    assert [warning.kind for warning in said] == ["warm-up"]
    assert words in said[0].sentence


def test_a_fault_of_a_layer_is_passed_on_once():
    lookout = Lookout()
    layers = (WatchedLayer("0"),)
    faulty = [
        WatchRecord(k, 0.1, layers=layers, fault="The weights of '0' get no gradient.", place="0") for k in (1, 2)
    ]
    said = [warning for record in faulty for warning in lookout.visited(record)]
    assert [(warning.kind, warning.place, warning.step) for warning in said] == [("layer", "0", 1)]


def test_what_is_not_finite_is_a_divergence_and_ends_all_warnings():
    lookout = Lookout()
    for check in steady(0, 50):
        lookout.checked(check)
    said = lookout.checked(StepCheck(51, 0.1, math.nan, 1.0))
    assert [warning.kind for warning in said] == ["diverged"]
    assert not lookout.checked(StepCheck(52, 0.1, math.nan, math.nan))


def test_a_divergence_tells_step_layer_rate_and_where_to_go_back_to():
    lookout, said = Lookout(), []
    for check in steady(2, 60):
        layers = {"first": check.gradient, "odd": check.gradient, "last": check.gradient}
        said += lookout.checked(StepCheck(check.step, 0.1, check.loss, check.gradient, layers))
    assert not lookout.visited(WatchRecord(51, 0.1, critical=0.08))
    level = check.gradient
    for k in range(1, 6):
        layers = {"first": level * 2.0**k, "odd": level * 9.0**k, "last": level}
        said += lookout.checked(StepCheck(60 + k, 0.1, check.loss, level * 9.0**k, layers))
    said += lookout.checked(StepCheck(66, 0.1, math.nan, math.nan, dict.fromkeys(("first", "odd", "last"), math.nan)))
    assert (said[-1].kind, said[-1].place, said[-1].step) == ("diverged", "odd", 66)
    assert "from step 61 on" in said[-1].sentence and "0.04 would have held" in said[-1].sentence
    assert "step 41 or before" in said[-1].sentence


def test_a_loss_that_stays_at_twice_its_start_is_a_divergence():
    lookout = Lookout()
    said = [warning for k in range(1, 61) for warning in lookout.checked(StepCheck(k, 0.1, 1.0 if k < 40 else 2.5))]
    assert [warning.kind for warning in said][-1] == "diverged" and said[-1].step < 50


def test_a_loss_of_both_signs_has_no_multiple_that_is_too_large_but_must_be_finite():
    """A policy's loss, whose first steps are nearly 0 in the mean, and which settles far above that."""
    draw, lookout = random.Random(0), Lookout()
    losses = [*([0.01, 0.02, -0.01, 0.01, 0.02] * 2), *(draw.gauss(0.2, 0.2) for _ in range(90))]
    assert not [warning for k, loss in enumerate(losses, 1) for warning in lookout.checked(StepCheck(k, 0.1, loss))]
    assert [warning.kind for warning in lookout.checked(StepCheck(101, 0.1, math.nan))] == ["diverged"]


def glanced(sizes, seed=0, start=1):
    """What is said of batches whose largest samples are so large, of a steady loss."""
    draw, lookout, said = random.Random(seed), Lookout(), []
    for step, size in enumerate(sizes, start):
        said += lookout.glanced(step, draw.lognormvariate(0, 0.2), {"inputs": size})
    return said


@pytest.mark.parametrize("bad", [6.0, math.nan, math.inf])
def test_a_batch_of_large_or_broken_numbers_is_named_when_it_comes(bad):
    draw = random.Random(1)
    sizes = [draw.lognormvariate(0, 0.05) for _ in range(80)]
    sizes[59] = bad
    said = glanced(sizes)
    assert [(warning.kind, warning.step) for warning in said] == [("batch", 60)]
    assert ("6" in said[0].sentence) if bad == 6.0 else "not all finite" in said[0].sentence


def test_data_of_two_sources_and_of_heavy_tails_are_usual():
    draw = random.Random(2)
    rare = [5.0 if k % 15 == 7 else draw.lognormvariate(0, 0.02) for k in range(400)]  # one batch in fifteen is louder
    assert not glanced(rare)
    assert sum(len(glanced([draw.lognormvariate(0, 1.0) for _ in range(400)], seed)) for seed in range(10)) == 0


def test_wrong_labels_are_worse_than_an_untrained_network_and_are_named_whatever_the_scatter():
    draw, lookout, said = random.Random(3), Lookout(), []
    for step in range(1, 200):
        loss = draw.lognormvariate(math.log(1.6 if step <= 10 else max(0.25, 1.6 - 0.02 * step)), 0.3)
        said += lookout.glanced(step, 2.4 if step == 150 else loss, {})
    assert [(warning.kind, warning.step) for warning in said] == [("batch", 150)]
