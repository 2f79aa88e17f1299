"""The kernel job of section B: Θ₀₀ of 1000 weight matrices, erf, in the chaotic phase, by 50 digits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import mpmath
import numpy as np

from benchmarks.network import Array
from freeness.meanfield import kernels
from freeness.network import mlp

DEPTH, WIDTH, COUNT = 1000, 64, 16
SIGMA_W, SIGMA_B = 1.2, 0.1
BAR = 1e-6


@cache
def inputs() -> Array:
    """16 inputs of norm² 64."""
    points = np.random.default_rng(2).standard_normal((COUNT, WIDTH))
    return points * np.sqrt(WIDTH) / np.linalg.norm(points, axis=1)[:, None]


@cache
def truth() -> float:
    """Θ₀₀ by the recursion in 50 digits."""
    with mpmath.workdps(50):
        w, b = mpmath.mpf(SIGMA_W) ** 2, mpmath.mpf(SIGMA_B) ** 2
        q = w * mpmath.fsum(mpmath.mpf(float(x)) ** 2 for x in inputs()[0]) / WIDTH + b
        theta = q
        for _ in range(DEPTH - 1):
            norm = 1 + 2 * q
            slope = 4 / mpmath.pi / mpmath.sqrt(norm**2 - 4 * q**2)
            q = w * 2 / mpmath.pi * mpmath.asin(2 * q / norm) + b
            theta = q + w * slope * theta
        return float(theta)


def error(kernel: Array) -> float:
    """Relative error of Θ₀₀."""
    return abs(float(np.asarray(kernel)[0, 0]) / truth() - 1)


def ours() -> Callable[[], Array]:
    """The tangent kernel (16, 16)."""
    network = mlp(DEPTH, WIDTH, "erf", "gaussian", sigma_w=SIGMA_W, sigma_b=SIGMA_B)
    return lambda: kernels(network, inputs()).ntk


def ours_between() -> Callable[[], Array]:
    """The same kernel as the block between two copies of the inputs."""
    network = mlp(DEPTH, WIDTH, "erf", "gaussian", sigma_w=SIGMA_W, sigma_b=SIGMA_B)
    return lambda: kernels(network, np.concatenate([inputs(), inputs()])).ntk[:COUNT, COUNT:]
