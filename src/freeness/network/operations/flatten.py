"""Channels and positions as one vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.network.channelwise import ChannelPass, passed
from freeness.network.derivatives import UNCHANGED, GivenMap, Pass, given
from freeness.network.moments import Pairs, Step, Stream, backward, forward, same_position, unchanged
from freeness.network.operation import Operation
from freeness.network.operations.rearranged import rearranged


@dataclass(frozen=True)
class Flatten(Operation):
    """Channels and positions become one vector."""

    name: str = ""


@forward.register
def _(layer: Flatten, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """Sums over channels and positions are means over positions of second moments at the same one."""
    if stream.alike:
        return stream, unchanged

    def flat(array: np.ndarray, lead: int, groups: int) -> np.ndarray:
        same = same_position(array, lead) if groups == 2 else array
        return same.mean(axis=tuple(range(lead, same.ndim)))

    after, step = rearranged(stream, flat)
    after = after._replace(
        gaussian=False,
        points=None,
        across=False,
        uneven=stream.uneven or stream.variance.ndim > 1,
        features=None if stream.features is None else stream.features * stream.variance[0].size,
    )
    return after, step


@backward.register
def _(layer: Flatten, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every entry has weights of its own behind it: each of P positions gets its share Γ/P, and they are not correlated."""
    (stream,) = streams
    shape = stream.variance.shape[1:]
    if stream.alike or not shape:
        return (gradient,)
    count = int(np.prod(shape))
    share = (np.eye(count) if stream.across else np.ones(count)) / count
    return (np.multiply.outer(gradient, share).reshape(stream.second.shape),)


@given.register
def _(layer: Flatten, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    return GivenMap(values[0], (UNCHANGED,), flat=True)


@passed.register
def _(layer: Flatten, values: tuple[np.ndarray, ...], at: Pass) -> ChannelPass:
    """Every position of a channel is one."""
    (x,) = values
    moved = np.moveaxis(x.reshape(*x.shape[:2], -1), 1, 2)

    def back(gradient: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.moveaxis(gradient.reshape(moved.shape), 2, 1).reshape(x.shape),)

    return ChannelPass(moved.reshape(-1, x.shape[1]), back)
