"""The law of p(X) for a real polynomial p of one variable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.laws.cauchy_law import TransformLaw, as_cauchy_law
from freeness.laws.curve import CauchyLaw, Transform
from freeness.laws.curve_law import CurveLaw
from freeness.laws.law import Atom, Boundary, Law, require_laws
from freeness.laws.solved_law import SolvedLaw

_REAL = 1e-7  # relative imaginary part up to which a root counts as real, if it is one after Newton steps
_NEWTON = 3
_TOUCH = 1e-12  # relative gap between images of bands that counts as none


@dataclass(frozen=True)
class PolynomialLaw(TransformLaw):
    """The law of p(X): G(z) = Σ G_X(xᵢ)/p'(xᵢ) over the roots xᵢ of p(x) = z, by partial fractions of 1/(z - p).

    Args:
        law: of X.
        coefficients: of 1, x, x², …; the last is positive (mirror the law otherwise), the degree at least 2.

    Example:
        >>> from freeness.laws import Semicircle
        >>> PolynomialLaw(Semicircle(1.0), (0.0, 0.0, 0.0, 1.0)).hull  # X³
        (-8.0, 8.0)
    """

    law: Law
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        require_laws(self.law)
        if len(self.coefficients) < 3 or not np.isfinite(self.coefficients).all() or self.coefficients[-1] <= 0:
            raise InputError(
                f"expected finite coefficients of a polynomial of degree ≥ 2 with a positive last one, got {self.coefficients}; "
                "take scale, shift and mirror for others."
            )

    @property
    def mean(self) -> float:
        return float(self._means(self._polynomial))

    @property
    def variance(self) -> float:
        return float(self._means((self._polynomial - self.mean) ** 2))

    def moments(self, order: int) -> np.ndarray:
        return np.array([self._means(self._polynomial**k) for k in range(1, order + 1)])

    def _means(self, polynomial: Polynomial) -> float:
        coefficients = polynomial.coef
        return coefficients[0] + coefficients[1:] @ self.law.moments(len(coefficients) - 1)

    @cached_property
    def _polynomial(self) -> Polynomial:
        return Polynomial(self.coefficients)

    @cached_property
    def _transformed(self) -> CauchyLaw:
        """The law of X with its transforms at z."""
        return SolvedLaw(self.law) if isinstance(self.law, CurveLaw) else as_cauchy_law(self.law)

    @cached_property
    def _critical(self) -> np.ndarray:
        """Where p' vanishes on the real line."""
        roots = self._polynomial.deriv().roots()
        return np.sort(np.real(roots[np.abs(roots.imag) <= 1e-9 * (1 + np.abs(roots))]))

    @property
    def atoms(self) -> tuple[Atom, ...]:
        masses: dict[float, float] = {}
        for x, mass in self.law.atoms:
            image = float(self._polynomial(x))
            masses[image] = masses.get(image, 0.0) + mass
        return tuple(Atom(x, mass) for x, mass in sorted(masses.items()))

    @property
    def hull(self) -> tuple[float, float]:
        images = [self._image(low, high) for low, high in self.law.support]
        return min(low for low, _ in images), max(high for _, high in images)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        merged: list[tuple[float, float]] = []
        for low, high in sorted(self._image(*band) for band in self.law.bands):
            if merged and low <= merged[-1][1] + _TOUCH * (abs(low) + abs(high)):
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return tuple(merged)

    def _image(self, low: float, high: float) -> tuple[float, float]:
        turns = self._critical[(self._critical > low) & (self._critical < high)]
        values = self._polynomial(np.concatenate([[low], turns, [high]]))
        return float(values.min()), float(values.max())

    def _roots(self, z: np.ndarray) -> np.ndarray:
        """The n roots of p(x) = z, (n, m), polished by Newton steps."""
        degree = len(self.coefficients) - 1
        companion = np.zeros((z.size, degree, degree), dtype=complex)
        companion[:, np.arange(1, degree), np.arange(degree - 1)] = 1.0
        last = np.tile(np.array(self.coefficients[:-1], dtype=complex), (z.size, 1))
        last[:, 0] -= z
        companion[:, :, -1] = -last / self.coefficients[-1]
        x = np.linalg.eigvals(companion).T
        slope = self._polynomial.deriv()
        with np.errstate(divide="ignore", invalid="ignore"):
            for _ in range(_NEWTON):
                step = (self._polynomial(x) - z) / slope(x)
                x = np.where(np.isfinite(step) & (np.abs(step) < 1e-3 * (1 + np.abs(x))), x - step, x)
        return x

    def boundary(self, x: np.ndarray) -> Boundary:
        """At real points: real roots are approached from the half-plane that the sign of p' says, the others lie off the axis."""
        roots = self._roots(x.astype(complex))
        slope = self._polynomial.deriv()
        real = np.abs(np.imag(roots)) <= _REAL * (1 + np.abs(roots))
        along = np.where(real, np.real(roots), 0.0)
        on_axis = self.law.boundary(along.ravel())
        g, potential, error, converged = (
            value.reshape(roots.shape) for value in (on_axis.g, on_axis.potential, on_axis.error, on_axis.converged)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = 1 / slope(np.where(real, along, roots))
        up = np.where(real, np.real(weight) > 0, np.imag(roots) > 0)
        if not real.all():
            off = roots[~real]
            upper = np.where(np.imag(off) > 0, off, off.conj())
            (there, _), _ = self._transformed.transforms(upper)
            g[~real], potential[~real] = there, self._transformed.potential(upper)
            error[~real], converged[~real] = 4e-16 * np.abs(there), np.isfinite(there)
        g, potential = np.where(up, g, g.conj()), np.where(up, potential, potential.conj())
        with np.errstate(invalid="ignore"):
            known = np.asarray(converged.all(axis=0) & np.isfinite(weight).all(axis=0))
            total, error = (g * weight).sum(axis=0), (error * np.abs(weight)).sum(axis=0)
            return Boundary(total, potential.sum(axis=0) + self._constant, error, known)

    @property
    def _constant(self) -> complex:
        """log of the last coefficient; for an even degree one more root is negative at z > 0 than the phase of Π(xᵢ - x) says."""
        return np.log(self.coefficients[-1]) + (1j * np.pi if len(self.coefficients) % 2 else 0.0)

    def cauchy(self, z: ArrayLike) -> np.ndarray:
        points = np.asarray(z).astype(complex)
        roots = self._roots(points.ravel())
        values = self.law.cauchy(roots) / self._polynomial.deriv()(roots)
        return values.sum(axis=0).reshape(points.shape)

    def transforms(self, z: np.ndarray) -> tuple[Transform, Transform]:
        """Sums over the roots; zG - 1 = Σ z·u_X(xᵢ)/(xᵢp'(xᵢ)) + p(0)/(z - p(0)), without cancellation far away."""
        first, second = self._polynomial.deriv(), self._polynomial.deriv(2)
        x = self._roots(z.astype(complex))
        upper = np.imag(x) >= 0
        (g, dg), (u, du) = self._transformed.transforms(np.where(upper, x, x.conj()).ravel())
        g, dg, u, du = (np.where(upper, v, v.conj()) for v in (part.reshape(x.shape) for part in (g, dg, u, du)))
        p, pp = first(x), second(x)
        value, slope = (g / p).sum(axis=0), ((dg * p - g * pp) / p**3).sum(axis=0)
        start = self.coefficients[0]
        inner = u / (x * p)
        inner_slope = (du / (x * p) - u * (p + x * pp) / (x * p) ** 2) / p
        uz = z * inner.sum(axis=0) + start / (z - start)
        duz = inner.sum(axis=0) + z * inner_slope.sum(axis=0) - start / (z - start) ** 2
        found = (value, slope), (uz, duz)
        return found if np.iscomplexobj(z) else tuple((a.real, b.real) for a, b in found)  # type: ignore[return-value]

    def potential(self, z: np.ndarray) -> np.ndarray:
        """∫ log(z - p(x)) = Σ ∫ log(xᵢ - x), with the phase that starts at 0 for large z."""
        x = self._roots(z.astype(complex))
        upper = np.imag(x) >= 0
        values = self._transformed.potential(np.where(upper, x, x.conj()).ravel()).reshape(x.shape)
        return np.where(upper, values, values.conj()).sum(axis=0) + self._constant
