"""Long chains evaluated at once against the moves one by one, the full sums, and every point by itself."""

from __future__ import annotations

import numpy as np
import pytest

from freeness import fisher_law, jacobian_law, mlp
from freeness.laws import Atoms, MarchenkoPastur, Uniform, curve_law, outside
from freeness.laws.atomic import AtomicLaw
from freeness.laws.outside import outside_point
from freeness.meanfield import ActivationSignal, signals
from freeness.moves import free_product, moved_curve, multiply, scale, shift
from tests.spectra.simulation import draw

NETWORK = mlp(8, 60, "tanh", sigma_w=1.1, sigma_b=0.1)
UNEQUAL = mlp(5, [80, 60, 90, 70, 70, 40], "erf", sigma_w=1.2, sigma_b=0.2)
GAUSSIAN = mlp(5, [60, 80, 50, 70, 60, 60], "tanh", "gaussian", sigma_w=1.1, sigma_b=0.2)
GRID = 240


def realised(network, width=200):
    wide = mlp(network.depth, width, "tanh", sigma_w=1.1, sigma_b=0.1)
    return wide, draw(wide, 0.3, np.random.default_rng(7)).signals


@pytest.fixture
def one_by_one(monkeypatch):
    """The plain ways: moves one after the other, sums over all atoms, every point continued by itself."""

    def plain():
        monkeypatch.setattr(moved_curve, "layered", lambda base, moves: None)
        monkeypatch.setattr(AtomicLaw, "transforms", AtomicLaw.full_transforms)
        monkeypatch.setattr(curve_law, "_MANY", 10**9)

    return plain


CASES = [
    (fisher_law, NETWORK, False),
    (jacobian_law, NETWORK, False),
    (fisher_law, UNEQUAL, False),
    (jacobian_law, UNEQUAL, False),
    (fisher_law, GAUSSIAN, False),
    (jacobian_law, GAUSSIAN, False),
    (fisher_law, NETWORK, True),
    (jacobian_law, NETWORK, True),
]


@pytest.mark.parametrize(("law_of", "network", "drawn"), CASES)
def test_densities_and_ends_are_those_of_the_plain_way(law_of, network, drawn, one_by_one):
    network, found = realised(network) if drawn else (network, signals(network, 0.3))
    fast = law_of(network, realised=found)
    low, high = fast.hull
    x = low + (high - low) * (np.arange(GRID) + 0.5) / GRID
    density, below = fast.density(x), fast.cdf(x[::40])
    one_by_one()
    slow = law_of(network, realised=found)
    assert slow.hull[1] == pytest.approx(high, rel=1e-10)
    assert slow.hull[0] == pytest.approx(low, rel=1e-8, abs=1e-12 * high)
    assert density == pytest.approx(slow.density(x), rel=1e-10, abs=1e-10 * density.max())
    assert below == pytest.approx(slow.cdf(x[::40]), abs=1e-10)


def test_one_law_of_all_layers_is_taken_as_a_power():
    """At the fixed point of the variance every D² is one: one unknown, the same law as of a product factor by factor."""
    found = signals(NETWORK, 0.3)
    last = next(signal for signal in reversed(found.layers) if isinstance(signal, ActivationSignal))
    layers = tuple(last if isinstance(signal, ActivationSignal) else signal for signal in found.layers)
    law = jacobian_law(NETWORK, realised=type(found)(layers, "realised"))
    assert law.curve.size == 1
    weights = NETWORK.dense[0].weights.sigma_w ** (2 * NETWORK.depth)
    factors = [last.derivative_law] * (NETWORK.depth - 1)
    product = scale(free_product(*factors), weights)
    low, high = law.hull
    x = low + (high - low) * np.linspace(0.05, 0.95, 40)
    assert product.hull[1] == pytest.approx(high, rel=1e-10)
    assert law.density(x) == pytest.approx(product.density(x), rel=1e-9)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("law_of", "network", "drawn"), CASES[:1] + CASES[2:3] + CASES[4:5] + CASES[6:])
def test_real_points_outside_the_support_are_those_of_the_plain_way(law_of, network, drawn, side, one_by_one):
    network, found = realised(network) if drawn else (network, signals(network, 0.3))
    curve = law_of(network, realised=found).curve
    distance = np.linspace(8.0, -3.0, 50)
    fast = outside_point(curve, distance, side)
    one_by_one()
    slow = outside_point(law_of(network, realised=found).curve, distance, side)
    outside = slow.margin > 0
    stop = len(outside) if outside.all() else int(np.argmin(outside))
    assert stop > 5
    assert fast.z.value[:stop] == pytest.approx(slow.z.value[:stop], rel=1e-9)
    assert fast.margin[:stop] == pytest.approx(slow.margin[:stop], rel=1e-6)


def test_a_long_chain_of_shifts_and_products_has_the_first_order_change_of_its_point():
    """Row 0 of the jets against differences of the plain moves at neighbouring parameters."""
    law = fisher_law(NETWORK, 0.3)
    curve = law.curve
    z = np.array([0.3 + 0.4j, 0.6 + 0.1j]) * law.hull[1]
    parameters = law._solve(z).parameters
    point = curve.evaluate(parameters, 2)
    rates = np.concatenate([np.ones((1, 2)), np.stack([row[0] for row in point.updates])])
    step = 1e-6 * parameters[0]
    ahead, behind = (curve.evaluate(parameters + sign * rates * step, 2, True) for sign in (1, -1))
    for now, after, before in (
        (point.z, ahead.z, behind.z),
        (point.g, ahead.g, behind.g),
        (point.u, ahead.u, behind.u),
    ):
        assert now.change[0] == pytest.approx((after.value - before.value) / (2 * step), rel=1e-6)
    plain = curve.evaluate(parameters, 2, True)
    assert point.margin == pytest.approx(plain.margin, rel=1e-9)


def test_factors_of_one_law_are_walked_around_once(monkeypatch):
    """However many of them a chain has; and where no point is left to solve for, none is met."""
    calls, scan, invert = [], outside._scanned, multiply.real_inverse
    monkeypatch.setattr(outside, "_scanned", lambda *at: calls.append("scan") or scan(*at))
    monkeypatch.setattr(multiply, "real_inverse", lambda *at: calls.append(at[1].size) or invert(*at))
    found = signals(NETWORK, 0.3)
    last = next(signal for signal in reversed(found.layers) if isinstance(signal, ActivationSignal))
    layers = tuple(last if isinstance(signal, ActivationSignal) else signal for signal in found.layers)
    assert np.isfinite(fisher_law(NETWORK, realised=type(found)(layers, "realised")).hull).all()
    assert 0 < calls.count("scan") <= 4 and 0 not in calls


@pytest.mark.slow
@pytest.mark.always
def test_grids_meet_points_solved_alone_across_gaps_and_atoms():
    """Neighbours are no guides across an edge; such points are continued by themselves."""
    law = shift(free_product(fisher_law(mlp(5, 60, "tanh"), 0.05), Atoms([1.0, 20.0], [0.7, 0.3])), 1.0)
    low, high = law.hull
    x = np.random.default_rng(0).permutation(np.linspace(low - 0.1 * high, 1.1 * high, 301) + 1e-6)
    together, alone = law.density(x), np.concatenate([law.density(part) for part in np.array_split(x, 4)])
    assert np.mean(alone == 0) > 0.1 and np.mean(alone > 0) > 0.1
    assert together == pytest.approx(alone, rel=1e-9, abs=1e-10 * alone.max())


def test_a_hard_edge_at_0_keeps_its_digits_behind_a_law_without_closed_form():
    """F is C·x^(1/(1 + factors of MP(1))) there: bounded matrices between square Gaussian ones."""
    x = np.array([1e-22, 1e-19, 1e-16])
    for factors in (1, 3):
        law = free_product(Uniform(1.0, 2.0), *[MarchenkoPastur(1.0)] * factors)
        scaled = law.cdf(x) / x ** (1 / (1 + factors))
        assert scaled == pytest.approx(scaled[0], rel=1e-3), factors


def test_quantiles_far_below_the_rounding_of_the_mean_are_found():
    law = free_product(*[Uniform(0.5, 2.0), Uniform(0.0, 1.0)], *[MarchenkoPastur(1.0)] * 6)
    levels = np.array([0.002, 0.02, 0.2])
    places = law.quantile(levels)
    assert places[0] < 1e-17 * law.mean
    assert law.cdf(places) == pytest.approx(levels, abs=1e-12)
