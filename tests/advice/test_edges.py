"""Upper ends without spectra: closed forms, the laws of the engine, simulated matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import fisher_law, jacobian_law, mlp, signals
from freeness.advice import upper_end
from freeness.moves import subordination
from freeness.network import Dense, Measured, Network


def test_closed_forms_of_the_jacobian():
    """theory.md §3.1: ReLU orthogonal n^n/(n-1)^{n-1}·2, linear Gaussian (L+1)^{L+1}/L^L."""
    net = mlp(12, 50, "relu", sigma_w=2**0.5)
    assert upper_end(net, signals(net), "jacobian") == pytest.approx(2 * 11**11 / 10**10, rel=1e-8)
    for depth in (1, 4, 20):
        net = mlp(depth, 50, "linear", "gaussian")
        assert upper_end(net, signals(net), "jacobian") == pytest.approx(
            (depth + 1) ** (depth + 1) / depth**depth, rel=1e-8
        )


def test_edges_that_are_not_the_largest_sum():
    """theory.md §3.2: hard-tanh q* = .5, L = 30: 195.3 q̂ N, not 904; ReLU L = 10: 99.8, not 1023."""
    net = mlp(30, 1, "hardtanh", sigma_w=1.18666**0.5, sigma_b=0.05964**0.5)
    qhat = (0.5 - 0.05964) / 1.18666
    wide = mlp(30, 1000, "hardtanh", sigma_w=1.18666**0.5, sigma_b=0.05964**0.5)
    assert upper_end(wide, signals(wide, qhat)) / (1000 * qhat) == pytest.approx(195.3, rel=1e-2)
    assert net.depth == 30
    relu = mlp(10, 1000, "relu", sigma_w=2**0.5)
    assert upper_end(relu, signals(relu)) / 1000 == pytest.approx(99.8, rel=1e-3)


@settings(max_examples=6)
@given(
    depth=st.integers(1, 12),
    name=st.sampled_from(["tanh", "hardtanh", "relu", "gelu", "erf", "leaky_relu", "softplus", "linear"]),
    weights=st.sampled_from(["haar", "gaussian"]),
    sigma_w=st.floats(0.5, 2.0),
    sigma_b=st.floats(0.0, 0.5),
    seed=st.integers(0, 1000),
)
def test_they_are_the_ends_of_the_laws(depth, name, weights, sigma_w, sigma_b, seed):
    """Smooth laws are followed by the same nodes as the engine's, so that tails beyond them do not count in either."""
    widths = np.random.default_rng(seed).integers(20, 100, depth + 1)
    net = mlp(depth, widths, name, weights, sigma_w=sigma_w, sigma_b=sigma_b)
    found = signals(net, 0.7)
    assert upper_end(net, found, "jacobian") == pytest.approx(jacobian_law(net, 0.7).hull[1], rel=2e-4)
    assert upper_end(net, found) == pytest.approx(fisher_law(net, 0.7).hull[1], rel=2e-4)


def test_an_ensemble_whose_curve_is_not_written_down_goes_to_the_engine():
    values = np.linspace(0.5, 1.5, 30)
    net = Network((*mlp(2, 30, "tanh").layers, Dense(30, 30, Measured(1.0, values))))
    assert upper_end(net, signals(net)) == pytest.approx(fisher_law(net).hull[1])


@given(st.integers(1, 6), st.integers(0, 10_000), st.floats(1e-6, 1e6))
def test_subordination_solves_its_equation_on_both_sides(count, seed, u):
    rng = np.random.default_rng(seed)
    v, p = rng.uniform(0, 3, count), rng.dirichlet(np.ones(count))
    w = subordination(np.array([u]), v, p)
    assert w[0] > v.max() and p @ (v / (w[0] - v)) == pytest.approx(u, rel=1e-7)
    below = -u / (1 + u) * p.sum()
    w = subordination(np.array([below]), v, p)
    assert w[0] < 0 and p @ (v / (w[0] - v)) == pytest.approx(below, rel=1e-7)
