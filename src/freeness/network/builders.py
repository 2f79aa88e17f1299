"""Networks by a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from freeness.errors import InputError
from freeness.network.activations import ActivationFunction, activation
from freeness.network.ensembles import Gaussian, Haar, ScaledIdentity
from freeness.network.layers import Activation, Dense, Layer, Network

_ENSEMBLES = {"haar": Haar, "gaussian": Gaussian, "identity": ScaledIdentity}


def mlp(
    depth: int,
    width: int | Sequence[int],
    activation: str | ActivationFunction = "hardtanh",
    weights: str = "haar",
    *,
    sigma_w: float = 1.0,
    sigma_b: float = 0.0,
) -> Network:
    """A fully connected network of ``depth`` weight matrices with a linear last layer (theory.md §0).

    Args:
        depth: L, the number of weight matrices; there are L - 1 activations.
        width: one width for all layers, or the L + 1 widths N_0, …, N_L.
        activation: a name of the table or an :class:`ActivationFunction`.
        weights: ``"haar"``, ``"gaussian"`` or ``"identity"``.
        sigma_w: gain of the weights.
        sigma_b: standard deviation of the biases; biases are trained if it is positive.

    Example:
        >>> mlp(depth=3, width=[784, 500, 300, 10], activation="relu", weights="gaussian", sigma_w=2**0.5).widths
        (784, 500, 300, 10)
    """
    widths = [width] * (depth + 1) if isinstance(width, (int, np.integer)) else list(width)
    if depth < 1 or len(widths) != depth + 1 or any(n < 1 for n in widths):
        raise InputError(f"expected depth ≥ 1 and {depth + 1} widths ≥ 1, got depth {depth} and widths {widths}.")
    if weights not in _ENSEMBLES:
        raise InputError(f"expected weights among {', '.join(_ENSEMBLES)}, got {weights!r}; choose one.")
    if not (np.isfinite(sigma_w) and sigma_w > 0 and np.isfinite(sigma_b) and sigma_b >= 0):
        raise InputError(f"expected sigma_w > 0 and sigma_b ≥ 0, got {sigma_w} and {sigma_b}.")
    function = _activation(activation) if isinstance(activation, str) else activation
    ensemble = _ENSEMBLES[weights](float(sigma_w))
    layers: list[Layer] = []
    for index, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        layers.append(Dense(int(fan_in), int(fan_out), ensemble, float(sigma_b), sigma_b > 0, f"layer{index}"))
        if index < depth:
            layers.append(Activation(function, f"activation{index}"))
    return Network(tuple(layers))


_activation = activation
