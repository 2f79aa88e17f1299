"""The law of X²."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from freeness.laws.cauchy_law import TransformLaw, as_cauchy_law
from freeness.laws.curve import Transform
from freeness.laws.curve_law import solver_of
from freeness.laws.law import Atom, Boundary, Law, require_laws


@dataclass(frozen=True)
class Square(TransformLaw):
    """The law of X²: G(z) = (G_X(s) - G_X(-s))/(2s) and u(z) = (u_X(s) + u_X(-s))/2 at s = √z.

    For a symmetric X, ``symmetric_square`` is a move of its curve and combines further without transforms.

    Example:
        >>> from freeness.laws import MarchenkoPastur
        >>> Square(MarchenkoPastur(1.0)).hull
        (0.0, 16.0)
    """

    law: Law

    def __post_init__(self) -> None:
        require_laws(self.law)

    @property
    def mean(self) -> float:
        return self.law.variance + self.law.mean**2

    @property
    def variance(self) -> float:
        return self.law.moment(4) - self.mean**2

    def moment(self, order: int) -> float:
        return self.law.moment(2 * order)

    def moments(self, order: int) -> np.ndarray:
        return self.law.moments(2 * order)[1::2]

    @property
    def atoms(self) -> tuple[Atom, ...]:
        masses: dict[float, float] = {}
        for x, mass in self.law.atoms:
            masses[x**2] = masses.get(x**2, 0.0) + mass
        return tuple(Atom(x, mass) for x, mass in sorted(masses.items()))

    @property
    def hull(self) -> tuple[float, float]:
        intervals = [_squared(low, high) for low, high in self.law.support]
        return min(low for low, _ in intervals), max(high for _, high in intervals)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        merged: list[tuple[float, float]] = []
        for low, high in sorted(_squared(*band) for band in self.law.bands):
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return tuple(merged)

    def cauchy(self, z: ArrayLike) -> np.ndarray:
        root = np.sqrt(np.asarray(z).astype(complex))
        return (self.law.cauchy(root) - self.law.cauchy(-root)) / (2 * root)

    def boundary(self, x: np.ndarray) -> Boundary:
        """At x > 0 from both roots on the axis; at x < 0, where nothing lies, from the roots ±i√|x|."""
        positive = x > 0
        root = np.sqrt(np.where(positive, x, 1.0))
        right = self.law.boundary(root)
        left = _mirrored(right) if self.law.symmetric else self.law.boundary(-root)
        g = (right.g - left.g.conj()) / (2 * root)
        potential = right.potential + left.potential.conj() + 1j * np.pi
        error, converged = (right.error + left.error) / (2 * root), right.converged & left.converged & positive
        below = x < 0
        if below.any():
            inner = solver_of(self.law).above(1j * np.sqrt(-x[below]))
            g[below] = np.imag(inner.g) / np.sqrt(-x[below])
            potential[below] = 2 * np.real(inner.potential) + 1j * np.pi
            error[below], converged[below] = 4e-16 * np.abs(g[below]), inner.converged
        return Boundary(g, potential, error, converged)

    def transforms(self, z: np.ndarray) -> tuple[Transform, Transform]:
        """Mean and difference quotient of those of X at ±√z; √z lies in the upper half-plane, -√z in the lower."""
        s = np.sqrt(z.astype(complex))
        law = as_cauchy_law(self.law)
        (g, dg), (u, du) = law.transforms(s)
        (h, dh), (v, dv) = ((value.conj(), slope.conj()) for value, slope in law.transforms(-s.conj()))
        value = (g - h) / (2 * s)
        slope = (dg + dh) / (4 * z) - value / (2 * z)
        found = (value, slope), ((u + v) / 2, (du - dv) / (4 * s))
        return found if np.iscomplexobj(z) else tuple((a.real, b.real) for a, b in found)  # type: ignore[return-value]

    def potential(self, z: np.ndarray) -> np.ndarray:
        """∫ log(z - x²) = ∫ log(√z - x) + ∫ log(√z + x)."""
        s = np.sqrt(z.astype(complex))
        law = as_cauchy_law(self.law)
        return law.potential(s) + law.potential(-s.conj()).conj() + 1j * np.pi


def _mirrored(boundary: Boundary) -> Boundary:
    """The values at -x of a symmetric law from those at x."""
    return replace(boundary, g=-boundary.g.conj(), potential=boundary.potential.conj() + 1j * np.pi)


def _squared(low: float, high: float) -> tuple[float, float]:
    ends = sorted((low**2, high**2))
    return (0.0 if low <= 0 <= high else ends[0]), ends[1]
