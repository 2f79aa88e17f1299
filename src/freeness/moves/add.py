"""Free additive convolution as a move."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Inexact

from freeness.laws import AdditiveLaw, Atom, CurvePoint, Margin, Side, real_inverse, stage_margin
from freeness.moves.atoms import sum_atoms
from freeness.moves.combine import Combine
from freeness.numerics import Jet, lower_log


class Gained(NamedTuple):
    """What ν adds to z, to u and to the potential where its g is that of a point; margin and updates of both."""

    z: Jet
    u: Jet
    potential: np.ndarray | None
    margins: tuple[Margin, ...]
    updates: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Additive(Combine):
    """A move along which g is kept and R changes by that of ν; a ν without closed R brings one unknown."""

    additive = True
    keeps_zero = False

    @cached_property
    def closed_law(self) -> AdditiveLaw | None:
        return self.law if isinstance(self.law, AdditiveLaw) else None

    def symmetric(self, symmetric: bool) -> bool:
        return symmetric and self.law.symmetric

    def gained(self, point: CurvePoint, parameters: np.ndarray) -> Gained:
        """R_ν(g), gR_ν(g) and ∫ R_ν dg at a point; of a ν without closed R w - 1/g, u_ν(w) and U_ν(w) + log g."""
        g = point.g
        if self.closed_law:
            r = self.closed_law.r_transform_of(g)
            potential = None if point.potential is None else self.closed_law.additive_potential(g.value)
            return Gained(r, g * r, potential, point.margins, point.updates)
        inverse = 1.0 / g
        other = self.met(point, parameters, lambda own: (1.0 / own.g, inverse))
        potential = None if other.potential is None else other.potential + lower_log(g.value)
        return Gained(other.w - inverse, other.u, potential, other.margins, other.updates)

    def real_parameters(self, point: CurvePoint, side: Side) -> Float[np.ndarray, "unknowns points"]:
        if self.closed_law:
            return super().real_parameters(point, side)
        return real_inverse(self.curve, point.g.value, side, "g")


@dataclass(frozen=True)
class Add(Additive):
    """X ⊞ ν: g kept, z ← z + R_ν(g). A ν without closed R brings the unknown w with G_ν(w) = g, and z ← z + w - 1/g.

    u = zg - 1 adds. U moves to U_X + U_ν(w) + log g: dU = g dz, and g d(-1/g) = d log g.
    """

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        found = self.gained(point, parameters)
        z, u = point.z + found.z, point.u + found.u
        potential = None if found.potential is None else point.potential + found.potential
        margins = (*found.margins, stage_margin(z, point.base, point.g))
        return CurvePoint(z, point.g, u, potential, margins, point.base, found.updates)

    def mean(self, mean: float) -> float:
        return mean + self.law.mean

    def variance(self, mean: float, variance: float) -> float:
        return variance + self.law.variance

    def lower_bound(self, bound: float) -> float:
        return bound + self.law.lower_bound

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return sum_atoms(atoms, self.law.atoms)

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        own = np.empty((0, z.size)) if self.closed_law else self.curve.start(z - mean)
        return z - self.law.mean, own
