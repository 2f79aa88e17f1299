"""Mixtures of laws, among them symmetrisation."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.laws.atomic import AtomicLaw
from freeness.laws.atoms import Atoms, simplify
from freeness.laws.cauchy_law import TransformLaw, as_cauchy_law
from freeness.laws.curve import Transform
from freeness.laws.image_law import merged
from freeness.laws.law import Atom, Boundary, Law
from freeness.laws.mirror import mirrored


class Mixture(TransformLaw):
    """Σ weights_i μ_i: the spectrum of a block-diagonal matrix whose blocks have the laws μ_i and the given shares of size.

    Density, cdf, moments and G are the weighted sums. As an operand of ⊞ and ⊠ it needs components with transforms at z:
    atoms, closed laws, densities, Gaussian pushforwards, mirrors and mixtures of these.

    Args:
        laws: the components.
        weights: positive, summing to 1 (normalised if they do within 1e-9).

    Example:
        >>> from freeness.laws import PointMass, Semicircle
        >>> Mixture([Semicircle(1.0), PointMass(3.0)], [0.75, 0.25]).mean
        0.75
    """

    def __init__(self, laws: Sequence[Law], weights: ArrayLike) -> None:
        shares = np.asarray(weights, dtype=float).ravel()
        if len(laws) == 0 or not all(isinstance(law, Law) for law in laws):
            raise InputError(
                f"expected a sequence of laws, at least one, got {laws!r}; use Empirical for bare numbers."
            )
        if shares.size != len(laws) or not (shares > 0).all() or abs(shares.sum() - 1.0) > 1e-9:
            raise InputError(
                f"expected {len(laws)} positive weights that sum to 1, got {shares.size} with sum {shares.sum():g}; "
                "divide them by their sum and leave out zeros."
            )
        self._laws, self._weights = tuple(laws), shares / shares.sum()

    @property
    def laws(self) -> tuple[Law, ...]:
        """The components."""
        return self._laws

    @property
    def weights(self) -> Float[np.ndarray, " parts"]:
        """Their shares."""
        return self._weights

    @property
    def mean(self) -> float:
        return float(self._sum(lambda law: law.mean))

    @property
    def variance(self) -> float:
        centre = self.mean
        return float(self._sum(lambda law: law.variance + (law.mean - centre) ** 2))

    @property
    def atoms(self) -> tuple[Atom, ...]:
        masses: dict[float, float] = {}
        for law, weight in zip(self._laws, self._weights.tolist(), strict=True):
            for x, mass in law.atoms:
                masses[x] = masses.get(x, 0.0) + weight * mass
        return tuple(Atom(x, mass) for x, mass in sorted(masses.items()))

    @property
    def hull(self) -> tuple[float, float]:
        lows, highs = zip(*(law.hull for law in self._laws), strict=True)
        return min(lows), max(highs)

    @property
    def lower_bound(self) -> float:
        return min(law.lower_bound for law in self._laws)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        return merged(sorted(band for law in self._laws for band in law.bands))

    @property
    def bands_error(self) -> float:
        return float(self._sum(lambda law: law.bands_error))

    @property
    def symmetric(self) -> bool:
        """Whether every component has its mirror image among the components, with the same weight."""
        parts = list(zip(self._laws, self._weights.tolist(), strict=True))
        return all(law.symmetric or (mirrored(law), weight) in parts for law, weight in parts)

    def moment(self, order: int) -> float:
        return float(self._sum(lambda law: law.moment(order)))

    def moments(self, order: int) -> Float[np.ndarray, " order"]:
        return self._sum(lambda law: law.moments(order))

    def density(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        return self._sum(lambda law: law.density(x, throw=throw))

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        return self._sum(lambda law: law.cdf(x, throw=throw))

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        return self._sum(lambda law: law.cauchy(z))

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        parts = [law.boundary(x) for law in self._laws]
        g, potential, error = (
            np.tensordot(self._weights, np.array(rows), 1)
            for rows in zip(*((part.g, part.potential, part.error) for part in parts), strict=True)
        )
        return Boundary(g, potential, error, np.all([part.converged for part in parts], axis=0))

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """Weighted sums of those of the components."""
        (g, dg), (u, du) = self._sum(lambda law: np.array(as_cauchy_law(law).transforms(z)))
        return (g, dg), (u, du)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """The weighted sum."""
        return self._sum(lambda law: as_cauchy_law(law).potential(z))

    def _sum(self, value: Callable[[Law], np.ndarray | float]) -> np.ndarray:
        total = 0.0
        for law, weight in zip(self._laws, self._weights, strict=True):
            total = total + weight * value(law)
        return np.asarray(total)

    def __repr__(self) -> str:
        return f"Mixture({', '.join(f'{w:.4g}·{law!r}' for law, w in zip(self._laws, self._weights, strict=True))})"


def symmetrized(law: Law) -> Law:
    """The law of ±X with a fair independent sign: half the law and half its mirror image.

    Example:
        >>> from freeness.laws import PointMass
        >>> symmetrized(PointMass(2.0)).atoms
        (Atom(position=-2.0, mass=0.5), Atom(position=2.0, mass=0.5))
    """
    if law.symmetric:
        return law
    if isinstance(law, AtomicLaw):
        masses = np.concatenate([law.masses, law.masses]) / 2
        return simplify(Atoms(np.concatenate([law.positions, -law.positions]), masses))
    return Mixture((law, mirrored(law)), (0.5, 0.5))
