"""The real axis outside the support: the end of the support as the first critical point of z, and inverses there.

On the real axis to the right of the support z decreases with the base parameter until dz/dt = 0 (a soft edge) or until the
parameter's range ends (an atom or a hard edge). Walking from far away finds the physical edge without guessing.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from freeness.laws.curve import CurvePoint, Side, SpectralCurve
from freeness.numerics import ROUNDING, check_time

_SCAN = np.linspace(np.log(1e-20), np.log(1e8), 321)  # log distances of the base parameter from its anchor
_CLOSE = np.geomspace(1e-10, 0.015, 80)
# a finer scan around where z may pass 0, without that point itself: the end of a gap behind an atom there may be as near as
# two ranks are
_FINE = np.concatenate([np.linspace(-3.0, 3.0, 400), -_CLOSE, _CLOSE])
_UNEVEN = (
    1.5  # a secant steeper than both tangents, or flatter, by this factor hides something: the scan is refined there
)
_VISIBLE = 1e-6  # relative steps of z below it may be rounding
_REFINEMENTS = 6
_STEP = 0.2
_NEAR = 60.0  # up to here brackets are 4 wide, beyond 30
_BESIDE_POLE = 1e-15
_FARTHEST = 600.0  # e^600 is still finite
_OFTEN = 200.0  # far enough for most laws
_TRIES = 80  # of Newton's method and of bisections
_ZOOM = 33
_ABOUT = np.geomspace(1e-6, 1e-2, 9) * np.array(
    [[-1.0], [1.0]]
)  # shares of a bracket, beside where its end is expected
_ZOOMS = 12
_PLACED = (
    1e-9  # of the mean, by which rounding may put a point on the other side of it: a law may be nearly a point mass
)
_SHARP = 1e-9  # in the log of the parameter: the critical value is then exact to rounding, being a minimum


def outside_point(curve: SpectralCurve, log_distance: np.ndarray, side: Side) -> CurvePoint:
    """The curve at base parameter anchor + side·scale·exp(log_distance); NaN where an inner inverse does not exist."""
    check_time()
    anchor, scale = curve.anchor(side)
    with np.errstate(all="ignore"):
        base = anchor + side * scale * np.exp(log_distance)
        return curve.evaluate(curve.real_parameters(base, side), 2)


Quantity = Literal["g", "u"]


class WalkEnd(NamedTuple):
    """Where the walk from infinity ends: the point of the support, and the log distance of the base parameter there."""

    position: float
    log_distance: float


@lru_cache(maxsize=64)
def walk_end(curve: SpectralCurve, side: Side, quantity: Quantity) -> WalkEnd:
    """The largest (side 1) or smallest (side -1) point of the support: first critical value, or the limit of the walk.

    With quantity "g" an atom at 0 ends the walk as any other; with "u", which has no pole there, the walk goes on behind it.
    NaN where no point of the curve's real axis lies outside the support on this side.
    """
    grid, point = _scanned(curve, side, quantity)
    last = 0
    for _ in range(_ZOOMS):
        rising = _outside(curve, point, side, quantity)
        last = len(grid) - 1 if rising.all() else max(int(np.argmin(rising)) - 1, 0)
        if not rising[0]:
            return WalkEnd(np.nan, np.nan)
        if rising.all() or grid[last] - grid[last + 1] < _SHARP:
            break
        grid = _closer(grid[last : last + 2], point.margin[last : last + 2])
        point = outside_point(curve, grid, side)
    return WalkEnd(float(point.z.value[last]), float(grid[last]))


def _closer(ends: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Log distances between two, evenly, and crowded about where the margin vanishes if it falls on a line."""
    start, width = ends[0], ends[1] - ends[0]
    even = np.linspace(0.0, 1.0, _ZOOM)
    with np.errstate(all="ignore"):
        zero = margin[0] / (margin[0] - margin[1])
    share = np.unique([*even, *np.clip(zero + _ABOUT, 0.0, 1.0).flat]) if np.isfinite(zero) else even
    return start + width * share


def _outside(curve: SpectralCurve, point: CurvePoint, side: Side, quantity: Quantity) -> np.ndarray:
    """Which points of the real axis lie outside: z rises at every stage and lies on its side of the mean, as g or u has its sign.

    (Where rounding is all of 1 + u, at a hard edge at 0, only the place of z tells a point from one of the curve.)
    """
    value = (point.g if quantity == "g" else point.u).value
    placed = side * (point.z.value - curve.mean) >= -_PLACED * abs(curve.mean)
    return (point.margin > 0) & placed & ((side * value > 0) | np.isinf(value))


def _scanned(curve: SpectralCurve, side: Side, quantity: Quantity) -> tuple[np.ndarray, CurvePoint]:
    """Log distances from far outside inwards, and the points there, refined where z does not rise evenly between two."""
    start, (position, scale) = _far_outside(curve, side), curve.anchor(side)
    away = abs(position) / scale
    zero = np.log(away) if away > 0 else 0.0
    far = np.arange(_SCAN[-1] + _STEP, start, _STEP)
    grid = np.unique(np.concatenate([_SCAN, _FINE, zero + _FINE, far, [max(start, _SCAN[-1])]]))[::-1]
    point = outside_point(curve, grid, side)
    for _ in range(_REFINEMENTS):
        outside = _outside(curve, point, side, quantity)
        count = len(grid) if outside.all() else int(np.argmin(outside))
        if count < 2:
            break
        with np.errstate(all="ignore"):
            tangent = point.z.change[0][:count] * np.exp(grid[:count])
            steps = -np.diff(grid[:count])
            secant = -side * np.diff(point.z.value[:count]) / (scale * steps)
            pairs = np.sort([tangent[1:], tangent[:-1]], axis=0)
            uneven = (secant > _UNEVEN * pairs[1]) | (_UNEVEN * secant < pairs[0])
            visible = np.abs(np.diff(point.z.value[:count])) > _VISIBLE * np.abs(point.z.value[: count - 1])
        hidden = np.flatnonzero(uneven & visible & (steps > _STEP / 100))
        if hidden.size == 0:
            break
        inner = grid[hidden, None] - steps[hidden, None] * np.array([0.25, 0.5, 0.75])
        grid = np.unique(np.concatenate([grid, inner.ravel()]))[::-1]
        point = outside_point(curve, grid, side)
    return grid, point


def _far_outside(curve: SpectralCurve, side: Side) -> float:
    """The least log distance (in steps) at which the law looks like a point mass at its mean, several deviations away.

    Moves that contract, as those of an ordered network, put the support's image far out on the base's axis.
    """
    far = np.arange(_SCAN[-1], _FARTHEST, 10.0)
    for part in (far[far < _OFTEN], far[far >= _OFTEN]):
        point = outside_point(curve, part, side)
        with np.errstate(all="ignore"):
            outside = (point.margin > 0) & (np.abs(point.g.value * (point.z.value - curve.mean) - 1) < 0.05)
        if outside.any():
            return float(part[np.argmax(outside)])
    return float(far[0])


def real_inverse(
    curve: SpectralCurve, value: Float[np.ndarray, " points"], side: Side, quantity: Quantity
) -> Float[np.ndarray, "unknowns points"]:
    """All parameters of the curve's real points outside the support where g or u has the given value; NaN out of reach.

    g and u of the sign of the side fall monotonically in modulus with the distance from the support; they are inverted in
    logarithms by Newton's method between brackets. (u keeps its sign only for laws on one half-line.)
    """
    sign = np.sign(value)

    def level_at(log_distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """log|g| or log|u|, and its derivative."""
        point = outside_point(curve, log_distance, side)
        found = point.g if quantity == "g" else point.u
        reached = np.where(np.isinf(found.value), np.inf, side * found.value)  # on a pole, rounding has lost the side
        rate = side * scale * np.exp(log_distance) * found.change[0] / found.value
        return np.log(np.maximum(reached, np.finfo(float).tiny)), rate

    anchor, scale = curve.anchor(side)
    start = walk_end(curve, side, quantity).log_distance
    if np.isnan(start):  # no point of the curve's real axis lies on this side
        return np.full((curve.size, value.size), np.nan)
    near = start + _BESIDE_POLE * max(abs(start), 1.0)  # the walk may end on a pole, where nothing is finite
    coarse = np.concatenate([[start], np.arange(near, _NEAR, 4.0), np.arange(max(near, _NEAR), _FARTHEST, 30.0)])
    with np.errstate(all="ignore"):
        level = np.log(np.abs(value))
        reach = level_at(coarse)[0]
        coarse, reach = coarse[np.isfinite(reach)], reach[np.isfinite(reach)]
        if coarse.size < 2:
            return np.full((curve.size, value.size), np.nan)
        inside = np.flatnonzero((level <= reach[0]) & (level > reach[-1]) & (sign == side))
        above = np.clip(np.searchsorted(-reach, -level[inside]), 1, coarse.size - 1)
        ends = np.stack([coarse[above - 1], coarse[above]])
        rounding = ROUNDING * abs(anchor) / scale  # of the distance, relative to the scale
        found = _falling_inverse(level_at, level[inside], ends, np.stack([reach[above - 1], reach[above]]), rounding)
        base = np.full(value.shape, np.nan)
        base[inside] = anchor + side * scale * np.exp(found)
    return curve.real_parameters(base, side)


def _falling_inverse(
    function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    level: np.ndarray,
    ends: np.ndarray,
    values: np.ndarray,
    rounding: float,
) -> np.ndarray:
    """Where a falling function of log distances takes each level: Newton's method, and bisection where it leaves the bracket.

    Args:
        function: value and derivative.
        level: values looked for.
        ends: (2 × levels) of brackets.
        values: of the function there.
        rounding: of a distance.
    """
    low, high = ends.copy()
    x = low + (high - low) * np.clip((values[0] - level) / (values[0] - values[1]), 0.0, 1.0)
    open_ = np.arange(level.size)
    for _ in range(_TRIES):
        value, rate = function(x[open_])
        excess = value - level[open_]
        beyond = excess < 0
        low[open_[~beyond]], high[open_[beyond]] = x[open_[~beyond]], x[open_[beyond]]
        step = -excess / rate
        aim, bottom, top = x[open_] + step, low[open_], high[open_]
        good = (aim >= bottom) & (aim <= top)
        aim = np.where(good, aim, (bottom + top) / 2)
        noise = np.maximum(np.abs(aim), np.maximum(np.abs(value), 1.0) / np.abs(rate))
        small = np.abs(aim - x[open_]) <= ROUNDING * noise + rounding * np.exp(-aim)
        x[open_] = aim
        open_ = open_[~small & (excess != 0)]
        if open_.size == 0:
            break
    return x
