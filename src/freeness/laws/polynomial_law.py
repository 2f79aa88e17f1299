"""The law of p(X) for a real polynomial p of one variable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact
from numpy.polynomial import Polynomial

from freeness.errors import InputError
from freeness.laws.image_law import Branches, ImageLaw
from freeness.laws.law import Law, require_laws
from freeness.numerics import LAST_DIGIT

_STEPS = 20  # of the roots at most; where two of them meet they do not settle


@dataclass(frozen=True)
class PolynomialLaw(ImageLaw):
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
    def symmetric(self) -> bool:
        return self.law.symmetric and not any(self.coefficients[::2])

    @property
    def mean(self) -> float:
        return float(self.moments(1)[0])

    @property
    def variance(self) -> float:
        value, terms = self._expanded((self._polynomial - self.mean) ** 2)
        if terms <= (self.hull[1] - self.hull[0]) ** 2:
            return value
        first, second = self.moments(2)
        return float(second - first**2)

    def moments(self, order: int) -> Float[np.ndarray, " order"]:
        """Of powers of p, expanded, where terms cancel by no more than a circle around the support loses; else by the circle."""
        found = super().moments(order)
        reach = max(-self.hull[0], self.hull[1])
        with np.errstate(over="ignore", invalid="ignore"):
            for k in range(1, int(order) + 1):
                value, terms = self._expanded(self._polynomial**k)
                if not terms <= reach**k:
                    break  # higher powers cancel more
                found[k - 1] = value
        return found

    def _expanded(self, polynomial: Polynomial) -> tuple[float, float]:
        """The mean of a polynomial by moments of the law, and the sum of its terms' sizes: rounding is LAST_DIGIT of that."""
        terms = polynomial.coef * np.concatenate([[1.0], self.law.moments(len(polynomial.coef) - 1)])
        return float(terms.sum()), float(np.abs(terms).sum())

    @cached_property
    def _polynomial(self) -> Polynomial:
        return Polynomial(self.coefficients)

    @property
    def criticals(self) -> Inexact[np.ndarray, " criticals"]:
        return self._polynomial(self._polynomial.deriv().roots())

    @property
    def turns(self) -> Float[np.ndarray, " turns"]:
        return self._turns

    @cached_property
    def _turns(self) -> np.ndarray:
        roots = self._polynomial.deriv().roots()
        return np.sort(np.real(roots[np.abs(roots.imag) <= 1e-9 * (1 + np.abs(roots))]))

    def image(self, x: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        return self._polynomial(x)

    def _roots(self, z: np.ndarray) -> np.ndarray:
        """The n roots of p(x) = z, (n, m); NaN at a z that is not finite.

        Those of the companion matrix are off by 1e-8 where two nearly meet; Aberth's steps, Newton's that know of the other
        roots, part them again.

        Source: Aberth, Iteration methods for finding all zeros of a polynomial simultaneously, Math. Comp. 27 (1973), 339.
        """
        finite = np.isfinite(z)
        z = np.where(finite, z, 0.0)
        degree = len(self.coefficients) - 1
        companion = np.zeros((z.size, degree, degree), dtype=complex)
        companion[:, np.arange(1, degree), np.arange(degree - 1)] = 1.0
        last = np.tile(np.array(self.coefficients[:-1], dtype=complex), (z.size, 1))
        last[:, 0] -= z
        companion[:, :, -1] = -last / self.coefficients[-1]
        x = np.linalg.eigvals(companion).T
        start, above, slope = self.coefficients[0] - z, Polynomial(self.coefficients[1:]), self._polynomial.deriv()
        with np.errstate(all="ignore"):
            for _ in range(_STEPS):
                newton = (start + x * above(x)) / slope(x)
                step = newton / (1 - newton * (1 / _apart(x)).sum(axis=1))
                step = np.where(np.isfinite(step) & (np.abs(step) < 1e-3 * (1 + np.abs(x))), step, 0.0)
                x = x - step
                if not (np.abs(step) > LAST_DIGIT * np.abs(x)).any():
                    break
        return np.where(finite, np.where(np.imag(z) == 0, _closed(x), x), np.nan)

    def branches(self, z: Inexact[np.ndarray, "*points"]) -> Branches:
        """With p = p(0) + x·h: z/(z - p(x)) = Σ (p(0) + xᵢh(xᵢ))/(p'(xᵢ)(xᵢ - x)), and Σ h(xᵢ)/p'(xᵢ) = 1."""
        p, start, h = self._polynomial, self.coefficients[0], Polynomial(self.coefficients[1:])
        x = self._roots(z.astype(complex))
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = _slopes(x, p.deriv()(x), np.imag(z) == 0), p.deriv(2)(x)
            bent = -second * first**3
            delta = h(x) * first, h.deriv()(x) * first**2 + h(x) * bent
        gamma = (start * first, start * bent) if start else None
        return Branches((x, first), alpha=(first, bent), gamma=gamma, delta=delta)

    def gained(self, z: Inexact[np.ndarray, "*points"]) -> complex:
        """log of the last coefficient; for an even degree one more root is negative at z > 0 than the phase of Π(xᵢ - x) says."""
        return np.log(self.coefficients[-1]) + (1j * np.pi if len(self.coefficients) % 2 else 0.0)


def _apart(x: np.ndarray) -> np.ndarray:
    """Differences of roots, (n, n, m), infinite between a root and itself."""
    differences = x[:, None] - x[None]
    differences[np.arange(len(x)), np.arange(len(x))] = np.inf
    return differences


def _closed(x: np.ndarray) -> np.ndarray:
    """Roots over the real line: real unless another one is about as near as the line, the others in pairs beside it."""
    height = np.abs(np.imag(x))
    real = height <= np.abs(_apart(x)).min(axis=1) / 4
    least = np.where(real, np.inf, height).argmin(axis=0)
    real[least, np.arange(x.shape[1])] |= (~real).sum(axis=0) % 2 == 1
    place = np.where(real, np.inf, np.imag(x)).argsort(axis=0).argsort(axis=0)
    side = np.where(place < (~real).sum(axis=0) / 2, -1.0, 1.0)
    return np.where(real, np.real(x), np.real(x) + 1j * side * height)


def _slopes(x: np.ndarray, slope: np.ndarray, over_line: np.ndarray) -> np.ndarray:
    """dx/dz = 1/p'(x), its sign known where roots meet: p rises at the last real one and falls at the one before."""
    real = over_line & (np.imag(x) == 0)
    later = np.where(real, np.real(x), -np.inf)[None] - np.where(real, np.real(x), np.inf)[:, None]
    place = np.arange(len(x))
    ties = (later == 0) & (place[None, :, None] > place[:, None, None])
    sign = 1.0 - 2.0 * (((later > 0) | ties).sum(axis=1) % 2)
    return np.where(real, sign / np.abs(slope), 1 / slope)
