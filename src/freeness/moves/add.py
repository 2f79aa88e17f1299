"""Free additive convolution as a move."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact

from freeness.laws import AdditiveLaw, Atom, CurvePoint, Side, physical_margin, real_inverse
from freeness.moves.atoms import sum_atoms
from freeness.moves.combine import Combine, along, tie
from freeness.numerics import Jet, lower_log


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
        g = point.g
        if self.closed_law:
            r = self.closed_law.r_transform_of(g)
            z, u = point.z + r, point.u + g * r
            gained = None if point.potential is None else self.closed_law.additive_potential(g.value)
            margin, updates = point.margin, point.updates
        else:
            other = self.curve.evaluate(parameters, 2, point.potential is not None)
            rows = tie(1.0 / other.g, 1.0 / g)
            w = Jet(other.z.value, along(other.z.change, rows))
            z = point.z + w - 1.0 / g
            u = point.u + Jet(other.u.value, along(other.u.change, rows))
            gained = None if other.potential is None else other.potential + lower_log(g.value)
            margin = np.minimum(point.margin, physical_margin(w, point.base, point.g.value))
            margin = np.minimum(margin, other.margin) if self.size > 1 else margin
            updates = (*point.updates, rows, *(along(inner, rows) for inner in other.updates))
        potential = None if gained is None else point.potential + gained
        margin = np.minimum(margin, physical_margin(z, point.base, point.g.value))
        return CurvePoint(z, g, u, potential, margin, point.base, updates)

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
