"""Several samples together: G between them against drawn networks (theory.md §3.3)."""

import numpy as np
import pytest

from freeness.network import mlp
from freeness.spectra import graph_law, network_graph
from tests.spectra.position_simulation import draw_positions


def draw(network, x, rng):
    """Signals and Θ written out, (n, N, n, N)."""
    sample = draw_positions(network, x, rng, whole=True)
    n = len(x)
    return sample.signals, sample.theta.reshape(n, -1, n, sample.theta.shape[0] // n)


def compare(name, weights, samples, depth, width, draws, *, ends=False):
    """n×n Cauchy transform, Im z = λ_max/20: within 1 % and 3 standard errors of the mean over draws, relative to ‖G‖."""
    network = mlp(depth, width, name, weights, sigma_w=2**0.5 if name == "relu" else 1.2)
    differences, tops = [], []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((samples, width))
        signals, theta = draw(network, x, rng)
        values, vectors = np.linalg.eigh(theta.reshape(samples * width, -1))
        law = graph_law(network_graph(network, realised=signals, fisher=True))
        z = values[-1] * (np.array([0.05, 0.3, 0.6, 0.9]) + 0.05j)
        v = vectors.reshape(samples, width, -1)
        overlaps = np.einsum("aik,bik->abk", v, v) / width
        measured = (overlaps / (z[:, None, None, None] - values)).sum(axis=-1)
        found = law.resolved(z)
        np.testing.assert_allclose(np.trace(found, axis1=1, axis2=2) / samples, law.cauchy(z), rtol=1e-10)
        differences.append((found - measured) / np.linalg.norm(measured, axis=(1, 2))[:, None, None])
        tops += [law.upper_end / values[-1]] if ends else []
    error = np.linalg.norm(np.std(differences, axis=0, ddof=1), axis=(1, 2)) / draws**0.5
    assert (np.linalg.norm(np.mean(differences, axis=0), axis=(1, 2)) <= 0.01 + 3 * error).all()
    assert error.max() < 6 / width
    assert not ends or abs(np.mean(tops) - 1) <= 0.05 + 3 * np.std(tops, ddof=1) / draws**0.5


@pytest.mark.parametrize(
    ("name", "weights", "samples"), [("tanh", "haar", 2), ("hardtanh", "haar", 3), ("relu", "gaussian", 2)]
)
def test_samples_between_each_other(name, weights, samples):
    compare(name, weights, samples, 3, 200, 3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("weights", ["haar", "gaussian"])
@pytest.mark.parametrize("name", ["tanh", "hardtanh", "relu"])
@pytest.mark.parametrize(("samples", "depth"), [(2, 8), (3, 8), (5, 4)])
def test_samples_between_each_other_at_width_800(name, weights, samples, depth):
    """Two draws are too few: for 4 of these 18 cases their mean is no more certain than the 1 % that is asked for.

    The largest eigenvalue of a Gaussian network scatters by 2 % between draws of this width, and lies 4 to 5 % below the end.
    """
    compare(name, weights, samples, depth, 800, 4, ends=True)


def test_below_the_axis_it_is_the_conjugate():
    network = mlp(3, 20, "tanh", "haar", sigma_w=1.2)
    x = np.random.default_rng(0).standard_normal((2, 20))
    law = graph_law(network_graph(network, samples=x, fisher=True))
    z = law.mean * np.array([1 + 0.3j])
    np.testing.assert_allclose(law.resolved(z.conj()), law.resolved(z).conj())
    single = graph_law(network_graph(network, samples=x[:1], fisher=True))
    assert single.resolved(z)[0, 0, 0] == single.cauchy(z)[0]
