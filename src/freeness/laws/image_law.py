"""The law of f(X): one mechanism for scales and shifts, mirrors, squares, inverses, polynomials and changes of dimension.

What 1/(z - f(X)) is on average follows, by partial fractions, from the transforms of X at the points where f is z. An image
states these points, how G and u = zG - 1 are made of theirs, and what its potential gains; the rest is here.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Inexact
from numpy.typing import ArrayLike

from freeness.errors import ConvergenceError
from freeness.laws.beside_atoms import LOST, beside_atoms, transforms_beside_atoms
from freeness.laws.cauchy_law import TransformLaw, as_cauchy_law
from freeness.laws.curve import CauchyLaw, Transform
from freeness.laws.law import Atom, Boundary, Law
from freeness.numerics import LAST_DIGIT

_CLOSE = 1e-3  # of a gap, around what is critical in it: farther away sums keep all but three digits
_AROUND = 32  # points of a circle, whose error is 4^-32
_TOUCH = 1e-12  # relative gap between images of bands that counts as none


@dataclass(frozen=True, eq=False)
class Branches:
    """The points x (k, n) at which f is z, and G = Σ αG_X(x) + βu_X(x), u = Σ γG_X(x) + δu_X(x); all with slopes in z.

    What is None is 0. A point comes from the upper half-plane of z where it rises with z or lies above the axis.
    """

    x: Transform
    alpha: Transform | None = None
    beta: Transform | None = None
    gamma: Transform | None = None
    delta: Transform | None = None

    @property
    def upper(self) -> Bool[np.ndarray, "*points"]:
        """Which of the points are met from the upper half-plane, where those of z are."""
        points, slope = self.x
        return (np.imag(points) > 0) | ((np.imag(points) == 0) & (np.real(slope) > 0))


class ImageLaw(TransformLaw):
    """The law of f(X) for X of law ``law``."""

    law: Law

    @property
    def turns(self) -> Float[np.ndarray, " turns"]:
        """Where f turns on the real line, ascending."""
        return np.empty(0)

    @property
    def criticals(self) -> Inexact[np.ndarray, " criticals"]:
        """Values of f where points behind z meet or pass infinity, so that sums over them lose digits."""
        return np.empty(0)

    @abstractmethod
    def image(self, x: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """f at real points."""

    @abstractmethod
    def branches(self, z: Inexact[np.ndarray, "*points"]) -> Branches:
        """The points behind ``z`` (n,); real where z is real, complex where one of them may be."""

    @abstractmethod
    def gained(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"] | complex:
        """What the potential at z has beside those of X at the points."""

    def remembering(self) -> Self:
        law = copy(self)
        object.__setattr__(law, "law", self.law.remembering())
        return law

    # --- support --------------------------------------------------------------------------------------------------

    @property
    def atoms(self) -> tuple[Atom, ...]:
        masses: dict[float, float] = {}
        for x, mass in self.law.atoms:
            image = float(self.image(np.array(x)))
            masses[image] = masses.get(image, 0.0) + mass
        return tuple(Atom(x, mass) for x, mass in sorted(masses.items()))

    @cached_property
    def _placed(self) -> tuple[Atom, ...]:
        """The atoms, which are asked for at each call."""
        return self.atoms

    @property
    def hull(self) -> tuple[float, float]:
        images = [self._covered(low, high) for low, high in self.law.support]
        return min(low for low, _ in images), max(high for _, high in images)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        images = sorted(self._covered(low, high) for low, high in self.law.bands)
        return tuple(images) if self.turns.size == 0 else merged(images)

    @property
    def bands_error(self) -> float:
        return self.law.bands_error

    def _covered(self, low: float, high: float) -> tuple[float, float]:
        """The image of an interval."""
        inside = self.turns[(self.turns > low) & (self.turns < high)]
        values = self.image(np.array([low, *inside, high]))
        return float(values.min()), float(values.max())

    # --- transforms -----------------------------------------------------------------------------------------------

    @cached_property
    def _inner(self) -> CauchyLaw:
        """The law of X with its transforms at z."""
        return as_cauchy_law(self.law)

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        points = np.asarray(z)
        flat = points.ravel()
        near, told = self._told_around(flat)
        if near.any():
            told[~near] = self.cauchy(flat[~near])
            return (told if np.iscomplexobj(flat) else np.real(told)).reshape(points.shape)
        at = self.branches(flat)
        g = self._summed_cauchy(at)
        found, error, _ = beside_atoms(self._placed, _rounded(at, flat), flat, g, self._far_cauchy)
        if (error > LOST * np.abs(found)).any():
            raise ConvergenceError(
                f"expected G off the atoms of {self!r}, got points so near to one that rounding decides over it; move them away."
            )
        return (found if np.iscomplexobj(g) else np.real(found)).reshape(points.shape)

    def _told_around(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which points lie near a critical value in a gap, and G there by Cauchy's formula over a circle in the gap."""
        near, told = np.zeros(z.shape, bool), np.zeros(z.shape, complex)
        for critical in self.criticals:
            asked = np.abs(z - critical) <= _CLOSE * np.abs(np.array(self.hull) - critical).max()
            if asked.any() and np.isfinite(self.hull).all():
                low, high = np.array(self.support).T
                gap = np.abs(critical - np.clip(np.real(critical), low, high)).min()
                here = asked & (np.abs(z - critical) <= _CLOSE * gap) & (gap > 0)
                circle = gap / 4 * np.exp(2j * np.pi * (np.arange(_AROUND) + 0.5) / _AROUND)
                if here.any():
                    g = self.cauchy(critical + circle)
                    told[here] = np.mean(g * circle / (circle - (z[here] - critical)[:, None]), axis=1)
                    near |= here
        return near, told

    def _summed_cauchy(self, at: Branches) -> np.ndarray:
        g = self.law.cauchy(at.x[0])
        return _summed(at.alpha, at.beta, g, at.x[0] * g - 1.0)

    def _far_cauchy(self, z: np.ndarray) -> np.ndarray:
        """G at points farther from an atom, NaN where they do not converge."""
        try:
            return self._summed_cauchy(self.branches(z))
        except ConvergenceError:
            return np.full(z.shape, np.nan)

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        at = self.branches(z)
        g, dg, u, du = _seen(at, lambda x: [v for pair in self._inner.transforms(x) for v in pair])
        summed = [
            (_summed(a, b, g, u), _summed(a, b, at.x[1] * dg, at.x[1] * du) + _summed(_slope(a), _slope(b), g, u))
            for a, b in ((at.alpha, at.beta), (at.gamma, at.delta))
        ]
        found = transforms_beside_atoms(self._placed, _rounded(at, z), z, summed, self._far_cauchy)
        if not np.iscomplexobj(z):
            return tuple((np.real(a), np.real(b)) for a, b in found)  # type: ignore[return-value]
        (g, dg), second = found
        above = np.where(np.imag(z) < 0, 0.0, -0.0)  # Im G ≤ -0 above the axis: roots of it begin there
        signed = np.empty_like(g)
        signed.real = np.real(g)
        signed.imag = np.where(np.imag(g) == 0, above, np.imag(g))  # a sum would lose the sign of 0
        return (signed, dg), second

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        (inner,) = _seen(self.branches(z), lambda x: [self._inner.potential(x)])
        return inner.sum(axis=0) + self.gained(z)

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        z = x.astype(complex)
        with np.errstate(all="ignore"):
            at = self.branches(z)
            found = self._boundary(z, at)

        def far(z: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):
                there = self._boundary(z, self.branches(z))
            return np.where(there.converged, there.g, np.nan)

        g, error, told = beside_atoms(self._placed, _rounded(at, z), z, found.g, far)
        known = found.converged & np.isfinite(g) & np.isfinite(error)
        return replace(found, g=g, error=np.where(told, error, np.maximum(error, found.error)), converged=known)

    def _boundary(self, z: np.ndarray, at: Branches) -> Boundary:
        """Real points are approached from the half-plane that their slope says, the others lie off the axis."""
        with np.errstate(all="ignore"):
            points = at.x[0]
            real = np.imag(points) == 0
            g, potential = np.empty((2, *points.shape), dtype=complex)
            error, converged = np.empty(points.shape), np.empty(points.shape, dtype=bool)
            for where, values in ((real, self._along), (~real, self._off)):
                if where.any():
                    found = values(points[where])
                    g[where], potential[where] = found.g, found.potential
                    error[where], converged[where] = found.error, found.converged
            g, potential = (np.where(at.upper | ~real, v, v.conj()) for v in (g, potential))
            total = _summed(at.alpha, at.beta, g, points * g - 1.0)
            weight = (0.0 if at.alpha is None else at.alpha[0]) + (0.0 if at.beta is None else at.beta[0] * points)
            solved = converged.all(axis=0)
            told = converged | (~np.isfinite(g) & np.isfinite(potential))  # on a hard edge of X inside a band
            own = np.where(told.all(axis=0), potential.sum(axis=0) + self.gained(z), complex(np.nan, np.nan))
            return Boundary(total, own, (error * np.abs(weight)).sum(axis=0), solved & np.isfinite(total))

    def _cdf_off_atoms(self, x: np.ndarray, throw: bool) -> np.ndarray:
        """As of any law; where f turns, G is infinite and the potential is not."""
        value = super()._cdf_off_atoms(x, False)
        missing = np.isnan(value)
        if missing.any():
            value[missing] = 1.0 - self.boundary(x[missing]).potential.imag / np.pi
        return super()._cdf_off_atoms(x, True) if throw and np.isnan(value).any() else value

    def _along(self, points: np.ndarray) -> Boundary:
        return self.law.boundary(np.real(points))

    def _off(self, points: np.ndarray) -> Boundary:
        upper = np.where(np.imag(points) > 0, points, points.conj())
        (g, _), _ = self._inner.transforms(upper)
        g, potential = (np.where(upper == points, v, v.conj()) for v in (g, self._inner.potential(upper)))
        return Boundary(g, potential, LAST_DIGIT * np.abs(g), np.isfinite(g))


def _rounded(at: Branches, z: np.ndarray) -> np.ndarray:
    """The sizes in which points are rounded: their own, and those of the points behind them."""
    points, slope = at.x
    with np.errstate(all="ignore"):
        return np.maximum(np.abs(z), np.nan_to_num(np.abs(points / slope), posinf=0.0).max(axis=0))


def _slope(entry: Transform | None) -> Transform | None:
    return None if entry is None else (entry[1], entry[1])


def _summed(a: Transform | None, b: Transform | None, g: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Σ a·g + b·u over the points."""
    parts = [entry[0] * value for entry, value in ((a, g), (b, u)) if entry is not None]
    return sum(parts[1:], parts[0]).sum(axis=0)


def _seen(at: Branches, values: Callable[[np.ndarray], list[np.ndarray]]) -> list[np.ndarray]:
    """Values (k, n) at the points, those of the lower half-plane by reflection."""
    points, upper = at.x[0], at.upper
    mirrored = np.real(points) + 1j * np.abs(
        np.imag(points)
    )  # real points from above: a -0j would be the other side of a cut
    found = values(mirrored.ravel())
    return [np.where(upper, v, v.conj()) for v in (v.reshape(points.shape) for v in found)]


def merged(intervals: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Ascending intervals with those that meet as one.

    Example:
        >>> merged([(0.0, 1.0), (1.0, 2.0), (3.0, 4.0)])
        ((0.0, 2.0), (3.0, 4.0))
    """
    found: list[tuple[float, float]] = []
    for low, high in intervals:
        if found and low <= found[-1][1] + _TOUCH * (abs(low) + abs(high)):
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)
