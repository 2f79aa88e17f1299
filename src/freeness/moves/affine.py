"""factor·X + constant for a law that answers by itself, so that nothing needs solving."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.laws.cauchy_law import TransformLaw, as_cauchy_law
from freeness.laws.curve import SpectralCurve, Transform
from freeness.laws.law import Atom, Boundary, Law
from freeness.laws.support import Edge
from freeness.moves.move import Scale, Shift
from freeness.moves.moved_curve import MovedCurve


@dataclass(frozen=True)
class AffineLaw(TransformLaw):
    """The law of factor·X + constant, factor > 0.

    Example:
        >>> from freeness.laws import MarchenkoPastur
        >>> AffineLaw(MarchenkoPastur(1.0), 2.0, 1.0).hull
        (1.0, 9.0)
    """

    law: Law
    factor: float
    constant: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.factor) and self.factor > 0 and np.isfinite(self.constant)):
            raise InputError(f"expected a finite factor > 0 and a finite constant, got {self.factor}, {self.constant}.")

    @property
    def curve(self) -> SpectralCurve:
        return MovedCurve(self.law.curve, (Scale(self.factor), Shift(self.constant)))

    @property
    def mean(self) -> float:
        return self._forward(self.law.mean)

    @property
    def variance(self) -> float:
        variance = float(self.law.variance) * self.factor * self.factor  # a power would raise where it overflows
        if not np.isfinite(variance):
            raise InputError(
                f"expected a law with a variance below 1e308, got one times {self.factor:.3g}²; scale the variable down (of a "
                "network: its weights)."
            )
        return variance

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return tuple(Atom(self._forward(x), mass) for x, mass in self.law.atoms)

    @property
    def hull(self) -> tuple[float, float]:
        low, high = self.law.hull
        return self._forward(low), self._forward(high)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        return tuple((self._forward(low), self._forward(high)) for low, high in self.law.bands)

    @property
    def edges(self) -> tuple[Edge, ...]:
        return tuple(replace(edge, position=self._forward(edge.position)) for edge in self.law.edges)

    def boundary(self, x: np.ndarray) -> Boundary:
        inner = self.law.boundary((x - self.constant) / self.factor)
        potential = inner.potential + np.log(self.factor)
        return Boundary(inner.g / self.factor, potential, inner.error / self.factor, inner.converged)

    def cauchy(self, z: ArrayLike) -> np.ndarray:
        return self.law.cauchy((np.asarray(z) - self.constant) / self.factor) / self.factor

    def transforms(self, z: np.ndarray) -> tuple[Transform, Transform]:
        """Those of X at (z - constant)/factor; u gains constant·G."""
        w, ratio = (z - self.constant) / self.factor, self.constant / self.factor
        (g, dg), (u, du) = as_cauchy_law(self.law).transforms(w)
        return (g / self.factor, dg / self.factor**2), (u + ratio * g, (du + ratio * dg) / self.factor)

    def potential(self, z: np.ndarray) -> np.ndarray:
        """That of X at (z - constant)/factor, plus log factor."""
        return as_cauchy_law(self.law).potential((z - self.constant) / self.factor) + np.log(self.factor)

    def _forward(self, x: float) -> float:
        return self.factor * x + self.constant
