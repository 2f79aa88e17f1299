"""The support of a law: its bands, and how the density vanishes or diverges at their ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from freeness.errors import ConvergenceError, TimeLimitError
from freeness.laws.band_ends import DARK, Bracket, band_ends, hidden_bands, resolved_dips
from freeness.numerics import question, time_left

if TYPE_CHECKING:
    from freeness.laws.banded_law import BandedLaw
    from freeness.laws.law import Law

_SCAN = 801  # points on which bands and gaps are looked for
_A_DECADE = 25  # points of it in each decade towards 0
_CROWDED = 1e-3  # of the lower end: nothing crowds nearer to it
_FIT = np.array([1e-5, 1e-7])  # distances from an edge, relative to the band, at which its exponent is read
_FIT_AT_ZERO = np.array([1e-12, 1e-14])  # at 0 itself distances keep their digits
_SURE = 1e-2  # largest relative error of the values from which an exponent is read
_FIT_FARTHER = np.array([1e-4, 1e-5])  # where nearer points do not converge
_RESCAN = 65  # points in a band below which it is scanned by itself
_ALL = 0.99  # share of the continuous part; no less is unknown where bands were not told apart
_LEAST = 1e-9  # a lighter band is rounding of the distribution function
_MOST = 2000  # ends of bands
_PASSES = 64  # over the gaps at most, each finding one band that the scan missed in each gap


@dataclass(frozen=True)
class Edge:
    """One end of a band: the density behaves as |x - position|^exponent on that side.

    ``side`` says which end of the band it is. ``kind``: "soft" (exponent ½, the generic case), "hard" (density unbounded),
    "cusp" (two bands that touch, exponent ⅓ generically), "other".
    """

    position: float
    side: Literal["left", "right"]
    kind: Literal["soft", "hard", "cusp", "other"]
    exponent: float


@dataclass(frozen=True)
class Bands:
    """The intervals of the continuous part, and the mass that is not known to lie in them (or in atoms).

    ``too_few``: the seconds that they were looked for, where these were too few, else infinite.
    """

    intervals: tuple[tuple[float, float], ...]
    error: float
    too_few: float = np.inf


def bands_of(law: BandedLaw) -> Bands:
    """The intervals of the continuous part that hold mass.

    A scan finds bands and gaps, its minima are narrowed to cusps and gaps, Newton on dz/dt = 0 finds the ends; where the
    distribution function gains more than the bands hold, bands were too narrow for the scan and are looked for by it;
    bands with few points of the scan are scanned again by themselves. A band counts if the distribution function gains mass in
    it. Where this comes to no end, or takes too long, the hull of the continuous part is one band, and the error says that it is.
    """
    with question(costly=law.costly):
        seconds = time_left()
        low, high = law.continuous_hull
        if not high > low:
            return Bands((), 0.0)
        try:
            law = law.remembering()
            return _with_mass(law, _scanned(law, low, high))
        except ConvergenceError as error:
            too_few = seconds if isinstance(error, TimeLimitError) else np.inf
            return Bands(((low, high),), 1.0 - sum(mass for _, mass in law.atoms), too_few)


def _with_mass(law: BandedLaw, bands: list[tuple[float, float]]) -> Bands:
    """The bands into which mass enters, told by the distribution function in the gaps between them and on their ends."""
    beyond = _beyond_ends(law, bands)
    if len(bands) < 2:
        return Bands(tuple(bands), beyond)
    ends = np.array(bands)
    cuts = (ends[:-1, 1] + ends[1:, 0]) / 2
    reached = np.concatenate([[0.0], law.cdf(cuts, throw=False), [1.0]])
    atoms = np.array([(position, mass) for position, mass in law.atoms]).reshape(-1, 2)
    place = np.searchsorted(cuts, atoms[:, 0])
    held = np.diff(reached) - np.bincount(place, atoms[:, 1], minlength=len(bands))
    touching = np.append(ends[:-1, 1] == ends[1:, 0], False) | np.append(False, ends[:-1, 1] == ends[1:, 0])
    kept = np.isnan(held) | (held > _LEAST) | touching
    left_out = float(np.abs(held[~kept]).sum())
    return Bands(tuple(band for band, keep in zip(bands, kept, strict=True) if keep), max(left_out, beyond))


def _beyond_ends(law: BandedLaw, bands: list[tuple[float, float]]) -> float:
    """What the distribution function gains from the end of a band to the next, beside atoms: ends are known to rounding.

    Mass mounts towards a hard edge behind a shift, so that so little as its rounding may hold more than :data:`_LEAST`.
    """
    ends = np.array([law.hull[0], *(end for band in bands for end in band), law.hull[1]])
    reached = law.cdf(ends, throw=False)
    for position, mass in law.atoms:
        reached = reached - np.where(position <= ends, mass, 0.0)
    return max(float(np.nansum(np.abs(np.diff(reached)[::2]))), _LEAST)


def _scanned(law: BandedLaw, low: float, high: float) -> list[tuple[float, float]]:
    """Pairs of ends of bands."""
    x = _grid(law, low, high)
    density = law.lit(x)
    lit = density[~np.isnan(density)] * (high - low) > DARK
    outer = ([low] if lit[0] else []) + ([high] if lit[-1] else [])
    ends = sorted([*outer, *_ends_along(law, [(x, density)])])
    scanned = 0
    for _ in range(_PASSES):
        if len(ends) % 2 or len(ends) > _MOST:
            raise ConvergenceError(f"expected two ends a band, at most {_MOST}, got {len(ends)} ends.")
        brackets = hidden_bands(law, np.array([low, *ends, high]))
        rows = [] if brackets else _thin_rows(law, x, ends)
        if not brackets and (not rows or len(ends) == scanned):
            return list(zip(ends[::2], ends[1::2], strict=True))
        scanned = 0 if brackets else len(ends)
        ends = sorted([*ends, *band_ends(law, brackets), *_ends_along(law, rows)])
    raise ConvergenceError(
        f"expected bands and atoms to hold all the mass, got some between the {len(ends) // 2} bands."
    )


def _thin_rows(law: BandedLaw, x: np.ndarray, ends: list[float]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scans of their own for the bands in which fewer than 65 points of the scan ``x`` lie."""
    bands = np.array(ends).reshape(-1, 2)
    thin = bands[np.searchsorted(x, bands[:, 1]) - np.searchsorted(x, bands[:, 0]) < _RESCAN]
    if thin.size == 0:
        return []
    points = thin.mean(axis=1)[:, None] + np.diff(thin, axis=1) / 2 * _chebyshev(_RESCAN)
    return list(zip(points, law.lit(points), strict=True))


def _ends_along(law: BandedLaw, rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Ends of bands between the points of each row (x ascending, density), cusps twice."""
    scale = law.hull[1] - law.hull[0]
    brackets: list[Bracket] = []
    dips: list[tuple[float, float]] = []
    for x, density in rows:
        x, density = x[~np.isnan(density)], density[~np.isnan(density)]
        lit = density * scale > DARK
        brackets += [(x[i], x[i + 1]) if lit[i] else (x[i + 1], x[i]) for i in np.flatnonzero(lit[1:] != lit[:-1])]
        falls = (density[1:-1] < density[:-2]) & (density[1:-1] <= density[2:])
        dips += [(x[i], x[i + 2]) for i in np.flatnonzero(falls & lit[:-2] & lit[1:-1] & lit[2:])]
    cusps, gaps = resolved_dips(law, *np.array(dips).reshape(-1, 2).T)
    return [*cusps, *cusps, *band_ends(law, [*brackets, *gaps])]


def _chebyshev(count: int) -> np.ndarray:
    """``count`` points in (-1, 1), clustered at its ends."""
    return -np.cos(np.pi * (np.arange(count) + 0.5) / count)


def apart(law: Law) -> bool:
    """Whether the bands that a law told last were told apart; else its hull stands for them."""
    held = 1.0 - sum(mass for _, mass in law.atoms)
    return held <= _LEAST or law.bands_error < _ALL * held


def require_apart(law: Law) -> None:
    """Refuse to go on by bands that were cut off."""
    _ = law.bands
    if not apart(law):
        raise ConvergenceError(
            f"expected the bands of {law!r}, they were not told apart; look at its bands within freeness.time_limit(600) first."
        )


def edges_of(law: Law) -> tuple[Edge, ...]:
    """Both ends of every band with the exponent of the density there, fitted at two small distances."""
    bands = law.bands
    touching = {low for low, _ in bands} & {high for _, high in bands}
    edges: list[Edge] = []
    sides: tuple[Literal["left"], Literal["right"]] = ("left", "right")
    for low, high in bands:
        for position, side, inward in zip((low, high), sides, (1.0, -1.0), strict=True):
            width = inward * (high - low)
            exponent = _exponent(law, position, width * (_FIT_AT_ZERO if position == 0 == law.lower_bound else _FIT))
            exponent = _exponent(law, position, width * _FIT_FARTHER) if np.isnan(exponent) else exponent
            edges.append(Edge(position, side, _kind(exponent, position in touching), round(exponent, 4)))
    return tuple(edges)


def _exponent(law: Law, position: float, distances: np.ndarray) -> float:
    """The power of the distance that the density follows between two of them, NaN where they are not known well enough."""
    near = law.boundary(position + distances)
    density = np.maximum(-near.g.imag, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.log(density[0] / density[1]) / np.log(distances[0] / distances[1])
    return float(exponent) if near.converged.all() and (near.error < _SURE * np.abs(near.g)).all() else np.nan


def _kind(exponent: float, touching: bool) -> Literal["soft", "hard", "cusp", "other"]:
    if touching:
        return "cusp"
    return "soft" if abs(exponent - 0.5) < 0.02 else "hard" if exponent < -0.02 else "other"


def _grid(law: BandedLaw, low: float, high: float) -> np.ndarray:
    """Points clustered at the ends of the hull, and logarithmically at 0 where a positive law may crowd."""
    middle, half = (low + high) / 2, (high - low) / 2
    x = middle + half * _chebyshev(_SCAN)
    if low >= 0:
        nearest = max(1e-9, _CROWDED * low / (high - low))
        count = int(_A_DECADE * np.log10(max(0.1 / nearest, 1.0)))
        x = np.concatenate([x, low + (high - low) * np.geomspace(nearest, 0.1, count)])
    atoms = np.array([position for position, _ in law.atoms])
    keep = (
        np.ones(x.shape, dtype=bool)
        if atoms.size == 0
        else np.abs(x[:, None] - atoms).min(axis=1) > 1e-9 * (high - low)
    )
    return np.unique(x[keep])
