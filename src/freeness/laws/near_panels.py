"""What poles of 1/(z - f(h)) near panels of Gauss' rules change in their sums, for several Gaussian laws at once.

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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Complex, Int
from scipy.special import erf

from freeness.laws.inverse_branches import InverseBranch, InverseBranches
from freeness.laws.kernel_sums import BLOCK, kernel_sums
from freeness.laws.panels import NODES, ORDER, WEIGHTS, Panels, Roots
from freeness.numerics import upper_log

_AGREE = 1e-9  # relative difference of the two rules from which on a root was missed
_CLOSE = 1e-13  # by which a root at distance 1 from a node lets them differ, inversely
_NEXT = 0.3  # distance of a root from a node up to which z - f is computed from it
_REAL = 1e-3  # ratio of the parts of a slope, and distance from the axis, up to which a root lies beside the axis


@dataclass(frozen=True, eq=False)
class PanelledLaw:
    """The law of f(h) on its panels: f and mass at the nodes of both rules (2 × panels × 16), and the branches of its inverse.

    ``mass`` is 2 where the panels are those of one half, ``folded`` whether f is smooth across 0 then; ``positive`` is f ≥ 0.
    """

    panels: Panels
    branches: Sequence[InverseBranch]
    values: np.ndarray
    masses: np.ndarray
    variance: float
    mass: float
    folded: bool
    positive: bool


@dataclass(frozen=True, eq=False)
class Near:
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


class NearPanels:
    """The panels of several laws, one behind the other."""

    def __init__(self, laws: Sequence[PanelledLaw]) -> None:
        self.laws = tuple(laws)
        counts = [len(law.panels.half) for law in laws]
        self._offsets = np.cumsum([0, *counts[:-1]])
        self.panels = Panels.joined([law.panels for law in laws])
        self._folded, self._positive = np.array([(law.folded, law.positive) for law in laws]).T
        line = self.panels.line
        self._variance, self._mass = np.array([(law.variance, law.mass) for law in laws]).T[:, line]

    def transforms(
        self, points: Complex[np.ndarray, " points"], law: Int[np.ndarray, " points"]
    ) -> Complex[np.ndarray, "4 points"]:
        """G, G', u = zG - 1 and u' on the closed upper half-plane; ``law`` of each point, ascending."""
        with np.errstate(all="ignore"):
            near = self.near(points, law)
            found = self._sums(points, law, near)
            _add(found, near.point, self._rule_sums(near))
            _add(found, near.roots.point, self._corrections(points, near))
        return found

    def potential(
        self, points: Complex[np.ndarray, " points"], law: Int[np.ndarray, " points"]
    ) -> Complex[np.ndarray, " points"]:
        """E log(z - f) on the closed upper half-plane; near panels by parts, which makes a pole of the logarithm."""
        with np.errstate(all="ignore"):
            near = self.near(points, law)
            found = np.empty(points.shape, dtype=complex)
            for own, block, hidden in self._blocks(law, near):
                gaps = points[block, None] - own.panels.values.ravel()
                if hidden is not None:
                    gaps[hidden[1], hidden[0]] = 1.0
                found[block] = upper_log(gaps) @ own.masses[0].ravel()
            where = near.panel
            for sign in (1.0, -1.0):
                end = self.panels.middle[where] + sign * self.panels.half[where]
                value = self.panels.value_and_slope(where, np.full(where.shape, sign))[0]
                np.add.at(found, near.point, sign * self._share(end, where) * upper_log(points[near.point] - value))
            inner = self._slopes[near.rule, where] / near.away
            np.add.at(found, near.point, inner.sum(axis=1))
            np.add.at(found, near.roots.point, -self._share(near.roots.h, near.roots.panel) * near.error)
        return found

    def near(self, points: Complex[np.ndarray, " points"], law: Int[np.ndarray, " points"]) -> Near:
        """The roots near panels; where both rules of a panel disagree with those that were found, all that there are."""
        near, worst = self._judged(points, self._seen(points, law))
        if worst.size:
            kept, point = near.roots.take(~np.isin(near.pair, worst)), near.point[worst]
            rest = self.panels.all_roots(points[point], near.panel[worst])
            near = self._judged(points, Roots.joined([kept, replace(rest, point=point[rest.point])]))[0]
        return near

    @cached_property
    def _branches(self) -> InverseBranches:
        return InverseBranches(self.panels, [law.branches for law in self.laws], self._offsets.tolist())

    @cached_property
    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        """f and mass at the nodes of both rules, (2 × panels × 16) each."""
        values, masses = ([getattr(law, name) for law in self.laws] for name in ("values", "masses"))
        return np.concatenate(values, axis=1), np.concatenate(masses, axis=1)

    def _seen(self, points: np.ndarray, law: np.ndarray) -> Roots:
        """The root on each branch of the inverses, seen from the panels around it."""
        level = np.where(self._positive[law], np.abs(points), np.real(points))
        h, panel, point = self._branches.starts(points, level, law)
        roots, arrived = self.panels.solved(points[point], h, panel)
        roots = replace(roots, point=point).take(arrived)
        turned = self.panels.turned(points, roots)
        if turned or any(len(each.branches) > 1 for each in self.laws):
            roots = Roots.joined([roots, *turned])
            roots = roots.distinct(self.panels.half[roots.panel])
        if self._folded.any():
            line = self.panels.line[roots.panel]
            first = self._offsets[line]
            chosen = self._folded[line] & (roots.panel <= first + 1)
            rest = roots.take(chosen)
            mirrored = Roots(rest.point, first[chosen], rest.t, -rest.h, -rest.slope, rest.bend)
            roots = Roots.joined([roots, mirrored])
        return self.panels.seen_around(roots)

    def _judged(self, points: np.ndarray, roots: Roots) -> tuple[Near, np.ndarray]:
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
        return Near(roots, pair, point, panel, rule, away[taken], chosen), np.flatnonzero(missing)

    def _residue(self, roots: Roots) -> np.ndarray:
        variance, mass = self._variance[roots.panel], self._mass[roots.panel]
        density = mass / np.sqrt(2 * np.pi * variance) * np.exp(-(roots.h**2) / (2 * variance))
        return -density / roots.slope

    def _corrections(self, points: np.ndarray, near: Near) -> np.ndarray:
        """What each root adds to G, G', u and u'."""
        roots, z = near.roots, points[near.roots.point]
        rule = near.rule[near.pair]
        nodes = NODES[rule] - roots.t[:, None]
        slope = -1 / (1 - roots.t) - 1 / (1 + roots.t) - (WEIGHTS[rule] / nodes**2).sum(axis=1)
        residue = self._residue(roots)
        growth = (
            -roots.h / self._variance[roots.panel] - roots.bend / roots.slope
        ) / roots.slope  # of the residue, with z
        value = residue * near.error
        rate = value * growth + residue * slope / (self.panels.half[roots.panel] * roots.slope)
        return np.stack([value, rate, z * value, value + z * rate])

    def _rule_sums(self, near: Near) -> np.ndarray:
        """What the rules of near panels add to G, G', u and u'."""
        values, masses = (table[near.rule, near.panel] for table in self._tables)
        terms = masses / near.away
        squares = terms / near.away
        rows = [terms, -squares, values * terms, -values * squares]
        return np.stack([row.sum(axis=1) for row in rows])

    def _sums(self, points: np.ndarray, law: np.ndarray, near: Near) -> np.ndarray:
        """G, G', u and u' of the nodes of the first rule, but for those in near panels."""
        found = np.empty((4, points.size), dtype=points.dtype)
        for own, block, hidden in self._blocks(law, near):
            values, masses = own.panels.values.ravel(), own.masses[0].ravel()
            found[:, block] = kernel_sums(points[block], values, np.stack([masses, masses * values]), hidden)
        return found

    def _blocks(
        self, law: np.ndarray, near: Near
    ) -> Iterator[tuple[PanelledLaw, slice, tuple[np.ndarray, np.ndarray] | None]]:
        """Blocks of points of one law each, and which pairs (nodes, points) of them belong to near panels."""
        cuts = np.searchsorted(law, np.arange(len(self.laws) + 1)).tolist()
        for k in np.flatnonzero(np.diff(cuts)):
            own = self.laws[k]
            width = max(1, BLOCK // own.panels.values.size)
            for start in range(cuts[k], cuts[k + 1], width):
                block, hidden = slice(start, min(start + width, cuts[k + 1])), None
                first, last = np.searchsorted(near.point, [block.start, block.stop])
                if last > first:
                    panel = near.panel[first:last, None] - self._offsets[k]
                    hidden = panel * ORDER + np.arange(ORDER), near.point[first:last, None] - start
                yield own, block, hidden

    @cached_property
    def _slopes(self) -> np.ndarray:
        """f'·(mass from the middle of the panel on)·weight at the nodes of both rules, (2 × panels × 16)."""
        middle, half = self.panels.middle[:, None], self.panels.half[:, None]
        count = len(half)
        panel = np.broadcast_to(np.arange(count)[:, None], (count, ORDER))
        points = [np.tile(t, count) for t in NODES]
        slopes = [self.panels.value_and_slope(panel.ravel(), t)[1].reshape(count, ORDER) for t in points]
        shares = [self._share(middle + half * t, panel) for t in NODES]
        return np.stack(slopes) * np.stack(shares) * WEIGHTS[:, None] * half

    def _share(self, h: np.ndarray, panel: np.ndarray) -> np.ndarray:
        """The mass between the middle of the panel and h, which may be complex."""
        wide = np.sqrt(2 * self._variance[panel])
        return self._mass[panel] / 2 * (erf(h / wide) - erf(self.panels.middle[panel] / wide))


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
