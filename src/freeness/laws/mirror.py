"""The law of -X."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from freeness.laws.atomic import AtomicLaw
from freeness.laws.atoms import Atoms, simplify
from freeness.laws.cauchy_law import TransformLaw, as_cauchy_law
from freeness.laws.curve import SpectralCurve, Transform
from freeness.laws.law import Atom, Boundary, Law
from freeness.laws.reflected_curve import MirrorCurve


@dataclass(frozen=True)
class Mirror(TransformLaw):
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
    def atoms(self) -> tuple[Atom, ...]:
        return tuple(Atom(-x, mass) for x, mass in reversed(self.law.atoms))

    @property
    def hull(self) -> tuple[float, float]:
        low, high = self.law.hull
        return -high, -low

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        return tuple((-high, -low) for low, high in reversed(self.law.bands))

    @property
    def symmetric(self) -> bool:
        return self.law.symmetric

    def moment(self, order: int) -> float:
        return (-1) ** order * self.law.moment(order)

    def moments(self, order: int) -> np.ndarray:
        return self.law.moments(order) * (-1.0) ** np.arange(1, order + 1)

    def cauchy(self, z: ArrayLike) -> np.ndarray:
        return -np.conj(self.law.cauchy(-np.conj(z)))

    def boundary(self, x: np.ndarray) -> Boundary:
        inner = self.law.boundary(-x)
        return Boundary(-inner.g.conj(), inner.potential.conj() + 1j * np.pi, inner.error, inner.converged)

    def transforms(self, z: np.ndarray) -> tuple[Transform, Transform]:
        """-conj G and conj u at -conj z."""
        (g, dg), (u, du) = as_cauchy_law(self.law).transforms(-np.conj(z))
        return (-np.conj(g), np.conj(dg)), (np.conj(u), -np.conj(du))

    def potential(self, z: np.ndarray) -> np.ndarray:
        """z + x = -conj(-conj z - x)."""
        return np.conj(as_cauchy_law(self.law).potential(-np.conj(z))) + 1j * np.pi


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
