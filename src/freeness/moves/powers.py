"""Moves of real convolution powers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Inexact

from freeness.laws import Atom, CurvePoint, stage_margin
from freeness.moves.move import Move
from freeness.numerics import NEGLIGIBLE, lower_log


@dataclass(frozen=True)
class SumPower(Move):
    """μ^{⊞s}, s ≥ 1: g kept, z ← s z - (s-1)/g = (1 + su)/g, u ← su.

    Source: Nica, Speicher (1996); Belinschi, Bercovici (2004).
    """

    exponent: float
    additive = True

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        s = self.exponent
        u = s * point.u
        z = (u + 1.0) / point.g
        potential = None
        if point.potential is not None:
            potential = s * point.potential + (s - 1) * lower_log(point.g.value)
        margins = (*point.margins, stage_margin(z, point.base, point.g))
        return CurvePoint(z, point.g, u, potential, margins, point.base, point.updates)

    def mean(self, mean: float) -> float:
        return self.exponent * mean

    def variance(self, mean: float, variance: float) -> float:
        return self.exponent * variance

    def lower_bound(self, bound: float) -> float:
        return self.exponent * bound

    def symmetric(self, symmetric: bool) -> bool:
        return symmetric

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return _power_atoms(atoms, self.exponent, lambda x: self.exponent * x)

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        return z - (self.exponent - 1) * mean, np.empty((0, z.size))


@dataclass(frozen=True)
class ProductPower(Move):
    """μ^{⊠s}, s ≥ 1, μ on [0, ∞): u kept, S ← S^s, that is z ← z (u/g)^{s-1}.

    u/g = z - 1/g stays in the lower half-plane, so its power is single-valued, and every power on the way keeps the upper
    half-plane: what winds around 0 belongs to another sheet. Source: Belinschi, Bercovici (2005).
    """

    exponent: float

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        power = self.exponent - 1
        ratio = point.u / point.g
        if np.iscomplexobj(ratio.value):
            factor = np.exp(power * lower_log(ratio.value))
        else:
            factor = np.where(ratio.value > 0, np.abs(ratio.value) ** power, np.nan)
        z = point.z * ratio.apply(factor, power * factor / ratio.value)
        potential = None
        if point.potential is not None:
            potential = self.exponent * point.potential + power * lower_log(point.u.value)
        margins = (*point.margins, stage_margin(z, point.base, point.g))
        if np.iscomplexobj(ratio.value):
            phase = np.angle(point.z.value) + power * np.imag(lower_log(ratio.value))
            margins = (*margins, lambda: np.where(phase <= -np.pi, -1.0, np.inf))
        return CurvePoint(z, point.z * point.g / z, point.u, potential, margins, point.base, point.updates)

    def mean(self, mean: float) -> float:
        return mean**self.exponent

    def variance(self, mean: float, variance: float) -> float:
        return self.exponent * variance / mean**2 * mean ** (2 * self.exponent)

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        zero = tuple(atom for atom in atoms if atom.position == 0)
        rest = tuple(atom for atom in atoms if atom.position != 0)
        return zero + _power_atoms(rest, self.exponent, lambda x: x**self.exponent)

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        return z / mean ** (self.exponent - 1), np.empty((0, z.size))


def _power_atoms(atoms: tuple[Atom, ...], exponent: float, move: Callable[[float], float]) -> tuple[Atom, ...]:
    masses = ((move(x), 1 - exponent * (1 - mass)) for x, mass in atoms)
    return tuple(Atom(x, mass) for x, mass in masses if mass > NEGLIGIBLE)
