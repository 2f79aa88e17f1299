"""The law of -X."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact

from freeness.laws.atomic import AtomicLaw
from freeness.laws.atoms import Atoms, simplify
from freeness.laws.curve import SpectralCurve
from freeness.laws.image_law import Branches, ImageLaw
from freeness.laws.law import Law
from freeness.laws.reflected_curve import MirrorCurve


@dataclass(frozen=True)
class Mirror(ImageLaw):
    """The law of -X: G(z) = -conj G_X(-conj z), u(z) = conj u_X(-conj z).

    Example:
        >>> from freeness.laws import MarchenkoPastur
        >>> Mirror(MarchenkoPastur(0.25)).hull
        (-2.25, -0.25)
    """

    law: Law

    @property
    def curve(self) -> SpectralCurve:
        return MirrorCurve(self.law.curve)

    @property
    def mean(self) -> float:
        return -self.law.mean

    @property
    def variance(self) -> float:
        return self.law.variance

    @property
    def hull(self) -> tuple[float, float]:
        low, high = self.law.hull
        return -high, -low

    @property
    def symmetric(self) -> bool:
        return self.law.symmetric

    def moment(self, order: int) -> float:
        return (-1) ** order * self.law.moment(order)

    def moments(self, order: int) -> Float[np.ndarray, " order"]:
        return self.law.moments(order) * (-1.0) ** np.arange(1, order + 1)

    def image(self, x: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        return -x

    def branches(self, z: Inexact[np.ndarray, "*points"]) -> Branches:
        one, none = np.ones((1, z.size)), np.zeros((1, z.size))
        return Branches((-z[None], -one), alpha=(-one, none), delta=(one, none))

    def gained(self, z: Inexact[np.ndarray, "*points"]) -> complex:
        """log(z + x) = log(-z - x) + iπ."""
        return 1j * np.pi


def mirrored(law: Law) -> Law:
    """The law of -X in its simplest form.

    Example:
        >>> from freeness.laws import PointMass
        >>> mirrored(PointMass(2.0))
        PointMass(position=-2.0)
    """
    if law.symmetric:
        return law
    if isinstance(law, AtomicLaw):
        return simplify(Atoms(-law.positions, law.masses))
    return law.law if isinstance(law, Mirror) else Mirror(law)
