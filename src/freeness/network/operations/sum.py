"""A weighted sum of signals; a skip connection is one."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from freeness.errors import InputError, is_real
from freeness.gaussian import normal_points, summed_points
from freeness.network.departures import GAUSSIAN, TINY, Around, Departing, departing
from freeness.network.derivatives import GivenMap, Pass, check_positions, given
from freeness.network.moments import (
    Pairs,
    Step,
    Stream,
    alone,
    backward,
    check_alike,
    check_independent,
    gathered,
    joined,
    sides,
    spread,
    together,
    widened,
)
from freeness.network.operation import Operation

_Sides = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Sum(Operation):
    """y = Σ_i scales_i x_i, of signals with the same channels and positions. x + β·branch(x) has the scales (1, β)."""

    scales: tuple[float, ...] = (1.0, 1.0)
    name: str = ""
    arity: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        if not (isinstance(self.scales, tuple) and self.scales and all(map(is_real, self.scales))):
            raise InputError(f"expected finite scales of a sum in a tuple, got {self.scales!r}; correct them.")

    @property
    def sums(self) -> tuple[float, ...]:
        return self.scales


@joined.register
def _(operation: Sum, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    """Independent signals meet in their means only: Σ = Σ_k c_k²Σ_k + Σ_{k≠l} c_k c_l m_k m_l, Θ = Σ_k c_k²Θ_k.

    The law of the sum at one place is told to an activation behind (:mod:`freeness.gaussian.shifted`).

    Source: Yang, Schoenholz (2017) for x + branch(x).
    """
    streams = spread(streams)
    check_alike(operation, streams)
    check_independent(operation, streams)
    scales, groups = operation.scales, streams[0].groups
    axes = streams[0].second.ndim - 1
    means = [(scale, one.mean()) for scale, one in zip(scales, streams, strict=True) if one.mean is not None]

    def squared(arrays: tuple[np.ndarray, ...]) -> np.ndarray:
        return np.asarray(sum(scale**2 * array for scale, array in zip(scales, arrays, strict=True)))

    def added(arrays: tuple[np.ndarray, ...], ends: _Sides) -> np.ndarray:
        total = squared(arrays)
        for (one, mean), (other, second) in combinations(means, 2):
            (a, b), (c, d) = ends(mean), ends(second)
            total = total + one * other * (a * d + c * b)
        return total

    def step(*pairs: Pairs) -> Pairs:
        rows = pairs[0].rows
        values = tuple(widened(one.value, 2, axes) for one in pairs)
        thetas = tuple(widened(one.theta, 2, axes) for one in pairs)
        return Pairs(added(values, lambda array: sides(array, rows, groups)), squared(thetas), rows)

    after = together(streams)._replace(
        second=added(tuple(one.second for one in streams), lambda array: alone(array, groups)),
        growth=squared(tuple(one.growth for one in streams)),
        mean=_mean(scales, streams),
        points=_points(scales, streams),
        smooth=any(one.gaussian or one.smooth for one in streams),
    )
    return after, step


def _points(scales: tuple[float, ...], streams: tuple[Stream, ...]) -> Callable[[], np.ndarray] | None:
    """The law of the sum; None where it is Gaussian, or not known of a part."""
    if all(one.gaussian for one in streams) or not all(one.gaussian or one.points is not None for one in streams):
        return None
    parts: list[tuple[float, np.ndarray]] = []
    for scale, one in zip(scales, streams, strict=True):
        spread = one.variance - (0.0 if one.mean is None else one.mean() ** 2)
        parts.append((scale * float(spread.mean()) ** 0.5, normal_points() if one.points is None else one.points()))
    found = summed_points(parts)
    return lambda: found


def _mean(scales: tuple[float, ...], streams: tuple[Stream, ...]) -> Callable[[], np.ndarray] | None:
    parts = [(scale, one.mean) for scale, one in zip(scales, streams, strict=True) if one.mean is not None]
    if not parts:
        return None
    return lambda: np.asarray(sum(scale * mean() for scale, mean in parts))


@backward.register
def _(operation: Sum, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(gathered(scale**2 * gradient, one) for scale, one in zip(operation.scales, streams, strict=True))


@given.register
def _(operation: Sum, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    check_positions(operation, values)
    value = np.asarray(sum(scale * x for scale, x in zip(operation.scales, values, strict=True)))
    return GivenMap(value, tuple(np.full((1, 1), scale) for scale in operation.scales))


@departing.register
def _(operation: Sum, around: Around) -> Departing:
    """Relative departures add up by their shares s; two independent parts x, y add 2·Σ_i x_i y_i."""
    shares = around.shares(operation.scales)
    given = [_spread_over(value, len(around.value)) for value in around.values]
    count, both = around.stream.features, list(combinations(range(len(given)), 2))

    def added(gamma: np.ndarray | None) -> float:
        return sum(4 * shares[a] * shares[b] * _crossed(given[a], given[b], gamma) for a, b in both) / (count or np.inf)

    excess = GAUSSIAN + float(shares**2 @ (np.array(around.excess) - GAUSSIAN))
    return Departing(tuple(shares.tolist()), around.both(added), (0.0,) * len(given), excess)


def _crossed(one: np.ndarray, other: np.ndarray, gamma: np.ndarray | None) -> float:
    """tr ΓQΓQ'/(tr ΓQ · tr ΓQ')."""
    if gamma is not None and gamma.any():
        one, other = gamma @ one, gamma @ other
    return float((one * other.T).sum() / max(abs(float(np.trace(one) * np.trace(other))), TINY))


def _spread_over(value: np.ndarray, entries: int) -> np.ndarray:
    """A signal that is the same at all positions, at each of them."""
    times = entries // len(value)
    return value if times == 1 else np.kron(value, np.ones((times, times)))
