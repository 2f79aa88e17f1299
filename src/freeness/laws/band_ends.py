"""Where bands end: gaps, cusps and narrow bands resolved by sections, and their ends polished on the curve."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from freeness.errors import ConvergenceError
from freeness.laws.curve import SpectralCurve, settled

if TYPE_CHECKING:
    from freeness.laws.banded_law import BandedLaw

DARK = 1e-7  # a density below this, in units of 1/width, counts as none
_FAINT = 1e-2  # of that: densities within this ratio of it on both sides fade, they do not end
_TOUCH = 2e-4  # a density below this, in units of 1/width, at a minimum narrowed to 1e-12 is a zero
_SMOOTH = 0.9  # a minimum above this share of the density 1/16 of a grid step away is none of a cusp or gap
_NARROWEST = 1e-11  # relative width below which a gap is a cusp, the density there being rounding
_HIDDEN = 1e-9  # a mass below this in a gap is rounding
_BESIDE = (
    1e-6,
    1e-4,
    1e-2,
    0.1,
)  # where in a gap, relative to its width, its two sides are read, the first that converge
_LOST = 8.0  # times the width of a bracket: so far from it no end is looked for
_ZOOM = 33
_SECTIONS = 6  # of a bracket at most, each followed by a try to polish
_NARROWINGS = 12

Bracket = tuple[float, float]  # a point inside a band, and one outside with one end between them


def _sections(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(k, 33) points from left to right, both included."""
    return left[:, None] + (right - left)[:, None] * np.linspace(0.0, 1.0, _ZOOM)


def band_ends(law: BandedLaw, brackets: Sequence[Bracket]) -> list[float]:
    """The end of a band in each bracket, all at once: narrowed by sections until the polished end lies inside.

    Where the density goes on behind the threshold, however faint, there is no end: the band is cut there.
    """
    if not brackets:
        return []
    bright, dark = np.array(brackets, dtype=float).T
    scale, found = law.hull[1] - law.hull[0], np.full(len(brackets), np.nan)
    for _ in range(_SECTIONS):
        open_ = np.flatnonzero(np.isnan(found))
        if open_.size == 0:
            break
        x = _sections(bright[open_], dark[open_])
        density = law.lit(x) * scale
        beyond = density.copy()
        density[:, 0], density[:, -1] = np.inf, 0.0
        first = np.argmax(density <= DARK, axis=1)  # unconverged points are neither lit nor dark
        lit = (density > DARK) & (np.arange(_ZOOM) < first[:, None])
        last = _ZOOM - 1 - np.argmax(lit[:, ::-1], axis=1)
        rows = np.arange(open_.size)
        bright[open_], dark[open_] = x[rows, last], x[rows, first]
        fading = density[rows, last] < DARK / _FAINT  # where a band ends the density falls from more, at once
        faint = fading & (beyond[rows, first] > _FAINT * DARK) & (beyond[rows, first] <= DARK)
        found[open_[faint]] = x[rows, first][faint]
        if not faint.all():
            found[open_[~faint]] = law.polished_edges(bright[open_[~faint]], dark[open_[~faint]])
    return np.where(np.isnan(found), (bright + dark) / 2, found).tolist()


def resolved_dips(law: BandedLaw, left: np.ndarray, right: np.ndarray) -> tuple[list[float], list[Bracket]]:
    """What minima of the density between each left and right are: positions of cusps, and brackets of the ends of gaps."""
    cusps: list[float] = []
    gaps: list[Bracket] = []
    minimum: np.ndarray | None = None
    scale = law.hull[1] - law.hull[0]
    for narrowing in range(_NARROWINGS):
        if left.size == 0:
            break
        x, rows = _sections(left, right), np.arange(left.size)
        density = np.where(np.isnan(found := law.lit(x)), np.inf, found) * scale
        dark = (density <= DARK) & ((right - left) > _NARROWEST * scale)[:, None]
        dark[:, 0] = dark[:, -1] = False
        for i in np.flatnonzero(dark.any(axis=1)):
            inside = np.flatnonzero(dark[i])
            gaps += [(x[i, inside[0] - 1], x[i, inside[0]]), (x[i, inside[-1] + 1], x[i, inside[-1]])]
        lowest = np.clip(np.argmin(density, axis=1), 1, _ZOOM - 2)
        minimum = density[rows, lowest]
        smooth = (minimum > _TOUCH) & (minimum > _SMOOTH * np.minimum(density[:, 0], density[:, -1]))
        kept = ~dark.any(axis=1) & ~(smooth & (narrowing > 0))
        left, right = x[rows, lowest - 1][kept], x[rows, lowest + 1][kept]
        minimum = minimum[kept]
    else:
        assert minimum is not None
        middle = (left + right)[minimum <= _TOUCH] / 2
        cusps = [0.0 if law.symmetric and abs(x) < 1e-9 * scale else float(x) for x in middle]
    return cusps, gaps


def hidden_bands(law: BandedLaw, ends: np.ndarray) -> list[Bracket]:
    """Brackets of the ends of bands inside the gaps (ends[0], ends[1]), (ends[2], ends[3]), … in which the cdf gains mass."""
    cuts = np.array([position for position, _ in law.atoms])
    segments: list[Bracket] = []
    for low, high in zip(ends[::2], ends[1::2], strict=True):
        stops = [low, *cuts[(cuts > low) & (cuts < high)], high]
        segments += [(a, b) for a, b in pairwise(stops) if b - a > _NARROWEST * (ends[-1] - ends[0])]
    if not segments:
        return []
    sides = np.array(segments)
    inward = np.diff(sides, axis=1) * [1.0, -1.0]
    inward[sides == ends[0]] = 0.0  # no mass lies beyond
    if not np.isin(ends[-1], cuts):  # (of an atom there, the distribution function has the mass already)
        inward[sides == ends[-1]] = 0.0
    outer, reached = sides.copy(), np.full(sides.shape, np.nan)
    for beside in _BESIDE:
        lost = np.isnan(reached)
        outer[lost] = (sides + beside * inward)[lost]
        reached[lost] = law.cdf(outer[lost], throw=False)
    if np.isnan(reached).any():
        raise ConvergenceError(
            f"expected the distribution function between bands, it did not converge near {outer[np.isnan(reached)][0]:.9g}."
        )
    gain = np.diff(reached, axis=1)[:, 0]
    return [bracket for i in np.flatnonzero(gain > _HIDDEN) for bracket in _around_mass(law, *outer[i])]


def _around_mass(law: BandedLaw, left: float, right: float) -> list[Bracket]:
    """Brackets of both ends of the band in which the cdf gains most between two dark points."""
    low, high = left, right
    for _ in range(_NARROWINGS):
        x = np.linspace(low, high, _ZOOM)
        density = law.lit(x[1:-1])
        brightest = int(np.argmax(np.nan_to_num(density)))
        if density[brightest] * (law.hull[1] - law.hull[0]) > DARK:
            return [(x[brightest + 1], left), (x[brightest + 1], right)]
        i = int(np.argmax(np.nan_to_num(np.diff(law.cdf(x, throw=False)))))
        low, high = x[i], x[i + 1]
    raise ConvergenceError(
        f"expected a band between {left:.9g} and {right:.9g}, where mass lies, got one below "
        f"{DARK:g} of the mean density at every point; it is too narrow for double precision."
    )


def polish_edges(curve: SpectralCurve, bright: np.ndarray, dark: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """The critical values of z on the real parameter line near the solutions at lit and dark points (size, k); NaN if lost.

    dz/dt vanishes at an edge; secant steps on the base parameter, inner unknowns following by their own Newton steps.
    ``reach`` (k,) is the distance of both points: a search that goes far beyond is lost.
    """
    parameters = np.real(dark).astype(complex)
    step = np.real(bright[0]) - np.real(dark[0])
    before = slope_before = start = np.full(step.shape, np.nan)
    found, open_ = np.full(step.shape, np.nan), np.ones(step.shape, dtype=bool)
    with np.errstate(all="ignore"):  # a secant of equal slopes gives infinity, which ends the search there
        for k in range(40):
            parameters, point = settled(curve, parameters)
            slope, base, z = np.real(point.z.change[0]), np.real(parameters[0]), np.real(point.z.value)
            if k == 0:
                start = z
            else:
                step = -slope * (base - before) / (slope - slope_before)
            before, slope_before = base, slope
            arrived = open_ & (np.abs(step) <= 1e-13 * np.abs(base))
            found[arrived] = z[arrived]
            open_ &= ~arrived & np.isfinite(step) & (np.abs(z - start) <= _LOST * reach)
            if not open_.any():
                break
            step = np.where(open_, step, 0.0)
            rates = np.stack([row[0] for row in point.updates]) if point.updates else np.empty((0, step.size))
            parameters = parameters + np.concatenate([step[None], rates * step])
    return found
