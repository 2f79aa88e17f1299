"""The uniform law."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.laws.cauchy_law import TransformLaw
from freeness.laws.curve import Transform
from freeness.laws.density import Bounded
from freeness.laws.law import Atom, real_points


@dataclass(frozen=True)
class Uniform(TransformLaw):
    """Density 1/(high - low) on [low, high]; G(z) = log((z - low)/(z - high))/(high - low).

    Example:
        >>> Uniform(0.0, 3.0).variance
        0.75
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise InputError(f"expected finite ends low < high, got {self.low} and {self.high}; swap or move them.")

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    @property
    def variance(self) -> float:
        return (self.high - self.low) ** 2 / 12

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return ()

    @property
    def symmetric(self) -> bool:
        return self.low == -self.high

    @property
    def hull(self) -> tuple[float, float]:
        return float(self.low), float(self.high)

    def density(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        points = real_points(x)
        return np.where((points >= self.low) & (points <= self.high), 1 / (self.high - self.low), 0.0)

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        return np.clip((real_points(x) - self.low) / (self.high - self.low), 0.0, 1.0)

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """Legendre functions Q₀ and Q₁."""
        return self._expansion.cauchy(z), self._expansion.by_x.cauchy(z)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """The antiderivative of G."""
        return self._expansion.potential(z)

    @cached_property
    def _expansion(self) -> Bounded:
        return Bounded(*self.hull, np.array([0.5]))
