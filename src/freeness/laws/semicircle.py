"""The semicircle law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.laws.curve import AdditiveCurve, Number, SpectralCurve
from freeness.laws.law import Boundary, CentredLaw
from freeness.numerics import lower_log


@dataclass(frozen=True)
class Semicircle(CentredLaw):
    """Wigner's law: mean 0, density √(4σ² - x²)/(2πσ²) on [-2σ, 2σ] with σ² = variance; R(g) = σ²g.

    Source: Wigner (1955); Voiculescu (1986) for R.

    Example:
        >>> Semicircle(4.0).hull
        (-4.0, 4.0)
    """

    variance: float = 1.0  # pyright: ignore[reportIncompatibleMethodOverride] - a field answers for the property

    def __post_init__(self) -> None:
        if not (np.isfinite(self.variance) and self.variance > 0):
            raise InputError(f"expected a variance > 0, got {self.variance}; use PointMass(0) for the trivial case.")

    @property
    def curve(self) -> SpectralCurve:
        return AdditiveCurve(self)

    @property
    def hull(self) -> tuple[float, float]:
        radius = 2 * float(np.sqrt(self.variance))
        return -radius, radius

    def r_transform_of(self, g: Number) -> Number:
        """σ²g."""
        return self.variance * g

    def additive_potential(self, g: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """σ²g²/2."""
        return self.variance * g**2 / 2

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        points = np.asarray(z).astype(complex)
        low, high = self.hull
        return 2.0 / (points + np.sqrt(points - low) * np.sqrt(points - high))

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        low, high = self.hull
        root = np.sqrt(np.abs((x - low) * (x - high)))
        g = 2.0 / (x.astype(complex) + np.where((x > low) & (x < high), 1j * root, np.sign(x) * root))
        potential = self.additive_potential(g) - lower_log(g)
        return Boundary(g.astype(complex), potential, 4e-16 * np.abs(g), np.ones(x.shape, dtype=bool))
