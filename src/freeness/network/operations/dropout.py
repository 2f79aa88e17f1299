"""Dropout, in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError, is_real
from freeness.network.along import beyond, spread_front
from freeness.network.derivatives import GivenMap, Pass, diagonal, given
from freeness.network.moments import Pairs, Step, Stream, as_kernels, backward, backward_pairs, forward, sides
from freeness.network.operation import Operation


@dataclass(frozen=True)
class Dropout(Operation):
    """In training: entries are 0 with probability ``rate``, the others divided by 1 - rate; independent for each sample.

    ``channels``: one draw for a whole channel of a sample, as nn.Dropout2d has it; else each position has its own.
    """

    rate: float
    name: str = ""
    channels: bool = False

    def __post_init__(self) -> None:
        if not (is_real(self.rate) and 0 <= self.rate < 1):
            raise InputError(f"expected a dropout rate in [0, 1), got {self.rate!r}; correct it.")

    def alike(self, own: np.ndarray, groups: int) -> np.ndarray:
        """Second moments of a sample with itself, (n, *positions[, *positions]): True where both entries have one draw."""
        if self.channels or groups == 1:
            return np.ones(own.shape, dtype=bool)
        count = int(np.prod(own.shape[1 : (own.ndim + 1) // 2]))
        return np.broadcast_to(np.eye(count, dtype=bool), (len(own), count, count)).reshape(own.shape)


@forward.register
def _(layer: Dropout, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """Where both entries have one draw their product grows by 1/(1 - rate); elsewhere draws are independent, of mean 1."""
    factor, groups = 1 / (1 - layer.rate), stream.groups

    def step(pairs: Pairs) -> Pairs:
        value, theta = pairs.value.copy(), pairs.theta.copy()
        itself = np.arange(len(value))
        for one in (value, theta):
            own = one[itself, itself]
            one[itself, itself] = np.where(layer.alike(own, groups), factor * own, own)
        return Pairs(value, theta, pairs.rows)

    return stream._replace(
        second=np.where(layer.alike(stream.second, groups), factor * stream.second, stream.second),
        growth=factor * stream.growth,
        gaussian=False,
        points=None,
        latent=None,
    ), step


@backward.register
def _(layer: Dropout, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    grown = gradient / (1 - layer.rate)
    return (np.where(layer.alike(gradient, streams[0].groups), grown, gradient),)


backward_pairs.register(Dropout, as_kernels)  # the masks of two samples are independent


@given.register
def _(layer: Dropout, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    (x,) = values
    if at.own is not None:
        kept = at.own.swapaxes(0, 1).reshape(x.shape)
    else:
        shape = (*x.shape[:2], *(1 for _ in x.shape[2:])) if layer.channels else x.shape
        kept = np.broadcast_to((at.rng.random(shape) >= layer.rate) / (1 - layer.rate), x.shape)
    return GivenMap(x * kept, (diagonal(kept),))


@beyond.register
def _(layer: Dropout, along: np.ndarray, given: Pairs, stream: Stream, behind: Stream) -> np.ndarray | float:
    """What a signal's own mask adds: m g of g = α m x is α m² x, m of mean 1 and fourth moment 1/kept³."""
    kept, itself = 1 - layer.rate, np.arange(len(given.value))
    masked = np.full(given.value.shape, 1 / kept**2 - 1)
    alike = layer.alike(given.value[itself, itself], stream.groups)
    masked[itself, itself] = np.where(alike, 1 / kept**3 - 1 / kept**2, 1 / kept**2 - 1)
    left, right = sides(along, given.rows, stream.groups)
    return left * right * given.value * masked * (stream.features or 0)


@spread_front.register
def _(layer: Dropout, along: np.ndarray, spread: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Of m²k, k of mean α and this variance."""
    kept = 1 - layer.rate
    return (along**2 + spread) / kept**3 - front**2
