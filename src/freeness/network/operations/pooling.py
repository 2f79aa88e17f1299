"""Average pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.network.channelwise import ChannelPass, passed
from freeness.network.departures import Around, Departing, departing
from freeness.network.derivatives import GivenMap, Pass, given, over_samples
from freeness.network.moments import Pairs, Step, Stream, backward, forward
from freeness.network.operation import Operation, described
from freeness.network.operations.checks import check_spatial, check_windows


@dataclass(frozen=True)
class Pooling(Operation):
    """Averages over windows of ``size`` positions at a distance ``stride``; over all positions where ``size`` is None."""

    size: tuple[int, ...] | None = None
    stride: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        check_windows(self.size, self.stride)

    @property
    def across(self) -> bool:
        return True


@forward.register
def _(layer: Pooling, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    if stream.alike or not stream.across:
        raise InputError(
            f"expected images before {described(layer)}, got signals without positions; compute kernels on images instead."
        )

    def step(pairs: Pairs) -> Pairs:
        return Pairs(pooled(pairs.value, layer, 2, 2), pooled(pairs.theta, layer, 2, 2), pairs.rows)

    mean = stream.mean
    growth = pooled(stream.growth, layer, 1, 1)
    second = pooled(stream.second, layer, 1, 2)
    window = stream.variance[0].size if layer.size is None else int(np.prod(layer.size))
    after = stream._replace(
        second=second,
        growth=growth / window,
        points=None,
        latent=None,
        mean=None if mean is None else lambda: pooled(mean(), layer, 1, 1),
        across=second.ndim > 1,
    )
    return after, step


@backward.register
def _(layer: Pooling, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """Γ ← AᵀΓA with the averages A."""
    (stream,) = streams
    average = _averages(layer, stream.variance.shape[1:])
    square = gradient.reshape(len(gradient), len(average), len(average))
    return ((average.T @ square @ average).reshape(stream.second.shape),)


@given.register
def _(layer: Pooling, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    (x,) = values
    average = _averages(layer, x.shape[2:])
    return GivenMap(pooled(x, layer, 2, 1), (over_samples(average[None], x.shape[1]),))


@passed.register
def _(layer: Pooling, values: tuple[np.ndarray, ...], at: Pass) -> ChannelPass:
    (x,) = values
    value = pooled(x, layer, 2, 1)
    spatial = (None,) * (x.ndim - 2)

    def back(gradient: np.ndarray) -> tuple[np.ndarray, ...]:
        if layer.size is None:
            return (np.broadcast_to(gradient[(..., *spatial)] / x[0, 0].size, x.shape),)
        average = _averages(layer, x.shape[2:]).astype(gradient.dtype)
        return ((gradient.reshape(*gradient.shape[:2], -1) @ average).reshape(x.shape),)

    return ChannelPass(value, back)


def _averages(layer: Pooling, shape: tuple[int, ...]) -> np.ndarray:
    """(positions behind, positions in front)."""
    count = int(np.prod(shape))
    return pooled(np.eye(count).reshape(count, *shape), layer, 1, 1).reshape(count, -1).T


def pooled(
    array: Float[np.ndarray, "*positions"], layer: Pooling, lead: int, groups: int
) -> Float[np.ndarray, "*pooled"]:
    """Mean over the windows of each group of spatial axes.

    Args:
        array: second moments of all pairs of positions (``groups`` = 2), or values by position (1).
        layer: which says the windows.
        lead: axes before the spatial ones.
        groups: how often the spatial axes occur.

    Example:
        >>> from freeness.network import Pooling
        >>> pooled(np.arange(4.0)[None], Pooling((2,), 2), 1, 1).tolist()
        [[0.5, 2.5]]
    """
    if layer.size is None:
        return array.mean(axis=tuple(range(lead, array.ndim)))
    dimensions = len(layer.size)
    check_spatial((array.ndim - lead) // groups, dimensions, layer)
    for axis in range(lead, array.ndim):
        size = layer.size[(axis - lead) % dimensions]
        if array.shape[axis] < size:
            raise InputError(
                f"expected at least {size} positions before {described(layer)}, got {array.shape[axis]}; take a smaller window."
            )
        windows = np.lib.stride_tricks.sliding_window_view(array, size, axis=axis).mean(axis=-1)
        array = windows[(slice(None),) * axis + (slice(None, None, layer.stride or size),)]
    return array


@departing.register
def _(operation: Pooling, around: Around) -> Departing:
    """Of tr ΓQ it is the signal in front."""
    return Departing((around.averaged(0),), (0.0, 0.0), (0.0,), around.excess[0], (1.0,))
