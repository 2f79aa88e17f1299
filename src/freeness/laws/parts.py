"""A law without atoms as smooth parts: between their ends the density is analytic, at them it may be singular."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from itertools import pairwise

import numpy as np

from freeness.errors import ConvergenceError
from freeness.laws.density import Density, Expansion, expand
from freeness.laws.graded_density import GradedDensity
from freeness.laws.image_law import ImageLaw
from freeness.laws.law import Law
from freeness.laws.mixture import Mixture
from freeness.laws.pushforward import GaussianPushforward

_NEAR = 1e-13  # singular points nearer than this, relative to the hull, are one
_POLE = 10.0  # a density that grows so much over four decades has one

PartDensity = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class SmoothPart:
    """A density on (low, high), as a function of x and its distances from both ends, which keep their digits near them."""

    low: float
    high: float
    density: PartDensity


def smooth_parts(law: Law) -> list[SmoothPart]:
    """The continuous part of a law, cut where its density is not analytic.

    Args:
        law: any law; its atoms are left out.

    Example:
        >>> from freeness.laws import Semicircle
        >>> [(part.low, part.high) for part in smooth_parts(Semicircle(1.0))]
        [(-2.0, 2.0)]
    """
    if isinstance(law, GradedDensity):
        return [_as_it_is(law, low, high, 1.0) for low, high in pairwise(law.breaks)]
    if isinstance(law, Density):
        return [_of_expansion(piece) for piece in law.pieces if piece.coefficients.any()]
    cuts = distinct([*singular_points(law), *(end for band in law.bands for end in band)])
    middles = [(low + high) / 2 for low, high in pairwise(cuts)]
    inside = [any(low < middle < high for low, high in law.bands) for middle in middles]
    kept = [pair for pair, within in zip(pairwise(cuts), inside, strict=True) if within]
    law = law.remembering()
    return [part for low, high in kept for part in _tabulated(law, low, high)]


def continuous_part(law: Law) -> Law:
    """What is left of a law without its atoms, as a law of its own.

    Example:
        >>> from freeness.laws import MarchenkoPastur
        >>> round(continuous_part(MarchenkoPastur(2.0)).mean, 12)
        2.0
    """
    held = 1.0 - sum(mass for _, mass in law.atoms)
    law = law.remembering()
    cuts = [end for part in smooth_parts(law) for end in (part.low, part.high)]
    return GradedDensity(lambda x: law.density(x) / held, distinct(cuts))


def _tabulated(law: Law, low: float, high: float) -> list[SmoothPart]:
    """A series in the place of a density, which may cost an equation a point; panels where no series converges."""
    try:
        return [_of_expansion(expand(law.density, low, high))]
    except ConvergenceError:
        pass
    step = (high - low) / 8
    if _hard(law, high, -step):
        return [*_tabulated(law, low, high - step), _of_expansion(expand(law.density, high - step, high))]
    if _hard(law, low, step):
        return [_of_expansion(expand(law.density, low, low + step)), *_tabulated(law, low + step, high)]
    share = float(np.diff(law.cdf([low, high])).item()) - sum(mass for x, mass in law.atoms if low < x <= high)
    table = GradedDensity(lambda x: law.density(x) / share, [low, high])
    return [_as_it_is(table, low, high, share)]


def _as_it_is(law: Law, low: float, high: float, share: float) -> SmoothPart:
    return SmoothPart(low, high, lambda x, left, right: share * law.density(x))


def _hard(law: Law, end: float, step: float) -> bool:
    """Whether the density has a pole at an end other than 0, near which positions have no digits."""
    near, nearer = law.density(end + step * np.array([1e-4, 1e-8]))
    return end != 0 and bool(nearer > _POLE * near)


def _of_expansion(piece: Expansion) -> SmoothPart:
    """Near each end the piece is read as one that has this end at 0, where distances keep their digits."""
    width = piece.high - piece.low
    from_left, from_right = replace(piece, low=0.0, high=width), replace(piece, low=-width, high=0.0)

    def density(x: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        found, near = np.empty(x.shape), left < right
        found[near] = from_left.density(left[near])
        found[~near] = from_right.density(-right[~near])
        return found

    return SmoothPart(piece.low, piece.high, density)


@singledispatch
def singular_points(law: Law) -> list[float]:
    """Points inside the bands where the density is not analytic; none of a law that does not say so."""
    return []


@singular_points.register
def _(law: Mixture) -> list[float]:
    ends = [end for part in law.laws for band in part.bands for end in band]
    return [*ends, *(x for part in law.laws for x in singular_points(part))]


@singular_points.register
def _(law: ImageLaw) -> list[float]:
    inner = [*singular_points(law.law), *(end for band in law.law.bands for end in band), *law.turns]
    return law.image(np.array(inner)).tolist()


@singular_points.register
def _(law: Density) -> list[float]:
    return [end for piece in law.pieces for end in (piece.low, piece.high)]


@singular_points.register
def _(law: GradedDensity) -> list[float]:
    return list(law.breaks)


@singular_points.register
def _(law: GaussianPushforward) -> list[float]:
    return [end for stretch in law.stretches for end in (stretch.start, stretch.end)]


def distinct(points: Sequence[float]) -> list[float]:
    """The points ascending, one of those that rounding makes different."""
    ascending = np.unique(np.asarray(points, dtype=float))
    scale = np.abs(ascending).max(initial=0.0)
    apart = np.diff(ascending, prepend=-np.inf) > _NEAR * scale
    return ascending[apart].tolist()
