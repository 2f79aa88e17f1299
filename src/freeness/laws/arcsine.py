"""The arcsine law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Inexact

from freeness.errors import InputError
from freeness.laws.cauchy_law import TransformLaw, outer_root
from freeness.laws.curve import Transform
from freeness.laws.law import CentredLaw
from freeness.numerics import upper_log


@dataclass(frozen=True)
class Arcsine(CentredLaw, TransformLaw):
    """Density 1/(π√(radius² - x²)) on (-radius, radius); G(z) = 1/√(z² - radius²). With radius 2 the law of ±1 ⊞ ±1.

    Source: Voiculescu, Dykema, Nica (1992), ex. 3.4.5.

    Example:
        >>> Arcsine().variance
        2.0
    """

    radius: float = 2.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.radius) and self.radius > 0):
            raise InputError(f"expected a radius > 0, got {self.radius}; use PointMass(0.0) for the trivial case.")

    @property
    def variance(self) -> float:
        return self.radius**2 / 2

    @property
    def hull(self) -> tuple[float, float]:
        return -float(self.radius), float(self.radius)

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """1/√ and z/√ - 1 = r²/(√(z + √)), √ = √(z² - r²)."""
        root = outer_root(z, *self.hull)
        square = self.radius**2
        return (1 / root, -z / root**3), (square / (root * (z + root)), -square / root**3)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """log((z + √)/2)."""
        return upper_log((z + outer_root(z, *self.hull)) / 2)
