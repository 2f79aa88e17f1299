"""Distances between a law and another one, or observed values."""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from freeness.errors import ConvergenceError, InputError, TimeLimitError
from freeness.laws.atomic import AtomicLaw
from freeness.laws.atoms import Atoms
from freeness.laws.law import Law

_POINTS = 800  # of a distribution function, over both supports
_LEAST = 8  # points between two breaks, where there are few
_ZOOMS = 4
_KNOWN = 0.9  # a distribution function is monotone, so a few points that did not converge can be left out
_AT_ATOM = 1e-9  # observed values so near an atom of the law, relative to the range, lie at it


def wasserstein(law: Law, other: Law | ArrayLike) -> float:
    """W₁ = ∫ |F - H| dx between two laws, or a law and the empirical law of observed values.

    Steps are integrated exactly, continuous distribution functions by trapezoids on 800 points that crowd at the ends of
    the support (error about 1e-5 of the range).

    Args:
        law: the law of F.
        other: the law of H, or real values in any order.

    Example:
        >>> from freeness.laws import PointMass
        >>> wasserstein(PointMass(1.0), [3.0, 3.0]), wasserstein(PointMass(1.0), PointMass(0.5))
        (2.0, 0.5)
    """
    second = _as_law(other, law)
    x = _grid(law, second)
    x, (left, right, below, above) = _known(law, second, x, many=True)
    start, end = (right - above)[:-1], (left - below)[1:]  # of F - H on each cell, linear in between
    same = start * end >= 0
    total = np.abs(start) + np.abs(end)
    with np.errstate(invalid="ignore"):
        crossing = (start**2 + end**2) / total
    mean = np.where(same, total, crossing) / 2
    return float(np.sum(mean * np.diff(x)))


def kolmogorov(law: Law, other: Law | ArrayLike) -> float:
    """sup |F - H| between two laws, or a law and the empirical law of observed values.

    Exact for values, up to rounding; between two laws looked for on 800 points and then zoomed in on. Values that differ
    from an atom of the law only by rounding (1e-9 of the range) count as lying at it.

    Args:
        law: the law of F.
        other: the law of H, or real values in any order.

    Example:
        >>> from freeness.laws import Projection, Semicircle
        >>> kolmogorov(Semicircle(1.0), [0.0]), kolmogorov(Projection(0.5), Projection(0.75))
        (0.5, 0.25)
    """
    second = _as_law(other, law)
    x = np.union1d(second.positions, _atom_positions(law)) if isinstance(second, AtomicLaw) else _grid(law, second)
    best, at = _largest_gap(law, second, x)
    if isinstance(second, AtomicLaw) or isinstance(law, AtomicLaw):
        return best
    for _ in range(_ZOOMS):
        x = np.linspace(x[max(at - 1, 0)], x[min(at + 1, x.size - 1)], 33)
        try:
            gap, at = _largest_gap(law, second, x)
        except TimeLimitError:
            raise
        except ConvergenceError:  # so near a jump; the value beside it stands
            break
        best = max(best, gap)
    return best


def _largest_gap(law: Law, other: Law, x: np.ndarray) -> tuple[float, int]:
    known, (left, right, below, above) = _known(law, other, x)
    gaps = np.maximum(np.abs(left - below), np.abs(right - above))
    best = int(np.argmax(gaps))
    return float(gaps[best]), int(np.searchsorted(x, known[best]))


def _known(law: Law, other: Law, x: np.ndarray, many: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The points at which both converged, and there F(x-), F(x), H(x-), H(x)."""
    sides = np.array([*_sides(law, x, many), *_sides(other, x, many)])
    known = np.isfinite(sides).all(axis=0)
    if known.mean() < _KNOWN:
        raise ConvergenceError(
            f"expected both distribution functions at {x.size} points, {int((~known).sum())} did not converge; "
            "compare the laws on samples instead."
        )
    return x[known], sides[:, known]


def _as_law(other: Law | ArrayLike, law: Law) -> Law:
    """The other one as a law; values that are atoms of the first, up to rounding, are moved to them."""
    if isinstance(other, Law):
        return other
    values = np.asarray(other, dtype=float).ravel()
    if values.size == 0 or not np.isfinite(values).all():
        raise InputError(f"expected finite values, at least one, got {values}; remove NaN and infinities.")
    atoms = _atom_positions(law)
    if atoms.size:
        reach = _AT_ATOM * max(float(np.ptp(np.concatenate([values, atoms]))), float(np.abs(atoms).max()))
        upper = np.clip(np.searchsorted(atoms, values), 0, atoms.size - 1)
        for near in (atoms[np.maximum(upper - 1, 0)], atoms[upper]):
            values = np.where(np.abs(values - near) <= reach, near, values)
    return Atoms(values)


def _atom_positions(law: Law) -> np.ndarray:
    return law.positions if isinstance(law, AtomicLaw) else np.array([position for position, _ in law.atoms])


def _sides(law: Law, x: np.ndarray, many: bool) -> tuple[np.ndarray, np.ndarray]:
    """F(x-) and F(x), NaN where they did not converge; to 1e-7 where ``many``."""
    if isinstance(law, AtomicLaw):
        steps = np.minimum(np.concatenate([[0.0], np.cumsum(law.masses)]), 1.0)
        left, right = (steps[np.searchsorted(law.positions, x, side=side)] for side in ("left", "right"))
        return left, right
    right = law.cdf_on(x) if many else law.cdf(x, throw=False)
    left = right.copy()
    for position, mass in law.atoms:
        left[x == position] -= mass
    return left, right


def _grid(first: Law, second: Law) -> np.ndarray:
    """The atoms and ends of both laws, and between them points that crowd at these without touching them."""
    smooth = [law for law in (first, second) if not isinstance(law, AtomicLaw)]
    ends = np.array([law.hull for law in (first, second)]).ravel()
    few = [positions for law in smooth if (positions := _atom_positions(law)).size <= _POINTS // _LEAST]
    breaks = np.unique(np.concatenate([ends, *few]))
    pieces = [breaks, _atom_positions(first), _atom_positions(second)]
    if smooth and breaks.size > 1:
        share = np.diff(breaks) / (breaks[-1] - breaks[0])
        for low, high, part in zip(breaks[:-1], breaks[1:], share, strict=True):
            angle = np.pi * (np.arange(max(_LEAST, round(_POINTS * part))) + 0.5)
            pieces.append(low + (high - low) * (1 - np.cos(angle / angle.size)) / 2)
    return np.unique(np.concatenate(pieces))
