"""The moves of theory.md §1: each takes a point of a curve to the point of the moved law, explicitly.

A move is a frozen record with ``apply``; a :class:`Chain` is a base curve and the moves that follow it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from freeness.calculus.atoms_of import product_atoms
from freeness.laws.curve import ClosedCurve, ClosedLaw, Curve, CurvePoint, Side, physical_margin
from freeness.laws.law import Atom, Law
from freeness.laws.outside import real_inverse
from freeness.numerics.half_plane import lower_log, upper_log
from freeness.numerics.jet import AnchoredJet, Jet


class Move(ABC):
    """One step of a chain."""

    additive: bool = False  # whether it acts on g rather than on u
    keeps_zero: bool = True  # whether z = 0 stays 0 at a hard edge there

    @property
    def size(self) -> int:
        """How many unknowns the move brings."""
        return 0

    @abstractmethod
    def apply(self, point: CurvePoint, parameters: np.ndarray) -> CurvePoint:
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
    def start(self, z: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
        """For large z after the move: z before it and the own unknowns; ``mean`` is that before the move."""

    def light(self) -> Move:
        """This move with a cheaper curve of the same unknowns; see :meth:`Curve.light`."""
        return self

    def real_parameters(self, point: CurvePoint, side: Side) -> np.ndarray:
        """The own unknowns at a real point outside the support."""
        return np.empty((0, point.z.value.size))


@dataclass(frozen=True)
class Shift(Move):
    """X + constant: g kept, z ← z + constant, u ← u + constant·g."""

    constant: float
    additive = True
    keeps_zero = False

    def apply(self, point: CurvePoint, parameters: np.ndarray) -> CurvePoint:
        u = point.u + self.constant * point.g
        return CurvePoint(point.z + self.constant, point.g, u, point.potential, point.margin, point.base, point.updates)

    def mean(self, mean: float) -> float:
        return mean + self.constant

    def variance(self, mean: float, variance: float) -> float:
        return variance

    def lower_bound(self, bound: float) -> float:
        return bound + self.constant

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return tuple(Atom(x + self.constant, mass) for x, mass in atoms)

    def start(self, z: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
        return z - self.constant, np.empty((0, z.size))


@dataclass(frozen=True)
class Scale(Move):
    """factor·X with factor > 0: z ← factor·z, u kept."""

    factor: float

    def apply(self, point: CurvePoint, parameters: np.ndarray) -> CurvePoint:
        potential = None if point.potential is None else point.potential + np.log(self.factor)
        z, g = point.z * self.factor, point.g * (1 / self.factor)
        return CurvePoint(z, g, point.u, potential, point.margin, point.base, point.updates)

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

    def start(self, z: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
        return z / self.factor, np.empty((0, z.size))


@dataclass(frozen=True)
class Resize(Move):
    """Trace over N' instead of N dimensions, the non-zero eigenvalues unchanged: z kept, u ← u·ratio, ratio = N/N'."""

    ratio: float

    def apply(self, point: CurvePoint, parameters: np.ndarray) -> CurvePoint:
        u = point.u * self.ratio
        potential = point.potential
        if potential is not None:
            potential = self.ratio * potential + (1 - self.ratio) * upper_log(point.z.value)
        return CurvePoint(point.z, (u + 1.0) / point.z, u, potential, point.margin, point.base, point.updates)

    def mean(self, mean: float) -> float:
        return mean * self.ratio

    def variance(self, mean: float, variance: float) -> float:
        return max(self.ratio * (variance + mean**2) - (self.ratio * mean) ** 2, 0.0)

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        zero = 1 - self.ratio * (1 - sum(mass for x, mass in atoms if x == 0))
        kept = [Atom(x, mass * self.ratio) for x, mass in atoms if x != 0]
        return tuple(sorted([*kept, *([Atom(0.0, zero)] if zero > 1e-13 else [])]))

    def start(self, z: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
        return z, np.empty((0, z.size))


@dataclass(frozen=True)
class Combine(Move):
    """A move by another law, whose curve it follows unless the law has the transform in question in closed form."""

    law: Law
    followed: Curve | None = field(default=None, repr=False, compare=False)  # a lighter curve instead of the law's own

    @cached_property
    @abstractmethod
    def closed_law(self) -> Any:
        """The law as one whose transform is explicit, None where it has to be solved for."""

    @cached_property
    def curve(self) -> Curve:
        """What is followed of the law."""
        return self.law.curve if self.followed is None else self.followed

    @property
    def size(self) -> int:
        return 0 if self.closed_law else self.curve.size

    def light(self) -> Move:
        curve = self.curve if self.closed_law else self.curve.light()
        return self if curve is self.curve else replace(self, followed=curve)


@dataclass(frozen=True)
class Multiply(Combine):
    """X ⊠ ν: u kept, z ← z/S_ν(u). A ν without closed S brings the unknown w with ψ_ν(1/w) = u.

    U moves to U_X + U_ν(w) + log u: with z = z_X·w·u/(1+u), dU = (1+u) d log z, and (1+u) d log(u/(1+u)) = d log u.
    """

    @cached_property
    def closed_law(self) -> ClosedLaw | None:
        return curve.law if isinstance(curve := self.law.curve, ClosedCurve) else None

    def apply(self, point: CurvePoint, parameters: np.ndarray) -> CurvePoint:
        if self.closed_law:
            z = self.closed_law.moment_inverse(point.u) / point.g
            own = None if point.potential is None else self.closed_law.potential_of_u(point.u)
            margin, updates = point.margin, point.updates
        else:
            other = self.curve.evaluate(parameters, 2, point.potential is not None)
            rows = tie(*_inverses(other.u, point.u))
            w = Jet(other.z.value, along(other.z.change, rows))
            z = w * point.u / point.g
            own, margin = other.potential, np.minimum(point.margin, physical_margin(w, point.base, point.g.value))
            if self.size > 1:  # the stages inside the other law
                margin = np.minimum(margin, other.margin)
            updates = (*point.updates, rows, *(along(inner, rows) for inner in other.updates))
        potential = None if point.potential is None else point.potential + own + lower_log(point.u.value)
        margin = np.minimum(margin, physical_margin(z, point.base, point.g.value))
        g = point.z * point.g / z  # not (1 + u)/z, which loses its digits where z passes 0 in a gap
        return CurvePoint(z, g, point.u, potential, margin, point.base, updates)

    def mean(self, mean: float) -> float:
        return mean * self.law.mean

    def variance(self, mean: float, variance: float) -> float:
        """var/mean² adds under ⊠; written without a division."""
        return variance * self.law.mean**2 + mean**2 * self.law.variance

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return product_atoms(atoms, self.law.atoms)

    def start(self, z: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
        own = np.empty((0, z.size)) if self.closed_law else self.curve.start(z / mean)
        return z / self.law.mean, own

    def real_parameters(self, point: CurvePoint, side: Side) -> np.ndarray:
        if self.closed_law:
            return super().real_parameters(point, side)
        return real_inverse(self.curve, point.u.value, side, "u")


def _inverses(own: Jet, given: Jet) -> tuple[Jet, Jet]:
    """1/u of both up to a common constant: that with which they keep their digits where u is close to minus the rank."""
    if isinstance(own, AnchoredJet) and isinstance(given, AnchoredJet) and own.anchor == given.anchor:
        return own.rest / own, given.rest / given
    return 1.0 / own, 1.0 / given


def tie(own: Jet, given: Jet) -> np.ndarray:
    """One Newton step of the equation own = given for the own base parameter: its change (2, n) in the given directions."""
    slope = own.change[0]
    residual = given.value - own.value - own.change[1]
    return np.stack([given.change[0] / slope, (residual + given.change[1]) / slope])


def along(change: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Changes (2, n) in the own parameter, carried over to the directions in which that parameter changes by ``rows``."""
    return np.stack([change[0] * rows[0], change[1] + change[0] * rows[1]])
