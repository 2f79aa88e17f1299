"""Cost of batches: the largest eigenvalue of many samples, and the law of a few together. Run by `make bench`."""

import resource

import numpy as np
import pytest

from freeness import fisher_law
from freeness.network import mlp
from freeness.spectra import batch_fisher, graph_law, network_graph
from tests.spectra.position_simulation import draw_positions


def test_largest_eigenvalue_of_ten_thousand_samples(benchmark):
    """tanh, depth 3, 10 outputs; bars: 120 s, 4 GB; ten of the entries of Θ against those of a small batch."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((10_000, 100)) + 0.5
    x *= 10 / np.linalg.norm(x, axis=1, keepdims=True)
    network = mlp(3, [100, 1000, 1000, 10], "tanh", "gaussian", sigma_w=1.3, sigma_b=0.2)
    found = benchmark.pedantic(lambda: _solved(batch_fisher(network, x)), rounds=1)
    benchmark.extra_info |= {
        "peak_bytes_of_the_process": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "over_order_parameters": found.top / found.order.top,
    }
    few = batch_fisher(network, x[:10])
    np.testing.assert_allclose(found.kernel[:10, :10], few.kernel, rtol=1e-6)


def _solved(found):
    assert found.top > 0
    return found


@pytest.mark.parametrize("weights", ["haar", "gaussian"])
def test_density_of_three_samples_and_eight_layers(benchmark, weights):
    """150 neurons of a width of 1000, 300 points, the support found first (bar: 60 s on one thread)."""
    network = mlp(8, 150, "tanh", weights, sigma_w=1.2)
    rng = np.random.default_rng(0)
    sample = draw_positions(network, rng.standard_normal((3, 150)), rng)
    graph = network_graph(network, realised=sample.signals, fisher=True)

    def density():
        law = graph_law(graph)
        low, high = law.hull
        return law, law.density(low + (high - low) * (np.arange(300) + 0.5) / 300)

    law, values = benchmark.pedantic(density, rounds=1)
    benchmark.extra_info |= {"edge_over_largest_eigenvalue": float(law.hull[1] / sample.fisher[-1])}
    assert np.isfinite(values).all()
    assert fisher_law(network, realised=sample.signals).mean == pytest.approx(sample.fisher.mean(), rel=0.02)
