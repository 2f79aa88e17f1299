"""Quantiles: a distribution function inverted at many levels at once, by cubics through values and densities.

Between two neighbouring stops a < b (atoms, ends of the hull) with F from F(a) to F(b-), the coordinates
ξ = log((x - a)/(b - x)) and y = log((F - F(a))/(F(b-) - F)) make a straight line of a power law at either stop, over
however many decades it holds. There ξ is interpolated over y; every point that was asked for serves every level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from freeness.errors import ConvergenceError
from freeness.laws.support import require_apart
from freeness.numerics import question

if TYPE_CHECKING:
    from freeness.laws.law import Law

_FIRST = 32  # points over all stretches between stops in which levels are bracketed first; even: a centre may be a cusp
_DECADES = np.geomspace(1e-2, 1e-12, 6)  # of the hull, where it starts at 0: much of the mass may lie there
_FEWEST = 7  # in each of them
_ROUNDS = 120
_EXACT = 1e-15  # a distribution function so near to a level has it
_FINEST_GAP = 1e-10  # a distance from a level that no longer halves is rounding from there on
_CLOSED = 4e-16  # relative width of a bracket in which nothing is left to find
_ROUND = 4e-16  # relative to the stretch: so near to 0 a difference of its ends is 0
_SLOW = 0.25  # a distance that falls by less calls for a section
_SECTION = 0.4  # of a bracket: not its middle, which may not converge
_LEAST = np.finfo(float).tiny / np.finfo(float).eps  # smaller numbers lose their digits: a quantile below is 0
_BLURRED = (
    1e-12  # width of a bracket, relative to the stretch, in which a point that does not converge is lost in rounding
)
_DARK = 30.0  # by which ξ moves where nothing is known beyond; half of that after each point that did not converge
_LOST = 8  # points of one level, one after the other, that did not converge
_FAINT = 1e-2  # densities beside a gap, in units of 1/width: 1e-15 of the mass lies between there and a soft end
_BESIDE = 1e-9  # of the width: so far from the point found a gap is felt
_FEW = 4  # levels that are looked at whatever a point costs
_FLAT = 1e-12  # by which a distribution function differs from the level of a gap
_AT_STOP = 1e-14  # to which the levels of atoms are known


@dataclass(frozen=True, eq=False)
class _Stretch:
    """Of each level: the stops around it, and the distribution function behind the one and before the other."""

    low: np.ndarray
    high: np.ndarray
    below: np.ndarray
    above: np.ndarray

    def place(self, x: np.ndarray) -> np.ndarray:
        """ξ of x."""
        return np.log((x - self.low) / (self.high - x))

    def point(self, place: np.ndarray) -> np.ndarray:
        """x at ξ, with all its digits near both stops, and between them."""
        share = 1 / (1 + np.exp(np.abs(place)))
        width = self.high - self.low
        x = np.where(place < 0, self.low + width * share, self.high - width * share)
        x = np.where((self.low < 0) & (np.abs(x) <= _ROUND * width), 0.0, x)
        return np.clip(x, self.least, np.nextafter(self.high, -np.inf))

    @property
    def least(self) -> np.ndarray:
        """The nearest points to the lower stops that are asked for."""
        return np.where(self.low == 0, _LEAST * np.minimum(self.high, 1.0), np.nextafter(self.low, np.inf))

    def level(self, value: np.ndarray) -> np.ndarray:
        """The coordinate y of F."""
        return np.log((value - self.below) / (self.above - value))

    def slope(self, x: np.ndarray, value: np.ndarray, density: np.ndarray) -> np.ndarray:
        """dξ/dy."""
        by_x = (self.high - self.low) / ((x - self.low) * (self.high - x))
        return by_x * (value - self.below) * (self.above - value) / (density * (self.above - self.below))


class _Table:
    """Points with distribution function and density, ascending."""

    def __init__(self, law: Law) -> None:
        self.law = law
        self.x, self.value, self.density = np.empty(0), np.empty(0), np.empty(0)

    def ask(self, x: np.ndarray) -> np.ndarray:
        """The distribution function at x, NaN where it did not converge; what did is remembered."""
        points, place = np.unique(x, return_inverse=True)
        value, density = self.law.cdf(points, throw=False), self.law.density(points, throw=False)
        known = np.isfinite(value)
        all_x = np.concatenate([self.x, points[known]])
        order = np.argsort(all_x, kind="stable")
        self.x = all_x[order]
        self.value = np.concatenate([self.value, value[known]])[order]
        self.density = np.concatenate([self.density, density[known]])[order]
        return value[place]

    def brackets(self, levels: np.ndarray, stretch: _Stretch) -> tuple[np.ndarray, np.ndarray]:
        """Places in the table of the last point below each level and the first that is not, -1 where a stop comes first."""
        after = np.searchsorted(np.maximum.accumulate(self.value), levels)
        before = after - 1
        after = np.where(after < self.x.size, after, -1)
        before = np.where((before >= 0) & (self.x[before] > stretch.low), before, -1)
        return before, np.where((after >= 0) & (self.x[after] < stretch.high), after, -1)


def inverted(law: Law, levels: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
    """The points x with F(x) = level, for levels (m,) that no atom has.

    Args:
        law: with a bounded support.
        levels: inside (0, 1).
        tolerance: distance from a level that is near enough.

    Raises:
        ConvergenceError: the distribution function is not known around one of them.
    """
    with question(levels.size, law.costly):
        return _inverted(law, levels, tolerance)


def _inverted(law: Law, levels: np.ndarray, tolerance: float) -> np.ndarray:
    mirrored = (levels < 0.5) & law.symmetric
    wanted, place = np.unique(np.where(mirrored, 1.0 - levels, levels), return_inverse=True)
    stretch = _stretches(law, wanted)
    table = _Table(law.remembering())
    with np.errstate(all="ignore"):
        found = _searched(table, wanted, stretch, max(tolerance, _EXACT))
    x = np.where(mirrored, -found[place], found[place])
    if tolerance == 0:
        at = np.clip(np.searchsorted(table.x, found), 0, table.x.size - 1)
        faint = table.density[at] * (law.hull[1] - law.hull[0]) <= _FAINT
        cheap = levels.size <= _FEW or table.law is law
        suspect = faint[place] | (mirrored & cheap)  # beside a hard end densities are not faint
        x[suspect] = _before_gaps(law, levels[suspect], x[suspect])
    return x


def _before_gaps(law: Law, levels: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The ends before the gaps whose level is asked for: a search may end anywhere in one, a mirrored one behind it."""
    if x.size == 0:
        return x
    near = _BESIDE * (law.hull[1] - law.hull[0])
    around = law.cdf(np.stack([x - near, x + near]), throw=False)
    flat = np.flatnonzero((np.abs(around - levels) <= _FLAT).any(axis=0))
    if flat.size == 0:
        return x
    require_apart(law)
    starts, ends = np.array(law.support).T
    before = np.searchsorted(ends, x[flat]) - 1
    inside = (before >= 0) & (before < ends.size - 1)
    inside[inside] &= x[flat[inside]] <= starts[before[inside] + 1] + near
    x[flat[inside]] = ends[before[inside]]
    return x


def _stretches(law: Law, levels: np.ndarray) -> _Stretch:
    atoms = dict(law.atoms)
    halved = law.symmetric and 0.5 not in levels  # in a gap around 0 the median is searched for across it
    stops = np.unique([*law.hull, *atoms, *([0.0] if halved else [])])
    mass = np.array([atoms.get(float(x), 0.0) for x in stops])
    value = np.concatenate([[mass[0]], law.cdf(stops[1:-1]), [1.0]])
    at = np.clip(np.searchsorted(value - _AT_STOP, levels) - 1, 0, stops.size - 2)
    return _Stretch(stops[at], stops[at + 1], value[at], value[at + 1] - mass[at + 1])


def _searched(table: _Table, levels: np.ndarray, stretch: _Stretch, enough: float) -> np.ndarray:
    table.ask(_first(stretch, crowded=not table.law.symmetric))
    found, distance = np.full(levels.shape, np.nan), np.full(levels.shape, np.inf)
    slow, lost = np.zeros(levels.shape, bool), np.zeros(levels.shape, int)
    running = np.arange(levels.size)
    for _ in range(_ROUNDS):
        own = _part(stretch, running)
        section = slow[running] | (lost[running] > 0)
        x, left, right = _next(table, levels[running], own, section, _DARK * 0.5 ** lost[running])
        value = table.ask(x)
        gap = np.abs(value - levels[running])
        known, before = np.isfinite(gap), distance[running]
        lost[running] = np.where(known, 0, lost[running] + 1)
        better = known & (gap < before)
        found[running[better]], distance[running[better]] = x[better], gap[better]
        slow[running] = ~section & ~(gap <= _SLOW * before)
        size = np.where(own.low == 0, np.abs(x), np.maximum(np.abs(own.low), np.abs(own.high)))  # at 0 digits are kept
        settled = (gap <= enough) | (right - left <= _CLOSED * size)
        vanished = (own.low == 0) & (x == own.least) & (value >= levels[running])
        found[running[vanished]] = 0.0
        blurred = ~known & (right - left <= _BLURRED * (own.high - own.low))
        found[running[blurred]] = right[blurred]
        settled |= vanished | blurred
        settled |= known & (before <= _FINEST_GAP) & (gap >= before / 2)
        if (lost[running[~settled]] > _LOST).any():
            level = levels[running[~settled]][np.argmax(lost[running[~settled]] > _LOST)]
            raise ConvergenceError(
                f"expected the distribution function around the level {level:.6g}, it did not converge near {x[~known][0]:.6g}; "
                "ask for levels beside it."
            )
        running = running[~settled]
        if running.size == 0:
            break
    return found


def _part(stretch: _Stretch, where: np.ndarray) -> _Stretch:
    return _Stretch(stretch.low[where], stretch.high[where], stretch.below[where], stretch.above[where])


def _first(stretch: _Stretch, crowded: bool) -> np.ndarray:
    """Points in every stretch, close at its stops; ``crowded``: many decades of them where the law starts at 0."""
    pairs = np.unique(np.stack([stretch.low, stretch.high], axis=1), axis=0)
    count = max(_FEWEST, _FIRST // len(pairs))
    share = np.sin(np.pi * (np.arange(count) + 0.5) / (2 * count)) ** 2
    found = (pairs[:, :1] + (pairs[:, 1:] - pairs[:, :1]) * share).ravel()
    return np.concatenate([found, found.max() * _DECADES]) if crowded and pairs[0, 0] == 0 else found


def _next(
    table: _Table, levels: np.ndarray, stretch: _Stretch, section: np.ndarray, dark: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each level is looked for next, and both ends of its bracket; by a section of it where that is asked for.

    ``dark``: by how much ξ moves where nothing is known beyond.
    """
    before, after = table.brackets(levels, stretch)
    left, right = (np.where(at >= 0, table.x[at], end) for at, end in ((before, stretch.low), (after, stretch.high)))
    start, end = stretch.place(left), stretch.place(right)
    y = stretch.level(levels)
    ya, yb = (np.where(at >= 0, stretch.level(table.value[at]), np.nan) for at in (before, after))
    da, db = (
        np.where(at >= 0, stretch.slope(x, table.value[at], table.density[at]), np.nan)
        for at, x in ((before, left), (after, right))
    )
    place = _cubic(y, (ya, yb), (start, end), (da, db))
    one, other = start + da * (y - ya), end - db * (yb - y)
    nearer = np.where(np.abs(y - ya) <= np.abs(yb - y), one, other)
    for guess in (nearer, one, other, start + (end - start) * (y - ya) / (yb - ya)):
        place = np.where((place > start) & (place < end), place, guess)
    cut = _cut(start, end, dark)
    place = np.where((place > start) & (place < end) & ~(section & np.isfinite(cut)), place, cut)
    return stretch.point(place), left, right


def _cut(start: np.ndarray, end: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """A point of each bracket that tells something whatever lies in it; towards a stop in ever longer steps."""
    start, end = np.where(np.isinf(start), end - dark, start), np.where(np.isinf(end), start + dark, end)
    return np.where(np.isfinite(start + end), start + _SECTION * (end - start), 0.0)


_Ends = tuple[np.ndarray, np.ndarray]


def _cubic(y: np.ndarray, levels: _Ends, values: _Ends, slopes: _Ends) -> np.ndarray:
    """The cubic with two values and slopes, NaN where one is missing or it is not monotone by the size of its slopes."""
    step = levels[1] - levels[0]
    t, mean = (y - levels[0]) / step, (values[1] - values[0]) / step
    first, last = slopes[0] - mean, slopes[1] - mean
    found = values[0] + step * t * (mean + (1 - t) * (first * (1 - t) - last * t))
    return np.where(np.maximum(slopes[0], slopes[1]) <= 3 * mean, found, np.nan)
