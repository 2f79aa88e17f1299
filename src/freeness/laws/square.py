"""The law of X²."""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact

from freeness.laws.curve import Transform
from freeness.laws.image_law import Branches, ImageLaw
from freeness.laws.law import Boundary, Law, require_laws

_NEAR = 1e-7  # of the gap of X² at 0: a tangent there is right to its square, and its slope to a few millionths


@dataclass(frozen=True)
class Square(ImageLaw):
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

    def moments(self, order: int) -> Float[np.ndarray, " order"]:
        return self.law.moments(2 * order)[1::2]

    @property
    def turns(self) -> Float[np.ndarray, " turns"]:
        return np.zeros(1)

    @property
    def criticals(self) -> Float[np.ndarray, " criticals"]:
        return np.zeros(1)

    def image(self, x: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        return x**2

    def branches(self, z: Inexact[np.ndarray, "*points"]) -> Branches:
        s, sign = np.sqrt(z.astype(complex)), np.array([[1.0], [-1.0]])
        half = np.full((2, z.size), 0.5)
        return Branches((sign * s, sign / (2 * s)), (sign / (2 * s), -sign / (4 * s * z)), delta=(half, 0 * half))

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """As of any image; where 0 lies beside the support of X, by a tangent there: differences over √z would lose digits."""
        low, high = self.law.hull
        floor = _NEAR * max(low, -high, 0.0) ** 2
        at = np.where(np.abs(z) < floor, floor, z)
        (g, dg), (u, du) = super().transforms(at)
        return (g + dg * (z - at), dg), (u + du * (z - at), du)

    def gained(self, z: Inexact[np.ndarray, "*points"]) -> complex:
        """log(z - x²) = log(√z - x) + log(-√z - x) + iπ, the second from below."""
        return 1j * np.pi

    def _along(self, points: np.ndarray) -> Boundary:
        if not self.law.symmetric:
            return super()._along(points)
        x = np.real(points)
        right, place = np.unique(np.abs(x), return_inverse=True)
        found, left = self.law.boundary(right), x < 0
        g, potential = found.g[place], found.potential[place]
        g, potential = np.where(left, -g.conj(), g), np.where(left, potential.conj() + 1j * np.pi, potential)
        return Boundary(g, potential, found.error[place], found.converged[place])
