"""A part of a signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.network.derivatives import GivenMap, Pass, given, over_samples
from freeness.network.moments import Pairs, Step, Stream, backward, forward, unchanged
from freeness.network.operation import Operation, described
from freeness.network.operations.rearranged import rearranged


@dataclass(frozen=True)
class Selection(Operation):
    """Entries ``start``:``stop`` of the channels (a chunk of packed projections) or positions (a class token) of a signal.

    Positions are counted in rows. ``vector``: the one position that is left is no axis any more.
    """

    of: Literal["channels", "positions"]
    start: int
    stop: int
    vector: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.of not in ("channels", "positions"):
            raise InputError(f"expected a selection of channels or positions, got {self.of!r}; choose one.")
        if not 0 <= self.start < self.stop:
            raise InputError(f"expected 0 ≤ start < stop of a selection, got {self.start}:{self.stop}; correct them.")
        if self.vector and (self.of != "positions" or self.stop != self.start + 1):
            raise InputError("expected one position that becomes a vector, got another selection; leave vector out.")

    def rows(self, shape: tuple[int, ...]) -> Float[np.ndarray, "behind front"]:
        """The chosen positions as a map, (positions behind, positions in front).

        Raises:
            InputError: there are fewer.
        """
        count = int(np.prod(shape))
        self.check(count)
        return np.eye(count)[self.start : self.stop]

    def check(self, count: int) -> None:
        """Whether there are as many entries to choose from.

        Raises:
            InputError: there are fewer.
        """
        if count < self.stop:
            raise InputError(
                f"expected at least {self.stop} {self.of} before {described(self)}, got {count}; correct the selection."
            )


@forward.register
def _(layer: Selection, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    return _channels(layer, stream) if layer.of == "channels" else _positions(layer, stream)


def _channels(layer: Selection, stream: Stream) -> tuple[Stream, Step]:
    """Some of many channels are like all; of weights, they are other outputs than those beside them."""
    if stream.uneven:
        raise InputError(
            f"expected channels that are alike before {described(layer)}, got those of several positions or signals; select "
            "before they are joined."
        )
    if stream.features is not None:
        layer.check(stream.features)
    sources = frozenset(source.part(layer.start, layer.stop) for source in stream.sources)
    return stream._replace(features=layer.stop - layer.start, sources=sources), unchanged


def _positions(layer: Selection, stream: Stream) -> tuple[Stream, Step]:
    if stream.alike:
        return stream, unchanged
    layer.check(stream.variance[0].size)

    def chosen(array: np.ndarray, lead: int, groups: int) -> np.ndarray:
        count = int(np.prod(stream.variance.shape[1:]))
        part = 0 if layer.vector else slice(None)
        some = array.reshape(*array.shape[:lead], *(count,) * groups)
        for axis in range(groups):
            some = some[(slice(None),) * (lead + axis) + (slice(layer.start, layer.stop),)]
        return some[(..., *(part,) * groups)]

    after, step = rearranged(stream, chosen)
    return after._replace(across=stream.across and not layer.vector), step


@backward.register
def _(layer: Selection, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """Nothing comes back to what was not chosen."""
    (stream,) = streams
    if stream.alike or layer.of == "channels":
        return (gradient,)
    rows = layer.rows(stream.variance.shape[1:])
    few = len(rows)
    if stream.across:
        return ((rows.T @ gradient.reshape(-1, few, few) @ rows).reshape(stream.second.shape),)
    return ((gradient.reshape(-1, few) @ rows).reshape(stream.second.shape),)


@given.register
def _(layer: Selection, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    (x,) = values
    if layer.of == "channels":
        raise InputError(
            f"expected a part of the positions, got a part of the channels in {described(layer)}, which has no theory of "
            "spectra; give each part weights of its own, or measure them."
        )
    rows = layer.rows(x.shape[2:])
    value = x.reshape(*x.shape[:2], -1)[:, :, layer.start : layer.stop]
    return GivenMap(value[:, :, 0] if layer.vector else value, (over_samples(rows[None], x.shape[1]),))
