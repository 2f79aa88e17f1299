"""Dropout, in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError, is_real
from freeness.network.along import beyond, spread_front
from freeness.network.derivatives import GivenMap, Pass, diagonal, given
from freeness.network.moments import Pairs, Step, Stream, as_kernels, backward, backward_pairs, forward, sides
from freeness.network.operation import Operation, described


@dataclass(frozen=True)
class Dropout(Operation):
    """In training: entries are 0 with probability ``rate``, the others divided by 1 - rate; independent for each sample."""

    rate: float
    name: str = ""

    def __post_init__(self) -> None:
        if not (is_real(self.rate) and 0 <= self.rate < 1):
            raise InputError(f"expected a dropout rate in [0, 1), got {self.rate!r}; correct it.")


@forward.register
def _(layer: Dropout, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """A sample's product with itself grows by 1/(1 - rate), that of others does not: masks are drawn for each."""
    if stream.across:
        raise InputError(
            f"expected no {described(layer)} among positions in a network with Pooling or batch normalisation, got it there, "
            "where the masks of positions differ; put it behind Flatten or Pooling."
        )
    factor = 1 / (1 - layer.rate)

    def step(pairs: Pairs) -> Pairs:
        value, theta = pairs.value.copy(), pairs.theta.copy()
        itself = np.arange(len(value))
        value[itself, itself] *= factor
        theta[itself, itself] *= factor
        return Pairs(value, theta, pairs.rows)

    return stream._replace(
        second=factor * stream.second, growth=factor * stream.growth, gaussian=False, points=None, latent=None
    ), step


@backward.register
def _(layer: Dropout, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    return (gradient / (1 - layer.rate),)


backward_pairs.register(Dropout, as_kernels)  # the masks of two samples are independent


@given.register
def _(layer: Dropout, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    (x,) = values
    kept = (at.rng.random(x.shape) >= layer.rate) / (1 - layer.rate)
    return GivenMap(x * kept, (diagonal(kept),))


@beyond.register
def _(layer: Dropout, along: np.ndarray, given: Pairs, stream: Stream, behind: Stream) -> np.ndarray | float:
    """What a signal's own mask adds: m g of g = α m x is α m² x, m of mean 1 and fourth moment 1/kept³."""
    kept, itself = 1 - layer.rate, np.arange(len(given.value))
    masked = np.full(given.value.shape, 1 / kept**2 - 1)
    masked[itself, itself] = 1 / kept**3 - 1 / kept**2
    left, right = sides(along, given.rows, stream.groups)
    return left * right * given.value * masked * (stream.features or 0)


@spread_front.register
def _(layer: Dropout, along: np.ndarray, spread: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Of m²k, k of mean α and this variance."""
    kept = 1 - layer.rate
    return (along**2 + spread) / kept**3 - front**2
