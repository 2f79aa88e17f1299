"""A distribution function at many points, most of them by cubics through the values and densities of some."""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float

from freeness.laws.law import Law

_FEWEST = 48  # points between two stops from which on some are interpolated
_STRIDE = 16
_TOLERANCE = 1e-6  # of a cubic halfway between its ends; one over half as much errs a sixteenth of it


def sampled_cdf(law: Law, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """F at ascending points, to 1e-7; NaN where it did not converge.

    Between two neighbouring stops a < b (atoms, ends of the hull) F is smooth in θ, x = a + (b - a)(1 - cos θ)/2, also where
    the density ends like a root or an inverse root. Cells of 16 points are halved until a cubic through values and densities
    at their ends foretells what lies halfway.
    """
    value = np.full(x.shape, np.nan)
    stops = np.unique([*law.hull, *(position for position, _ in law.atoms)])
    sides = np.unique([*np.searchsorted(x, stops), *np.searchsorted(x, stops, side="right"), 0, x.size])
    for first, last in pairwise(sides.tolist()):
        above = int(np.searchsorted(stops, x[first], side="right"))
        if last - first < _FEWEST or not 0 < above < stops.size:
            value[first:last] = law.cdf(x[first:last], throw=False)
        else:
            value[first:last] = _Stretch(law, x[first:last], stops[above - 1], stops[above]).filled()
    return value


class _Stretch:
    """Ascending points between two stops, F at some of them, and its slope in θ."""

    def __init__(self, law: Law, x: np.ndarray, low: float, high: float) -> None:
        self.law, self.x = law, x
        self.angle = np.arccos(np.clip(1 - 2 * (x - low) / (high - low), -1, 1))
        self.by_angle = (high - low) / 2 * np.sin(self.angle)
        self.value, self.slope = np.full(x.shape, np.nan), np.full(x.shape, np.nan)

    def filled(self) -> np.ndarray:
        """F at all points."""
        stops = np.unique([*range(0, self.x.size, _STRIDE), self.x.size - 1])
        self._ask(stops)
        cells = np.stack([stops[:-1], stops[1:]], axis=1)
        while cells.size:
            first, last = cells.T
            middle = (first + last) // 2
            foretold = self._cubic(first, last, middle)
            self._ask(middle[middle > first])
            sound = np.abs(foretold - self.value[middle]) <= _TOLERANCE
            cells = np.concatenate([np.stack([first, middle], axis=1), np.stack([middle, last], axis=1)])
            sound = np.tile(sound, 2)
            for start, end in cells[sound].tolist():
                inner = np.arange(start + 1, end)
                self.value[inner] = self._cubic(start, end, inner)
            cells = cells[~sound & (cells[:, 1] - cells[:, 0] > 1)]
        return self.value

    def _ask(self, where: np.ndarray) -> None:
        if where.size:
            self.value[where] = self.law.cdf(self.x[where], throw=False)
            self.slope[where] = self.law.density(self.x[where], throw=False) * self.by_angle[where]

    def _cubic(self, first: np.ndarray | int, last: np.ndarray | int, where: np.ndarray) -> np.ndarray:
        """Through values and slopes at the points ``first`` and ``last``."""
        step = self.angle[last] - self.angle[first]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (self.angle[where] - self.angle[first]) / step
            mean = (self.value[last] - self.value[first]) / step
        left, right = self.slope[first] - mean, self.slope[last] - mean
        return self.value[first] + step * t * (mean + (1 - t) * (left * (1 - t) - right * t))
