"""Finitely many atoms, given or taken from data."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.laws.atomic import GAUSS, AtomicLaw
from freeness.laws.curve import CauchyLaw
from freeness.laws.point_mass import PointMass, Projection
from freeness.numerics import gauss_rule


class Atoms(AtomicLaw):
    """Σ weights_i δ(positions_i); equal positions are merged, weights are normalised only if they sum to 1 within 1e-9.

    Args:
        positions: finite real numbers.
        weights: non-negative, summing to 1; equal weights when left out.

    Example:
        >>> Atoms([1.0, 0.0, 1.0]).atoms
        (Atom(position=0.0, mass=0.333...), Atom(position=1.0, mass=0.666...))
    """

    def __init__(self, positions: ArrayLike, weights: ArrayLike | None = None) -> None:
        points = np.asarray(positions, dtype=float).ravel()
        if points.size == 0 or not np.isfinite(points).all():
            raise InputError(f"expected finite positions, at least one, got {points}; remove NaN and infinities.")
        masses = np.full(points.size, 1.0 / points.size) if weights is None else np.asarray(weights, float).ravel()
        if masses.shape != points.shape or not (masses >= 0).all() or abs(masses.sum() - 1.0) > 1e-9:
            raise InputError(
                f"expected {points.size} non-negative weights that sum to 1, got {masses.size} with sum "
                f"{masses.sum():g}; divide them by their sum."
            )
        keep = masses > 0
        self._positions, index = np.unique(points[keep], return_inverse=True)
        self._masses = np.bincount(index, masses[keep]) / masses.sum()

    @property
    def positions(self) -> Float[np.ndarray, " atoms"]:
        return self._positions

    @property
    def masses(self) -> Float[np.ndarray, " atoms"]:
        return self._masses

    def light(self) -> CauchyLaw:
        """The law itself if its atoms are few, else its Gauss rule: few atoms with the same first 2·24 - 1 moments.

        An atom at 0 is kept as it is: the rank of a law decides where z = 0 lies on its curve.
        """
        return self._light

    @cached_property
    def _light(self) -> Atoms:
        zero = self.positions == 0
        if len(self.positions) <= 2 * GAUSS:
            return self
        nodes, weights = gauss_rule(self.positions[~zero], self.masses[~zero], GAUSS)
        return Atoms(np.concatenate([self.positions[zero], nodes]), np.concatenate([self.masses[zero], weights]))

    def __repr__(self) -> str:
        shown = ", ".join(f"{m:.4g}@{x:.4g}" for x, m in self.atoms[:4])
        return f"Atoms({shown}{', …' if len(self._positions) > 4 else ''})"


def Empirical(values: ArrayLike) -> AtomicLaw:
    """The empirical law of observed values (eigenvalues, φ'² over neurons): equal weights, equal values merged.

    A law on {0, h} comes back as the :class:`Projection` (or :class:`PointMass`) that it is, with its closed transforms.

    Example:
        >>> Empirical([0.0, 1.0, 1.0, 1.0])
        Projection(trace=0.75, height=1.0)
    """
    return simplify(Atoms(values))


def simplify(law: Atoms) -> AtomicLaw:
    """The same law as a PointMass or Projection where it is one."""
    x, m = law.positions, law.masses
    if len(x) == 1:
        return PointMass(float(x[0]))
    if len(x) == 2 and x[0] == 0:
        return Projection(float(m[1]), float(x[1])) if m[1] < 1 else PointMass(float(x[1]))
    return law
