"""Transforms of a density on many panels, each with a Legendre series: by Gauss' rule from afar, by Legendre functions nearby.

On the panel of a point ζ = cosh(log J ± iθ), in units of half its length, a rule of n nodes integrates P_k(t)/(ζ - t) but for
about J^{k-2n}. So three rules serve all panels but those next to a point, for which Q_k is recurred forward: that loses J^k.

Source: Trefethen, Approximation Theory and Approximation Practice (2013), ch. 19; Gautschi (1967) for the recurrence.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Inexact
from numpy.polynomial import legendre
from scipy.special import roots_legendre

from freeness.laws.density import Bounded, legendre_second_kind
from freeness.laws.kernel_sums import BLOCK, kernel_sums
from freeness.numerics import upper_log

_RULES = (
    (1.037, 640),
    (1.15, 192),
    (2.0, 64),
)  # from which J on a rule of how many nodes holds to rounding, of degrees < 64
_DEGREES = 64


def _axis(ratio: float) -> float:
    """The half-sum of the distances from ±1 where |ζ + √(ζ² - 1)| is so large."""
    return (ratio + 1 / ratio) / 2


@dataclass(frozen=True, eq=False)
class LegendrePanels:
    """The sum of the ``pieces``, each of at most 64 coefficients."""

    pieces: Sequence[Bounded]

    def transforms(self, z: Inexact[np.ndarray, " points"]) -> Inexact[np.ndarray, "4 points"]:
        """G, G', u and u' (4 × n) on the closed upper half-plane; real at real points outside the panels."""
        level = self._levels(z)
        nodes, masses = self._far
        weights = np.stack([masses, masses * nodes])
        found = np.empty((4, z.size), dtype=z.dtype)
        width = max(1, BLOCK // nodes.size)
        for start in range(0, z.size, width):
            block = slice(start, start + width)
            panel, point = np.nonzero(level[:, block] < len(_RULES))
            hidden = (panel[:, None] * _DEGREES + np.arange(_DEGREES), point[:, None]) if panel.size else None
            found[:, block] = kernel_sums(z[block], nodes, weights, hidden)
        for step in range(1, len(_RULES)):
            panel, point = np.nonzero(level == step)
            for part in _parts(panel.size, _RULES[step - 1][1]):
                x, mass = (table[panel[part]] for table in self._tables[step - 1])
                kernel = 1.0 / (z[point[part], None] - x)
                square = kernel * kernel
                rows = [mass * kernel, -mass * square, mass * x * kernel, -mass * x * square]
                np.add.at(found.T, point[part], np.stack([row.sum(axis=1) for row in rows], axis=1))
        panel, point = np.nonzero(level == 0)
        if panel.size:
            np.add.at(found.T, point, self._near(z[point], panel).T)
        return found

    def potential(self, z: Inexact[np.ndarray, " points"]) -> Inexact[np.ndarray, " points"]:
        """∫ f(x) log(z - x) dx."""
        level = self._levels(z)
        found = np.zeros(z.shape, dtype=complex)
        for step, (_, count) in enumerate(_RULES, start=1):
            panel, point = np.nonzero(level == step)
            for part in _parts(panel.size, count):
                x, mass = (table[panel[part]] for table in self._tables[step - 1])
                np.add.at(found, point[part], (mass * upper_log(z[point[part], None] - x)).sum(axis=1))
        for i in np.flatnonzero((level == 0).any(axis=1)):
            point = np.flatnonzero(level[i] == 0)
            found[point] += self.pieces[int(i)].potential(z[point])
        return found if np.iscomplexobj(z) else np.real(found)

    def _levels(self, z: np.ndarray) -> np.ndarray:
        """Of each panel at each point: 0 next to it, or the number of the rule that holds, (panels × points)."""
        zeta = self._reduced(z, np.arange(len(self.pieces))[:, None])
        axis = (np.abs(zeta - 1) + np.abs(zeta + 1)) / 2
        return np.searchsorted([_axis(ratio) for ratio, _ in _RULES], axis, side="right")

    def _reduced(self, z: np.ndarray, panel: np.ndarray) -> np.ndarray:
        middle, half = self._places[:, panel]
        return (z - middle) / half

    @cached_property
    def _places(self) -> np.ndarray:
        """Middle and half the length of each panel, (2 × panels)."""
        return np.array([((piece.low + piece.high) / 2, piece.half) for piece in self.pieces]).T

    @cached_property
    def _coefficients(self) -> np.ndarray:
        """(64 × panels)."""
        found = np.zeros((_DEGREES, len(self.pieces)))
        for i, piece in enumerate(self.pieces):
            found[: piece.coefficients.size, i] = piece.coefficients
        return found

    @cached_property
    def _tables(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Nodes and masses of each rule, (panels × count)."""
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for _, count in _RULES:
            t, weights = roots_legendre(count)
            middle, half = self._places[:, :, None]
            found.append((middle + half * t, (legendre.legvander(t, _DEGREES - 1) @ self._coefficients).T * weights))
        return found

    @cached_property
    def _far(self) -> tuple[np.ndarray, np.ndarray]:
        """Those of the shortest, of all panels."""
        nodes, masses = self._tables[-1]
        return nodes.ravel(), masses.ravel()

    def _near(self, z: np.ndarray, panel: np.ndarray) -> np.ndarray:
        """G, G', u and u' of the panel of each point."""
        zeta, half = self._reduced(z, panel), self._places[1, panel]
        c, k = self._coefficients[:, panel], np.arange(_DEGREES)[:, None]
        q = legendre_second_kind(zeta, _DEGREES, _RULES[0][0])
        g = 2 * (c * q).sum(axis=0) / half
        slope = zeta * (k * c * q).sum(axis=0) - (k[1:] * c[1:] * q[:-1]).sum(axis=0) - c[0]
        dg = 2 * slope / ((zeta - 1) * (zeta + 1)) / half**2
        return np.stack([g, dg, z * g - 2 * c[0], g + z * dg])


def _parts(count: int, nodes: int) -> list[slice]:
    """Blocks of pairs that stay in the cache."""
    width = max(1, BLOCK // nodes)
    return [slice(start, start + width) for start in range(0, count, width)]
