"""Approximate inverses of u = zG - 1 on the real axis outside the support, from a table that is made once a law."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy

from freeness.laws.curve import CauchyLaw, Side

_GRID = np.concatenate([np.arange(-36.0, 20.0, 0.1), np.arange(20.0, 340.0, 10.0)])  # log distances from the support
_FLAT = -1e-3  # a slower rise of log|u| at the nearest of them ends there: it is proportional to the distance


class OutsideTable(NamedTuple):
    """The log distance from the support as a function of log|u|, on which ``low`` ≤ log|u| ≤ ``high``.

    ``ceiling``: more than log|u| ever is, infinite where u has a pole at the end of the support.
    """

    anchor: float
    scale: float
    low: float
    high: float
    ceiling: float
    spline: scipy.interpolate.CubicHermiteSpline

    def approximate(self, u: np.ndarray, side: Side) -> tuple[np.ndarray, np.ndarray]:
        """w with u(w) near ``u`` (relative error about 1e-7), NaN outside the table; and whether more is known there."""
        with np.errstate(all="ignore"):
            level = np.log(side * u)
        known = (level >= self.low) & (level <= self.high)
        w = self.anchor + side * self.scale * np.exp(self.spline(np.where(known, level, self.low)))
        return np.where(known, w, np.nan), (level < self.low) | ((level > self.high) & (level <= self.ceiling))


@lru_cache(maxsize=256)
def outside_table(law: CauchyLaw, side: Side) -> OutsideTable:
    """The table of a law on [0, ∞) on one side of it."""
    low, high = law.nonzero_hull
    anchor, scale = (high if side > 0 else low), max(abs(low), abs(high))
    z = anchor + side * scale * np.exp(_GRID)
    distance = np.abs(z - anchor)  # as rounded
    with np.errstate(all="ignore"):
        u, slope = law.transforms(z)[1]
        level, rate = np.log(side * u), side * distance * slope / u  # d log|u| / d log distance, negative
    good = np.isfinite(level) & np.isfinite(rate) & (rate < 0)
    first = len(good) - int(np.argmin(good[::-1])) if not good.all() else 0
    grid, level, rate = np.log(distance[first:] / scale)[::-1], level[first:][::-1], rate[first:][::-1]
    rising = np.concatenate([[True], np.diff(level) > 0])
    last = len(rising) if rising.all() else int(np.argmin(rising))
    spline = scipy.interpolate.CubicHermiteSpline(level[:last], grid[:last], 1 / rate[:last])
    top = float(level[last - 1])
    ceiling = top - 1.5 * float(rate[last - 1]) if rate[last - 1] > _FLAT else np.inf
    return OutsideTable(float(anchor), float(scale), float(level[0]), top, ceiling, spline)
