"""The rule of the rate to start from: what must hold whatever its constants are, the formula, and the bank it was fitted to."""

import math
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from freeness import InputError
from freeness.training import Curvature, StartFacts, measured_rate, optimizer_of, start_rate
from freeness.training import from_trials as rule
from tests.told import words_and_sentences

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
FACTS = StartFacts(200.0, math.nan, math.nan, math.nan, 40_000, batch=16)


def rate(loss="half_squared_error", optimizer="sgd", **changes):
    return start_rate(replace(FACTS, **changes), loss, optimizer).recommended


def test_a_squared_loss_times_a_constant_wants_the_rate_over_it():
    """½ mean over 10 outputs is ½Σ/10, and MSE twice that: curvature and scale say so."""
    assert rate("half_mean_squared_error", sharpness=20.0, scale=0.1) == pytest.approx(10 * rate())
    assert rate("mse", sharpness=40.0, scale=0.2) == pytest.approx(5 * rate())


@pytest.mark.parametrize("loss", ["half_squared_error", "mse", "cross_entropy"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adam", "adamw"])
def test_sharper_and_larger_models_get_less_and_larger_batches_more(loss, optimizer):
    flat = {"sharpness": 20.0}
    assert rate(loss, optimizer, sharpness=40.0) < rate(loss, optimizer, **flat)
    assert rate(loss, optimizer, **flat) < rate(loss, optimizer, parameters=10_000, **flat)
    small = {"sharpness": 0.1}  # far from the bound
    flatter = rate(loss, optimizer, sharpness=0.01)
    assert (
        flatter > rate(loss, optimizer, **small) if "adam" in optimizer else flatter == rate(loss, optimizer, **small)
    )
    assert rate(loss, optimizer, **small) < rate(loss, optimizer, batch=32, **small)
    assert rate(loss, optimizer, batch=64) == rate(loss, optimizer, batch=1000)  # not tried beyond


@pytest.mark.parametrize("loss", ["half_squared_error", "cross_entropy"])
def test_momentum_steps_less_and_without_memory_it_is_sgd(loss):
    assert rate(loss, "momentum", sharpness=0.1) < rate(loss, sharpness=0.1)
    assert rate(loss, optimizer_of("momentum", 0.0)) == pytest.approx(rate(loss))


@pytest.mark.parametrize(
    ("loss", "optimizer", "batch", "expected"),
    [
        ("half_squared_error", "sgd", 1, rule.DESCENT["squared"][0] * 8**-0.5 * 40_000**-0.25),
        ("cross_entropy", "sgd", 64, rule.DESCENT["cross_entropy"][1] * 8**-0.5 * 40_000**-0.25),
        (
            "cross_entropy",
            "momentum",
            1,
            rule.DESCENT["cross_entropy"][0] * 0.1 ** rule.MEMORY[0] * 8**-0.5 * 40_000**-0.25,
        ),
        ("half_squared_error", "adam", 1, rule.ADAPTIVE["squared"][0] * 8**-0.25 / 200),
        ("cross_entropy", "adamw", 64, rule.ADAPTIVE["cross_entropy"][1] * 8**-0.25 / 200),
    ],
)
def test_the_documented_formula(loss, optimizer, batch, expected):
    found = start_rate(replace(FACTS, sharpness=8.0, batch=batch), loss, optimizer)
    held = expected if "adam" in optimizer else min(expected, found.bound)
    assert found.recommended == pytest.approx(held)
    assert found.high == pytest.approx(rule.USUAL.high * expected) and found.low == pytest.approx(rule.USUAL.low * held)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_batch_of_8_stands_between_1_and_64_in_logarithms(optimizer):
    ends = rate(optimizer=optimizer, batch=1, sharpness=0.1) * rate(optimizer=optimizer, batch=64, sharpness=0.1)
    assert rate(optimizer=optimizer, batch=8, sharpness=0.1) == pytest.approx(ends**0.5)


def test_classes_at_several_places_count_as_samples():
    several = start_rate(replace(FACTS, batch=4, places=16), "cross_entropy", "adam")
    assert several.recommended == start_rate(replace(FACTS, batch=64), "cross_entropy", "adam").recommended
    assert several.batch == 4


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_gradient_descent_is_held_down_to_where_linearised_training_contracts(optimizer):
    sharp = start_rate(replace(FACTS, sharpness=1e5, batch=64), "half_squared_error", optimizer)
    assert sharp.recommended == sharp.bound and "held down" in sharp.details[0] and sharp.high > sharp.bound
    flat = start_rate(replace(FACTS, sharpness=1e-2, batch=64), "half_squared_error", optimizer)
    assert flat.recommended < flat.bound and "held down" not in flat.details[0]


def test_what_was_never_tried_has_a_wide_interval_that_sends_to_short_trials():
    usual, untried = (
        start_rate(FACTS, "cross_entropy", "adam"),
        start_rate(replace(FACTS, untried="recurrent layers"), "cross_entropy", "adam"),
    )
    assert untried.recommended == usual.recommended and untried.low < usual.low < usual.high < untried.high
    assert untried.wide and not usual.wide and "freeness rate" in untried.reason and "freeness rate" not in usual.reason
    assert untried.evidence.endswith("None of them had recurrent layers")
    single = replace(FACTS, normalised=True, batch=1)
    assert start_rate(single, "mse", "adam").wide and not start_rate(single, "cross_entropy", "adam").wide
    for found in (usual, untried):
        words_and_sentences(found.reason)
        assert found.low < found.recommended < found.high and found.early is None


def test_outputs_that_do_not_move_get_no_rate():
    with pytest.raises(InputError, match="sharpness > 0"):
        rate(sharpness=0.0)
    with pytest.raises(InputError, match="optimizer among"):
        rate(optimizer="lion")


def test_the_advice_carries_the_start_and_says_where_it_comes_from():
    start = start_rate(FACTS, "cross_entropy", "sgd")
    found = measured_rate(Curvature(200.0, 0.0, 16, start), "cross_entropy", "sgd")
    assert (found.recommended, found.low, found.high) == (start.recommended, start.low, start.high)
    assert f"{start.low:.3g}" in found.reason and f"{start.high:.3g}" in found.reason
    assert found.bound == pytest.approx(0.01)
    for told in (start.formula, start.evidence, "contracts below 0.01"):
        assert told not in found.reason and any(told in line for line in found.details)
    plain = measured_rate(Curvature(200.0, 0.0, 16), "cross_entropy", "sgd")
    assert plain.recommended == pytest.approx(0.0035) and plain.low is None and "was not tried" in plain.outlook


# --- the bank -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fit():
    sys.path.insert(0, str(SCRIPTS))
    try:
        script = import_module("bank_fit")
    finally:
        sys.path.remove(str(SCRIPTS))
    return script, script.runs()


def test_the_constants_are_those_that_the_script_fits_to_the_stored_runs(fit):
    script, runs = fit
    found = script.fitted([run for run in runs if run.part not in script.UNSEEN])
    for place, batch in enumerate(("1", "64")):
        for loss in ("squared", "cross_entropy"):
            assert rule.DESCENT[loss][place] == pytest.approx(math.exp(found["sgd", loss, batch]), rel=2e-2)
            assert rule.ADAPTIVE[loss][place] == pytest.approx(math.exp(found["adam", loss, batch]), rel=2e-2)
        assert rule.MEMORY[place] == pytest.approx(found["momentum", batch], abs=1e-2)


def test_the_interval_holds_the_best_rate_in_nine_of_ten_networks_of_families_that_were_left_out(fit):
    script, runs = fit
    kinds = {}
    for told in script.left_out(runs):
        if told[0].part != "real":
            kinds.setdefault(told[0].family, []).append(script.inside(told))
    assert sum(map(len, kinds.values())) > 350
    assert 0.85 <= np.mean(np.concatenate(list(kinds.values()))) <= 0.95
    assert all(np.mean(inside) >= 0.85 for inside in kinds.values())
    assert (rule.USUAL.low, rule.USUAL.high, rule.SINGLES.low, rule.SINGLES.high) == (*script.USUAL, *script.SINGLES)
    assert rule.USUAL.high / rule.USUAL.low <= 6


def test_the_evidence_tells_what_the_unseen_networks_say(fit):
    script, runs = fit
    found = script.fitted([run for run in runs if run.part not in script.UNSEEN])
    told = [script.predicted(found, run) for run in runs if run.part in ("judged", "last")]
    ratios = np.array([run.loss_at(rate) / run.least for run, rate, _ in told])
    lost = sum(run.loss_at(rate) > 1.05 * run.initial for run, rate, _ in told)
    evidence = start_rate(FACTS, "mse").evidence
    assert f"of {len(told)} networks" in evidence and f"and {lost} diverged" in evidence
    assert (
        f"{(ratios <= 1.05).sum()} came within 5 %" in evidence and f"{(ratios <= 1.1).sum()} within 10 %" in evidence
    )
