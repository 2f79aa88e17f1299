"""The law of 1/X."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact

from freeness.errors import InputError
from freeness.laws.atomic import AtomicLaw
from freeness.laws.atoms import Atoms, simplify
from freeness.laws.image_law import Branches, ImageLaw
from freeness.laws.law import Boundary, Law, require_laws
from freeness.laws.support import require_apart
from freeness.numerics import upper_log

_TINY = 1e-100  # a z of 0 would be infinite in w


@dataclass(frozen=True)
class Inverse(ImageLaw):
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
            require_apart(self.law)
            raise InputError(
                f"expected a law whose support does not hold 0, got one on {listed(self.law.support)}; shift it, or cut it off."
            )

    @property
    def mean(self) -> float:
        return -float(np.real(self.law.cauchy(0.0)))

    @property
    def variance(self) -> float:
        return float(self.moments(2)[1]) - self.mean**2

    def image(self, x: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        return 1 / x

    def branches(self, z: Inexact[np.ndarray, "*points"]) -> Branches:
        w = 1 / np.where(np.abs(z) < _TINY, _TINY, z)[None]
        swapped = -w, w**2
        return Branches((w, -(w**2)), beta=swapped, gamma=swapped)

    def gained(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """log(z - 1/x) = log z + log((x - 1/z)/x)."""
        return upper_log(z) + self._constant

    @cached_property
    def _constant(self) -> complex:
        positive = 1 - float(self.law.cdf(0.0))
        return 1j * np.pi * positive - float(self.law.log_potential(0.0))

    @property
    def criticals(self) -> Float[np.ndarray, " criticals"]:
        return np.zeros(1)

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        found, zero = super().boundary(x), x == 0
        g, potential = np.where(zero, -self.law.mean, found.g), np.where(zero, self._constant, found.potential)
        return Boundary(g, potential, np.where(zero, 0.0, found.error), found.converged | zero)


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
