"""Fixed points, depth scales and the edge of chaos, against numbers of the literature and simulated networks."""

import numpy as np
import pytest

from freeness import InputError
from freeness.meanfield import LengthMap, covariance, edge_of_chaos, fixed_point, phase_diagram
from freeness.network import activation, activation_names

# theory.md §2: (q*, σ_w², σ_b²) on the edge of chaos
TANH = [(0.1, 1.17757, 0.00083), (0.5, 1.68798, 0.03804), (1.0, 2.1533, 0.15096), (2.0, 2.86116, 0.51226)]
HARDTANH = [(0.1, 1.00157, 0.00013), (0.2, 1.02601, 0.00405), (0.5, 1.18666, 0.05964), (1.0, 1.46479, 0.24408)]


@pytest.mark.parametrize(("name", "table"), [("tanh", TANH), ("hardtanh", HARDTANH)])
def test_edge_of_chaos_has_the_published_numbers(name, table):
    q, weights, biases = np.array(table).T
    edge = edge_of_chaos(activation(name), q)
    np.testing.assert_allclose(edge.sigma_w**2, weights, atol=5.1e-6)
    np.testing.assert_allclose(edge.sigma_b**2, biases, atol=5.1e-6)
    assert edge.stable.all()


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "elu", "sin", "softsign"])
def test_points_of_the_edge_are_critical_fixed_points(name):
    edge = edge_of_chaos(activation(name), [0.3, 1.0])
    for q, sigma_w, sigma_b in zip(edge.q, edge.sigma_w, edge.sigma_b, strict=True):
        found = fixed_point(activation(name), sigma_w, sigma_b, q0=0.8)
        assert found.q == pytest.approx(q, rel=1e-9) and found.chi1 == pytest.approx(1.0, abs=1e-9)
        assert found.phase == "critical" and found.c == 1.0 and found.xi_c > 1e5


@pytest.mark.parametrize("name", activation_names())
def test_slopes_of_the_maps_are_their_derivatives(name):
    length_map = LengthMap(activation(name), 1.1, 0.2)
    h = 1e-5
    assert length_map.slope(0.7) == pytest.approx(
        (length_map(0.7 + h) - length_map(0.7 - h)) / (2 * h), rel=1e-6, abs=1e-9
    )
    at_one = covariance(activation(name), 0.7, 0.7, 1.0).slope
    assert length_map.gain(0.7) == pytest.approx(1.21 * float(at_one), rel=1e-10)


def test_erf_in_the_chaotic_phase_by_a_fixed_point_of_closed_forms():
    """q = σ_w²(2/π) asin(2q/(1 + 2q)) + σ_b², and the same with c."""
    found = fixed_point(activation("erf"), 1.2, 0.1)
    q, c = found.q, found.c
    assert q == pytest.approx(1.44 * 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)) + 0.01, rel=1e-12)
    assert c * q == pytest.approx(1.44 * 2 / np.pi * np.arcsin(2 * q * c / (1 + 2 * q)) + 0.01, rel=1e-10)
    assert found.phase == "chaotic" and 0 < c < 1 and found.chi_c < 1 < found.chi1


def test_a_simulated_network_settles_there():
    """Width 2000, 25 layers of tanh at σ_w = 2.5, σ_b = 0.3: q and c up to O(1/√N) over 1 - χ_c."""
    rng = np.random.default_rng(3)
    n, sigma_w, sigma_b = 2000, 2.5, 0.3
    found = fixed_point(activation("tanh"), sigma_w, sigma_b)
    h = rng.standard_normal((n, 2)) @ np.array([[1.0, 0.2], [0.0, 0.98]])
    qs, cs = [], []
    for layer in range(25):
        x = np.tanh(h)  # W x of a fresh Gaussian W: independent rows of covariance xᵀx/n
        matrix = rng.standard_normal((n, 2)) @ np.linalg.cholesky(x.T @ x / n).T
        h = sigma_w * matrix + sigma_b * rng.standard_normal((n, 1))
        if layer >= 15:
            q = (h**2).mean(axis=0)
            qs.append(q.mean())
            cs.append((h[:, 0] * h[:, 1]).mean() / np.sqrt(q.prod()))
    assert np.mean(qs) == pytest.approx(found.q, rel=0.02)
    assert np.mean(cs) == pytest.approx(found.c, abs=0.03)


def test_depth_scale_is_the_rate_of_the_iterated_map():
    found = fixed_point(activation("tanh"), 1.5, 0.2)
    length_map = LengthMap(activation("tanh"), 1.5, 0.2)
    q, gaps = 3.0, []
    for _ in range(12):
        q = length_map(q)
        gaps.append(abs(q - found.q))
    assert -1 / np.log(gaps[-1] / gaps[-2]) == pytest.approx(found.xi_q, rel=1e-3)


def test_diagram_agrees_with_single_fixed_points():
    w, b = np.linspace(0.6, 3.0, 4), np.array([0.0, 0.7])
    for name in ("tanh", "relu", "gelu"):
        diagram = phase_diagram(activation(name), w, b)
        for i, sigma_b in enumerate(b):
            for j, sigma_w in enumerate(w):
                try:
                    found = fixed_point(activation(name), float(sigma_w), float(sigma_b))
                except InputError:
                    assert np.isnan(diagram.q[i, j])
                    continue
                if found.chi_q < 0.999:  # a marginal map creeps
                    assert diagram.chi1[i, j] == pytest.approx(found.chi1, rel=1e-6)
                    assert diagram.q[i, j] == pytest.approx(found.q, rel=1e-5, abs=1e-5)


def test_networks_without_an_edge_say_why():
    for name in ("sigmoid", "softplus"):
        with pytest.raises(InputError, match="σ_b² < 0"):
            edge_of_chaos(activation(name), np.geomspace(0.01, 10, 9))


def test_relu_is_critical_at_every_variance():
    edge = edge_of_chaos(activation("relu"), [0.1, 1.0, 10.0])
    np.testing.assert_allclose(edge.sigma_w**2, 2.0, rtol=1e-12)
    np.testing.assert_allclose(edge.sigma_b, 0.0, atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 0.0), "sigma_w"),
        ((1.0, -0.1), "sigma_b"),
        ((1.0, 0.0, 0.0), "q0"),
        ((np.nan, 0.0), "sigma_w"),
        ((2.0, 0.1), "settle"),
    ],
)
def test_bad_arguments_and_divergence_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        fixed_point(activation("relu"), *arguments)


def test_bad_grids_are_refused():
    with pytest.raises(InputError, match="q\\* > 0"):
        edge_of_chaos(activation("tanh"), [0.0])
    with pytest.raises(InputError, match="grids"):
        phase_diagram(activation("tanh"), [], [0.1])
