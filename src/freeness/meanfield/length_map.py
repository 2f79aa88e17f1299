"""The length map q ↦ σ_w² E φ(√q ξ)² + σ_b² and its ingredients as functions of q."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction, second_moment, second_moment_slope, squared_slope
from freeness.numerics import HUGE


@dataclass(frozen=True)
class LengthMap:
    """One layer's effect on the variance of pre-activations.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        sigma_w: σ_w > 0.
        sigma_b: σ_b ≥ 0.

    Source: Poole et al. (2016); Schoenholz et al. (2017).

    Example:
        >>> from freeness.network import activation
        >>> round(LengthMap(activation("relu"), 2**0.5, 0.0)(3.0), 12)
        3.0
    """

    function: ActivationFunction
    sigma_w: float
    sigma_b: float

    def __post_init__(self) -> None:
        if not 0 < self.sigma_w < HUGE:
            raise InputError(
                f"expected sigma_w > 0 below 1e100, got {self.sigma_w}; without weights there is no network."
            )
        if not 0 <= self.sigma_b < HUGE:
            raise InputError(f"expected sigma_b ≥ 0 below 1e100, got {self.sigma_b}; it is a standard deviation.")

    def __call__(self, q: float) -> float:
        """The next layer's q."""
        start = float(self.function.function(np.zeros(1))[0]) ** 2
        return self.sigma_w**2 * (second_moment(self.function, q).value if q > 0 else start) + self.sigma_b**2

    def slope(self, q: float) -> float:
        """dq'/dq = σ_w² E φ²(ξ² - 1)/(2q) = σ_w² (E φ'² + E φφ''), by differentiating the Gaussian and not φ."""
        return self.sigma_w**2 * second_moment_slope(self.function, q)

    def gain(self, q: float) -> float:
        """χ₁ = σ_w² E φ'²: growth of squared gradients, and the slope of the correlation map at c = 1."""
        return self.sigma_w**2 * squared_slope(self.function, q)
