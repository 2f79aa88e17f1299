"""Moves of additive free convolution, real convolution powers, and passages between a law and its square."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from freeness.calculus.atoms_of import NEGLIGIBLE
from freeness.calculus.moves import Combine, Move, along, tie
from freeness.laws.curve import AdditiveLaw, CurvePoint, Side, physical_margin
from freeness.laws.law import Atom
from freeness.laws.outside import real_inverse
from freeness.numerics.half_plane import lower_log
from freeness.numerics.jet import Jet


@dataclass(frozen=True)
class Add(Combine):
    """X ⊞ ν: g kept, z ← z + R_ν(g). A ν without closed R brings the unknown w with G_ν(w) = g, and z ← z + w - 1/g.

    u = zg - 1 adds. U moves to U_X + U_ν(w) + log g: dU = g dz, and g d(-1/g) = d log g.
    """

    additive = True
    keeps_zero = False

    @cached_property
    def closed_law(self) -> AdditiveLaw | None:
        return self.law if isinstance(self.law, AdditiveLaw) else None

    def apply(self, point: CurvePoint, parameters: np.ndarray) -> CurvePoint:
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

    def symmetric(self, symmetric: bool) -> bool:
        return symmetric and self.law.symmetric

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return sum_atoms(atoms, self.law.atoms)

    def start(self, z: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
        own = np.empty((0, z.size)) if self.closed_law else self.curve.start(z - mean)
        return z - self.law.mean, own

    def real_parameters(self, point: CurvePoint, side: Side) -> np.ndarray:
        if self.closed_law:
            return super().real_parameters(point, side)
        return real_inverse(self.curve, point.g.value, side, "g")


def sum_atoms(left: tuple[Atom, ...], right: tuple[Atom, ...]) -> tuple[Atom, ...]:
    """Atoms of μ ⊞ ν: max(μ{a} + ν{b} - 1, 0) at a + b.

    Source: Bercovici, Voiculescu, Regularity questions for free convolution (1998).

    Example:
        >>> sum_atoms((Atom(0.0, 0.25), Atom(1.0, 0.75)), (Atom(0.0, 0.5), Atom(2.0, 0.5)))
        (Atom(position=1.0, mass=0.25), Atom(position=3.0, mass=0.25))
    """
    found: dict[float, float] = {}
    heaviest = max((mass for _, mass in left), default=0.0)
    for b, mass_b in right:
        if heaviest + mass_b - 1 <= NEGLIGIBLE:
            continue
        for a, mass_a in left:
            if mass_a + mass_b - 1 > NEGLIGIBLE:
                found[a + b] = found.get(a + b, 0.0) + mass_a + mass_b - 1
    return tuple(Atom(x, mass) for x, mass in sorted(found.items()))


@dataclass(frozen=True)
class SumPower(Move):
    """μ^{⊞s}, s ≥ 1: g kept, z ← s z - (s-1)/g = (1 + su)/g, u ← su.

    Source: Nica, Speicher (1996); Belinschi, Bercovici (2004).
    """

    exponent: float
    additive = True

    def apply(self, point: CurvePoint, parameters: np.ndarray) -> CurvePoint:
        s = self.exponent
        u = s * point.u
        z = (u + 1.0) / point.g
        potential = None
        if point.potential is not None:
            potential = s * point.potential + (s - 1) * lower_log(point.g.value)
        margin = np.minimum(point.margin, physical_margin(z, point.base, point.g.value))
        return CurvePoint(z, point.g, u, potential, margin, point.base, point.updates)

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

    def start(self, z: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
        return z - (self.exponent - 1) * mean, np.empty((0, z.size))


@dataclass(frozen=True)
class ProductPower(Move):
    """μ^{⊠s}, s ≥ 1, μ on [0, ∞): u kept, S ← S^s, that is z ← z (u/g)^{s-1}.

    u/g = z - 1/g stays in the lower half-plane, so its power is single-valued, and every power on the way keeps the upper
    half-plane: what winds around 0 belongs to another sheet. Source: Belinschi, Bercovici (2005).
    """

    exponent: float

    def apply(self, point: CurvePoint, parameters: np.ndarray) -> CurvePoint:
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
        margin = np.minimum(point.margin, physical_margin(z, point.base, point.g.value))
        if np.iscomplexobj(ratio.value):
            phase = np.angle(point.z.value) + power * np.imag(lower_log(ratio.value))
            margin = np.where(phase <= -np.pi, -1.0, margin)
        return CurvePoint(z, point.z * point.g / z, point.u, potential, margin, point.base, point.updates)

    def mean(self, mean: float) -> float:
        return mean**self.exponent

    def variance(self, mean: float, variance: float) -> float:
        return self.exponent * variance / mean**2 * mean ** (2 * self.exponent)

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        zero = tuple(atom for atom in atoms if atom.position == 0)
        rest = tuple(atom for atom in atoms if atom.position != 0)
        return zero + _power_atoms(rest, self.exponent, lambda x: x**self.exponent)

    def start(self, z: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
        return z / mean ** (self.exponent - 1), np.empty((0, z.size))


def _power_atoms(atoms: tuple[Atom, ...], exponent: float, move) -> tuple[Atom, ...]:
    masses = ((move(x), 1 - exponent * (1 - mass)) for x, mass in atoms)
    return tuple(Atom(x, mass) for x, mass in masses if mass > NEGLIGIBLE)


@dataclass(frozen=True)
class SymmetricRoot(Move):
    """The symmetric law of ±√X, X ≥ 0: u kept, z ← √z.

    Valid in the first quadrant, which a symmetric law does not leave: CurveLaw reads the rest by reflection.
    """

    def apply(self, point: CurvePoint, parameters: np.ndarray) -> CurvePoint:
        root = np.sqrt(point.z.value)
        z = point.z.apply(root, 0.5 / root)
        margin = np.minimum(point.margin, physical_margin(z, point.base, point.g.value))
        potential = None if point.potential is None else point.potential / 2
        return CurvePoint(z, point.z * point.g / z, point.u, potential, margin, point.base, point.updates)

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

    def start(self, z: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
        return z**2, np.empty((0, z.size))


@dataclass(frozen=True)
class SymmetricSquare(Move):
    """The law of X² for a symmetric X of the given variance: u kept, z ← z² (the inverse of :class:`SymmetricRoot`)."""

    mean_square: float

    def apply(self, point: CurvePoint, parameters: np.ndarray) -> CurvePoint:
        z = point.z * point.z
        margin = np.minimum(point.margin, physical_margin(z, point.base, point.g.value))
        potential = None if point.potential is None else 2 * point.potential
        return CurvePoint(z, point.g / point.z, point.u, potential, margin, point.base, point.updates)

    def mean(self, mean: float) -> float:
        return self.mean_square

    def variance(self, mean: float, variance: float) -> float:
        raise AssertionError("needs the fourth moment, which symmetric_square supplies")

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        return tuple(Atom(x**2, mass if x == 0 else 2 * mass) for x, mass in atoms if x >= 0)

    def start(self, z: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
        return np.sqrt(z), np.empty((0, z.size))
