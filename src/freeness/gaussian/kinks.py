"""Where a function or its slope jumps, found from its values alone, for whatever function of one number.

Sixth differences tell a bend from what is smooth: over seven points at spacing h they are of order h for a kink and of order h⁶
for a smooth function, so halving h a few times leaves kinks and nothing else. Every window that is left at one spacing is looked
at again at half of it. Of what is left at the end, a polynomial on either side says where both meet and how the slope jumps.
"""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.gaussian.activations import Elementwise

REACH = 10.0  # kinks are looked for in [-10, 10]
LEAST = 1e-6  # jump of φ' that is looked for, relative to φ' beside it
_FAINT = 1e-3  # of the usual slope, below which φ counts as flat
_COARSE, _FINE = 2.0**-10, 2.0**-21  # first and last spacing: powers of two, so that all points are exact
_OFFSET = 43691 * 2.0**-38  # of the points from multiples of the spacing, where kinks and removable poles like to be
_SIGNS = np.array([1.0, -6.0, 15.0, -20.0, 15.0, -6.0, 1.0])
_WEAKEST = 1.5  # of the strongest of these differences over J·h, wherever a jump J of φ' falls between two points
_STRONGEST = 6.0
_EVERY = 16  # the rounding of φ is measured in one of so many cells
_SMOOTH = 64 * np.finfo(float).eps  # of a sixth difference, relative to φ
_SEEN = 0.1  # a jump of φ', relative to its largest values, that rounding must leave visible at the last spacing
_CROWD = 45_000  # windows at one spacing, and
_MOST = 1000  # kinks: more is roughness
_NODES = np.arange(1, 6) / 2  # of the polynomial on one side, in units of its width
_FIT = np.linalg.inv(np.vander(_NODES, 5, increasing=True)).T
_WIDTH = 16  # of it, in last spacings
_LASTING = 1e-3  # a kink leaves 0.03 or more of its difference
_STANDS_OUT = 0.01  # a jump of φ, over its rise within a width
_STEPS = 30  # of Newton's method, which halves the distance where both sides touch
_ROOT = 0.45  # distance of the crossing that is believed, in widths
_DIGITS = 12  # decimals of a kink


def find_kinks(function: Elementwise) -> tuple[float, ...]:
    """The points of [-10, 10] where φ or φ' jumps, ascending.

    It does not see jumps of φ' below 1e-6 of φ' beside them (and below 1e-9 of its usual size), jumps of φ below 1e-6 of this
    size, and what begins and ends within 0.001. Two kinks nearer to one another than 4e-6 count as one, and so does a smooth bend
    within 1e-6. A function with more than 1000 kinks is taken for a rough one without any.

    Args:
        function: φ, elementwise on float64 arrays.

    Source: Pachón, Platte, Trefethen (2010), who find edges by differences of growing order on ever smaller intervals.

    Example:
        >>> find_kinks(lambda x: np.maximum(x, 0.3 * x) + np.sin(3 * x))
        (0.0,)
    """
    with np.errstate(all="ignore"):
        found = _windows(function)
        if found.places.size == 0:
            return ()
        places = _met(function, found.merged())
    return tuple(float(place) + 0.0 for place in np.unique(places.round(_DIGITS)))


@dataclass(frozen=True)
class _Found:
    """Places, the spacing at which each was last seen, the strength of its difference, the rounding; the usual slope of φ."""

    places: np.ndarray
    spacings: np.ndarray
    strengths: np.ndarray
    noises: np.ndarray
    usual: float

    def merged(self) -> _Found:
        """One for each group of windows that overlap, in the middle of them."""
        order = self.places.argsort()
        places, spacings, strengths = self.places[order], self.spacings[order], self.strengths[order]
        firsts = np.flatnonzero(np.diff(places, prepend=-np.inf) > 2 * spacings)
        means = np.add.reduceat(strengths * places, firsts) / np.add.reduceat(strengths, firsts)
        most, noises = (np.maximum.reduceat(column, firsts) for column in (strengths, self.noises[order]))
        return _Found(means, spacings[firsts], most, noises, self.usual)


def _points(indices: np.ndarray, spacing: float) -> np.ndarray:
    return (_OFFSET - REACH) + spacing * indices


def _windows(function: Elementwise) -> _Found:
    """Windows of seven points over which φ bends at the last spacing."""
    count = int(2 * REACH / _COARSE)
    values = np.asarray(function(_points(np.arange(count), _COARSE)), dtype=float)
    usual = _usual_slope(values)
    noise, last = _noise(function, values, usual)
    starts, spacing = np.arange(count - 6), _COARSE
    kept: list[tuple[np.ndarray, ...]] = []
    while starts.size and starts.size <= _CROWD:
        points = _covered(starts)
        values = np.asarray(function(_points(points, spacing)), dtype=float)
        windows = values[np.searchsorted(points, starts)[:, None] + np.arange(7)]
        cells = (starts * (spacing / _COARSE)).astype(int)
        strength = np.abs(windows @ _SIGNS)
        rise = np.maximum(np.abs(np.diff(windows, axis=1)).max(axis=1), _FAINT * usual * spacing)
        bent = strength > np.maximum(noise[cells], LEAST * _WEAKEST * rise)
        done = bent & (spacing <= last[cells])
        places = _points(starts[done] + 3, spacing)
        kept.append((places, np.full(places.size, spacing), strength[done], noise[cells[done]]))
        starts = _covered(2 * starts[bent & ~done])
        spacing /= 2
    rough = starts.size > _CROWD or sum(len(places) for places, *_ in kept) > 8 * _MOST
    columns = (np.concatenate(column)[: 0 if rough else None] for column in zip(*kept, strict=True))
    places, spacings, strengths, noises = columns
    return _Found(places, spacings, strengths, noises, usual)


def _covered(starts: np.ndarray) -> np.ndarray:
    """The whole numbers from each start to six behind it, each once; starts ascend."""
    first = np.maximum(starts, np.concatenate([[-1], starts[:-1] + 7]))
    lengths = starts + 7 - first
    before = np.cumsum(lengths) - lengths
    return np.repeat(first - before, lengths) + np.arange(lengths.sum())


def _noise(function: Elementwise, values: np.ndarray, usual: float) -> tuple[np.ndarray, np.ndarray]:
    """By coarse cell: a bound of the rounding in a sixth difference, and the spacing at which it hides too much."""
    cells = np.arange(0, values.size, _EVERY)
    starts = (cells + 0.37) * (_COARSE / _FINE)  # away from round numbers, where kinks are
    fine = np.asarray(function(_points(starts.astype(int)[:, None] + np.arange(7), _FINE)), dtype=float)
    seen = _around(np.nan_to_num(np.abs(fine @ _SIGNS), posinf=0.0), 4)
    exact = _SMOOTH * (
        _around(np.nan_to_num(np.abs(values)), 1) + usual * np.abs(_points(np.arange(values.size), _COARSE))
    )
    noise = np.maximum(4 * np.repeat(seen, _EVERY)[: values.size], exact)
    return noise, np.clip(noise / (_WEAKEST * _SEEN * usual), _FINE, _COARSE / 8)


def _around(values: np.ndarray, reach: int) -> np.ndarray:
    """The largest of each and its neighbours up to ``reach``."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(values, reach, mode="edge"), 2 * reach + 1).max(axis=1)


def _usual_slope(values: np.ndarray) -> float:
    """Of φ on most of the range; of the whole rise where φ is flat on most of it."""
    finite = values[np.isfinite(values)]
    if finite.size < 2:
        return np.finfo(float).tiny
    usual = float(np.quantile(np.abs(np.diff(finite)), 0.9)) / _COARSE or float(np.ptp(finite)) / (2 * REACH)
    return max(usual, np.finfo(float).tiny)


def _met(function: Elementwise, found: _Found) -> np.ndarray:
    """Where the sides meet, of those that do so with a jump of φ', and where φ itself jumps."""
    around = np.diff(found.places, prepend=-np.inf, append=np.inf)
    gaps = np.minimum(around[:-1], around[1:])
    places = np.round(found.places / _FINE) * _FINE + _OFFSET
    widths = 2.0 ** np.floor(np.log2(np.minimum(_WIDTH * found.spacings, gaps / 6)))
    crowded = widths < _WIDTH / 4 * found.spacings  # no room for polynomials
    wide = _Sides.of(function, places, widths)
    places = np.where(wide.meets, places + wide.root * widths, places)
    wide, near = _Sides.of(function, places, widths), _Sides.of(function, places, widths / 2)
    least = LEAST * np.maximum(wide.slope, _FAINT * found.usual)
    least = np.maximum(least, found.noises / (_STRONGEST * found.spacings))
    bends = wide.meets & (np.abs(wide.bend) > least) & (np.abs(near.bend) > np.abs(wide.bend) / 2)
    least = np.maximum(np.maximum(LEAST * found.usual, found.noises), _STANDS_OUT * wide.slope * widths)
    jumps = ~wide.meets & (np.abs(wide.jump) > least) & (np.abs(near.jump) > np.abs(wide.jump) / 2)
    return np.concatenate(
        [
            (places + wide.root * widths)[bends & ~crowded],
            found.places[crowded & _lasting(function, found)],
            _halved(function, found.places[jumps & ~crowded], 4 * found.spacings[jumps & ~crowded]),
        ]
    )


def _lasting(function: Elementwise, found: _Found) -> np.ndarray:
    """Whether the differences are still there at an eighth of the last spacing; those of smooth bends are 8⁶ times smaller."""
    spacings = found.spacings[:, None] / 8
    around = np.asarray(function(found.places[:, None] + spacings * np.arange(-32, 33)), dtype=float)
    windows = np.lib.stride_tricks.sliding_window_view(around, 7, axis=1)
    return np.abs(windows @ _SIGNS).max(axis=1) > _LASTING * found.strengths


@dataclass(frozen=True)
class _Sides:
    """Quartics through five points on either side of a place: where they meet in widths, jumps of value and slope, the slope."""

    root: np.ndarray
    jump: np.ndarray
    bend: np.ndarray
    slope: np.ndarray

    @property
    def meets(self) -> np.ndarray:
        return np.abs(self.root) < _ROOT

    @staticmethod
    def of(function: Elementwise, places: np.ndarray, widths: np.ndarray) -> _Sides:
        right, left = (
            np.asarray(function(places[:, None] + sign * widths[:, None] * _NODES), dtype=float) @ _FIT
            for sign in (1.0, -1.0)
        )
        powers = np.arange(5)
        left = left * (-1.0) ** powers  # both in powers of (x - place)/width

        def at(coefficients: np.ndarray, u: np.ndarray, order: int) -> np.ndarray:
            exponents = np.maximum(powers - order, 0)
            factors = powers if order else np.ones(5)
            return (coefficients * factors * u[:, None] ** exponents).sum(axis=1)

        root = np.zeros(len(places))
        for _ in range(_STEPS):
            step = at(right - left, root, 0) / at(right - left, root, 1)
            root = np.clip(root - np.nan_to_num(step, posinf=1.0, neginf=-1.0), -1.0, 1.0)  # 0/0: they are the same
        ends = (0.0, _NODES[-1])
        slopes = [at(side, np.full(len(places), sign * u), 1) for side, sign in ((right, 1), (left, -1)) for u in ends]
        steepest = np.abs(slopes).max(axis=0)
        return _Sides(root, (right - left)[:, 0], at(right - left, root, 1) / widths, steepest / widths)


def _halved(function: Elementwise, places: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Where φ jumps within ``reach`` of the places, by halving."""
    low, high = places - reach, places + reach
    at_low, at_high = (np.asarray(function(ends), dtype=float) for ends in (low, high))
    for _ in range(52):
        middle = (low + high) / 2
        value = np.asarray(function(middle), dtype=float)
        left = np.abs(value - at_low) > np.abs(at_high - value)
        low, at_low = np.where(left, low, middle), np.where(left, at_low, value)
        high, at_high = np.where(left, middle, high), np.where(left, value, at_high)
    return (low + high) / 2
