"""Points of near isometry: published figures, and the spectrum that the calculus finds for a network made there."""

import numpy as np
import pytest

from freeness import InputError, jacobian_law, mlp
from freeness.meanfield import fixed_point, isometric_point, normalised, signals
from freeness.network import activation


@pytest.mark.parametrize(
    ("spread", "q", "sigma_w"), [(1 / 4, 0.10935, 1.00125), (1 / 16, 0.08546, 1.00031), (1 / 64, 0.06995, 1.00008)]
)
def test_hard_tanh_at_depth_100(spread, q, sigma_w):
    """theory.md §8; its 100 counts activations."""
    found = isometric_point(activation("hardtanh"), 100, spread)
    assert (found.q, found.sigma_w) == pytest.approx((q, sigma_w), abs=5e-6)


@pytest.mark.parametrize("name", ["tanh", "erf", "hardtanh", "sin", "softsign"])
def test_the_jacobian_has_the_spread_asked_for(name):
    function = activation(name)
    found = isometric_point(function, 19, 0.3)
    settled = fixed_point(function, found.sigma_w, found.sigma_b, found.q)
    assert (settled.q, settled.chi1) == pytest.approx((found.q, 1.0), rel=1e-6)
    network = mlp(20, 50, function, "haar", sigma_w=found.sigma_w, sigma_b=found.sigma_b)
    law = jacobian_law(network, (found.q - found.sigma_b**2) / found.sigma_w**2)
    assert law.variance / law.mean**2 == pytest.approx(0.3, rel=1e-6)


def test_the_normalised_network_is_the_same_in_other_units():
    """q = 1, σ_w = 1 and σ_b/√q* in place of q*, σ_w, σ_b; kinks and slopes go along."""
    function = activation("hardtanh")
    point = isometric_point(function, 9, 0.5)
    unit = normalised(function, point.q / point.sigma_w**2, point.sigma_w)
    bias = point.sigma_b / np.sqrt(point.q)
    found = signals(mlp(10, 50, unit, "haar", sigma_b=bias), 1 - bias**2)
    for signal in found.layers:
        assert signal.q == pytest.approx(1.0, rel=1e-9)
        if hasattr(signal, "derivative_law"):
            assert signal.mu1 == pytest.approx(1.0, rel=1e-9)
            assert signal.delta == pytest.approx(point.delta, rel=1e-9)
    x = np.linspace(-20, 20, 41)
    root = np.sqrt(point.q)
    np.testing.assert_allclose(unit.function(x), np.clip(root * x, -1, 1) * point.sigma_w / root)


@pytest.mark.parametrize(
    ("name", "spread", "message"),
    [("relu", 0.2, "at least 19"), ("tanh", 0.0, "> 0"), ("linear", 0.1, "at most 0"), ("tanh", float("nan"), "> 0")],
)
def test_unreachable_points_say_what_is_reachable(name, spread, message):
    with pytest.raises(InputError, match=message):
        isometric_point(activation(name), 19, spread)


def test_bad_units_are_refused():
    with pytest.raises(InputError, match="gain"):
        normalised(activation("tanh"), 1.0, 0.0)
    with pytest.raises(InputError, match="count"):
        isometric_point(activation("tanh"), 0, 0.1)
