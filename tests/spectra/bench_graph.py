"""Cost of the laws of residual and convolutional networks beside the eigenvalues of one drawn network. Run by `make bench`."""

import time

import numpy as np
import pytest

from freeness.network import Branch, cnn, mlp, resnet
from freeness.spectra import NetworkGraph, graph_law, network_graph
from tests.spectra.graph_simulation import draw_graph
from tests.spectra.position_simulation import draw_positions


@pytest.mark.parametrize("fisher", [False, True], ids=["jacobian", "fisher"])
def test_density_of_twenty_blocks_of_width_1000(benchmark, fisher):
    """300 points, all 1000 neurons, the support found first (bar: 60 s on one thread); mass by the distribution function."""
    network = resnet(20, 1000, Branch("tanh", sigma_w=1.2))
    rng = np.random.default_rng(0)
    x = rng.standard_normal(1000)
    start = time.perf_counter()
    sample = draw_graph(network, x * 1000**0.5 / np.linalg.norm(x), rng)
    brute = time.perf_counter() - start
    eigenvalues = sample.fisher if fisher else sample.jacobian
    _density(benchmark, network_graph(network, realised=sample.signals, fisher=fisher), eigenvalues, 300)
    benchmark.extra_info["seconds_of_one_drawn_network"] = brute


def test_density_of_sixteen_positions_and_64_channels(benchmark):
    """Six layers, Fisher, 100 points, the support found first (bar: 300 s on one thread; measured 200 s)."""
    network = cnn(mlp(6, 64, "tanh", "gaussian", sigma_w=1.3, sigma_b=0.2), kernel=(3,))
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    sample = draw_positions(network, rng.standard_normal((1, 64, 16)), rng)
    brute = time.perf_counter() - start
    _density(benchmark, network_graph(network, realised=sample.signals, fisher=True), sample.fisher, 100)
    benchmark.extra_info["seconds_of_one_drawn_network"] = brute


def _density(benchmark, graph: NetworkGraph, eigenvalues: np.ndarray, count: int) -> None:
    def density():
        law = graph_law(graph)
        low, high = law.hull
        points = low + (high - low) * (np.arange(count) + 0.5) / count
        return law, law.density(points)

    law, values = benchmark.pedantic(density, rounds=1)
    inside = np.diff(law.cdf(law.hull + np.array([1e-9, -1e-9]) * law.hull[1]))[0]
    benchmark.extra_info |= {
        "mass_error": float(inside - 1),
        "edge_over_largest_eigenvalue": float(law.hull[1] / eigenvalues[-1]),
    }
    assert abs(inside - 1) < 1e-4 and np.isfinite(values).all()
