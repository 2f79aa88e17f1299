"""Networks by a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeGuard

import numpy as np

from freeness.errors import InputError
from freeness.network.activations import ActivationFunction, activation, is_real
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

    Raises:
        InputError: sizes that are not whole numbers ≥ 1, an unknown name, or a gain that is not a number.

    Example:
        >>> mlp(depth=3, width=[784, 500, 300, 10], activation="relu", weights="gaussian", sigma_w=2**0.5).widths
        (784, 500, 300, 10)
    """
    widths = _widths(depth, width)
    if not isinstance(weights, str) or weights not in _ENSEMBLES:
        raise InputError(f"expected weights among {', '.join(_ENSEMBLES)}, got {weights!r}; choose one.")
    if not (is_real(sigma_w) and sigma_w > 0 and is_real(sigma_b) and sigma_b >= 0):
        raise InputError(
            f"expected numbers sigma_w > 0 and sigma_b ≥ 0, got {sigma_w!r} and {sigma_b!r}; correct them."
        )
    function = activation if isinstance(activation, ActivationFunction) else _activation(activation)
    ensemble = _ENSEMBLES[weights](float(sigma_w))
    layers: list[Layer] = []
    for index, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        layers.append(Dense(fan_in, fan_out, ensemble, float(sigma_b), bool(sigma_b > 0), f"layer{index}"))
        if index < depth:
            layers.append(Activation(function, f"activation{index}"))
    return Network(tuple(layers))


def _widths(depth: object, width: object) -> list[int]:
    """The L + 1 widths as plain integers."""
    if not _is_size(depth):
        raise InputError(
            f"expected a depth that is a whole number ≥ 1, got {depth!r}; give the number of weight matrices."
        )
    count = int(depth) + 1
    if _is_size(width):
        return [int(width)] * count
    given = width.tolist() if isinstance(width, np.ndarray) else width
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        raise InputError(f"expected a width or {count} widths, whole numbers ≥ 1, got {width!r}; correct it.")
    if len(given) != count or not all(map(_is_size, given)):
        raise InputError(
            f"expected {count} widths, whole numbers ≥ 1, for depth {depth}, got {list(given)}; correct them."
        )
    return [int(n) for n in given]


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 1)


_activation = activation
