"""An elementwise product of signals: a gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np

from freeness.network.departures import GAUSSIAN, Around, Departing, departing, participation, turned
from freeness.network.derivatives import GivenMap, Pass, check_positions, diagonal, given
from freeness.network.moments import (
    Pairs,
    Step,
    Stream,
    backward,
    check_alike,
    check_independent,
    gathered,
    joined,
    spread,
    together,
    widened,
)
from freeness.network.operation import Operation


@dataclass(frozen=True)
class Product(Operation):
    """y = x_1 ∘ x_2 ∘ …, elementwise, of signals with the same channels and positions (SwiGLU, GEGLU, gates).

    A signal of one channel, or one position or none, is the same at all of them.
    """

    name: str = ""
    arity: ClassVar[int | None] = None


def _multiplied(arrays: list[np.ndarray]) -> np.ndarray:
    return reduce(np.multiply, arrays)


def _others(arrays: list[np.ndarray], own: int) -> np.ndarray:
    """The product of all but one."""
    return _multiplied([np.ones((1,) * arrays[0].ndim), *arrays[:own], *arrays[own + 1 :]])


@joined.register
def _(operation: Product, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    """Of independent signals: Σ = ∏_k Σ_k, Θ = Σ_k Θ_k ∏_{l≠k} Σ_l, by the product rule.

    Source: second moments of independent variables multiply; the tangent kernel by the product rule (derived for this project,
    tested by drawn networks).
    """
    streams = spread(streams)
    check_alike(operation, streams)
    check_independent(operation, streams)
    axes = streams[0].second.ndim - 1

    def by_rule(slopes: list[np.ndarray], values: list[np.ndarray]) -> np.ndarray:
        return np.asarray(sum(slope * _others(values, own) for own, slope in enumerate(slopes)))

    def step(*pairs: Pairs) -> Pairs:
        values = [widened(one.value, 2, axes) for one in pairs]
        thetas = [widened(one.theta, 2, axes) for one in pairs]
        return Pairs(_multiplied(values), by_rule(thetas, values), pairs[0].rows)

    means = [one.mean for one in streams if one.mean is not None]
    after = together(streams)._replace(
        second=_multiplied([one.second for one in streams]),
        growth=by_rule([one.growth for one in streams], [one.variance for one in streams]),
        mean=(lambda: _multiplied([mean() for mean in means])) if len(means) == len(streams) else None,
        gaussian=False,
    )
    return after, step


@backward.register
def _(operation: Product, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """Γ_k ← Γ∘∏_{l≠k} Σ_l."""
    seconds = [one.second for one in spread(streams)]
    return tuple(gathered(gradient * _others(seconds, own), one) for own, one in enumerate(streams))


@given.register
def _(operation: Product, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    check_positions(operation, values)
    factors = list(values)
    maps = tuple(np.broadcast_to(diagonal(_others(factors, own)), diagonal(x).shape) for own, x in enumerate(factors))
    return GivenMap(_multiplied(factors), maps)


@departing.register
def _(operation: Product, around: Around) -> Departing:
    """Relative departures add up, and of two factors what each has beyond the other; what comes back fluctuates as the others."""
    kinds, count = around.excess, len(around.excess)
    excess = float(np.prod([1 + one for one in kinds])) - 1
    added, returned = (0.0, 0.0), (0.0,) * count
    if count == 2:
        own = kinds[0] * kinds[1] / (around.stream.features or np.inf)
        added = around.both(lambda gamma: own * participation(around.value, gamma))
        ways = zip(around.streams, around.values, around.gammas, reversed(kinds), strict=True)
        returned = tuple(
            GAUSSIAN * kind * participation(value, gamma) / (stream.features or np.inf)
            for stream, value, gamma, kind in ways
        )
    return Departing((1.0,) * count, added, returned, excess)


@turned.register
def _(operation: Product, size: Callable[[int], float], count: int) -> tuple[tuple[float, ...], ...]:
    """What comes back to one is multiplied by the others."""
    return tuple(tuple(float(other != own) for other in range(count)) for own in range(count))
