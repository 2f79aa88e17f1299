"""The Marchenko–Pastur law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.laws.cauchy_law import outer_root
from freeness.laws.curve import ClosedCurve, SpectralCurve, beside_rank
from freeness.laws.law import Atom, Boundary, Law
from freeness.numerics import Jet, Number, lower_log, plain, upper_log

_THINNEST = 1e-12  # the ratio at which the ends 1 ± 2√ratio still have ten digits between them


@dataclass(frozen=True)
class MarchenkoPastur(Law):
    """Limit law of GGᵀ/n for a p×n matrix G of independent unit-variance entries, ratio = p/n; mean 1, variance ratio.

    Density √((b-x)(x-a))/(2π·ratio·x) on [a, b] = [(1-√ratio)², (1+√ratio)²], atom 1 - 1/ratio at 0 if ratio > 1;
    S(u) = 1/(1 + ratio·u). Source: Marchenko, Pastur (1967).

    Example:
        >>> MarchenkoPastur(0.25).hull
        (0.25, 2.25)
    """

    ratio: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.ratio) and self.ratio > 0):
            raise InputError(f"expected a ratio p/n > 0, got {self.ratio}; it is rows over columns of G.")
        if not _THINNEST <= self.ratio <= 1 / _THINNEST:
            raise InputError(
                f"expected a ratio p/n between {_THINNEST:g} and {1 / _THINNEST:g}, got {self.ratio:g}, where the law has no "
                "width in floating numbers; take a point mass."
            )

    @property
    def curve(self) -> SpectralCurve:
        return ClosedCurve(self)

    @property
    def mean(self) -> float:
        return 1.0

    @property
    def variance(self) -> float:
        return self.ratio

    @property
    def ends(self) -> tuple[float, float]:
        """Ends of the continuous part."""
        root = float(np.sqrt(self.ratio))
        return (1 - root) ** 2, (1 + root) ** 2

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return (Atom(0.0, 1 - 1 / self.ratio),) if self.ratio > 1 else ()

    @property
    def rank(self) -> float:
        return min(1 / self.ratio, 1.0)

    @property
    def hull(self) -> tuple[float, float]:
        low, high = self.ends
        return (0.0 if self.atoms else float(low)), float(high)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        return (self.ends,)

    def moment_inverse(self, u: Number) -> Number:
        """(1 + u)(1 + ratio·u)."""
        return (u + 1.0) * (self.ratio * u + 1.0)

    def cauchy_of_u(self, u: Number) -> Number:
        """u/(1 + ratio·u)."""
        return u / (self.ratio * u + 1.0)

    def potential_of_u(self, u: Inexact[np.ndarray, "*points"] | Jet) -> Inexact[np.ndarray, "*points"]:
        """∫ (1+u) d log z along z = (1+u)(1+λu)/u."""
        return plain(u) - lower_log(plain(u)) + (1 - 1 / self.ratio) * lower_log(plain(u * self.ratio + 1.0))

    def r_transform_of(self, g: Number) -> Number:
        """1/(1 - ratio·g)."""
        return 1.0 / (1.0 - self.ratio * g)

    def additive_potential(self, g: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """∫ g dR = g/(1-λg) + log(1-λg)/λ; 1 - λg lies in the upper half-plane."""
        rest = 1 - self.ratio * g
        return g / rest + upper_log(rest) / self.ratio

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        points = np.asarray(z).astype(complex)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._transform(points, outer_root(points, *self.ends))

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        low, high = self.ends
        z = x.astype(complex)
        root = np.where(
            (x > low) & (x < high),
            1j * np.sqrt(np.abs((x - low) * (x - high))),
            np.sign(x - (low + high) / 2) * np.sqrt(np.abs((x - low) * (x - high))),
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            g = self._transform(z, root)
            u = np.where(np.abs(z) > 0, z * g - 1.0, -1.0)
            potential = self.potential_of_u(
                beside_rank(u, z * g if self.rank == 1 else u / (self.ratio * g), self.rank)
            )
        converged = np.isfinite(g) & np.isfinite(potential)
        return Boundary(g.astype(complex), potential, 4e-16 * np.abs(g), converged)

    def _transform(self, z: np.ndarray, root: np.ndarray) -> np.ndarray:
        """(z + λ - 1 - √)/(2λz) = 2/(z + λ - 1 + √), in that of its two forms in which nothing cancels."""
        sum_ = z + (self.ratio - 1)
        return np.where(
            np.abs(sum_ + root) >= np.abs(sum_ - root), 2 / (sum_ + root), (sum_ - root) / (2 * self.ratio * z)
        )
