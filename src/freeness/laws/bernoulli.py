"""The symmetric Bernoulli law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.laws.atomic import AtomicLaw


@dataclass(frozen=True)
class Bernoulli(AtomicLaw):
    """½δ(-height) + ½δ(height): a symmetry of trace 0, times ``height``; G(z) = z/(z² - height²).

    Source: Voiculescu, Dykema, Nica (1992), ex. 3.4.5.

    Example:
        >>> Bernoulli().atoms
        (Atom(position=-1.0, mass=0.5), Atom(position=1.0, mass=0.5))
    """

    height: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.height) and self.height > 0):
            raise InputError(f"expected a height > 0, got {self.height}; use PointMass(0.0) for the trivial case.")

    @property
    def positions(self) -> Float[np.ndarray, " atoms"]:
        return np.array([-self.height, self.height], dtype=float)

    @property
    def masses(self) -> Float[np.ndarray, " atoms"]:
        return np.array([0.5, 0.5])
