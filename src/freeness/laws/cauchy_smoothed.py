"""The free Cauchy law, and its free sum with any other."""

# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike

from freeness.errors import ConvergenceError, InputError
from freeness.laws.curve import SpectralCurve
from freeness.laws.curve_law import CurveLaw, solver_of
from freeness.laws.law import Atom, Boundary, Law, real_points, require_laws
from freeness.laws.point_mass import PointMass


@dataclass(frozen=True)
class CauchySmoothed(Law):
    """X ⊞ (width · a free Cauchy variable): G(z) = G_X(z + i·width) for Im z ≥ 0; it has neither mean nor variance.

    The classical and the free sum with a Cauchy variable are the same law: X seen at the resolution ``width``.
    Source: Bercovici, Voiculescu (1993).

    Example:
        >>> float(CauchySmoothed(PointMass(0.0), 1.0).density(0.0) * np.pi)
        1.0
    """

    law: Law
    width: float

    def __post_init__(self) -> None:
        require_laws(self.law)
        if not (np.isfinite(self.width) and self.width > 0):
            raise InputError(f"expected a width > 0, got {self.width}.")

    @property
    def curve(self) -> SpectralCurve:
        raise InputError(
            "expected a law of finite variance, got one with a Cauchy part; it can be shifted, scaled and added (⊞) only."
        )

    @property
    def mean(self) -> float:
        raise InputError("expected a law with a mean, got one with a Cauchy part; use its quantiles.")

    @property
    def variance(self) -> float:
        raise InputError("expected a law with a variance, got one with a Cauchy part; use its quantiles.")

    def moments(self, order: int) -> Float[np.ndarray, " order"]:
        raise InputError(f"expected a law with moments, got one with a Cauchy part (order {order}); use its quantiles.")

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return ()

    @property
    def hull(self) -> tuple[float, float]:
        return -np.inf, np.inf

    @property
    def symmetric(self) -> bool:
        return self.law.symmetric

    @cached_property
    def _solver(self) -> CurveLaw:
        return solver_of(self.law)

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        points = np.asarray(z).astype(complex)
        below = np.imag(points) < 0
        g = self.law.cauchy(np.where(below, points.conj(), points) + 1j * self.width)
        return np.where(below, g.conj(), g)

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        return self._solver.above(x + 1j * self.width)

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        points = real_points(x)
        boundary = self.boundary(points.ravel())
        return self._checked(1 - boundary.potential.imag / np.pi, boundary, throw).reshape(points.shape)

    def quantile(self, p: ArrayLike, *, tolerance: float = 0.0) -> Float[np.ndarray, "*points"]:
        levels = np.asarray(p, dtype=float)
        if not np.all((levels > 0) & (levels < 1)):
            raise InputError(f"expected probabilities inside (0, 1), got {levels}; the support is the whole line.")
        low, high = self.law.hull
        reach = self.width * np.tan(np.pi * (levels - 0.5))
        room = 1e-6 * (
            self.width + np.abs(reach) + abs(low) + abs(high)
        )  # so that rounding of the cdf leaves a sign change
        brackets = (low + reach - room, high + reach + room)
        from scipy.optimize import elementwise  # loads much: not before it is asked for

        found = elementwise.find_root(lambda x, level: self.cdf(x) - level, brackets, args=(levels,))
        if not np.all(found.success):
            raise ConvergenceError(
                f"expected quantiles of {levels}, got none for some; they lie where the distribution function is 0 or 1 to "
                "rounding, so ask for levels farther inside."
            )
        return np.asarray(found.x)


def FreeCauchy(location: float = 0.0, width: float = 1.0) -> CauchySmoothed:
    """The Cauchy law, density width/(π((x - location)² + width²)): R = location - i·width.

    Args:
        location: its centre.
        width: half its width at half its height, > 0.

    Example:
        >>> float(FreeCauchy(1.0, 2.0).quantile(0.75))
        3.0
    """
    return CauchySmoothed(PointMass(location), width)
