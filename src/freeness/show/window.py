"""Which part of the line a picture shows, on which scale, and at which points a law is asked for its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from freeness.advice import Comparison
from freeness.laws import Law
from freeness.show.picture import Axis
from freeness.show.pointmass import Split, shown_atoms, split_eigenvalues

_DECADES = 30.0  # log axis if the top is this many times the lower quartile of the positive spectrum
_DEEPEST = 1e-6  # nothing below this part of the top is shown on a log axis
_MARGIN = 0.06
_POINTS = 600


@dataclass(frozen=True)
class Window:
    """The interval [low, high] of a picture; ``log``: on a logarithmic axis (low > 0)."""

    low: float
    high: float
    log: bool

    def part(self, x: float) -> float:
        """How far x lies on the way from low (0) to high (1), on the window's own scale."""
        if self.log:
            return float(np.log(x / self.low) / np.log(self.high / self.low))
        return (x - self.low) / (self.high - self.low)

    def axis(self, label: str) -> Axis:
        """The axis of a picture that shows it."""
        return Axis(label, self.low, self.high, log=self.log, form="power")


def window_of(comparison: Comparison, split: Split | None = None) -> Window:
    """The window that shows predicted and measured spectrum; logarithmic where they span decades.

    Args:
        comparison: predicted and measured, all of which has to be seen.
        split: its eigenvalues, already divided (otherwise that is done here).
    """
    prediction = comparison.predicted
    found = split or split_eigenvalues(_values(comparison), prediction)
    low, high = _ends(comparison)
    positive = _representatives(comparison, found)
    if positive.size and low >= 0 and high > _DECADES * np.quantile(positive, 0.25):
        bottom = max(float(positive.min()), _DEEPEST * high)
        return Window(bottom / 1.5, high * 1.25, log=True)
    width = high - low
    if width <= 1e-6 * abs(high):  # one point, up to rounding
        width = abs(high) or 1.0
    return Window(low - _MARGIN * width, high + _MARGIN * width, log=False)


def law_grid(
    law: Law, low: float, high: float, *, log: bool = False, points: int = _POINTS
) -> Float[np.ndarray, " points"]:
    """Ascending points in [low, high] that crowd at the ends of the support and at its atoms, without touching them.

    Args:
        law: whose ends and atoms decide where points crowd.
        low: left end of the grid, positive if ``log``.
        high: right end, > low.
        log: crowd and space on the logarithmic scale.
        points: about how many.

    Example:
        >>> from freeness.laws import Projection
        >>> law_grid(Projection(0.5), 0.0, 1.0, points=3).round(3).tolist()
        [0.067, 0.5, 0.933]
    """
    atoms = [position for position, _ in law.atoms] if len(law.atoms) < points // 8 else []
    marks = {float(mark) for mark in (low, high, *law.hull, *atoms) if low <= mark <= high}
    breaks = np.array(sorted(marks))
    if breaks.size < 2:
        return breaks
    scaled = np.log(breaks) if log else breaks
    each = np.maximum(24, np.round(points * np.diff(scaled) / (scaled[-1] - scaled[0]))).astype(int)
    each = each if points >= 24 else np.full_like(each, points)
    pieces = []
    for left, right, count in zip(scaled[:-1], scaled[1:], each, strict=True):
        angle = np.pi * (np.arange(count) + 0.5) / count
        pieces.append(left + (right - left) * (1 - np.cos(angle)) / 2)
    grid = np.concatenate(pieces)
    return np.unique(np.exp(grid) if log else grid)


def _ends(comparison: Comparison) -> tuple[float, float]:
    values, prediction = _values(comparison), comparison.predicted
    low, high = float(np.min(values)), float(np.max(values))
    if prediction is not None:
        low, high = min(low, prediction.law.hull[0]), max(high, prediction.law.hull[1], *prediction.outliers, high)
    return (0.0 if abs(low) <= 1e-12 * abs(high) else low), high


def _values(comparison: Comparison) -> np.ndarray:
    """What was measured, or the ends of the law where nothing was."""
    if comparison.measured is None and comparison.predicted is not None:
        return np.array(comparison.predicted.law.hull)
    return comparison.eigenvalues


def _representatives(comparison: Comparison, split: Split) -> np.ndarray:
    """Positive points that stand for the spectrum: measured ones, and every atom once."""
    atoms = [*split.atoms, *(shown_atoms(comparison.predicted) if comparison.predicted else ())]
    points = np.concatenate([split.rest, [position for position, _ in atoms]])
    return points[points > 0]
