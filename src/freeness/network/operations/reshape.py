"""Positions in another shape."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError, is_size
from freeness.network.derivatives import UNCHANGED, GivenMap, Pass, given
from freeness.network.lengths import Length, beyond_behind, known_behind
from freeness.network.moments import Pairs, Step, Stream, backward, forward, unchanged
from freeness.network.operation import Operation, described
from freeness.network.operations.rearranged import rearranged


@dataclass(frozen=True)
class Reshape(Operation):
    """The same positions, counted in rows, in the shape ``positions``: an image's pixels become tokens, and back."""

    positions: tuple[int, ...]
    name: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.positions, tuple) and all(map(is_size, self.positions))):
            raise InputError(f"expected sizes ≥ 1 of positions in a tuple, got {self.positions!r}; correct them.")

    def check(self, shape: tuple[int, ...]) -> None:
        """Whether there are as many positions.

        Raises:
            InputError: there are not.
        """
        if np.prod(shape) != np.prod(self.positions):
            raise InputError(
                f"expected {int(np.prod(self.positions))} positions before {described(self)}, got {shape}; correct the shape."
            )


@forward.register
def _(layer: Reshape, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    if stream.alike:
        return stream, unchanged
    layer.check(stream.variance.shape[1:])

    def shaped(array: np.ndarray, lead: int, groups: int) -> np.ndarray:
        return array.reshape(*array.shape[:lead], *layer.positions * groups)

    return rearranged(stream, shaped)


@backward.register
def _(layer: Reshape, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    return (gradient.reshape(streams[0].second.shape),)


@given.register
def _(layer: Reshape, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    (x,) = values
    layer.check(x.shape[2:])
    return GivenMap(x.reshape(*x.shape[:2], *layer.positions), (UNCHANGED,))


@known_behind.register
def _(layer: Reshape, known: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    return None if known is None else known.reshape(shape)


@beyond_behind.register
def _(layer: Reshape, streams: tuple[Stream, ...], lengths: Sequence[Length], behind: Stream) -> np.ndarray:
    return lengths[0].beyond.reshape(behind.variance.shape)
