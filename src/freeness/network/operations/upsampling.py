"""Nearest-neighbour upsampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.network.moments import Pairs, Step, Stream, backward, forward, unchanged
from freeness.network.operation import Operation
from freeness.network.operations.checks import check_spatial, check_windows
from freeness.network.operations.rearranged import rearranged


@dataclass(frozen=True)
class Upsampling(Operation):
    """Every position ``factors`` times along each dimension: a map of images onto larger ones (U-Net, decoders)."""

    factors: tuple[int, ...]
    name: str = ""

    def __post_init__(self) -> None:
        check_windows(self.factors, None)

    @property
    def across(self) -> bool:
        return True


@forward.register
def _(layer: Upsampling, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """Second moments of equal entries are equal."""
    if stream.alike:
        return stream, unchanged
    check_spatial(stream.variance.ndim - 1, len(layer.factors), layer)

    def repeated(array: np.ndarray, lead: int, groups: int) -> np.ndarray:
        for axis in range(lead, array.ndim):
            array = np.repeat(array, layer.factors[(axis - lead) % len(layer.factors)], axis=axis)
        return array

    return rearranged(stream, repeated)


@backward.register
def _(layer: Upsampling, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """The sum over the copies; without other positions it knows of none that are correlated."""
    (stream,) = streams
    if stream.alike:
        return (gradient,)
    found = gradient
    for axis in range(1, gradient.ndim):
        size = layer.factors[(axis - 1) % len(layer.factors)]
        shape = (*found.shape[:axis], found.shape[axis] // size, size, *found.shape[axis + 1 :])
        found = found.reshape(shape).sum(axis=axis + 1)
    return (found,)
