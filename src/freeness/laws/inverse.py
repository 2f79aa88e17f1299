"""The law of 1/X."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.laws.atomic import AtomicLaw
from freeness.laws.atoms import Atoms, simplify
from freeness.laws.cauchy_law import TransformLaw, as_cauchy_law
from freeness.laws.curve import Transform
from freeness.laws.law import Atom, Boundary, Law, require_laws
from freeness.numerics.half_plane import upper_log

_TINY = 1e-100  # a z of 0 would be infinite in w


@dataclass(frozen=True)
class Inverse(TransformLaw):
    """The law of 1/X for an X whose support does not hold 0: G(z) = -u_X(w)·w and u(z) = -w·G_X(w) at w = 1/z.

    As an operand of ⊞ and ⊠ it needs a law with transforms at z, as a :class:`~freeness.laws.mixture.Mixture` does.

    Example:
        >>> from freeness.laws import MarchenkoPastur
        >>> round(Inverse(MarchenkoPastur(0.5)).mean, 12)  # 1/(1 - ratio)
        2.0
    """

    law: Law

    def __post_init__(self) -> None:
        require_laws(self.law)
        if any(low <= 0 <= high for low, high in self.law.support):
            raise InputError(
                f"expected a law whose support does not hold 0, got one on {listed(self.law.support)}; shift it, or cut it off."
            )

    @property
    def mean(self) -> float:
        return -float(np.real(self.law.cauchy(0.0)))

    @property
    def variance(self) -> float:
        return float(self.moments(2)[1]) - self.mean**2

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return tuple(sorted(Atom(1 / x, mass) for x, mass in self.law.atoms))

    @property
    def hull(self) -> tuple[float, float]:
        ends = [1 / x for interval in self.law.support for x in interval]
        return min(ends), max(ends)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        return tuple(sorted((1 / high, 1 / low) for low, high in self.law.bands))

    def cauchy(self, z: ArrayLike) -> np.ndarray:
        points = np.asarray(z)
        with np.errstate(divide="ignore", invalid="ignore"):
            w = np.where(points == 0, 0.0, 1 / points)
            return np.where(points == 0, -self.mean, w * (1 - w * self.law.cauchy(w)))

    def boundary(self, x: np.ndarray) -> Boundary:
        zero = x == 0
        w = 1 / np.where(zero, 1.0, x)
        inner = self.law.boundary(w)
        positive, log_mean = 1 - float(self.law.cdf(0.0)), float(self.law.log_potential(0.0))
        g = w - w**2 * inner.g.conj()
        potential = upper_log(1 / w + 0j) + inner.potential.conj() + 1j * np.pi * positive - log_mean
        g, potential = np.where(zero, -self.mean, g), np.where(zero, 1j * np.pi * positive - log_mean, potential)
        return Boundary(g, potential, np.where(zero, 0.0, w**2 * inner.error), inner.converged | zero)

    def transforms(self, z: np.ndarray) -> tuple[Transform, Transform]:
        """-w·u_X(w) and -w·G_X(w), with w = 1/z in the other half-plane."""
        w = 1 / np.where(np.abs(z) < _TINY, _TINY, z)
        (g, dg), (u, du) = ((v.conj(), d.conj()) for v, d in as_cauchy_law(self.law).transforms(w.conj()))
        return (-w * u, w**2 * (u + w * du)), (-w * g, w**2 * (g + w * dg))

    def potential(self, z: np.ndarray) -> np.ndarray:
        """∫ log(z - 1/x) = log z + ∫ log((x - 1/z)/x)."""
        positive, log_mean = 1 - float(self.law.cdf(0.0)), float(self.law.log_potential(0.0))
        inner = as_cauchy_law(self.law).potential((1 / z).conj()).conj()
        return upper_log(z) + inner + 1j * np.pi * positive - log_mean


def listed(support: tuple[tuple[float, float], ...]) -> str:
    """The first intervals of a support, for messages.

    Example:
        >>> listed(((0.0, 1.0), (2.0, 3.5)))
        '[0, 1] and [2, 3.5]'
    """
    return " and ".join(f"[{low:.4g}, {high:.4g}]" for low, high in support[:3]) + (
        " and more" if len(support) > 3 else ""
    )


def inverse(law: Law) -> Law:
    """The law of 1/X in its simplest form.

    Example:
        >>> from freeness.laws import PointMass
        >>> inverse(PointMass(2.0))
        PointMass(position=0.5)
    """
    require_laws(law)
    if isinstance(law, AtomicLaw) and (law.positions != 0).all():
        return simplify(Atoms(1 / law.positions, law.masses))
    return law.law if isinstance(law, Inverse) else Inverse(law)
