"""Several factors of Marchenko–Pastur laws in a row as one step: the arithmetic of :class:`Multiply` for all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from jaxtyping import Inexact

from freeness.laws import CurvePoint, MarchenkoPastur, physical_margin
from freeness.moves.move import Move
from freeness.moves.multiply import Multiply
from freeness.numerics import SAME, AnchoredJet, Jet, lower_log

_FEWEST = 3  # factors from which this pays


@dataclass(frozen=True)
class WishartRun:
    """⊠ of Marchenko–Pastur laws of k ``ratios`` λ: u kept, z ← z·Π(1 + λu), for S = 1/(1 + λu).

    All k stages are formed, for every one of them has to lie in the upper half-plane; U gains u + (1 - 1/λ)·log(1 + λu) a factor.
    """

    ratios: tuple[float, ...]
    size = 0

    @cached_property
    def _kinds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The different ratios, which of them each factor has, and how many have each."""
        kinds, which = np.unique(self.ratios, return_inverse=True)
        return kinds, which, np.bincount(which).astype(float)

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        """The point behind all factors."""
        kinds, which, counts = self._kinds
        value, slope = self._steps(point.u)

        def least() -> np.ndarray:
            z = point.z.value * np.cumprod(value[which], axis=0)
            rise = z * (point.z.change[0] / point.z.value + np.cumsum(slope[which, 0], axis=0))
            g = point.g.value * point.z.value / z
            return physical_margin(Jet(z, rise[None]), point.base, g).min(axis=0)

        grown = np.multiply.reduce(value[which], axis=0)
        factor = Jet(grown, grown * (counts @ slope.reshape(kinds.size, -1)).reshape(slope.shape[1:]))
        potential = point.potential
        if potential is not None:
            potential = potential + len(which) * point.u.value + (counts * (1 - 1 / kinds)) @ lower_log(value)
        margins = (*point.margins, least)
        return CurvePoint(point.z * factor, point.g / factor, point.u, potential, margins, point.base, point.updates)

    def _steps(self, u: Jet) -> tuple[np.ndarray, np.ndarray]:
        """1 + λu for each kind of λ (kinds, n), and its relative changes (kinds, m, n)."""
        kinds = self._kinds[0]
        value, change = 1.0 + kinds[:, None] * u.value, kinds[:, None, None] * u.change
        if isinstance(u, AnchoredJet):  # which keeps its digits near -1/λ
            near = np.abs(kinds * u.anchor - 1.0) <= SAME
            value[near], change[near] = kinds[near, None] * u.rest.value, kinds[near, None, None] * u.rest.change
        return value, change / value[:, None]


def in_runs(moves: Sequence[Move]) -> list[Move | WishartRun]:
    """The moves in order, three or more neighbouring factors with Marchenko–Pastur laws as one."""
    found: list[Move | WishartRun] = []
    for wishart, run in groupby(moves, _is_wishart):
        own = list(run)
        if wishart and len(own) >= _FEWEST:
            laws = [move.law for move in own if isinstance(move, Multiply)]
            found.append(WishartRun(tuple(law.ratio for law in laws if isinstance(law, MarchenkoPastur))))
        else:
            found += own
    return found


def _is_wishart(move: Move) -> bool:
    return isinstance(move, Multiply) and isinstance(move.law, MarchenkoPastur)
