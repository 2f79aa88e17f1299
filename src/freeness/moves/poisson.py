"""The free (compound) Poisson law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Inexact

from freeness.errors import InputError
from freeness.laws import Atom, CurvePoint, Law, MarchenkoPastur, PointMass, require_laws, stage_margin
from freeness.moves.move import Move
from freeness.moves.moved_curve import moved
from freeness.moves.operations import free_product, mirror, resize, solved_everywhere
from freeness.numerics import NEGLIGIBLE, upper_log


@dataclass(frozen=True)
class CompoundPoisson(Move):
    """GᵀXG/n of rate·n rows, R(g) = rate·u_X(1/g)/g: g ← 1/z, z ← z(1 + rate·u), u ← rate·u.

    U moves to rate·(U + u) + (1 - rate)·log z, as dU = g dz = (1 + rate·u) d log z + rate·du and u d log z = dU_X - d log z.
    """

    rate: float
    additive = True
    keeps_zero = False

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        u = point.u * self.rate
        z, g = point.z * (u + 1.0), 1.0 / point.z
        potential = point.potential
        if potential is not None:
            potential = self.rate * (potential + point.u.value) + (1 - self.rate) * upper_log(point.z.value)
        margins = (*point.margins, stage_margin(z, point.base, g))
        return CurvePoint(z, g, u, potential, margins, point.base, point.updates)

    def mean(self, mean: float) -> float:
        return self.rate * mean

    def variance(self, mean: float, variance: float) -> float:
        return self.rate * (variance + mean**2)

    def lower_bound(self, bound: float) -> float:
        """By the norm of GGᵀ/n."""
        return min(bound, 0.0) * (1 + self.rate**0.5) ** 2

    def symmetric(self, symmetric: bool) -> bool:
        return symmetric

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        """The kernel."""
        mass = 1 - self.rate * (1 - sum(mass for x, mass in atoms if x == 0))
        return (Atom(0.0, mass),) if mass > NEGLIGIBLE else ()

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        return z - self.rate * mean, np.empty((0, z.size))


def free_poisson(rate: float, jumps: Law | None = None) -> Law:
    """The free Poisson law of the given rate and jump law ν: R(g) = rate·∫ t/(1 - tg) dν(t), κ_n = rate·m_n(ν).

    It is the limit law of Σ_i t_i v_i v_iᵀ = GᵀTG/n for rate·n random directions v_i of jump t_i. Sample covariances
    of population ν are that, n samples a dimension times 1/rate.

    Args:
        rate: mean number of summands a dimension, > 0.
        jumps: the law of the jumps; all equal to 1 when left out, which is ``rate`` times Marchenko–Pastur of ratio 1/rate.

    Example:
        >>> law = free_poisson(2.0)
        >>> law.mean, law.variance
        (2.0, 2.0)

    Source: Speicher (1990); Nica, Speicher, Lectures on the Combinatorics of Free Probability (2006), lecture 12.
    """
    if not (np.isfinite(rate) and rate > 0):
        raise InputError(f"expected a rate > 0, got {rate}.")
    law = PointMass(1.0) if jumps is None else jumps
    require_laws(law)
    low, high = law.hull
    if low >= 0:
        return resize(free_product(law, MarchenkoPastur(rate)), rate)
    if high <= 0:
        return mirror(free_poisson(rate, mirror(law)))
    return moved(solved_everywhere(law), CompoundPoisson(rate))
