"""Views and permutations: they say where samples, channels and positions lie, and are no steps by themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.record.layout import holds, reshaped
from freeness.torch.record.steps import Permuted, Reshaped
from freeness.torch.record.walk import Asked, Signal

RESHAPE = Kind(
    "flatten and reshape",
    ("flatten", "view", "reshape", "_unsafe_view", "squeeze", "unsqueeze", "view_as", "reshape_as", "unflatten"),
    "spectra",
    "of a whole signal: one vector a sample, or the same positions counted otherwise",
)
PERMUTATION = Kind(
    "permutation of axes",
    ("transpose", "permute", "movedim", "swapaxes", "t", "numpy_T", "matrix_H", "flip", "roll"),
    "spectra",
    "that keeps channels and positions in their order; not flip and roll",
)
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19)


def reshape(asked: Asked) -> Signal:
    """The same signal in another shape."""
    signal = asked.signal("self")
    if "dtype" in asked.arguments:
        raise Unread("of the bits of its numbers")
    if asked.shape == signal.shape:
        return signal
    dims = reshaped(signal.layout, asked.shape)
    sizes = tuple(-1 if holds(atoms, "samples") else size for atoms, size in zip(dims, asked.shape, strict=True))
    return replace(signal, dims=dims, moves=(*signal.moves, Reshaped(sizes)), moved=asked.node)


def permutation(asked: Asked) -> Signal:
    """The same signal with its axes in another order."""
    signal = asked.signal("self", turned=True)
    if asked.name in ("flip", "roll") or len(signal.dims) > len(_PRIMES):
        raise Unread("it puts channels or positions into another order")
    primes = torch.empty(_PRIMES[: len(signal.dims)], device="meta")
    given: list[Any] = [primes if isinstance(value, Signal) else value for value in asked.walk.given(asked.node.args)]
    assert callable(asked.node.target)
    axes = tuple(_PRIMES.index(size) for size in asked.node.target(*given, **asked.node.kwargs).shape)
    asked.note()
    dims = tuple(signal.layout[axis] for axis in axes)
    return replace(signal, dims=dims, moves=(*signal.moves, Permuted(axes)), moved=asked.node)


READERS = (
    (RESHAPE, reshape),
    (PERMUTATION, permutation),
)
