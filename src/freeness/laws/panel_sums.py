"""Transforms of the law of f(h), h Gaussian, right up to the real axis: panel quadrature with its poles taken out.

On a panel the integrand p(h)/(z - f(h)) is a function that Gauss' rule integrates to rounding, plus c/(h - h₀) for every root
f(h₀) = z near the panel, with c = -p(h₀)/f'(h₀). What the rule gets wrong is c·E, E = ∫ dh/(h - h₀) - Σ w_j/(h_j - h₀), in
which the integral is a logarithm. A root may come as close to the nodes as it likes: of two rules whose nodes alternate that
one is taken from which it is farther, and both must agree, or all roots of the panel's polynomial are computed.

Source: subtraction of poles, as in Hunter, Regan (1972), for the Gaussian on a line; af Klinteberg, Barnett (2021) find the
roots from the polynomial of a panel.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Inexact
from scipy.special import erf

from freeness.laws.gauss_rules import BLOCK, kernel_sums
from freeness.laws.panels import NODES, ORDER, WEIGHTS, InverseBranch, Panels, Roots, Stretch
from freeness.numerics import gaussian_breaks, legendre_rule, upper_log

_SPLITS = 6  # of a panel on which f is no polynomial
_HEAVY = 9.0  # standard deviations beyond which none is split
_AGREE = 1e-9  # relative difference of the two rules from which on a root was missed
_CLOSE = 1e-13  # by which a root at distance 1 from a node lets them differ, inversely
_RATIO = 4.0  # of the distances of breaks from an end of the support, on the side of h: 16 nodes between two of them do
_GRADES = 14  # such breaks: the square of the last distance is rounding; twice as many at kinks
_CLEAR = 3.0  # half-panels away from an extremum, f there being where a pole does not disturb any longer
_LIGHT = 1e-26  # mass of a node that is left out there
_OUTERMOST = 1e-11  # relative distance of a value from the ends of the support that is none
_NEXT = 0.3  # distance of a root from a node up to which z - f is computed from it
_REAL = 1e-3  # ratio of the parts of a slope, and distance from the axis, up to which a root lies beside the axis


@dataclass(frozen=True, eq=False)
class _Near:
    """Pairs of a point and a panel whose rules are disturbed there, which ``rule`` each takes, and the roots that disturb it.

    ``away`` is z - f at the nodes of that rule. ``pair`` says to which of the pairs each root belongs, ``error`` is its E.
    """

    roots: Roots
    pair: np.ndarray
    point: np.ndarray
    panel: np.ndarray
    rule: np.ndarray
    away: np.ndarray
    error: np.ndarray


class PanelSums:
    """E 1/(z - f), E f/(z - f), their derivatives, and E log(z - f) for a Gaussian h of a given variance.

    Args:
        function: f, elementwise.
        variance: of h.
        kinks: where f or its derivative jumps.
        stretches: on which f is monotone.
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        variance: float,
        kinks: Sequence[float],
        stretches: Sequence[Stretch],
    ) -> None:
        breaks = np.sqrt(variance) * gaussian_breaks(variance, kinks)
        panels = Panels(function, breaks, kinks)
        even = np.array_equal(breaks, -breaks[::-1]) and np.array_equal(function(-panels.nodes), panels.values)
        if even:  # one half, of double mass
            panels = Panels(function, breaks[breaks >= 0], kinks)
        for _ in range(_SPLITS):
            rough = panels.rough & (np.abs(panels.middle) < _HEAVY * np.sqrt(variance))
            if not rough.any():
                break
            panels = Panels(function, np.sort(np.append(panels.breaks, panels.middle[rough])), kinks)
        self.panels, self.variance, self.function, self._kinks = panels, variance, function, tuple(kinks)
        self.even = even
        self.folded = even and 0.0 not in kinks  # f is smooth across 0, behind which its mirror image lies
        self.mass = 2.0 if even else 1.0
        self._stretches = [s for s in _joined(stretches, kinks) if s.start != s.end and (not even or s.high > 0)]
        self._positive = bool((panels.values >= 0).all())

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> np.ndarray:
        """G, G', u = zG - 1 and u' (4 × n), right up to the real axis on either side of it; real at real points."""
        if not np.iscomplexobj(z):
            return self._outside(z)
        points, below = _above(z)
        with np.errstate(all="ignore"):
            near = self._near(points)
            found = self._sums(points, self.panels.values.ravel(), self._tables[1][0].ravel(), near)
            _add(found, near.point, self._rule_sums(near))
            _add(found, near.roots.point, self._corrections(points, near))
        return np.where(below, np.conj(found), found)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """E log(z - f) on the closed upper half-plane; near panels by parts, which makes a pole of the logarithm."""
        points, below = _above(z)
        panels = self.panels
        with np.errstate(all="ignore"):
            near = self._near(points)
            found = np.empty(points.shape, dtype=complex)
            values, masses = panels.values.ravel(), self._tables[1][0].ravel()
            width = max(1, BLOCK // values.size)
            for start in range(0, points.size, width):
                gaps = points[start : start + width, None] - values
                first, last = np.searchsorted(near.point, [start, start + width])
                gaps[near.point[first:last, None] - start, near.panel[first:last, None] * ORDER + np.arange(ORDER)] = (
                    1.0
                )
                found[start : start + width] = upper_log(gaps) @ masses
            where = near.panel
            for sign in (1.0, -1.0):
                end = panels.middle[where] + sign * panels.half[where]
                value = panels.value_and_slope(where, np.full(where.shape, sign))[0]
                np.add.at(found, near.point, sign * self._share(end, where) * upper_log(points[near.point] - value))
            inner = self._slopes[near.rule, where] / near.away
            np.add.at(found, near.point, inner.sum(axis=1))
            np.add.at(found, near.roots.point, -self._share(near.roots.h, near.roots.panel) * near.error)
        return np.where(below, np.conj(found), found)

    def slope(self, h: np.ndarray) -> np.ndarray:
        """|f'| at real points off the kinks."""
        return np.abs(self.panels.slope(np.abs(h) if self.even else h))

    @cached_property
    def _branches(self) -> list[InverseBranch]:
        branches = [InverseBranch(self.panels, stretch, self.folded) for stretch in self._stretches]
        return [branch for branch in branches if len(branch.values) > 1]

    @cached_property
    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        """f and mass at the nodes of both rules, (2 × panels × 16) each."""
        values = np.stack([self.panels.values, self.function(self._nodes[1])])
        return values, self._density(self._nodes) * WEIGHTS[:, None] * self.panels.half[:, None]

    @cached_property
    def _slopes(self) -> np.ndarray:
        """f'·(mass from the middle of the panel on)·weight at the nodes of both rules, (2 × panels × 16)."""
        count = len(self.panels.half)
        panel = np.broadcast_to(np.arange(count)[:, None], (count, ORDER))
        points = [np.tile(t, count) for t in NODES]
        slopes = [self.panels.value_and_slope(panel.ravel(), t)[1].reshape(count, ORDER) for t in points]
        shares = [self._share(h, panel) for h in self._nodes]
        return np.stack(slopes) * np.stack(shares) * WEIGHTS[:, None] * self.panels.half[:, None]

    @cached_property
    def _nodes(self) -> np.ndarray:
        return self.panels.middle[:, None] + self.panels.half[:, None] * NODES[:, None]

    def _density(self, h: np.ndarray) -> np.ndarray:
        return self.mass / np.sqrt(2 * np.pi * self.variance) * np.exp(-(h**2) / (2 * self.variance))

    def _share(self, h: np.ndarray, panel: np.ndarray) -> np.ndarray:
        """The mass between the middle of the panel and h, which may be complex."""
        wide = np.sqrt(2 * self.variance)
        return self.mass / 2 * (erf(h / wide) - erf(self.panels.middle[panel] / wide))

    def _near(self, points: np.ndarray) -> _Near:
        """The roots near panels; where both rules of a panel disagree with those that were found, all that there are."""
        near, worst = self._judged(points, self._seen(points))
        if worst.size:
            kept, point = near.roots.take(~np.isin(near.pair, worst)), near.point[worst]
            rest = self.panels.all_roots(points[point], near.panel[worst])
            near = self._judged(points, Roots.joined([kept, replace(rest, point=point[rest.point])]))[0]
        return near

    def _seen(self, points: np.ndarray) -> Roots:
        """The root on each branch of the inverse, seen from the panels around it."""
        level = np.abs(points) if self._positive else np.real(points)
        starts = [branch.starts(points, level) for branch in self._branches]
        near = [np.flatnonzero(close) for _, _, close in starts]
        h, panel = (np.concatenate([start[k][one] for start, one in zip(starts, near, strict=True)]) for k in (0, 1))
        point = np.concatenate(near)
        roots, arrived = self.panels.solved(points[point], h, panel)
        roots = replace(roots, point=point).take(arrived)
        turned = self.panels.turned(points, roots)
        if turned or len(starts) > 1:
            roots = Roots.joined([roots, *turned])
            roots = roots.distinct(self.panels.half[roots.panel])
        if self.folded:
            rest = roots.take(roots.panel <= 1)
            origin = np.zeros_like(rest.panel)
            roots = Roots.joined([roots, Roots(rest.point, origin, rest.t, -rest.h, -rest.slope, rest.bend)])
        return self.panels.seen_around(roots)

    def _judged(self, points: np.ndarray, roots: Roots) -> tuple[_Near, np.ndarray]:
        """The roots by pairs of point and panel, with the rule that each pair takes; and pairs in which a root is missing."""
        count = len(self.panels.half)
        code, pair = np.unique(roots.point * count + roots.panel, return_inverse=True)
        point, panel = np.divmod(code, count)
        roots = _beside(roots)
        distance = np.abs(NODES - roots.t[:, None, None])  # (roots × 2 × 16)
        nearest = distance.argmin(axis=2)
        apart = np.full((code.size, 2), np.inf)
        np.minimum.at(apart, pair, distance.min(axis=2))
        rule = np.argmax(apart, axis=1)
        error = _log_ratio(roots.t)[:, None] - (WEIGHTS / (NODES - roots.t[:, None, None])).sum(axis=2)
        away = points[point, None] - self._tables[0][:, panel]  # z - f at the nodes, (2 × pairs × 16)
        for k in range(2):
            beside = np.flatnonzero(distance[:, k].min(axis=1) < _NEXT)
            part, node = roots.take(beside), nearest[beside, k]
            away[k, pair[beside], node] = self.panels.gaps(part, points[part.point], k, node)
        terms = self._tables[1][:, panel] / away
        sums = terms.sum(axis=2).T
        np.add.at(sums, pair, self._residue(roots)[:, None] * error)
        taken = rule, np.arange(code.size)
        size = np.abs(terms[taken]).sum(axis=1)
        np.add.at(size, pair, np.abs(self._residue(roots) * error[np.arange(pair.size), rule[pair]]))
        missing = np.abs(sums[:, 0] - sums[:, 1]) > (_AGREE + _CLOSE / apart.min(axis=1)) * size
        missing &= ~self.panels.logarithmic[panel]
        chosen = error[np.arange(pair.size), rule[pair]]
        return _Near(roots, pair, point, panel, rule, away[taken], chosen), np.flatnonzero(missing)

    def _residue(self, roots: Roots) -> np.ndarray:
        return -self._density(roots.h) / roots.slope

    def _corrections(self, points: np.ndarray, near: _Near) -> np.ndarray:
        """What each root adds to G, G', u and u'."""
        roots, z = near.roots, points[near.roots.point]
        rule = near.rule[near.pair]
        nodes = NODES[rule] - roots.t[:, None]
        slope = -1 / (1 - roots.t) - 1 / (1 + roots.t) - (WEIGHTS[rule] / nodes**2).sum(axis=1)
        residue = self._residue(roots)
        growth = (-roots.h / self.variance - roots.bend / roots.slope) / roots.slope  # of the residue, with z
        value = residue * near.error
        rate = value * growth + residue * slope / (self.panels.half[roots.panel] * roots.slope)
        return np.stack([value, rate, z * value, value + z * rate])

    def _rule_sums(self, near: _Near) -> np.ndarray:
        """What the rules of near panels add to G, G', u and u'."""
        values, masses = (table[near.rule, near.panel] for table in self._tables)
        terms = masses / near.away
        squares = terms / near.away
        rows = [terms, -squares, values * terms, -values * squares]
        return np.stack([row.sum(axis=1) for row in rows])

    def _outside(self, z: np.ndarray) -> np.ndarray:
        """:meth:`transforms` at real points outside the support, the nearest of them from nodes that crowd at its ends."""
        low, high = self._ends
        found, far = np.empty((4, z.size)), np.ones(z.shape, dtype=bool)
        for end, side in ((high, 1.0), (low, -1.0)):
            values, masses, beside = self._graded[end]
            near = far & (side * (z - end) < beside) & (side * (z - (low + high) / 2) > 0)
            found[:, near] = self._sums(z[near], values, masses)
            far &= ~near
        found[:, far] = self._sums(z[far], self.panels.values.ravel(), self._tables[1][0].ravel())
        return found

    @cached_property
    def _ends(self) -> tuple[float, float]:
        ends = [value for stretch in self._stretches for value in (stretch.start, stretch.end)]
        return min(ends), max(ends)

    @cached_property
    def _graded(self) -> dict[float, tuple[np.ndarray, np.ndarray, float]]:
        return {end: self._graded_at(end) for end in self._ends}

    def _graded_at(self, end: float) -> tuple[np.ndarray, np.ndarray, float]:
        """f and mass at such nodes for one end, and the distance from it beyond which evenly spread ones do."""
        breaks = self.panels.breaks
        steps = float(self.panels.half.max()) * _RATIO ** -np.arange(2 * _GRADES)
        marks, beside = [breaks], 0.0
        for stretch in self._stretches:
            for place, value, side in ((stretch.low, stretch.start, 1), (stretch.high, stretch.end, -1)):
                if abs(place) < breaks[-1] and abs(value - end) <= _OUTERMOST * max(map(abs, self._ends)):
                    count = 2 * _GRADES if place in self._kinks else _GRADES
                    marks.append(np.append(place + side * steps[:count], place))
                    beside = max(beside, float(np.abs(self.function(place + side * _CLEAR * steps[:1]) - value)[0]))
        merged = np.unique(np.concatenate(marks))
        merged = merged[(merged >= breaks[0]) & (merged <= breaks[-1])]
        middle, half = (merged[1:] + merged[:-1])[:, None] / 2, np.diff(merged)[:, None] / 2
        nodes, weights = legendre_rule(ORDER)
        masses = (self._density(middle + half * nodes) * weights * half).ravel()
        kept = masses > _LIGHT
        return self.function(middle + half * nodes).ravel()[kept], masses[kept], beside

    def _sums(
        self, points: np.ndarray, values: np.ndarray, masses: np.ndarray, near: _Near | None = None
    ) -> np.ndarray:
        """G, G', u and u' of nodes, but for those in near panels."""
        weights = np.stack([masses, masses * values])
        found = np.empty((4, points.size), dtype=points.dtype)
        width = max(1, BLOCK // values.size)
        for start in range(0, points.size, width):
            block, hidden = slice(start, start + width), None
            if near is not None:
                first, last = np.searchsorted(near.point, [start, start + width])
                pairs = near.panel[first:last, None] * ORDER + np.arange(ORDER), near.point[first:last, None] - start
                hidden = pairs if last > first else None
            found[:, block] = kernel_sums(points[block], values, weights, hidden)
        return found


def _joined(stretches: Sequence[Stretch], kinks: Sequence[float]) -> list[Stretch]:
    """Neighbours on which f goes on in the same direction, as one: where it is flat to rounding they were cut."""
    found: list[Stretch] = []
    for stretch in stretches:
        last = found[-1] if found else None
        goes_on = last is not None and (last.end - last.start) * (stretch.end - stretch.start) > 0
        if last is not None and goes_on and stretch.low not in kinks:
            found[-1] = Stretch(last.low, stretch.high, last.start, stretch.end)
        else:
            found.append(stretch)
    return found


def _above(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points as complex ones, those below the real axis mirrored; and which those are."""
    below = np.imag(z) < 0
    return np.where(below, np.conj(z), z).astype(complex), below


def _add(found: np.ndarray, point: np.ndarray, rows: np.ndarray) -> None:
    np.add.at(found.T, point, rows.T)


def _beside(roots: Roots) -> Roots:
    """Roots on the real axis are put on that side of it on which they lie for z just above it: that of the slope's sign."""
    slope, t = roots.slope, roots.t
    real = (np.abs(np.imag(slope)) <= _REAL * np.abs(np.real(slope))) & (np.abs(np.imag(t)) < _REAL)
    side = np.copysign(np.maximum(np.abs(np.imag(t)), np.finfo(float).tiny), np.real(slope))
    t = np.where(real, np.real(t) + 1j * side, t)
    return Roots(roots.point, roots.panel, t, roots.h, slope, roots.bend)


def _log_ratio(t: np.ndarray) -> np.ndarray:
    """∫ ds/(s - t) over (-1, 1)."""
    return np.log(1 - t) - np.log(-1 - t)
