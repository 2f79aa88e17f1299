"""Limits of depth: moments, sampled curves, and the finite-L laws that approach them at the stated rates."""

import numpy as np
import pytest

from freeness import InputError, fisher_law, jacobian_law, mlp
from freeness.meanfield import isometric_point
from freeness.network import Network, activation
from freeness.spectra import (
    bernoulli_jacobian_limit,
    fisher_limit,
    jacobian_limit,
    jacobian_moments,
    smooth_jacobian_limit,
)

SPREADS = [0.1, 0.8, 3.0]


def critical(name, depth, spread):
    point = isometric_point(activation(name), depth - 1, spread)
    network = mlp(depth, 100, name, "haar", sigma_w=point.sigma_w, sigma_b=point.sigma_b)
    return network, (point.q - point.sigma_b**2) / point.sigma_w**2


@pytest.mark.parametrize("spread", SPREADS)
def test_moments(spread):
    """By S = e^{-σ²u}: m₂ = 1 + σ², m₃ = 1 + 3σ² + (3/2)σ⁴; the others to second order."""
    smooth, jumps = smooth_jacobian_limit(spread), bernoulli_jacobian_limit(spread)
    assert smooth.moments(3) == pytest.approx([1, 1 + spread, 1 + 3 * spread + 1.5 * spread**2], rel=1e-9)
    assert jumps.moments(2) == pytest.approx([1, 1 + spread], rel=1e-9)
    assert fisher_limit(spread, 1.3).moments(2) == pytest.approx([1.3, 1.69 * (1 + spread / 3)], rel=1e-9)


@pytest.mark.parametrize("spread", SPREADS)
def test_edges_of_the_smooth_class(spread):
    """z(u) = (1+u)e^{σ²u}/u at its critical points u = (-1 ± √(1+4/σ²))/2."""
    u = (-1 + np.array([-1.0, 1.0]) * np.sqrt(1 + 4 / spread)) / 2
    assert smooth_jacobian_limit(spread).hull == pytest.approx((1 + u) * np.exp(spread * u) / u, rel=1e-10)


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("make", [smooth_jacobian_limit, fisher_limit])
def test_the_distribution_function_is_the_integral_of_the_density(make, spread):
    """Two formulas, potential and G, on 400 Gauss–Legendre nodes in the angle of the hull."""
    law = make(spread)
    low, high = law.hull
    nodes, weights = np.polynomial.legendre.leggauss(400)
    for end in (0.3, 0.7, 1.0):
        angle = np.pi * end * (1 + nodes) / 2
        x = low + (high - low) * (1 - np.cos(angle)) / 2
        measure = weights * np.pi * end / 2 * (high - low) * np.sin(angle) / 2
        top = low + (high - low) * (1 - np.cos(np.pi * end)) / 2
        assert measure @ law.density(x) == pytest.approx(float(law.cdf(top)), abs=1e-6)


def test_published_edge_and_transform_of_the_fisher_limit():
    """theory.md §3.2: 2.60251 at σ² = .8; G at a complex point from the parametric formula solved by itself."""
    law = fisher_limit(0.8)
    assert law.hull[1] == pytest.approx(2.60251, abs=5e-6)
    kappa = 0.5 - 0.3j
    z = 0.4 * np.cosh(kappa) ** 2 / kappa**2 + np.sinh(2 * kappa) / (2 * kappa)
    assert z.imag > 0
    assert complex(law.cauchy(z)) == pytest.approx(2 * kappa**2 / 0.8 / np.cosh(kappa) ** 2, rel=1e-10)


@pytest.mark.slow
@pytest.mark.always
def test_bernoulli_networks_approach_their_limit_as_one_over_depth():
    limit = bernoulli_jacobian_limit(0.5)
    x = np.linspace(0.1, 1.6, 30)
    errors = []
    for depth in (50, 100, 200):
        law = jacobian_law(*critical("hardtanh", depth, 0.5))
        errors.append(np.nanmax(np.abs(law.cdf(x, throw=False) - limit.cdf(x))))
        assert law.atoms[-1].mass == pytest.approx(limit.atoms[-1].mass, abs=0.6 / depth)
    assert np.diff(np.log(errors)) / np.log(2) == pytest.approx([-1, -1], abs=0.1)


@pytest.mark.slow
def test_smooth_networks_approach_their_limits_as_one_over_the_root_of_depth():
    limit, fisher = smooth_jacobian_limit(0.5), fisher_limit(0.5)
    x = np.linspace(0.4, 3.0, 30)
    errors, edges = [], []
    for depth in (40, 160):
        network, qhat = critical("erf_unit", depth, 0.5)
        errors.append(np.abs(jacobian_law(network, qhat).cdf(x) - limit.cdf(x)).max())
        law = fisher_law(network, qhat)
        edges.append(fisher.hull[1] - law.hull[1] / law.mean)
    for found in (errors, edges):
        assert found[0] > found[1] > 0
        assert np.log(found[1] / found[0]) / np.log(4) == pytest.approx(-0.5, abs=0.15)


def test_networks_approach_the_limit_of_their_own_moves():
    """At any input norm, where the layers differ: the error falls as one over depth."""
    errors = []
    for depth in (50, 200):
        network, qhat = critical("hardtanh", depth, 0.5)
        law, limit = jacobian_law(network, 0.8 * qhat), jacobian_limit(network, 0.8 * qhat)
        x = limit.mean * np.linspace(0.1, 1.4, 30)
        errors.append(np.nanmax(np.abs(law.cdf(x, throw=False) - limit.cdf(x, throw=False))))
    assert np.log(errors[1] / errors[0]) / np.log(4) == pytest.approx(-1, abs=0.15)


def test_both_classes_in_one_network_keep_mean_and_variance():
    layers = [layer for name in ("relu", "tanh", "hardtanh") for layer in mlp(2, 50, name, sigma_w=1.3).layers]
    network = Network(tuple(layers))
    moments, limit = jacobian_moments(network, 0.6), jacobian_limit(network, 0.6)
    assert limit.moments(2) == pytest.approx([moments.mean, moments.variance + moments.mean**2], rel=1e-9)


@pytest.mark.parametrize("network", [mlp(3, 20, "tanh", "gaussian"), mlp(2, [20, 30, 20], "tanh")])
def test_other_weights_have_no_such_limit(network):
    with pytest.raises(InputError, match="equal widths with Haar weights"):
        jacobian_limit(network)


def test_isometry_is_refused():
    with pytest.raises(InputError, match="point mass"):
        fisher_limit(0.0)
    with pytest.raises(InputError, match="spread"):
        bernoulli_jacobian_limit(-1.0)
