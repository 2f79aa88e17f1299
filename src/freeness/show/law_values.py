"""A law at the points where a picture in the browser asks for it, as plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from freeness.laws import Law
from freeness.show.pointmass import heaviest
from freeness.show.window import Window, law_grid

_DECADES = 30.0  # log axis if the upper end is this many times the mean
_DEEPEST = 1e-4  # of the upper end: nothing below it is shown on a log axis
_MARGIN = 0.04
_PARTS = 10
_MANY = 12  # atoms; of more the heaviest are drawn


@dataclass(frozen=True, eq=False)
class DrawnLaw:
    """Density at ascending ``x`` (per decade where ``log``, NaN where it did not converge), ``atoms`` as (position, mass).

    ``low``, ``high``: ends of the support; ``span``: the part of the line that is shown.
    """

    x: Float[np.ndarray, " points"]
    density: Float[np.ndarray, " points"]
    atoms: tuple[tuple[float, float], ...]
    low: float
    high: float
    mean: float
    span: tuple[float, float]
    log: bool

    @property
    def window(self) -> Window:
        """What of the line is shown, and on which scale."""
        return Window(*self.span, self.log)


def drawn_law(law: Law, points: int = 200, progress: Callable[[float], None] | None = None) -> DrawnLaw:
    """The law between the ends of its support.

    Args:
        law: asked for its density, atoms, mean and ends.
        points: about how many; they crowd at the ends and at atoms.
        progress: told the share that is done, 0 to 1; the points are then asked for a few at a time.

    Example:
        >>> from freeness.laws import Semicircle
        >>> seen = drawn_law(Semicircle(1.0), 24)
        >>> seen.x.size, seen.high, seen.log
        (24, 2.0, False)
    """
    low, high, mean = float(law.hull[0]), float(law.hull[1]), float(law.mean)
    log = _spans_decades(low, high, mean)
    start = max(low, _DEEPEST * high) if log else low
    if sum(mass for _, mass in law.atoms) > 1 - 1e-9 or not start < high:
        x = density = np.empty(0)
    else:
        x = law_grid(law, start, high, log=log, points=points)
        density = law.density(x, throw=False) if progress is None else _in_parts(law, x, progress)
    return drawn_values(x, density, heaviest(law.atoms, _MANY), (low, high), mean)


def drawn_values(
    x: ArrayLike, density: ArrayLike, atoms: Sequence[Sequence[float]], ends: Sequence[float], mean: float
) -> DrawnLaw:
    """The same from values that are known already.

    Args:
        x: ascending points, (n,).
        density: per unit of the eigenvalue at each, (n,); NaN where it is not known.
        atoms: (position, mass), masses in (0, 1].
        ends: lower and upper end of the support.
        mean: of the law, atoms included.

    Example:
        >>> drawn_values([1.0, 2.0], [0.5, 0.5], [], (0.0, 2.0), 1.0).span
        (-0.08, 2.08)
    """
    low, high = map(float, ends)
    points, values = np.asarray(x, dtype=float), np.asarray(density, dtype=float)
    log = _spans_decades(low, high, mean)
    if log:
        span = (max(low, _DEEPEST * high) / 1.3, high * 1.3)
        shown = points > span[0]
        points, values = points[shown], values[shown] * points[shown] * np.log(10)
    else:
        width = high - low if high - low > 1e-6 * abs(high) else abs(high) or 1.0
        span = (low - _MARGIN * width, high + _MARGIN * width)
    return DrawnLaw(points, values, tuple((float(a), float(m)) for a, m in atoms), low, high, mean, span, log)


def _in_parts(law: Law, x: np.ndarray, progress: Callable[[float], None]) -> np.ndarray:
    parts = []
    for part in np.array_split(x, _PARTS):
        progress(len(parts) / _PARTS)
        parts.append(law.density(part, throw=False))
    return np.concatenate(parts)


def _spans_decades(low: float, high: float, mean: float) -> bool:
    return low >= 0 and mean > 0 and high > _DECADES * mean
