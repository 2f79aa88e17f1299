"""Transforms of the law of f(h), h Gaussian, right up to the real axis: panel quadrature with its poles taken out.

Panels near a pole are those of :mod:`freeness.laws.near_panels`; outside the support, on the real axis, nodes crowd at its ends.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Inexact

from freeness.laws.inverse_branches import InverseBranch
from freeness.laws.kernel_sums import BLOCK, kernel_sums
from freeness.laws.near_panels import NearPanels, PanelledLaw
from freeness.laws.panels import NODES, ORDER, WEIGHTS, Panels, Stretch
from freeness.numerics import gaussian_breaks, legendre_rule

_SPLITS = 6  # of a panel on which f is no polynomial
_HEAVY = 9.0  # standard deviations beyond which none is split
_ALIKE = 1e-9  # of the distance from an end of the support: values so near to one another are one from there
_RATIO = 4.0  # of the distances of breaks from an end of the support, on the side of h: 16 nodes between two of them do
_GRADES = 14  # such breaks: the square of the last distance is rounding; twice as many at kinks
_CLEAR = 3.0  # half-panels away from an extremum, f there being where a pole does not disturb any longer
_LIGHT = 1e-26  # mass of a node that is left out there
_OUTERMOST = 1e-11  # relative distance of a value from the ends of the support that is none


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
        panels = _levelled(panels, function, np.sqrt(variance) * gaussian_breaks(1.0), kinks)
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

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> np.ndarray:
        """G, G', u = zG - 1 and u' (4 × n), right up to the real axis on either side of it; real at real points."""
        if not np.iscomplexobj(z):
            return self._outside(z)
        points, below = _above(z)
        found = self._near.transforms(points, np.zeros(points.shape, dtype=int))
        return np.where(below, np.conj(found), found)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """E log(z - f) on the closed upper half-plane; near panels by parts, which makes a pole of the logarithm."""
        points, below = _above(z)
        found = self._near.potential(points, np.zeros(points.shape, dtype=int))
        return np.where(below, np.conj(found), found)

    def slope(self, h: np.ndarray) -> np.ndarray:
        """|f'| at real points off the kinks."""
        return np.abs(self.panels.slope(np.abs(h) if self.even else h))

    @cached_property
    def panelled(self) -> PanelledLaw:
        """What is known of the law panel by panel."""
        branches = [InverseBranch(self.panels, stretch, self.folded) for stretch in self._stretches]
        kept = [branch for branch in branches if len(branch.values) > 1]
        positive = bool((self.panels.values >= 0).all())
        return PanelledLaw(self.panels, kept, *self._tables, self.variance, self.mass, self.folded, positive)

    @cached_property
    def _near(self) -> NearPanels:
        return NearPanels([self.panelled])

    @cached_property
    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        """f and mass at the nodes of both rules, (2 × panels × 16) each."""
        values = np.stack([self.panels.values, self.function(self._nodes[1])])
        return values, self._density(self._nodes) * WEIGHTS[:, None] * self.panels.half[:, None]

    @cached_property
    def _nodes(self) -> np.ndarray:
        return self.panels.middle[:, None] + self.panels.half[:, None] * NODES[:, None]

    def _density(self, h: np.ndarray) -> np.ndarray:
        return self.mass / np.sqrt(2 * np.pi * self.variance) * np.exp(-(h**2) / (2 * self.variance))

    def _outside(self, z: np.ndarray) -> np.ndarray:
        """:meth:`transforms` at real points outside the support, the nearest of them from nodes that crowd at its ends."""
        low, high = self._ends
        found = np.full((4, z.size), np.nan)
        for end, side in ((high, 1.0), (low, -1.0)):
            values, masses, beside = self._graded[end]
            own = side * (z - (low + high) / 2) > 0
            near = own & (side * (z - end) < beside)
            found[:, near] = self._sums(z[near], values, masses)
            found[:, own & ~near] = self._sums(z[own & ~near], *self._evenly[end])
        return found

    @cached_property
    def _ends(self) -> tuple[float, float]:
        ends = [value for stretch in self._stretches for value in (stretch.start, stretch.end)]
        return min(ends), max(ends)

    @cached_property
    def _evenly(self) -> dict[float, tuple[np.ndarray, np.ndarray]]:
        """f and mass at the nodes of the first rule, for one end each."""
        return {end: _merged(self.panels.values.ravel(), self._tables[1][0].ravel(), end) for end in self._ends}

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
        return *_merged(self.function(middle + half * nodes).ravel()[kept], masses[kept], end), beside

    def _sums(self, points: np.ndarray, values: np.ndarray, masses: np.ndarray) -> np.ndarray:
        """G, G', u and u' of nodes."""
        weights = np.stack([masses, masses * values])
        found = np.empty((4, points.size), dtype=points.dtype)
        width = max(1, BLOCK // values.size)
        for start in range(0, points.size, width):
            block = slice(start, start + width)
            found[:, block] = kernel_sums(points[block], values, weights)
        return found


def _levelled(
    panels: Panels, function: Callable[[np.ndarray], np.ndarray], wide: np.ndarray, kinks: Sequence[float]
) -> Panels:
    """The panels, those joined on which f is one constant as far as they lie between the same two of the ``wide`` breaks."""
    least, most = panels.values.min(axis=1), panels.values.max(axis=1)
    flat, cell = least == most, np.searchsorted(wide, panels.middle)
    same = flat[1:] & flat[:-1] & (least[1:] == least[:-1]) & (cell[1:] == cell[:-1])
    same &= panels.first[1:] == panels.first[:-1]
    return Panels(function, panels.breaks[np.concatenate([[True], ~same, [True]])], kinks) if same.any() else panels


def _merged(values: np.ndarray, masses: np.ndarray, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes as seen from beyond an end of the support: those alike to 1e-9 of their distance from it are one at their mean.

    1/(z - x) is that of the mean to the square of this, being no nearer to any of them.
    """
    with np.errstate(divide="ignore"):
        cell = np.floor(np.log(np.abs(values - end)) / _ALIKE)
    _, first, place = np.unique(cell, return_index=True, return_inverse=True)
    mass, start = np.bincount(place, masses), values[first]  # (where there is one, its digits stay)
    with np.errstate(invalid="ignore"):
        mean = start + np.bincount(place, masses * (values - start[place])) / mass
    return mean[mass > 0], mass[mass > 0]


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
