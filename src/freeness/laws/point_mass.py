"""Point mass and projection: the atomic laws with a closed S-transform."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact

from freeness.errors import InputError
from freeness.laws.atomic import AtomicLaw
from freeness.laws.curve import ClosedCurve, SpectralCurve
from freeness.numerics import Jet, Number, lower_log, plain, upper_log

_TINY = 1e-100  # a smaller position overflows in z/position


@dataclass(frozen=True)
class PointMass(AtomicLaw):
    """δ(position): the law of position·1. S(u) = 1/position.

    Example:
        >>> PointMass(2.0).moment(3)
        8.0
    """

    position: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.position):
            raise InputError(f"expected a finite position, got {self.position}; check where it was computed.")

    @property
    def positions(self) -> Float[np.ndarray, " atoms"]:
        return np.array([self.position])

    @property
    def masses(self) -> Float[np.ndarray, " atoms"]:
        return np.ones(1)

    @property
    def curve(self) -> SpectralCurve:
        return ClosedCurve(self) if abs(self.position) > _TINY else super().curve

    def moment_inverse(self, u: Number) -> Number:
        """a(1 + u)."""
        return self.position * (u + 1.0)

    def cauchy_of_u(self, u: Number) -> Number:
        """u/a."""
        return u / self.position

    def potential_of_u(self, u: Inexact[np.ndarray, "*points"] | Jet) -> Inexact[np.ndarray, "*points"]:
        """z - a = a/u."""
        return upper_log(self.position / plain(u))


@dataclass(frozen=True)
class Projection(AtomicLaw):
    """trace·δ(height) + (1 - trace)·δ(0): a projection of normalised trace ``trace``, times ``height``.

    S(u) = (1+u)/(height·(trace+u)). Source: Voiculescu, Dykema, Nica (1992), ex. 3.6.7.

    Example:
        >>> Projection(0.5).mean
        0.5
    """

    trace: float
    height: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.trace < 1:
            raise InputError(
                f"expected a trace strictly between 0 and 1, got {self.trace}; use PointMass for the trivial cases."
            )
        if not (np.isfinite(self.height) and self.height > 0):
            raise InputError(f"expected a height > 0, got {self.height}; scale the law afterwards for other signs.")

    @property
    def positions(self) -> Float[np.ndarray, " atoms"]:
        return np.array([0.0, self.height])

    @property
    def masses(self) -> Float[np.ndarray, " atoms"]:
        return np.array([1.0 - self.trace, self.trace])

    @property
    def rank(self) -> float:
        return self.trace

    @property
    def curve(self) -> SpectralCurve:
        return ClosedCurve(self)

    def moment_inverse(self, u: Number) -> Number:
        """height·(trace + u)."""
        return self.height * (u + self.trace)

    def cauchy_of_u(self, u: Number) -> Number:
        """u(1 + u)/(height·(trace + u))."""
        return u * (u + 1.0) / (self.height * (u + self.trace))

    def potential_of_u(self, u: Inexact[np.ndarray, "*points"] | Jet) -> Inexact[np.ndarray, "*points"]:
        """z = h(α+u)/u, z - h = hα/u: α log(z - h) + (1-α) log z."""
        shifted = lower_log(plain(u + self.trace))
        return np.log(self.height) - lower_log(plain(u)) + self.trace * np.log(self.trace) + (1 - self.trace) * shifted
