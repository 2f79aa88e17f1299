"""The network of section B by numpy alone: 10 × 256, tanh, biases, 256 outputs, one sample; its exact spectrum.

Gaussian weights on the edge of chaos at q* = ½, where q̂ = E φ² of the first layer's input holds, too.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
DEPTH, WIDTH = 10, 256
SIGMA_W, SIGMA_B = 1.68798**0.5, 0.03804**0.5


@cache
def weights() -> list[tuple[Array, Array]]:
    """(W, b) of every layer in float32, W (out, in)."""
    rng = np.random.default_rng(0)
    shape = (WIDTH, WIDTH)
    return [
        (
            (SIGMA_W / WIDTH**0.5 * rng.standard_normal(shape)).astype(np.float32),
            (SIGMA_B * rng.standard_normal(WIDTH)).astype(np.float32),
        )
        for _ in range(DEPTH)
    ]


@cache
def sample() -> Array:
    """One input (256,), float32."""
    return (0.5 * np.random.default_rng(1).standard_normal(WIDTH)).astype(np.float32)


@cache
def target() -> Array:
    """What the loss ½‖f - y‖² compares with (256,), float32."""
    return np.random.default_rng(2).standard_normal(WIDTH).astype(np.float32)


@cache
def truth() -> Array:
    """All 256 eigenvalues of J_θJ_θᵀ, ascending: singular values of J_θ, whose columns are written out, in float64."""
    x, inputs, slopes = sample().astype(float), [], []
    for index, (weight, bias) in enumerate(weights()):
        inputs.append(x)
        h = weight.astype(float) @ x + bias
        x = np.tanh(h)
        slopes.append(1 - x**2 if index < DEPTH - 1 else np.ones(WIDTH))
    gram, behind = np.zeros((WIDTH, WIDTH)), np.eye(WIDTH)
    for index in reversed(range(DEPTH)):
        behind = behind * slopes[index]  # ∂f/∂h of this layer
        for row in np.split(np.arange(WIDTH), 8):
            columns = np.einsum("ci,j->cij", behind[:, row], inputs[index]).reshape(WIDTH, -1)
            gram += columns @ columns.T
        gram += behind @ behind.T
        behind = behind @ weights()[index][0].astype(float)
    return np.linalg.eigvalsh(gram)


def all_error(values: Array) -> float:
    """The largest error of an eigenvalue, over the largest eigenvalue."""
    return float(np.abs(np.sort(np.asarray(values, dtype=float)) - truth()).max() / truth()[-1])


def top_error(value: float) -> float:
    """The relative error of the largest eigenvalue."""
    return abs(float(value) / truth()[-1] - 1)
