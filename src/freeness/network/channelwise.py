"""What an operation without weights does to channels that are followed one by one over a batch, and to what comes back.

Register a function of :func:`passed` for an operation whose given map (:mod:`freeness.network.derivatives`) is too large to be
written down as a matrix of positions, or changes how many channels there are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from freeness.errors import InputError
from freeness.network.derivatives import Pass, given, pattern
from freeness.network.operation import Operation, Weights, described

Back = Callable[[np.ndarray], tuple[np.ndarray, ...]]


class ChannelPass(NamedTuple):
    """The ``value`` behind an operation; ``back`` takes a gradient there to each signal that it reads."""

    value: Float[np.ndarray, "channels samples *positions"]
    back: Back


@singledispatch
def passed(operation: Operation, values: tuple[Float[np.ndarray, "_ samples *_"], ...], at: Pass) -> ChannelPass:
    """An operation on channels of a batch, and its transposed derivative there; by its given map unless registered.

    Args:
        operation: the record, whose type chooses the rule.
        values: that it reads, each (channels, n, *positions).
        at: the generator of what is random.

    Raises:
        InputError: the operation has no such map.
    """
    found = given(operation, values, at)

    def back(gradient: np.ndarray) -> tuple[np.ndarray, ...]:
        flat = gradient.reshape(len(gradient), -1)
        parts = [
            flat * one if one.ndim == 2 else (flat[:, None] @ one.astype(flat.dtype, copy=False))[:, 0]
            for one in found.maps
        ]
        return tuple(part.reshape(value.shape) for part, value in zip(parts, values, strict=True))

    return ChannelPass(found.value, back)


class TapSources(NamedTuple):
    """Of every tap the position that each output position reads, -1 of padding: (taps, positions behind), and their ``shape``."""

    source: Int[np.ndarray, "taps behind"]
    shape: tuple[int, ...]


@singledispatch
def taps_of(layer: Weights, shape: tuple[int, ...], trained: bool = False) -> TapSources:
    """Where weights read; from their pattern, unless registered because that is large.

    Args:
        layer: the record, whose type chooses the rule.
        shape: of the positions in front.
        trained: with the taps that start at 0, which are trained as well.

    Raises:
        InputError: one output reads several positions by the same weights, or weights without a pattern.
    """
    found = pattern(layer, shape, trained=trained)
    rows = found.taps.reshape(len(found.taps), -1, int(np.prod(shape)))
    if not ((rows == 0) | (rows == 1)).all() or rows.sum(axis=2).max() > 1:
        raise InputError(
            f"expected weights that read one position at each tap, got {described(layer)}; measure the network."
        )
    return TapSources(np.where(rows.any(axis=2), rows.argmax(axis=2), -1), found.shape)
