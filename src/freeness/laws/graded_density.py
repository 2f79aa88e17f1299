"""A density with singular points of any kind, on panels that shrink towards them: what convolutions have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Inexact
from numpy.polynomial import legendre
from numpy.typing import ArrayLike

from freeness.errors import ConvergenceError
from freeness.laws.curve import Transform
from freeness.laws.density import MASS_ERROR, Bounded, Expansion, PiecewiseDensity
from freeness.laws.law import real_points
from freeness.laws.legendre_panels import LegendrePanels

_NODES = 64  # of a panel, at which the density is sampled
_SHRINK = 8.0  # a panel towards a singular point is so much shorter than its neighbour
_TAIL = 1e-13  # largest coefficient in the last quarter, relative to the largest: converged
_NOISE = 1e-9  # of a panel away from singular points
_HALVED = 4  # times at most; then what is left is noise as well
_POINTWISE = 1e-14  # or relative to the uniform density on the whole interval
_DROPPED = 1e-15  # smaller coefficients at the end are dropped
_NOTHING = 1e-300
_LIGHT = 1e-17  # the mass of a panel that is not divided further
_THIN = 2e-14  # nor one of this width, relative to its position
_MOST = 4000  # panels between two singular points


class GradedDensity(PiecewiseDensity):
    """The law with a density that is analytic between ``breaks``; at them it may have powers, logarithms or jumps.

    Each panel has a Legendre series, whose transforms are exact. Towards a break the panels shrink eightfold, until they
    converge or hold no mass.

    Args:
        function: the density, elementwise; not called at the breaks.
        breaks: ascending; the first and last are the ends of the support.

    Raises:
        ConvergenceError: the panels do not come to an end, or hold another mass than 1.

    Example:
        >>> law = GradedDensity(lambda x: -np.log(x), [0.0, 1.0])  # of a product of two uniform variables
        >>> round(law.variance, 12) == round(1 / 9 - 1 / 16, 12)
        True
    """

    def __init__(
        self, function: Callable[[Float[np.ndarray, "*points"]], Float[np.ndarray, "*points"]], breaks: Sequence[float]
    ) -> None:
        self._breaks = tuple(breaks)
        self._hull = (self._breaks[0], self._breaks[-1])
        pieces = self._graded(function)
        mass = sum(piece.mass for piece in pieces)
        if not abs(mass - 1) <= MASS_ERROR:
            raise ConvergenceError(
                f"expected a density of mass 1, got {mass:.10g}; it is not analytic between its breaks {self._breaks}."
            )
        super().__init__(self._hull, pieces)
        self._lows = np.array([piece.low for piece in self._pieces])
        self._below = np.concatenate([[0.0], np.cumsum([piece.mass for piece in self._pieces])])

    @property
    def breaks(self) -> tuple[float, ...]:
        """The singular points, ascending."""
        return self._breaks

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        g, dg, u, du = self._panels.transforms(z)
        return (g, dg), (u, du)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        return self._panels.potential(z)

    @cached_property
    def _panels(self) -> LegendrePanels:
        return LegendrePanels([piece for piece in self._pieces if isinstance(piece, Bounded)])

    def density(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        return np.maximum(self._by_panel(x, lambda piece, t: legendre.legval(t, piece.coefficients) / piece.half), 0.0)

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        points = real_points(x)
        place = self._place(points.ravel()).reshape(points.shape)
        inside = self._by_panel(
            points, lambda piece, t: legendre.legval(t, legendre.legint(piece.coefficients, lbnd=-1))
        )
        found = np.where(points >= self._hull[1], 1.0, self._below[place] + inside)
        return np.clip(np.where(points <= self._hull[0], 0.0, found), 0.0, 1.0)

    def _place(self, x: np.ndarray) -> np.ndarray:
        return np.clip(np.searchsorted(self._lows, x, side="right") - 1, 0, len(self._pieces) - 1)

    def _by_panel(self, x: ArrayLike, value: Callable[[Expansion, np.ndarray], np.ndarray]) -> np.ndarray:
        """Values from the panel in which each point lies, 0 outside the support."""
        points = real_points(x)
        flat = points.ravel()
        found = np.zeros(flat.shape)
        place = self._place(flat)
        order = np.argsort(place, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(place[order])) + 1):
            if group.size:
                piece = self._pieces[place[group[0]]]
                found[group] = value(piece, np.clip(piece.reduced(flat[group]), -1.0, 1.0))
        outside = (flat < self._hull[0]) | (flat > self._hull[1])
        return np.where(outside, 0.0, found).reshape(points.shape)

    def _graded(self, function: Callable[[np.ndarray], np.ndarray]) -> list[Bounded]:
        """Panels between the breaks, ascending; those of one generation are sampled together."""
        uniform = 1 / (self._hull[1] - self._hull[0])
        waiting = [_Range(low, high, True, True) for low, high in pairwise(self._breaks)]
        most = _MOST * len(waiting)
        found: list[Bounded] = []
        while waiting:
            if len(found) + len(waiting) > most:
                low, high = self._hull
                raise ConvergenceError(
                    f"expected at most {most} panels between {low:g} and {high:g}, got more; the density is not analytic there."
                )
            nodes = np.concatenate([Bounded.nodes(here.low, here.high, _NODES) for here in waiting])
            values = function(nodes).reshape(len(waiting), _NODES)
            divided: list[_Range] = []
            for here, own in zip(waiting, values, strict=True):
                piece, tail = _panel(here.low, here.high, own)
                size = float(np.abs(piece.coefficients).max())
                if tail <= max(here.tail * size, _POINTWISE * uniform * piece.half, _LIGHT) or here.last:
                    found.append(piece)
                else:
                    divided += here.divided()
            waiting = divided
        return sorted(found, key=lambda piece: piece.low)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(low={self._hull[0]:g}, high={self._hull[1]:g}, panels={len(self._pieces)})"


@dataclass(frozen=True)
class _Range:
    """Where a panel lies, which of its ends are singular, and how often it was halved since it left them."""

    low: float
    high: float
    left: bool
    right: bool
    halved: int = 0

    @property
    def tail(self) -> float:
        """The largest relative tail with which it has converged."""
        return _TAIL if self.left or self.right else _NOISE

    @property
    def last(self) -> bool:
        """Whether it is not divided further."""
        return self.halved == _HALVED or self.high - self.low <= _THIN * max(abs(self.low), abs(self.high))

    def divided(self) -> list[_Range]:
        """Itself cut near its singular ends, or in the middle."""
        step = (self.high - self.low) / _SHRINK
        cuts = [self.low + step] * self.left + [self.high - step] * self.right
        halved = 0 if cuts else self.halved + 1
        ends = [self.low, *(cuts or [(self.low + self.high) / 2]), self.high]
        return [
            _Range(a, b, self.left and a == self.low, self.right and b == self.high, halved) for a, b in pairwise(ends)
        ]


def _panel(low: float, high: float, values: np.ndarray) -> tuple[Bounded, float]:
    """The series from values at the nodes, without its tail, and the largest coefficient of its last quarter."""
    series = Bounded.series(low, high, values)
    size = np.abs(series)
    tail = float(size[-_NODES // 4 :].max())
    above = np.flatnonzero(size > max(_DROPPED * size.max(), _NOTHING))
    kept = int(above[-1]) + 1 if above.size else 1
    return Bounded.from_series(low, high, series[:kept], float(size[kept:].sum())), tail
