"""Free multiplicative convolution as a move."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact

from freeness.laws import Atom, ClosedCurve, ClosedLaw, CurvePoint, Side, real_inverse, stage_margin
from freeness.moves.atoms import product_atoms
from freeness.moves.combine import Combine
from freeness.numerics import AnchoredJet, Jet, lower_log


@dataclass(frozen=True)
class Multiply(Combine):
    """X ⊠ ν: u kept, z ← z/S_ν(u). A ν without closed S brings the unknown w with ψ_ν(1/w) = u.

    U moves to U_X + U_ν(w) + log u: with z = z_X·w·u/(1+u), dU = (1+u) d log z, and (1+u) d log(u/(1+u)) = d log u.
    """

    @cached_property
    def closed_law(self) -> ClosedLaw | None:
        return curve.law if isinstance(curve := self.law.curve, ClosedCurve) else None

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        if self.closed_law:
            z = self.closed_law.moment_inverse(point.u) / point.g
            own = None if point.potential is None else self.closed_law.potential_of_u(point.u)
            margins, updates = point.margins, point.updates
        else:
            other = self.met(point, parameters, lambda own: _inverses(own.u, point.u))
            z = other.w * point.u / point.g
            own, margins, updates = other.potential, other.margins, other.updates
        potential = None if point.potential is None else point.potential + own + lower_log(point.u.value)
        margins = (*margins, stage_margin(z, point.base, point.g))
        g = point.z * point.g / z  # not (1 + u)/z, which loses its digits where z passes 0 in a gap
        return CurvePoint(z, g, point.u, potential, margins, point.base, updates)

    def mean(self, mean: float) -> float:
        return mean * self.law.mean

    def variance(self, mean: float, variance: float) -> float:
        """var/mean² adds under ⊠; written without a division."""
        return variance * self.law.mean**2 + mean**2 * self.law.variance

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return product_atoms(atoms, self.law.atoms)

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        own = np.empty((0, z.size)) if self.closed_law else self.curve.start(z / mean)
        return z / self.law.mean, own

    def real_parameters(self, point: CurvePoint, side: Side) -> Float[np.ndarray, "unknowns points"]:
        if self.closed_law:
            return super().real_parameters(point, side)
        return real_inverse(self.curve, point.u.value, side, "u")


def _inverses(own: Jet, given: Jet) -> tuple[Jet, Jet]:
    """1/u of both up to a common constant: that with which they keep their digits where u is close to minus the rank."""
    if isinstance(own, AnchoredJet) and isinstance(given, AnchoredJet) and own.anchor == given.anchor:
        return own.rest / own, given.rest / given
    return 1.0 / own, 1.0 / given
