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
_TERMS = 64  # of a series, which a panel of an integral stands for
_LOOKED, _ZOOMS = 65, 5  # points among which a band is looked for that is nearly pinched off, and how often closer
_SHARPLY = 30.0  # times the median bend: there it is
_HEAVY, _MOST = 1e-12, 2048  # mass of a panel that tells how narrow others have to be, and how many these are at most
_POLE = 10.0  # a density that grows so much over four decades has one

PartDensity = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class SmoothPart:
    """A density on (low, high), as a function of x and its distances from both ends, which keep their digits near them.

    ``panels``: in how many an integral over it is divided at least, where something inside is narrow.
    """

    low: float
    high: float
    density: PartDensity
    panels: int = 1


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


def _tabulated(law: Law, low: float, high: float, whole: bool = True) -> list[SmoothPart]:
    """A series in the place of a density, which may cost an equation a point; panels where no series converges.

    Panels shrink towards ends, so a ``whole`` band is cut where it is nearly pinched off.
    """
    try:
        return [_of_expansion(expand(law.density, low, high))]
    except ConvergenceError:
        pass
    step = (high - low) / 8
    if _hard(law, high, -step):
        return [*_tabulated(law, low, high - step), _of_expansion(expand(law.density, high - step, high))]
    if _hard(law, low, step):
        return [_of_expansion(expand(law.density, low, low + step)), *_tabulated(law, low + step, high)]
    if whole and (pinch := _pinch(law, low, high)) is not None:
        return [*_tabulated(law, low, pinch, False), *_tabulated(law, pinch, high, False)]
    share = float(np.diff(law.cdf([low, high])).item()) - sum(mass for x, mass in law.atoms if low < x <= high)
    table = GradedDensity(lambda x: law.density(x) / share, [low, high])
    return [_as_it_is(table, low, high, share)]


def _pinch(law: Law, low: float, high: float) -> float | None:
    """Where inside a band the density bends far more than elsewhere, as beside a cusp, ever closer; None if nowhere."""
    step = (high - low) * 7 / 8 / (_LOOKED - 1)
    middle, places = (low + high) / 2, np.arange(_LOOKED) - _LOOKED // 2
    for zoom in range(_ZOOMS):
        x = middle + step * places
        bend = np.nan_to_num(np.abs(np.diff(law.density(x, throw=False), 2)))
        place = int(np.argmax(bend)) + 1
        if zoom == 0 and (place in (1, _LOOKED - 2) or bend.max() < _SHARPLY * np.median(bend)):
            return None
        middle, step = float(x[place]), 4 * step / (_LOOKED - 1)
    return middle


def _as_it_is(law: GradedDensity, low: float, high: float, share: float) -> SmoothPart:
    """Twice as many panels as the narrowest of the law would make that holds mass and does not shrink towards an end.

    (Where these are not enough, what they make has another mass than 1, and says so.)
    """
    heavy = [piece for piece in law.pieces if piece.mass > _HEAVY]  # lighter ones follow rounding of an end
    own = [(piece.high - piece.low, min(piece.low - low, high - piece.high)) for piece in heavy]
    narrowest = min((width for width, away in own if away > width), default=high - low)
    panels = min(round((high - low) / narrowest), _MOST)
    return SmoothPart(low, high, lambda x, left, right: share * law.density(x), 2 * panels if panels > 1 else 1)


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

    return SmoothPart(piece.low, piece.high, density, -(-piece.coefficients.size // _TERMS))


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
