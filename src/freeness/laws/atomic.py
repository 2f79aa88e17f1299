"""Laws made of atoms only: everything follows from positions and masses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike

from freeness.laws.curve import CauchyCurve, CauchyLaw, SpectralCurve, Transform
from freeness.laws.gauss_rules import GaussRules, RulesTogether
from freeness.laws.kernel_sums import kernel_sums
from freeness.laws.law import Atom, Boundary, Law, real_points
from freeness.numerics import upper_log

GAUSS = 24  # nodes of the Gauss rule that stands for many atoms
_BLOCK = 50_000  # entries of one (atoms × points) block, which then stays in the cache
_FEW = 2048  # pairs of points and atoms up to which one complex kernel is quicker than its two parts


class AtomicLaw(Law):
    """Σ mass_i δ(position_i), with ascending distinct positions."""

    @property
    @abstractmethod
    def positions(self) -> Float[np.ndarray, " atoms"]:
        """Ascending, distinct."""

    @property
    @abstractmethod
    def masses(self) -> Float[np.ndarray, " atoms"]:
        """Positive, summing to 1."""

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return tuple(map(Atom, self.positions.tolist(), self.masses.tolist()))

    @property
    def curve(self) -> SpectralCurve:
        return CauchyCurve(self)

    @property
    def mean(self) -> float:
        return float(self.masses @ self.positions)

    @property
    def variance(self) -> float:
        return float(self.masses @ (self.positions - self.mean) ** 2)

    @property
    def symmetric(self) -> bool:
        return bool(np.all(self.positions == -self.positions[::-1]) and np.all(self.masses == self.masses[::-1]))

    @property
    def hull(self) -> tuple[float, float]:
        return float(self.positions[0]), float(self.positions[-1])

    @property
    def nonzero_hull(self) -> tuple[float, float]:
        """Hull of the positions other than 0: u = ∫ x/(z - x) has no pole at 0."""
        nonzero = self.positions[self.positions != 0]
        return float(nonzero[0]), float(nonzero[-1])

    def moment(self, order: int) -> float:
        return float(self.masses @ self.positions**order)

    def moments(self, order: int) -> Float[np.ndarray, " order"]:
        return np.array([self.moment(k) for k in range(1, order + 1)])

    def density(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        return np.zeros(real_points(x).shape)

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        steps = np.concatenate([[0.0], np.cumsum(self.masses)])
        return np.minimum(steps[np.searchsorted(self.positions, real_points(x), side="right")], 1.0)

    def quantile(self, p: ArrayLike, *, tolerance: float = 0.0) -> Float[np.ndarray, "*points"]:
        super_levels = np.minimum(np.asarray(p, dtype=float), 1.0) - 1e-14
        steps = np.cumsum(self.masses)
        return self.positions[np.minimum(np.searchsorted(steps, super_levels), len(steps) - 1)]

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        points = np.asarray(z)
        return self._sum(lambda z_, x: 1.0 / (z_ - x), points.ravel()).reshape(points.shape)

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        z = x.astype(complex)
        with np.errstate(divide="ignore", invalid="ignore"):
            g = self.cauchy(z)
        converged = ~np.isin(x, self.positions)
        return Boundary(g, self.potential(z), np.zeros(x.shape), converged)

    @cached_property
    def _weights(self) -> np.ndarray:
        """Of the sums G and u."""
        return np.stack([self.masses, self.masses * self.positions])

    @cached_property
    def rules(self) -> GaussRules:
        """Gauss rules of few nodes that are exact to rounding at most points."""
        return GaussRules(self.positions, self.masses)

    @cached_property
    def _alone(self) -> RulesTogether:
        return RulesTogether([self.rules])

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """G = ∫ 1/(z - x) dμ and u = ∫ x/(z - x) dμ, each with its derivative."""
        if len(self.positions) > 2 * GAUSS:
            g, dg, u, du = (row[0] for row in self._alone.transforms(z[None]))
            return (g, dg), (u, du)
        return self.full_transforms(z)

    def full_transforms(self, z: Inexact[np.ndarray, " points"]) -> tuple[Transform, Transform]:
        """:meth:`transforms` as the sums over all atoms."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if z.size * len(self.positions) <= _FEW:
                kernel = 1.0 / (z - self.positions[:, None])
                value = self._weights @ kernel
                slope = self._weights @ np.square(kernel, out=kernel)
                return (value[0], -slope[0]), (value[1], -slope[1])
            found = np.empty((4, z.size), np.result_type(z, float))
            for block in self._blocks(z.size):
                found[:, block] = kernel_sums(z[block], self.positions, self._weights)
        return (found[0], found[1]), (found[2], found[3])

    def light(self) -> CauchyLaw:
        """The law itself: few atoms are their own Gauss rule."""
        return self

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """∫ log(z - x) dμ, continuous on the closed upper half-plane."""
        with np.errstate(divide="ignore"):
            return self._sum(lambda z_, x: upper_log(z_ - x), z.astype(complex))

    def _sum(self, function: Callable[[np.ndarray, np.ndarray], np.ndarray], z: np.ndarray) -> np.ndarray:
        total = np.empty(z.shape, dtype=np.result_type(z, float))
        for block in self._blocks(z.size):
            total[block] = self.masses @ function(z[None, block], self.positions[:, None])
        return total

    def _blocks(self, count: int) -> list[slice]:
        width = max(1, _BLOCK // len(self.positions))
        return [slice(i, i + width) for i in range(0, count, width)]
