"""The Wachter law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.laws.cauchy_law import outer_root
from freeness.laws.curve import ClosedCurve, SpectralCurve, beside_rank
from freeness.laws.law import Atom, Boundary, Law
from freeness.numerics import Jet, Number, lower_log, plain


@dataclass(frozen=True)
class Wachter(Law):
    """Limit law of A(A + B)⁻¹ (Jacobi, MANOVA) for independent p×p Wishart matrices A and B with n₁ and n₂ columns.

    With a = first, b = second, s = a + b the density is s√((λ₊-x)(x-λ₋))/(2πx(1-x)), λ± = ((√(a(s-1)) ± √b)/s)². There is
    an atom 1-a at 0 if a < 1, and an atom 1-b at 1 if b < 1. S(u) = (s+u)/(a+u). It is also a projection of trace a/s,
    compressed by a free projection of trace 1/s. Source: Wachter (1980).

    Args:
        first: n₁/p > 0, columns of A over dimension.
        second: n₂/p > 0; first + second > 1, so that A + B is invertible.

    Example:
        >>> Wachter(1.0, 1.0).hull  # the arcsine law on [0, 1]
        (0.0, 1.0)
    """

    first: float
    second: float

    def __post_init__(self) -> None:
        ratios = np.array([self.first, self.second], dtype=float)
        if not (np.isfinite(ratios).all() and ratios.min() > 0 and ratios.sum() > 1):
            raise InputError(
                f"expected ratios n₁/p > 0 and n₂/p > 0 with sum > 1, got {self.first} and {self.second}; "
                "with fewer columns A + B has no inverse."
            )

    @property
    def curve(self) -> SpectralCurve:
        return ClosedCurve(self)

    @property
    def mean(self) -> float:
        return self.first / (self.first + self.second)

    @property
    def variance(self) -> float:
        s = self.first + self.second
        return self.first * self.second / s**3

    @property
    def ends(self) -> tuple[float, float]:
        """Ends of the continuous part."""
        s = self.first + self.second
        low, high = (np.sqrt(self.first * (s - 1)) + sign * np.sqrt(self.second) for sign in (-1, 1))
        return float(low / s) ** 2, min(float(high / s) ** 2, 1.0)

    @property
    def atoms(self) -> tuple[Atom, ...]:
        masses = ((0.0, 1 - self.first), (1.0, 1 - self.second))
        return tuple(Atom(x, float(mass)) for x, mass in masses if mass > 0)

    @property
    def rank(self) -> float:
        return min(self.first, 1.0)

    @property
    def hull(self) -> tuple[float, float]:
        low, high = self.ends
        return (0.0 if self.first < 1 else low), (1.0 if self.second < 1 else high)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        return (self.ends,)

    def moment_inverse(self, u: Number) -> Number:
        """(1 + u)(a + u)/(s + u)."""
        return (u + 1.0) * (u + self.first) / (u + (self.first + self.second))

    def cauchy_of_u(self, u: Number) -> Number:
        """u(s + u)/(a + u)."""
        return u * (u + (self.first + self.second)) / (u + self.first)

    def potential_of_u(self, u: Inexact[np.ndarray, "*points"] | Jet) -> Inexact[np.ndarray, "*points"]:
        """∫ (1+u) d log z along z = (1+u)(a+u)/(u(s+u))."""
        a, s = self.first, self.first + self.second
        start = a * np.log(a) - s * np.log(s)
        rest = (1 - a) * lower_log(plain(u + a)) + (s - 1) * lower_log(plain(u + s))
        return start - lower_log(plain(u)) + rest

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        return self._values(np.asarray(z).astype(complex))[0]

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        z = x.astype(complex)
        with np.errstate(all="ignore"):
            g, u = self._values(z)
            rest = z * g if self.rank == 1 else u * (u + (self.first + self.second)) / g
            potential = self.potential_of_u(beside_rank(u, rest, self.rank))
        return Boundary(g, potential, 4e-16 * np.abs(g), np.isfinite(g) & np.isfinite(potential))

    def _values(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """G and u, each in that of its two forms in which nothing cancels."""
        a, s = self.first, self.first + self.second
        root = s * outer_root(z, *self.ends)
        for_g, for_u = (a - 1) + (2 - s) * z, (a + 1) - s * z
        with np.errstate(all="ignore"):
            g = np.where(
                np.abs(root + for_g) > np.abs(root - for_g),
                (root + for_g) / (2 * z * (z - 1)),
                2 * (s - 1) / (root - for_g),
            )
            u = np.where(
                np.abs(root + for_u) > np.abs(root - for_u), (root + for_u) / (2 * (z - 1)), 2 * a / (root - for_u)
            )
        return g, u
