"""The moves of theory.md §1: each takes a point of a curve to the point of the moved law, explicitly.

A move is a frozen record with ``apply``; here are those that bring no law of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact

from freeness.laws import Atom, CurvePoint, Side
from freeness.numerics import NEGLIGIBLE, upper_log


class Move(ABC):
    """One step of a chain."""

    additive: bool = False  # whether it acts on g rather than on u
    keeps_zero: bool = True  # whether z = 0 stays 0 at a hard edge there

    @property
    def size(self) -> int:
        """How many unknowns the move brings."""
        return 0

    @property
    def certain(self) -> bool:
        """As :attr:`freeness.laws.SpectralCurve.certain`."""
        return True

    @abstractmethod
    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        """The moved point; ``parameters`` (size, n) are the move's own unknowns."""

    @abstractmethod
    def mean(self, mean: float) -> float:
        """Mean of the moved law from the mean before."""

    @abstractmethod
    def variance(self, mean: float, variance: float) -> float:
        """Variance of the moved law from mean and variance before."""

    def lower_bound(self, bound: float) -> float:
        """A lower bound of the moved support from one before; exact enough to see that a law is non-negative."""
        return min(bound, 0.0)

    def symmetric(self, symmetric: bool) -> bool:
        """Whether the moved law is known to be symmetric, from whether the law before is."""
        return False

    @abstractmethod
    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        """Atoms of the moved law from the atoms before."""

    @abstractmethod
    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        """For large z after the move: z before it and the own unknowns; ``mean`` is that before the move."""

    def light(self) -> Move:
        """This move with a cheaper curve of the same unknowns; see :meth:`SpectralCurve.light`."""
        return self

    def real_parameters(self, point: CurvePoint, side: Side) -> Float[np.ndarray, "unknowns points"]:
        """The own unknowns at a real point outside the support."""
        return np.empty((0, point.z.value.size))


@dataclass(frozen=True)
class Shift(Move):
    """X + constant: g kept, z ← z + constant, u ← u + constant·g."""

    constant: float
    additive = True
    keeps_zero = False

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        u = point.u + self.constant * point.g
        return CurvePoint(
            point.z + self.constant, point.g, u, point.potential, point.margins, point.base, point.updates
        )

    def mean(self, mean: float) -> float:
        return mean + self.constant

    def variance(self, mean: float, variance: float) -> float:
        return variance

    def lower_bound(self, bound: float) -> float:
        return bound + self.constant

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return tuple(Atom(x + self.constant, mass) for x, mass in atoms)

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        return z - self.constant, np.empty((0, z.size))


@dataclass(frozen=True)
class Scale(Move):
    """factor·X with factor > 0: z ← factor·z, u kept."""

    factor: float

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        potential = None if point.potential is None else point.potential + np.log(self.factor)
        z, g = point.z * self.factor, point.g * (1 / self.factor)
        return CurvePoint(z, g, point.u, potential, point.margins, point.base, point.updates)

    def mean(self, mean: float) -> float:
        return mean * self.factor

    def variance(self, mean: float, variance: float) -> float:
        return variance * self.factor**2

    def lower_bound(self, bound: float) -> float:
        return bound * self.factor

    def symmetric(self, symmetric: bool) -> bool:
        return symmetric

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return tuple(Atom(x * self.factor, mass) for x, mass in atoms)

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        return z / self.factor, np.empty((0, z.size))


@dataclass(frozen=True)
class Resize(Move):
    """Trace over N' instead of N dimensions, the non-zero eigenvalues unchanged: z kept, u ← u·ratio, ratio = N/N'."""

    ratio: float

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        u = point.u * self.ratio
        potential = point.potential
        if potential is not None:
            potential = self.ratio * potential + (1 - self.ratio) * upper_log(point.z.value)
        return CurvePoint(point.z, (u + 1.0) / point.z, u, potential, point.margins, point.base, point.updates)

    def mean(self, mean: float) -> float:
        return mean * self.ratio

    def variance(self, mean: float, variance: float) -> float:
        return max(self.ratio * (variance + mean**2) - (self.ratio * mean) ** 2, 0.0)

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        zero = 1 - self.ratio * (1 - sum(mass for x, mass in atoms if x == 0))
        kept = [Atom(x, mass * self.ratio) for x, mass in atoms if x != 0]
        return tuple(sorted([*kept, *([Atom(0.0, zero)] if zero > NEGLIGIBLE else [])]))

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        return z, np.empty((0, z.size))
