"""Cost of kernels, with their errors. Run by `make bench`; beside neural-tangents and a plain recursion: docs/peers.md."""

import numpy as np
import pytest
from benchmarks import kernel

from freeness.meanfield import kernels
from freeness.network import mlp


def sphere(count, width):
    points = np.random.default_rng(2).standard_normal((count, width))
    return points * np.sqrt(width) / np.linalg.norm(points, axis=1)[:, None]


def test_depth_1000_of_16_inputs_in_the_chaotic_phase(benchmark):
    """erf, σ_w = 1.2, σ_b = 0.1, ‖x‖²/N = 1, 1000 weight matrices; Θ₀₀ against 50 digits (bars: 0.05 s, 1e-10)."""
    error = kernel.error(benchmark.pedantic(kernel.ours(), rounds=5, warmup_rounds=1))
    benchmark.extra_info |= {"relative_error": error, "bar_seconds": 0.05}
    assert error < 1e-10


@pytest.mark.parametrize(
    ("name", "bar"), [("relu", 10), ("erf", 10), ("tanh", 30), ("gelu", 30), ("hardtanh", 30), ("elu", 30)]
)
def test_2000_inputs_of_20_layers(benchmark, name, bar):
    """Equal norms; the bar in seconds is recorded beside the time."""
    network = mlp(20, 784, name, "gaussian", sigma_w=1.2, sigma_b=0.1)
    found = benchmark.pedantic(kernels, (network, sphere(2000, 784)), rounds=1)
    benchmark.extra_info |= {"bar_seconds": bar, "lowest_eigenvalue": found.lowest}
    assert np.isfinite(found.ntk).all()
