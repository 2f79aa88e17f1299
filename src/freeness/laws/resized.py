"""The law of the same non-zero eigenvalues in another dimension."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from freeness.laws.cauchy_law import TransformLaw
from freeness.laws.curve import Transform
from freeness.laws.law import Atom, Boundary
from freeness.numerics.half_plane import upper_log

_NOTHING = 1e-9  # an atom at 0 that is lighter is rounding


@dataclass(frozen=True)
class Resized(TransformLaw):
    """ratio·μ + (1 - ratio)·δ₀ for a law μ that is known by its transforms; for ratio > 1 it takes mass from the atom at 0.

    Example:
        >>> from freeness.laws import MarchenkoPastur, Square
        >>> Resized(Square(MarchenkoPastur(2.0)), 2.0).atoms
        ()
    """

    law: TransformLaw
    ratio: float

    @property
    def mean(self) -> float:
        return self.ratio * self.law.mean

    @property
    def variance(self) -> float:
        return self.ratio * (self.law.variance + self.law.mean**2) - self.mean**2

    @property
    def atoms(self) -> tuple[Atom, ...]:
        rest = {x: self.ratio * mass for x, mass in self.law.atoms}
        rest[0.0] = rest.get(0.0, 0.0) + 1.0 - self.ratio
        return tuple(Atom(x, mass) for x, mass in sorted(rest.items()) if x != 0 or mass > _NOTHING)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        return self.law.bands

    @property
    def hull(self) -> tuple[float, float]:
        ends = [*(end for band in self.bands for end in band), *(x for x, _ in self.atoms)]
        return min(ends), max(ends)

    @property
    def symmetric(self) -> bool:
        return self.law.symmetric

    def boundary(self, x: np.ndarray) -> Boundary:
        inner = self.law.boundary(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            return replace(
                inner,
                g=self.ratio * inner.g + (1 - self.ratio) / x,
                potential=self.ratio * inner.potential + (1 - self.ratio) * upper_log(x.astype(complex)),
                error=self.ratio * inner.error,
            )

    def cauchy(self, z: ArrayLike) -> np.ndarray:
        points = np.asarray(z)
        return self.ratio * self.law.cauchy(points) + (1 - self.ratio) / points

    def transforms(self, z: np.ndarray) -> tuple[Transform, Transform]:
        (g, dg), (u, du) = self.law.transforms(z)
        rest = 1 - self.ratio
        return (self.ratio * g + rest / z, self.ratio * dg - rest / z**2), (self.ratio * u, self.ratio * du)

    def potential(self, z: np.ndarray) -> np.ndarray:
        return self.ratio * self.law.potential(z) + (1 - self.ratio) * upper_log(z)
