"""Isometry against nonlinearity: kernels by covariances, capacity by the law, bounds of theory.md §9."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import InputError, jacobian_law, mlp, scale, signals
from freeness.advice import dial, equal_power_capacity, kernel_shares, trade_off
from freeness.advice.trade_offs import isometric_capacity
from freeness.meanfield import covariance, edge_of_chaos, hermite_coefficients, isometric_point, trajectory
from freeness.network import activation


@settings(max_examples=4)
@given(
    depth=st.integers(2, 6),
    name=st.sampled_from(["tanh", "erf", "relu", "leaky_relu", "gelu", "hardtanh"]),
    sigma_w=st.floats(0.7, 1.5),
    sigma_b=st.floats(0.0, 0.5),
)
def test_shares_are_the_kernel_and_its_slope_at_uncorrelated_inputs(depth, name, sigma_w, sigma_b):
    """C(0), C'(0) of the trajectory of two inputs, by integrals over two variables."""
    net = mlp(depth, 50, name, "gaussian", sigma_w=sigma_w, sigma_b=sigma_b)
    found = kernel_shares(net, signals(net, 0.8))
    h = 1e-3
    below, at, above = (trajectory(net, 0.8, c).c[-1] for c in (-h, 0.0, h))
    assert found.common == pytest.approx(at, abs=3e-3 if name == "hardtanh" else 1e-4)
    assert found.linear == pytest.approx((above - below) / (2 * h), abs=3e-3 if name == "hardtanh" else 2e-4)
    assert sum(found) == pytest.approx(1.0)


def test_nearly_constant_networks_keep_their_digits():
    """PyTorch's default: outputs of all inputs agree to 1e-20, and what is left is nearly linear."""
    net = mlp(50, 100, "tanh", "gaussian", sigma_w=3**-0.5, sigma_b=300**-0.5)
    found = kernel_shares(net, signals(net))
    assert found.linear == pytest.approx(np.prod([(1 / 3)] * 50), rel=0.9)
    assert 0 < found.nonlinearity < 0.1


@given(st.sampled_from(["tanh", "gelu", "relu", "silu", "hardtanh", "softplus"]), st.floats(0.01, 10.0))
def test_nonlinear_energy_is_bounded_by_the_mean_and_the_growth(name, q):
    """§9: 1 - a_0² - a_1² ≤ χ₁ - 1 + a_0² where E φ² = 1."""
    function = activation(name)
    at = covariance(function, q, q, 1.0)
    mean, linear = hermite_coefficients(function, q, 2)
    energy, growth = float(at.value), q * float(at.slope)
    assert (energy - mean**2 - linear**2) / energy <= growth / energy - 1 + mean**2 / energy + 1e-9


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "relu", "gelu"])
@pytest.mark.parametrize("snr", [0.1, 1.0, 100.0])
def test_the_capacity_without_the_law_is_that_of_the_law(name, snr):
    function, n = activation(name), 11
    q = 0.2
    law = jacobian_law(mlp(n + 1, 50, function, sigma_w=1.0), realised=_at(function, q, n))
    expected = equal_power_capacity(scale(law, 1 / law.mean), snr)
    assert isometric_capacity(function, q, n, snr) == pytest.approx(expected, rel=1e-9)


def _at(function, q, n):
    from freeness.meanfield import ActivationSignal, DenseSignal, Signals, derivative_law

    layers = [DenseSignal(50, 50.0, q)]
    for _ in range(n):
        layers += [ActivationSignal(q, derivative_law(function, q)), DenseSignal(50, 50.0, q)]
    return Signals(tuple(layers), "realised")


def test_along_the_curve_spread_and_nonlinearity_rise_and_capacity_falls():
    curve = trade_off(activation("tanh"), 50, np.geomspace(1e-3, 10, 20))
    assert (np.diff(curve.spread) > 0).all() and (np.diff(curve.nonlinearity) > 0).all()
    assert (np.diff(curve.capacity) < 0).all() and curve.capacity[0] == pytest.approx(1.0, abs=1e-2)
    second_order = 1 - curve.spread / (8 * np.log(2))
    small = curve.spread < 0.05
    assert curve.capacity[small] == pytest.approx(second_order[small], abs=1e-3)
    low = curve.q < 0.5
    assert curve.spread[low] == pytest.approx(50 * np.array([isometric_delta(q) for q in curve.q[low]]), rel=1e-8)


def isometric_delta(q):
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    squares = 1 / np.cosh(np.sqrt(q) * nodes) ** 4
    return weights @ squares**2 / (weights @ squares) ** 2 - 1


def test_the_dial_finds_the_spread_of_a_nonlinearity():
    function = activation("tanh")
    point = dial(function, 30, 0.2)
    net = mlp(31, 50, function, sigma_w=point.sigma_w, sigma_b=point.sigma_b)
    shares = kernel_shares(net, signals(net, (point.q - point.sigma_b**2) / point.sigma_w**2))
    assert shares.nonlinearity == pytest.approx(0.2, rel=1e-6)
    assert isometric_point(function, 30, 30 * point.delta).q == pytest.approx(point.q, rel=1e-6)
    assert edge_of_chaos(function, [point.q]).sigma_w[0] == point.sigma_w


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: trade_off(f, 0, [1.0]), "at least one activation"),
        (lambda f: trade_off(f, 5, [1.0], snr=-1.0), "ratio > 0"),
        (lambda f: dial(f, 5, 1.5), r"in \(0, 1\)"),
        (lambda f: dial(f, 2, 0.99), "can have in 2 layers"),
        (lambda f: dial(f, 0, 0.5), "at least one activation"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call(activation("tanh"))
