"""Moves between a law and its square."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Inexact

from freeness.laws import Atom, CurvePoint, stage_margin
from freeness.moves.move import Move


@dataclass(frozen=True)
class SymmetricRoot(Move):
    """The symmetric law of ±√X, X ≥ 0: u kept, z ← √z.

    Valid in the first quadrant, which a symmetric law does not leave: CurveLaw reads the rest by reflection.
    """

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        root = np.sqrt(point.z.value)
        z = point.z.apply(root, 0.5 / root)
        margins = (*point.margins, stage_margin(z, point.base, point.g))
        potential = None if point.potential is None else point.potential / 2
        return CurvePoint(z, point.z * point.g / z, point.u, potential, margins, point.base, point.updates)

    def mean(self, mean: float) -> float:
        return 0.0

    def variance(self, mean: float, variance: float) -> float:
        return mean

    def lower_bound(self, bound: float) -> float:
        return -np.inf

    def symmetric(self, symmetric: bool) -> bool:
        return True

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        signs = ((atom, sign) for atom in atoms for sign in ((1.0, -1.0) if atom.position > 0 else (0.0,)))
        return tuple(sorted(Atom(sign * x**0.5, mass / 2 if sign else mass) for (x, mass), sign in signs))

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        return z**2, np.empty((0, z.size))


@dataclass(frozen=True)
class SymmetricSquare(Move):
    """The law of X² for a symmetric X of the given variance: u kept, z ← z² (the inverse of :class:`SymmetricRoot`)."""

    mean_square: float

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        z = point.z * point.z
        margins = (*point.margins, stage_margin(z, point.base, point.g))
        potential = None if point.potential is None else 2 * point.potential
        return CurvePoint(z, point.g / point.z, point.u, potential, margins, point.base, point.updates)

    def mean(self, mean: float) -> float:
        return self.mean_square

    def variance(self, mean: float, variance: float) -> float:
        raise AssertionError("needs the fourth moment, which symmetric_square supplies")

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return tuple(Atom(x**2, mass if x == 0 else 2 * mass) for x, mass in atoms if x >= 0)

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        return np.sqrt(z), np.empty((0, z.size))
