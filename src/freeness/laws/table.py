"""A law as a table: density and distribution function on a grid, each point with its error and whether it converged."""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from freeness.errors import InputError
from freeness.laws.law import Law

_LEAST = 4  # points between two breaks; where that is too many, breaks are ignored


@dataclass(frozen=True, eq=False)
class LawTable:
    """Values at ascending ``x``; NaN where ``converged`` is false. ``error`` estimates that of ``density``."""

    x: Float[np.ndarray, " points"]
    density: Float[np.ndarray, " points"]
    cdf: Float[np.ndarray, " points"]
    error: Float[np.ndarray, " points"]
    converged: Bool[np.ndarray, " points"]


def tabulate(law: Law, points: int = 400) -> LawTable:
    """Density and distribution function of the continuous part and of the whole law.

    Args:
        law: any law.
        points: how many; they crowd at the ends of the bands and at atoms, and lie on none of them.

    Example:
        >>> from freeness.laws import Semicircle
        >>> tabulate(Semicircle(1.0), 3).cdf.round(3).tolist()
        [0.029, 0.5, 0.971]
    """
    x = _grid(law, points)
    boundary = law.boundary(x)
    density, cdf = law.density(x, throw=False), law.cdf(x, throw=False)
    converged = boundary.converged & np.isfinite(density) & np.isfinite(cdf)
    density, cdf = np.where(converged, density, np.nan), np.where(converged, cdf, np.nan)
    return LawTable(x, density, cdf, np.where(converged, boundary.error / np.pi, np.nan), converged)


def _grid(law: Law, points: int) -> np.ndarray:
    if points < 1:
        raise InputError(f"expected at least 1 point, got {points}.")
    low, high = law.hull
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    marks = {low, high, *(end for band in law.bands for end in band), *(position for position, _ in law.atoms)}
    if not law.bands:
        marks |= {low - margin, high + margin}
    breaks = np.array(sorted(marks))
    if points < _LEAST * (breaks.size - 1):
        breaks = breaks[[0, -1]]
    width = np.diff(breaks)
    least = min(_LEAST, points // width.size)
    spare = points - least * width.size
    counts = least + np.diff(np.floor(spare * np.append(0.0, np.cumsum(width) / width.sum()) + 1e-9)).astype(int)
    pieces: list[np.ndarray] = []
    for left, size, count in zip(breaks[:-1], width, counts, strict=True):
        angle = np.pi * (np.arange(count) + 0.5) / count
        pieces.append(left + size * (1 - np.cos(angle)) / 2)
    return np.concatenate(pieces)
