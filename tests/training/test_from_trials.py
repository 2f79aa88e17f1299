"""The law of the rate to start from: what must hold whatever its constants are, and the formula as it is documented."""

from dataclasses import replace

import pytest

from freeness import InputError
from freeness.training import Curvature, StartFacts, measured_rate, optimizer_of, start_rate

FACTS = StartFacts(200.0, 0.5, 0.02, 0.6, 40_000, batch=16)


def rate(loss="half_squared_error", optimizer="sgd", **changes):
    return start_rate(replace(FACTS, **changes), loss, optimizer).recommended


def test_a_squared_loss_times_a_constant_wants_the_rate_over_it():
    """½ mean over 10 outputs is ½Σ/10, and MSE twice that: curvature and reach say so, ratios do not change."""
    assert rate("half_mean_squared_error", sharpness=20.0, reach=0.2) == pytest.approx(10 * rate())
    assert rate("mse", sharpness=40.0, reach=0.1) == pytest.approx(5 * rate())


@pytest.mark.parametrize("loss", ["half_squared_error", "mse", "cross_entropy"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adam", "adamw"])
def test_sharper_models_get_less_and_larger_batches_more(loss, optimizer):
    assert rate(loss, optimizer, sharpness=400.0) < rate(loss, optimizer) < rate(loss, optimizer, batch=32)
    assert rate(loss, optimizer, batch=64) == rate(loss, optimizer, batch=1000)  # not tried beyond
    found = start_rate(FACTS, loss, optimizer)
    assert found.limit >= found.recommended > 0 and found.limit > found.early > 0 and found.formula and found.evidence


@pytest.mark.parametrize("loss", ["half_squared_error", "cross_entropy"])
def test_momentum_steps_less_and_without_memory_it_is_sgd(loss):
    assert rate(loss, "momentum") < rate(loss)
    assert rate(loss, optimizer_of("momentum", 0.0)) == pytest.approx(rate(loss))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_quiet_outputs_get_less_down_to_a_floor(optimizer):
    assert rate(optimizer=optimizer, loudness=0.01) < rate(optimizer=optimizer, loudness=0.5)
    assert rate(optimizer=optimizer, loudness=1e-12) == rate(optimizer=optimizer, loudness=1e-20) > 0


def test_the_share_that_is_left_counts_down_to_a_floor():
    assert rate(left=0.01) == rate(left=0.25) != rate(left=0.5)
    assert rate("cross_entropy", left=0.01) == rate("cross_entropy", left=0.5) != rate("cross_entropy", left=0.6)


@pytest.mark.parametrize(
    ("loss", "optimizer", "batch", "expected"),
    [
        ("half_squared_error", "sgd", 1, 1.43 * 0.02 * 4**-0.5 * 0.5**0.4 * 0.6**-0.25),
        ("half_squared_error", "momentum", 64, 6.0 * 0.02 * 4**-0.25 * 0.5**0.3 * 0.6**0.87 * 0.1**0.27),
        ("cross_entropy", "sgd", 1, 0.103 * 0.02 * 4**-0.5 * 0.5**0.4 * 0.6**0.44),
        ("cross_entropy", "momentum", 64, 0.36 * 0.02 * 4**-0.25 * 0.5**0.3 * 0.6**-2.3 * 0.1**0.86),
        ("half_squared_error", "adam", 1, 5.8 * 200**-0.4 / 200 * 0.5**0.2),
        ("cross_entropy", "adamw", 64, 9.4 * 200**-0.4 / 200 * 0.5**0.11),
    ],
)
def test_the_documented_formula(loss, optimizer, batch, expected):
    assert rate(loss, optimizer, batch=batch) == pytest.approx(expected)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_batch_of_8_stands_between_1_and_64_in_logarithms(optimizer):
    ends = rate(optimizer=optimizer, batch=1, left=0.3) * rate(optimizer=optimizer, batch=64, left=0.3)
    assert rate(optimizer=optimizer, batch=8, left=0.3) == pytest.approx(ends**0.5)


def test_saturating_networks_get_less_of_single_samples():
    assert rate(batch=1, saturating=True) < rate(batch=1) and rate(optimizer="adam", saturating=True) < rate(
        optimizer="adam"
    )


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_networks_that_saturate_get_three_times_the_linearised_bound_at_most(optimizer):
    """The demo with as many outputs as its width: loudness 50 asked for eleven times the bound, and training broke at five."""
    loud = {"loudness": 50.4, "reach": 0.00751, "sharpness": 362.0, "left": 0.574, "batch": 64}
    bound = optimizer_of(optimizer).bound(362.0)
    assert rate(optimizer=optimizer, saturating=True, **loud) <= 3 * bound * (1 + 1e-12)
    assert rate(saturating=True, **loud) == pytest.approx(3 * 2 / 362.0) and rate(**loud) > 3 * 2 / 362.0


def test_outputs_that_do_not_move_get_no_rate():
    for changes in ({"sharpness": 0.0}, {"reach": 0.0}):
        with pytest.raises(InputError, match="sharpness > 0"):
            rate(**changes)
    with pytest.raises(InputError, match="optimizer among"):
        rate(optimizer="lion")


def test_the_advice_carries_the_start_and_says_where_it_comes_from():
    start = start_rate(FACTS, "cross_entropy", "sgd")
    found = measured_rate(Curvature(200.0, 0.0, 16, start), "cross_entropy", "sgd")
    assert (found.recommended, found.early, found.limit) == (start.recommended, start.early, start.limit)
    broke = f"a tenth ended above their first loss below {start.early:.3g}, a third below {start.limit:.3g}"
    assert any(broke in line for line in found.details)
    assert f"between {start.low:.3g} and {start.high:.3g}" in found.reason
    assert found.bound == pytest.approx(0.01)
    for told in (start.formula, start.evidence, "contracts below 0.01"):
        assert told not in found.reason and any(told in line for line in found.details)
    plain = measured_rate(Curvature(200.0, 0.0, 16), "cross_entropy", "sgd")
    assert plain.recommended == pytest.approx(0.0035) and plain.limit is None and "was not tried" in plain.outlook


def test_kinds_of_networks_have_factors_of_their_own_and_they_are_told():
    for loss in ("half_squared_error", "cross_entropy"):
        usual = {"batch": 64, "left": 0.3, "sharpness": 1.0}  # where no bound is near
        assert rate(loss, residual=True, **usual) == pytest.approx(0.55 * rate(loss, **usual))
        half = rate(loss, residual=True, loudness=2.0, **usual) / rate(loss, loudness=2.0, **usual)
        assert half == pytest.approx(0.55**0.5)  # 2 is half-way to 4
        for other in ({"loudness": 4.0}, {"normalised": True}, {"batch": 1, "sharpness": 200.0}):
            changes = usual | other
            assert rate(loss, residual=True, **changes) == rate(loss, **changes)
    for name in ("normalised", "convolutional", "residual"):  # Adam's rate knows none of them
        assert rate(optimizer="adam", loudness=0.1, **{name: True}) == rate(optimizer="adam", loudness=0.1)
    facts = replace(FACTS, residual=True, saturating=True, batch=64, left=0.3, sharpness=1.0)
    formula = start_rate(facts, "half_squared_error").formula
    assert formula.endswith(", times 0.84 for saturating activations, times 0.55 for quiet sums")


def test_a_batch_between_has_part_of_a_factor():
    assert rate(batch=8, left=0.3, residual=True) == pytest.approx(0.55**0.5 * rate(batch=8, left=0.3))


def test_smaller_targets_alone_do_not_raise_the_rate_of_normalised_networks():
    """Loudness is relative to the targets; λ and reach do not change when these are small."""
    loud = rate(batch=1, normalised=True, loudness=750.0)
    assert loud == rate(batch=1, normalised=True, loudness=1.0) < 4 * 2 / FACTS.sharpness


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
@pytest.mark.parametrize("batch", [1, 8, 64])
def test_squared_losses_stay_below_where_a_tenth_broke(optimizer, batch):
    for loudness in (1e-4, 0.1, 1.0, 50.0):
        for left in (0.3, 0.99):
            facts = replace(FACTS, batch=batch, loudness=loudness, left=left, residual=True)
            found = start_rate(facts, "half_squared_error", optimizer)
            assert found.recommended <= found.early < found.limit


def test_a_formula_that_is_not_the_rate_says_what_holds_it_down():
    loud = replace(FACTS, loudness=50.4, reach=0.00751, sharpness=362.0, left=0.574, batch=64)
    saturating = start_rate(replace(loud, saturating=True), "half_squared_error")
    assert saturating.formula.endswith("but no more than 3 times the linearised bound")
    other = start_rate(loud, "half_squared_error")
    assert other.formula.endswith("but no more than where a tenth of such networks break")
    assert other.recommended == other.early
    for free in (start_rate(FACTS, "cross_entropy"), start_rate(loud, "half_squared_error", "adam")):
        assert "no more" not in free.formula
