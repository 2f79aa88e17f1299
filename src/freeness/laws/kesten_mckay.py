"""The Kesten–McKay law."""

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
class KestenMcKay(CentredLaw, TransformLaw):
    """Spectrum of the infinite d-regular tree, d = degree: the free power (±1)^{⊞d}; mean 0, variance d.

    Density d√(4(d-1) - x²)/(2π(d² - x²)) on |x| ≤ 2√(d-1). With z = ω + (d-1)/ω, |ω| ≥ √(d-1): G = ω/(ω² - 1).
    Source: Kesten (1959); McKay (1981).

    Args:
        degree: real, ≥ 2 (below 2 the free power has atoms at ±degree and below 1 it does not exist).

    Example:
        >>> KestenMcKay(5.0).hull
        (-4.0, 4.0)
    """

    degree: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.degree) and self.degree >= 2):
            raise InputError(
                f"expected a degree ≥ 2, got {self.degree}; use free_power(Bernoulli(), degree) for degrees in [1, 2)."
            )

    @property
    def variance(self) -> float:
        return float(self.degree)

    @property
    def hull(self) -> tuple[float, float]:
        radius = 2 * float(np.sqrt(self.degree - 1))
        return -radius, radius

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """ω/(ω² - 1) and d/(ω² - 1), with dω/dz = ω/√(z² - 4(d-1))."""
        root = outer_root(z, *self.hull)
        w = (z + root) / 2
        rest, slope = w**2 - 1, w / root
        return (w / rest, -(w**2 + 1) / rest**2 * slope), (self.degree / rest, -2 * self.degree * w / rest**2 * slope)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """log ω - (d/2 - 1) log(1 - ω⁻²)."""
        w = (z + outer_root(z, *self.hull)) / 2
        return upper_log(w) if self.degree == 2 else upper_log(w) - (self.degree / 2 - 1) * np.log1p(-(w**-2.0))
