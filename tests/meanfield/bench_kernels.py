"""Cost of kernels beside the figures that peers.md B states for neural-tangents 0.6.5. Run by `make bench`.

That package needs a jax of its own (2.6 GB) and is not installed here: at depth 1000 it took 154 s to compile and gave 3.6 for
8.8e31 in the chaotic phase.
"""

import mpmath
import numpy as np
import pytest

from freeness.meanfield import kernels
from freeness.network import mlp

PEER_SECONDS = 154.0


def sphere(count, width):
    points = np.random.default_rng(2).standard_normal((count, width))
    return points * np.sqrt(width) / np.linalg.norm(points, axis=1)[:, None]


def test_depth_1000_of_16_inputs_in_the_chaotic_phase(benchmark):
    """erf, σ_w = 1.2, σ_b = 0.1, ‖x‖²/N = 1, 1000 weight matrices; Θ₀₀ against 50 digits (bars: 0.05 s, 1e-10)."""
    inputs = sphere(16, 64)
    network = mlp(1000, 64, "erf", "gaussian", sigma_w=1.2, sigma_b=0.1)
    found = benchmark.pedantic(kernels, (network, inputs), rounds=5, warmup_rounds=1)
    mpmath.mp.dps = 50
    w, b = mpmath.mpf(1.2) ** 2, mpmath.mpf(0.1) ** 2
    q = w * mpmath.fsum(mpmath.mpf(float(x)) ** 2 for x in inputs[0]) / 64 + b
    theta = q
    for _ in range(999):
        norm = 1 + 2 * q
        slope = 4 / mpmath.pi / mpmath.sqrt(norm**2 - 4 * q**2)
        q = w * 2 / mpmath.pi * mpmath.asin(2 * q / norm) + b
        theta = q + w * slope * theta
    error = abs(found.ntk[0, 0] / float(theta) - 1)
    benchmark.extra_info |= {
        "relative_error": error,
        "peer_seconds_over_ours": PEER_SECONDS / benchmark.stats["median"],
    }
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
