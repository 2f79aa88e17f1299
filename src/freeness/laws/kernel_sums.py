"""Σ weights/(z - x) over many points and nodes, in blocks that stay in the cache."""

from __future__ import annotations

import numpy as np

BLOCK = 100_000  # entries of one (points × nodes) block, which then stays in the cache


def kernel_sums(
    points: np.ndarray, nodes: np.ndarray, weights: np.ndarray, hidden: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Σ weights/(z - x) and its derivative, for two rows of weights in turn, (4 × points).

    Parts are summed apart: narrow products of complex matrices cost five times as much.

    Args:
        points: complex or real.
        nodes: the x.
        weights: (2 × nodes).
        hidden: (nodes, points), pairs that do not count.
    """
    real = np.real(points) - nodes[:, None]
    if not np.iscomplexobj(points):
        kernel = np.divide(1.0, real, out=real)
        if hidden is not None:
            kernel[hidden] = 0.0
        value = weights @ kernel
        slope = weights @ np.square(kernel, out=kernel)
        return np.stack([value[0], -slope[0], value[1], -slope[1]])
    height = np.imag(points)
    size = 1.0 / (real * real + height * height)
    if hidden is not None:
        size[hidden] = 0.0
    real *= size
    size *= -height  # the imaginary part of 1/(z - x)
    value = weights @ real + 1j * (weights @ size)
    cross = weights @ (real * size)
    real *= real
    size *= size
    real -= size
    slope = weights @ real + 2j * cross
    return np.stack([value[0], -slope[0], value[1], -slope[1]])
