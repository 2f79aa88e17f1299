"""factor·X + constant for a law that answers by itself, so that nothing needs solving."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Inexact

from freeness.errors import InputError
from freeness.laws import Branches, Edge, ImageLaw, Law, SpectralCurve
from freeness.moves.move import Scale, Shift
from freeness.moves.moved_curve import MovedCurve


@dataclass(frozen=True)
class AffineLaw(ImageLaw):
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
        moves = (
            (Scale(self.factor), Shift(self.constant)) if self.constant else (Scale(self.factor),)
        )  # keeps 0 where it is
        return MovedCurve(self.law.curve, moves)

    @property
    def symmetric(self) -> bool:
        return self.constant == 0 and self.law.symmetric

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
    def hull(self) -> tuple[float, float]:
        low, high = self.law.hull
        return self._forward(low), self._forward(high)

    @property
    def edges(self) -> tuple[Edge, ...]:
        return tuple(replace(edge, position=self._forward(edge.position)) for edge in self.law.edges)

    def image(self, x: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        return self.factor * x + self.constant

    def branches(self, z: Inexact[np.ndarray, "*points"]) -> Branches:
        one, none = np.ones((1, z.size)), np.zeros((1, z.size))
        slope, ratio = one / self.factor, self.constant / self.factor * one
        at = (z[None] - self.constant) / self.factor
        return Branches((at, slope), alpha=(slope, none), gamma=(ratio, none), delta=(one, none))

    def gained(self, z: Inexact[np.ndarray, "*points"]) -> complex:
        """log(z - factor·x - constant) = log factor + log((z - constant)/factor - x)."""
        return np.log(self.factor)

    def _forward(self, x: float) -> float:
        return self.factor * x + self.constant
