"""The law of the same non-zero eigenvalues in another dimension."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Inexact

from freeness.laws.image_law import Branches, ImageLaw
from freeness.laws.law import Atom, Boundary, Law
from freeness.numerics import upper_log

_NOTHING = 1e-9  # an atom at 0 that is lighter is rounding


@dataclass(frozen=True)
class Resized(ImageLaw):
    """ratio·μ + (1 - ratio)·δ₀ for a law μ that is known by its transforms; for ratio > 1 it takes mass from the atom at 0.

    Example:
        >>> from freeness.laws import MarchenkoPastur, Square
        >>> Resized(Square(MarchenkoPastur(2.0)), 2.0).atoms
        ()
    """

    law: Law
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
    def bands_error(self) -> float:
        return self.ratio * self.law.bands_error

    @property
    def hull(self) -> tuple[float, float]:
        ends = [*(end for band in self.bands for end in band), *(x for x, _ in self.atoms)]
        return min(ends), max(ends)

    @property
    def symmetric(self) -> bool:
        return self.law.symmetric

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        inner = self.law.boundary(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            return replace(
                inner,
                g=self.ratio * inner.g + (1 - self.ratio) / x,
                potential=self.ratio * inner.potential + self.gained(x.astype(complex)),
                error=self.ratio * inner.error,
            )

    def image(self, x: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        return x

    def branches(self, z: Inexact[np.ndarray, "*points"]) -> Branches:
        one, none, rest = np.ones((1, z.size)), np.zeros((1, z.size)), (1 - self.ratio) / z[None]
        return Branches((z[None], one), (one, none), (-rest, rest / z), delta=(self.ratio * one, none))

    def gained(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """Of the mass at 0 that is new."""
        return (1 - self.ratio) * upper_log(z)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        return self.ratio * self._inner.potential(z) + self.gained(z)
