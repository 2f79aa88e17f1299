"""Free deconvolution: the law that, freely added to a given one, gives a given sum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Inexact

from freeness.errors import ConvergenceError, InputError, TimeLimitError
from freeness.laws import (
    DARK,
    REAL,
    AdditiveCurve,
    AdditiveLaw,
    Atom,
    CurveLaw,
    CurvePoint,
    Law,
    PointMass,
    free_moments,
    require_laws,
)
from freeness.moves.add import Add, Additive
from freeness.moves.moved_curve import MovedCurve
from freeness.moves.operations import shift
from freeness.numerics import Jet

_ORDER = 10  # moments of the law looked for that must be moments of a positive measure
_NEGATIVE = -1e-5  # least eigenvalue of their Hankel matrix, normalised, that may be rounding
_PROBES = 201  # points of the real axis that must have a solution
_SCAN, _SECTIONS = 401, 17  # points on which atoms are looked for, and those of each closer look
_UNEVEN = (0.0157079633, 0.0271828183)  # so that no atom is met by accident, where the distribution function is unknown
_JUMP = 1e-7  # a gain of the distribution function above it, within _CLOSE of the support's width, is an atom
_CLOSE = 3e-5


@dataclass(frozen=True)
class Subtract(Additive):
    """X with X ⊞ ν = μ: g kept, z ← z - R_ν(g). Where z of μ leaves the upper half-plane, g must still keep the lower."""

    @property
    def certain(self) -> bool:
        """No: z of μ may leave the half-plane."""
        return False

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        lost = self.gained(point, parameters)
        z, u = point.z - lost.z, point.u - lost.u
        potential = None if lost.potential is None or point.potential is None else point.potential - lost.potential
        return CurvePoint(z, point.g, u, potential, (partial(_falling, z, point.g),), point.base, lost.updates)

    def mean(self, mean: float) -> float:
        return mean - self.law.mean

    def variance(self, mean: float, variance: float) -> float:
        return variance - self.law.variance

    def lower_bound(self, bound: float) -> float:
        return -np.inf

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        raise AssertionError("atoms of a deconvolution are found on its curve")

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        x_mean = mean - self.law.mean
        own = np.empty((0, z.size)) if self.closed_law else self.curve.start(z - x_mean)
        return z + self.law.mean, own


def _falling(z: Jet, g: Jet) -> np.ndarray:
    """-Im G/|G| off the axis; on it, where G must fall with z, -dz/dG up to a positive factor."""
    if not np.iscomplexobj(z.value):
        return z.change[0] * np.sign(-g.change[0])
    below = -np.imag(g.value) / np.abs(g.value)
    real = np.abs(np.imag(g.value)) <= REAL * np.abs(g.value)
    falls = -np.real(g.change[0] * z.change[0].conj()) / np.abs(g.change[0] * z.change[0])
    return np.where(real & (np.imag(z.value) <= REAL * np.abs(z.value)), np.minimum(below, falls), below)


def free_deconvolution(total: Law, part: Law) -> Law:
    """The law of X where ``total`` = X ⊞ ``part``, if there is one.

    R_X = R_total - R_part. Free cumulants subtract always, but the result is a law only if it is a positive measure. So its
    moments up to order 10 and its Cauchy transform at 201 points of the real axis are checked. ``total`` needs a curve
    that continues through its support. Laws with a closed S or R, atoms, and what is built from them have one. A law known
    by its density has none, unless ``part`` is what was added to it last.

    Args:
        total: the law of the sum.
        part: the law of the free summand that is taken out.

    Raises:
        InputError: there is no such law.
        ConvergenceError: the curve of ``total`` could not be followed far enough to say.

    Example:
        >>> from freeness.laws import Semicircle
        >>> from freeness.moves import free_sum
        >>> noisy = free_sum(PointMass(1.0), Semicircle(1.0), Semicircle(0.5))
        >>> round(free_deconvolution(noisy, Semicircle(0.5)).hull[1], 12)
        3.0

    Source: R-transforms subtract (Voiculescu 1986); continuation as in Arizmendi, Tarrago, Vargas (2020).
    """
    require_laws(total, part)
    if isinstance(part, PointMass):
        return shift(total, -part.position)
    variance = total.variance - part.variance
    if variance < -1e-12 * total.variance:
        raise InputError(
            f"expected a part of variance at most that of the total, {total.variance:.6g}, got {part.variance:.6g}; "
            "no law has a negative variance."
        )
    if variance <= 1e-12 * total.variance:
        return PointMass(total.mean - part.mean)
    _check_moments(total, part)
    chain, symmetric = _without(total, part), total.symmetric and part.symmetric
    law = CurveLaw(chain, variance, (), -np.inf, symmetric)
    _check_axis(law)
    atoms = _jumps(law)
    return CurveLaw(chain, variance, atoms, -np.inf, symmetric)


def _without(total: Law, part: Law) -> MovedCurve:
    """The curve of the difference; a summand that was added last is left out again."""
    curve = AdditiveCurve(total) if isinstance(total, AdditiveLaw) else total.curve
    chain = curve if isinstance(curve, MovedCurve) else MovedCurve(curve, ())
    last = chain.moves[-1] if chain.moves else None
    if isinstance(last, Add) and last.law == part:
        shorter = MovedCurve(chain.base, chain.moves[:-1])
        shorter.additive = True  # its atoms are not known yet, so an atom at 0 must end the walk outside the support
        return shorter
    return chain.extended((Subtract(part),))


def _check_moments(total: Law, part: Law) -> None:
    """Raise if the moments of the difference are none, up to the order at which the subtraction leaves digits."""
    cumulants = total.free_cumulants(_ORDER) - part.free_cumulants(_ORDER)
    cumulants[0] = 0.0
    scale = np.sqrt(cumulants[1])
    noise = 1e-14 * (2 * total.standard_deviation / scale) ** np.arange(1, _ORDER + 1)
    half = int(np.count_nonzero(noise < -_NEGATIVE / 10)) // 2
    moments = np.concatenate([[1.0], free_moments(cumulants[: 2 * half] / scale ** np.arange(1, 2 * half + 1))])
    hankel = moments[np.add.outer(np.arange(half + 1), np.arange(half + 1))]
    size = np.sqrt(np.maximum(np.abs(np.diag(hankel)), 1e-12))
    least = float(np.linalg.eigvalsh(hankel / np.outer(size, size))[0])
    if least < _NEGATIVE:
        raise InputError(
            f"expected a total of which the part is a free summand, got a difference whose moments no law has (least "
            f"eigenvalue {least:.2g} of their Hankel matrix); no such law exists."
        )


def _check_axis(law: CurveLaw) -> None:
    """Raise if G cannot be continued to the axis with values in the lower half-plane, or ends where no law can.

    A law on [m, M] has variance at most (M - mean)(mean - m). Source: Bhatia, Davis, American Math. Monthly 107 (2000).
    """
    try:
        low, high = law.hull
    except TimeLimitError:
        raise
    except ConvergenceError as error:
        raise ConvergenceError(
            "expected a support of the difference around its mean, got none on the real axis; most likely the part is not a free "
            "summand of the total."
        ) from error
    room = (high - law.mean) * (law.mean - low)
    if room < (1 - 1e-6) * law.variance:
        raise ConvergenceError(
            f"expected a support of the difference that holds its variance {law.variance:.6g}, got one from {low:.6g} to "
            f"{high:.6g} with room for {max(room, 0.0):.6g}; the part is no free summand of it."
        )
    x = (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * (np.arange(_PROBES) + 0.5) / _PROBES)
    lost = int((~law.boundary(x).converged).sum())
    if lost > _PROBES // 20:
        raise ConvergenceError(
            f"expected G in the lower half-plane along [{low:.6g}, {high:.6g}], got none at {lost} of {_PROBES} points; no law "
            "freely adds up to the total, or its curve ends there."
        )


def _jumps(law: CurveLaw) -> tuple[Atom, ...]:
    """Atoms: where the distribution function gains mass in the dark, however closely one looks."""
    low, high = law.hull
    width = high - low
    x = np.linspace(low - _UNEVEN[0] * width, high + _UNEVEN[1] * width, _SCAN)
    left, right = x[:-1], x[1:]
    shares = np.concatenate([[0.0], np.linspace(_UNEVEN[0], 1 - _UNEVEN[1], _SECTIONS - 2), [1.0]])
    while left.size and (right - left).max() > _CLOSE * width:
        ends = np.stack([left, right])
        kept = (np.diff(_counted(law, ends), axis=0)[0] > _JUMP) & _dark(law, ends).all(axis=0)
        x = left[kept, None] + (right - left)[kept, None] * shares
        left, right = x[:, :-1].ravel(), x[:, 1:].ravel()
    kept = np.diff(_counted(law, np.stack([left, right])), axis=0)[0] > _JUMP if left.size else np.zeros(0, dtype=bool)
    atoms: list[Atom] = []
    for x in np.sort((left[kept] + right[kept]) / 2):  # beside an atom, rounding may show it in several sections
        found = _atom_near(law, float(x), 4 * _CLOSE * width)
        if not atoms or found.position - atoms[-1].position > _CLOSE * width:
            atoms.append(found)
    _check_masses(law, atoms)
    return tuple(atoms)


def _check_masses(law: CurveLaw, atoms: list[Atom]) -> None:
    """Raise if the distribution function is none: its potential then ended on another branch."""
    low, high = law.hull
    x = np.linspace(low - _UNEVEN[0] * (high - low), high + _UNEVEN[1] * (high - low), _SCAN)
    cdf = _counted(law, x)
    cdf = cdf[np.isfinite(cdf) & law.boundary(x).converged]
    falls = bool((np.diff(cdf) < -_JUMP).any() or (np.abs(cdf - 0.5) > 0.5 + _JUMP).any())
    if falls or any(mass <= 0 for _, mass in atoms) or sum(mass for _, mass in atoms) > 1 + _JUMP:
        raise ConvergenceError(
            "expected a distribution function that rises from 0 to 1, got one that does not; the atoms "
            "of the difference could not be followed through the support of the total."
        )


def _counted(law: CurveLaw, x: np.ndarray) -> np.ndarray:
    """The distribution function from the potential, on and beyond the hull."""
    return 1 - law.boundary(x.ravel()).potential.imag.reshape(x.shape) / np.pi


def _dark(law: CurveLaw, x: np.ndarray) -> np.ndarray:
    """Where nothing but an atom close by is felt."""
    g = law.boundary(x.ravel()).g.reshape(x.shape)
    return np.abs(g.imag) <= np.maximum(DARK / (law.hull[1] - law.hull[0]), 1e-4 * np.abs(g.real))


def _atom_near(law: CurveLaw, position: float, distance: float) -> Atom:
    """The zero of 1/G, interpolated from four points around it, and the jump of the distribution function."""
    offsets = distance * np.array([-2.0, -1.0, 1.0, 2.0])
    inverse = 1 / law.boundary(position + offsets).g.real
    below, above = _counted(law, position + distance * np.array([-1.0, 1.0]))
    return Atom(position + float(np.polyfit(inverse / distance, offsets, 3)[-1]), float(above - below))
