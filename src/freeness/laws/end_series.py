"""Unknowns beside the end of a band as series in the root of the distance: from points inside guesses on both sides of it.

At an end e two solutions meet, so that the unknowns are analytic in √u, u being how far x lies inside (Puiseux series at a branch
point of two sheets). The second sheet is the complex conjugate there: R(u) + i√u·I(u), R and I real. Both are polynomials through
a few points inside and go on outside, where √u = ±i√|u|, as one comes there above the axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Complex, Float, Inexact

_REACH = 0.03  # of the distance to what else is singular, so far do guesses go: they err by its sixth power
_TURN, _MOST = (
    0.2,
    1.8,
)  # imaginary part of unknowns at the farthest node, relative, that is aimed at; times it, that is too much
_NODES = _REACH * 0.5 ** np.arange(5.0)


@dataclass(frozen=True)
class EndSeries:
    """``end``: of a band that lies on the side ``inward`` (±1) of it. ``width``: distance to what else is singular."""

    end: float
    inward: float
    width: float

    @classmethod
    def of(cls, bands: Sequence[tuple[float, float]], others: Sequence[float]) -> list[EndSeries]:
        """For both ends of each band; ``others``: what is singular beside them."""
        special = np.unique([*others, *(end for band in bands for end in band)])
        found: list[EndSeries] = []
        for band in bands:
            for end, inward in zip(band, (1.0, -1.0), strict=True):
                away = np.abs(special - end)
                width = float(np.min(away[away > 0], initial=np.inf))
                touching = sum(end in other for other in bands) > 1
                if np.isfinite(width) and not touching and end not in others:
                    found.append(cls(end, inward, width))
        return found

    @property
    def nodes(self) -> Float[np.ndarray, " nodes"]:
        """Points inside through which the series goes."""
        return self.end + self.inward * self.width * _NODES

    def nearer(
        self, known: Complex[np.ndarray, "unknowns nodes"], size: Float[np.ndarray, "unknowns nodes"]
    ) -> EndSeries | None:
        """The series through points nearer to the end, where unknowns at its own turn by much, so that it errs by much."""
        turn = float((np.abs(np.imag(known)) / np.maximum(size, np.finfo(float).tiny)).max())
        return replace(self, width=self.width * (_TURN / turn) ** 2) if turn > _MOST * _TURN else None

    def reaches(self, x: Float[np.ndarray, " points"]) -> Bool[np.ndarray, " points"]:
        """To which points it leads."""
        return np.abs(x - self.end) <= _REACH * self.width

    def sheets(
        self, known: Complex[np.ndarray, "unknowns nodes"], z: Inexact[np.ndarray, " points"]
    ) -> tuple[Inexact[np.ndarray, "unknowns points"], Complex[np.ndarray, "unknowns points"]]:
        """R and i√u·I at points to which it leads, on the axis or above, by the unknowns at the nodes: the sum is the guess."""
        own, u = self.inward * (self.nodes - self.end), self.inward * (z - self.end)
        others = own[:, None] - own + np.eye(own.size)
        steps = (u - own[:, None]) / others[:, :, None]  # node by other node by point
        steps[np.arange(own.size), np.arange(own.size)] = 1.0
        weights = steps.prod(axis=1)  # Lagrange's polynomials
        upper = np.sqrt(np.real(u) + 1j * np.abs(np.imag(u)))
        root = upper if self.inward > 0 else upper.conj()
        return np.real(known) @ weights, 1j * root * ((np.imag(known) / np.sqrt(own)) @ weights)
