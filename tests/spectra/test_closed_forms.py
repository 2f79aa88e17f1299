"""Closed forms of chains: against simulated matrices, against laws by other routes, and against published formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import Empirical, InputError, PointMass, Projection, activation, fisher_law, jacobian_law, mlp
from freeness.laws import MarchenkoPastur, Semicircle, Uniform
from freeness.laws.distance import wasserstein
from freeness.meanfield import ActivationSignal, DenseSignal, Signals, derivative_law, isometric_point, second_moment
from freeness.moves import free_product, shift
from freeness.network import resnet
from freeness.spectra import (
    concentration,
    condition_number,
    depth_scaling,
    fisher_moments,
    fisher_top_atom,
    isometric_top_atom,
    jacobian_moments,
    jacobian_top_atom,
    two_hidden_fisher_law,
)
from tests.orthogonal import haar
from tests.spectra.simulation import draw

TRACES = st.floats(0.05, 1.0)
NORMS = st.lists(st.floats(0.1, 5.0), min_size=3, max_size=3)


def critical(name, depth, q, weights="haar", width=100):
    function = activation(name)
    variance = 1 / derivative_law(function, q).mean
    qhat = second_moment(function, q).value
    bias = max(q - variance * qhat, 0.0) ** 0.5
    return mlp(depth, width, name, weights, sigma_w=variance**0.5, sigma_b=bias), qhat


def isometric(depth, deficit):
    """Hard-tanh at criticality with 1 - α = deficit/L, whose δ = 1/α - 1."""
    alpha = 1 - deficit / depth
    point = isometric_point(activation("hardtanh"), depth - 1, (depth - 1) * (1 / alpha - 1))
    network = mlp(depth, 100, "hardtanh", sigma_w=point.sigma_w, sigma_b=point.sigma_b)
    return network, (point.q - point.sigma_b**2) / point.sigma_w**2


def projection(trace, gamma=1.0):
    return Projection(trace, gamma) if trace < 1 else PointMass(gamma)


# --- two hidden layers ---------------------------------------------------------------------------------------------


@given(NORMS, TRACES, TRACES, st.floats(0.2, 3.0))
def test_two_hidden_layers_have_the_mass_and_moments_of_the_recursion(norms, first, second, gain):
    """Atoms by the published formula, and H_2 = n₁ + s n₀ P₁, H_3 = n₂ + s P₂H_2P₂ by moves of one curve."""
    law = two_hidden_fisher_law(norms, [first, second], gain)
    n0, n1, n2 = norms
    expected = {
        n2: 1 - second,
        n2 + gain * n1: max(second - first, 0),
        n2 + gain * (n1 + gain * n0): max(first + second - 1, 0),
    }
    for position, mass in expected.items():
        found = sum(m for x, m in law.atoms if x == pytest.approx(position, rel=1e-12))
        assert found == pytest.approx(mass, abs=1e-9)
    inner = shift(free_product(PointMass(gain * n0), projection(first)), n1)
    chain = shift(free_product(inner, projection(second, gain)), n2)
    assert (law.mean, law.variance) == pytest.approx((chain.mean, chain.variance), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("traces", [(0.3, 0.5), (0.7, 0.6), (0.9, 0.85), (0.5, 0.5), (0.2, 0.8)])
def test_two_hidden_layers_are_the_law_of_the_chain(traces):
    """The curve's density and distribution function, away from the ends of the band and from atoms."""
    n, s = (1.2, 0.7, 0.9), 1.3
    law = two_hidden_fisher_law(n, traces, s)
    chain = shift(
        free_product(shift(free_product(PointMass(s * n[0]), projection(traces[0])), n[1]), projection(traces[1], s)),
        n[2],
    )
    root = np.sqrt(4 * np.prod(traces) * np.prod(1 - np.array(traces)))
    middle = sum(traces) - 2 * np.prod(traces)
    t = middle + root * np.array([-0.9, -0.5, 0.0, 0.4, 0.9])
    x = n[2] + s * (n[1] + s * n[0] * t)
    published = np.sqrt((middle + root - t) * (t - middle + root)) / (2 * np.pi * t * (1 - t)) / (s**2 * n[0])
    assert law.density(x) == pytest.approx(published, rel=1e-10)
    assert chain.density(x) == pytest.approx(published, rel=1e-8)
    assert law.cdf(x) == pytest.approx(chain.cdf(x), abs=1e-9)
    band = min(traces) - max(sum(traces) - 1, 0)
    assert 1 - sum(mass for _, mass in law.atoms) == pytest.approx(band, abs=1e-12)


def test_masses_of_a_drawn_network_of_two_hidden_layers_to_four_digits():
    """1000 eigenvalues of n₂ + s D₂W(n₁ + s n₀ P)WᵀD₂ with exact traces: atoms are multiplicities, exactly."""
    rng = np.random.default_rng(5)
    size, traces, norms, gain = 1000, (0.7, 0.85), (1.0, 0.8, 0.6), 1.1
    ranks = [round(size * trace) for trace in traces]
    mask = [np.repeat([1.0, 0.0], [rank, size - rank]) for rank in ranks]
    w = haar(size, size, rng)
    inner = norms[1] * np.eye(size) + gain * norms[0] * (w * mask[0]) @ w.T
    values = np.linalg.eigvalsh(norms[2] * np.eye(size) + gain * mask[1][:, None] * inner * mask[1])
    law = two_hidden_fisher_law(norms, traces, gain)
    for position, mass in law.atoms:
        assert np.mean(np.abs(values - position) < 1e-9) == pytest.approx(mass, abs=1e-4)
    assert wasserstein(law, values) < 3e-3 * law.hull[1]


def test_two_hidden_layers_of_a_hardtanh_network():
    network, qhat = critical("hardtanh", 3, 0.5)
    law = fisher_law(network, qhat)
    alpha = derivative_law(activation("hardtanh"), 0.5).mean
    norm = 100 * qhat + 1
    closed = two_hidden_fisher_law([norm] * 3, [alpha] * 2, 1 / alpha)
    assert [v for atom in closed.atoms for v in atom] == pytest.approx(
        [v for atom in law.atoms for v in atom], rel=1e-8
    )
    x = closed.bands[0][0] + np.diff(closed.bands[0]) * np.array([0.2, 0.6, 0.9])
    assert closed.density(x) == pytest.approx(law.density(x), rel=1e-7)


# --- moments -------------------------------------------------------------------------------------------------------


@given(
    st.integers(2, 5),
    st.lists(st.integers(20, 60), min_size=6, max_size=6),
    st.sampled_from(["tanh", "relu", "hardtanh", "erf"]),
    st.sampled_from(["haar", "gaussian"]),
    st.floats(0.7, 1.6),
)
def test_moments_of_chains_of_any_widths_are_those_of_the_laws(depth, widths, name, weights, sigma_w):
    network = mlp(depth, widths[: depth + 1], name, weights, sigma_w=sigma_w, sigma_b=0.2)
    for moments, law_of in ((jacobian_moments, jacobian_law), (fisher_moments, fisher_law)):
        law, found = law_of(network, 0.4), moments(network, 0.4)
        assert (found.mean, found.variance) == pytest.approx((law.mean, law.variance), rel=1e-10)


@pytest.mark.parametrize("weights", ["haar", "gaussian"])
def test_moments_are_integrals_of_the_density(weights):
    """Against contour integrals over the solved curve, which know nothing of the recursion."""
    network = mlp(4, [60, 90, 50, 80, 70], "tanh", weights, sigma_w=1.3, sigma_b=0.3)
    for moments, law_of in ((jacobian_moments, jacobian_law), (fisher_moments, fisher_law)):
        found = moments(network, 0.3)
        expected = [found.mean, found.variance + found.mean**2]
        assert law_of(network, 0.3).moments(2) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weights", ["haar", "gaussian"])
@pytest.mark.parametrize(("name", "depth", "q"), [("tanh", 12, 0.3), ("hardtanh", 7, 0.5), ("erf", 20, 0.1)])
def test_moments_at_criticality_are_the_published_ones(name, depth, q, weights):
    """theory.md §3.1: m₁ = σ_w² and nδ - Ls₁; §3.2: m₁ = nL and δ(L-1)(2L-1)/(6L), with δ + 1 for Gaussian weights."""
    network, qhat = critical(name, depth, q, weights)
    law = derivative_law(activation(name), q)
    delta, spread = law.variance / law.mean**2, float(weights == "gaussian")
    jacobian, fisher = jacobian_moments(network, qhat), fisher_moments(network, qhat)
    assert jacobian.mean == pytest.approx(network.dense[0].weights.sigma_w ** 2, rel=1e-9)
    assert jacobian.relative_variance == pytest.approx((depth - 1) * delta + depth * spread, rel=1e-9)
    assert fisher.mean == pytest.approx((100 * qhat + 1) * depth, rel=1e-9)
    published = (delta + spread) * (depth - 1) * (2 * depth - 1) / (6 * depth)
    assert fisher.relative_variance == pytest.approx(published, rel=1e-9)


@pytest.mark.parametrize("weights", ["haar", "gaussian"])
def test_moments_of_drawn_networks(weights):
    network = mlp(4, [300, 400, 250, 300, 350], "tanh", weights, sigma_w=1.2, sigma_b=0.2)
    samples = [draw(network, 0.3, np.random.default_rng(seed)) for seed in range(4)]
    for kind, moments in (("jacobian", jacobian_moments), ("fisher", fisher_moments)):
        ratios = []
        for sample in samples:
            values, found = getattr(sample, kind), moments(network, realised=sample.signals)
            ratios.append([values.mean() / found.mean, values.var() / found.variance])
        mean, error = np.mean(ratios, axis=0), np.std(ratios, axis=0, ddof=1) / 2
        assert np.all(np.abs(mean - 1) < np.maximum(0.015, 3 * error)), (kind, mean, error)


# --- the largest atom ----------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(2, 8), st.floats(0.05, 2.0), st.lists(st.integers(30, 60), min_size=9, max_size=9), st.booleans())
def test_the_top_atom_is_the_edge_or_is_not_reported(depth, q, widths, square):
    network = mlp(depth, 50 if square else widths[: depth + 1], "hardtanh", sigma_w=1.1, sigma_b=0.1)
    for atom_of, law_of in ((jacobian_top_atom, jacobian_law), (fisher_top_atom, fisher_law)):
        found, law = atom_of(network, q), law_of(network, q)
        heavy = [atom for atom in law.atoms if atom.position > (1 - 1e-9) * law.hull[1]]
        if found is None:
            assert sum(atom.mass for atom in heavy) < 1e-9
        else:
            assert found.position == pytest.approx(law.hull[1], rel=1e-9)
            assert found.mass == pytest.approx(heavy[0].mass, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "depth", "q", "bound", "edge"), [("hardtanh", 30, 0.5, 904, 195.3), ("relu", 10, 1.0, 1023, 99.8)]
)
def test_a_bound_that_is_not_the_edge_is_not_reported(name, depth, q, bound, edge):
    """theory.md §3.2, in units of q̂."""
    network = critical(name, depth, q)[0] if name != "relu" else mlp(depth, 100, "relu", sigma_w=2**0.5)
    alpha = derivative_law(activation(name), q).mean
    assert (alpha**-depth - 1) / (alpha**-1 - 1) == pytest.approx(bound, rel=1e-3)
    units = Signals(
        tuple(
            DenseSignal(layer.fan_in, 1.0 - layer.bias, q)
            if hasattr(layer, "fan_in")
            else ActivationSignal(q, derivative_law(activation(name), q))
            for layer in network.layers
        ),
        "realised",
    )
    assert fisher_top_atom(network, realised=units) is None
    assert fisher_law(network, realised=units).hull[1] == pytest.approx(edge, rel=1e-3)


def test_the_top_atom_of_an_isometric_network_is_published():
    """theory.md §3.2: λ* = n(α^{-L} - 1)/(α^{-1} - 1), mass 1 - (L - 1)(1 - α), and the limit of both as 1/L."""
    errors = []
    for depth in (50, 200):
        network, qhat = isometric(depth, 0.4)
        alpha, norm = 1 - 0.4 / depth, 100 * qhat + 1
        atom, limit = fisher_top_atom(network, qhat), isometric_top_atom(0.4)
        assert atom.position == pytest.approx(norm * (alpha**-depth - 1) / (1 / alpha - 1), rel=1e-8)
        assert atom.mass == pytest.approx(1 - (depth - 1) * (1 - alpha), rel=1e-8)
        errors.append([abs(atom.position / norm / depth - limit.position), abs(atom.mass - limit.mass)])
        assert jacobian_top_atom(network, qhat).mass == pytest.approx(atom.mass, rel=1e-8)
    assert np.divide(*errors) == pytest.approx([4, 4], rel=0.05)


def test_smooth_activations_have_no_atom():
    network, qhat = critical("tanh", 5, 0.1)
    assert fisher_top_atom(network, qhat) is None and jacobian_top_atom(network, qhat) is None


# --- how a spectrum is spread --------------------------------------------------------------------------------------


def test_most_of_an_isometric_spectrum_lies_at_its_maximum():
    """At least the mass of the atom; and all within the whole support."""
    network, qhat = isometric(60, 0.3)
    law = fisher_law(network, qhat)
    within = [concentration(law, share) for share in (0.0, 0.05, 0.2, 0.5, 1.0)]
    assert within[0] == pytest.approx(fisher_top_atom(network, qhat).mass, rel=1e-9)
    assert np.all(np.diff(within) >= 0) and within[-1] == 1.0


@given(st.floats(0.0, 1.0), st.lists(st.integers(1, 8), min_size=1, max_size=20))
def test_concentration_counts_eigenvalues(share, values):
    low = (1 - share) * max(values)
    assert concentration(Empirical(values), share) == pytest.approx(np.mean(np.array(values) >= low), abs=1e-12)


@given(st.floats(0.05, 0.95))
def test_condition_number_of_a_wishart_matrix(ratio):
    expected = ((1 + ratio**0.5) / (1 - ratio**0.5)) ** 2
    assert condition_number(MarchenkoPastur(ratio)) == pytest.approx(expected, rel=1e-9)


def test_condition_number_of_a_drawn_network():
    network, qhat = critical("tanh", 4, 0.05, width=400)
    sample = draw(network, qhat, np.random.default_rng(2))
    measured = sample.jacobian[-1] / sample.jacobian[0]
    assert condition_number(jacobian_law(network, realised=sample.signals)) == pytest.approx(measured, rel=0.15)


def test_depth_scales_linearly_under_isometry_and_faster_beyond_it():
    depths = [8, 16, 32]
    near = depth_scaling(
        lambda depth: isometric(depth, 0.5)[0], depths, lambda net: fisher_law(net, isometric_qhat(net))
    )
    far = depth_scaling(
        lambda depth: critical("hardtanh", depth, 0.5)[0], depths, lambda net: fisher_law(net, far_qhat())
    )
    assert near.depths.tolist() == depths
    assert 1.0 < far.slope < 2.5 and far.slope > near.slope + 0.2
    tops = np.log(far.tops)
    assert far.slope == pytest.approx(np.cov(np.log(depths), tops)[0, 1] / np.var(np.log(depths), ddof=1), rel=1e-9)


def isometric_qhat(network):
    return isometric(network.depth, 0.5)[1]


def far_qhat():
    return second_moment(activation("hardtanh"), 0.5).value


@given(st.floats(-2.0, 3.0), st.floats(0.1, 5.0))
def test_the_slope_is_the_exponent_of_a_power(power, factor):
    def law(network):
        return PointMass(factor * network.depth**power)

    assert depth_scaling(lambda depth: mlp(depth, 5), [2, 5, 9], law).slope == pytest.approx(power, abs=1e-9)


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: two_hidden_fisher_law([1.0, 1.0], [0.5, 0.5]), "three norms"),
        (lambda: two_hidden_fisher_law([1.0, 1.0, np.nan], [0.5, 0.5]), "three norms"),
        (lambda: two_hidden_fisher_law([1.0, 1.0, 1.0], [0.5, 1.5]), "two traces"),
        (lambda: two_hidden_fisher_law([1.0, 1.0, 1.0], [0.0, 0.5]), "two traces"),
        (lambda: two_hidden_fisher_law([1.0, 1.0, 1.0], [0.5, 0.5], -1.0), "one gain"),
        (lambda: jacobian_moments(resnet(3, 10)), "expected a chain"),
        (lambda: fisher_moments(mlp(3, 10, weights="identity")), "expected"),
        (lambda: fisher_moments(mlp(3, 10), realised=object()), "expected Signals"),
        (lambda: isometric_top_atom(-0.1), "ε"),
        (lambda: isometric_top_atom(np.nan), "ε"),
        (lambda: concentration(Uniform(0.0, 1.0), 10), "share in"),
        (lambda: concentration(PointMass(0.0), 0.1), "positive upper end"),
        (lambda: concentration(3.0, 0.1), "expected laws"),
        (lambda: condition_number(Semicircle(1.0)), r"\[0, ∞\)"),
        (lambda: condition_number(PointMass(0.0)), "mass above 0"),
        (lambda: depth_scaling(lambda depth: mlp(depth, 10), [3, 3]), "two different depths"),
        (lambda: depth_scaling(lambda depth: mlp(depth, 10), [2.5, 3]), "two different depths"),
        (
            lambda: depth_scaling(lambda depth: mlp(depth, 10), [2, 3], lambda net: PointMass(0.0)),
            "positive upper ends",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert str(caught.value).startswith("expected")


@pytest.mark.parametrize("law_of", [jacobian_law, fisher_law])
@pytest.mark.parametrize(
    ("network", "qhat0", "samples", "words"),
    [
        (3, 1.0, None, "expected a Network, got int"),
        (mlp(3, 50, "tanh"), "x", None, "expected a number for qhat0, got 'x'"),
        (mlp(3, 50, "tanh"), 1.0, "abc", "expected an array of inputs for samples, got 'abc'"),
    ],
)
def test_what_is_no_network_or_no_input_is_refused_in_a_sentence(law_of, network, qhat0, samples, words):
    with pytest.raises(InputError, match=words):
        law_of(network, qhat0, samples=samples)
