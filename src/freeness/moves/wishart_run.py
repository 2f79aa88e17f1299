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
from freeness.numerics import Jet, lower_log

_FEWEST = 3  # factors from which this pays


@dataclass(frozen=True)
class WishartRun:
    """⊠ of Marchenko–Pastur laws of k ``ratios`` λ: u kept, z ← z·Π(1 + λu), for S = 1/(1 + λu).

    All k stages are formed, for every one of them has to lie in the upper half-plane; U gains u + (1 - 1/λ)·log(1 + λu) a factor.
    """

    ratios: tuple[float, ...]
    size = 0

    @cached_property
    def _kinds(self) -> tuple[np.ndarray, np.ndarray]:
        """The different ratios, and which of them each factor has."""
        return np.unique(self.ratios, return_inverse=True)

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        """The point behind all factors."""
        kinds, which = self._kinds
        steps = [point.u * ratio + 1.0 for ratio in kinds.tolist()]  # anchored jets keep their digits near -1/λ
        value = np.array([step.value for step in steps])
        slope = np.array([step.change for step in steps]) / value[:, None]
        z = point.z.value * np.cumprod(value[which], axis=0)

        def least() -> np.ndarray:
            rise = z * (point.z.change[0] / point.z.value + np.cumsum(slope[which, 0], axis=0))
            g = point.g.value * point.z.value / z
            return physical_margin(Jet(z, rise[None]), point.base, g).min(axis=0)

        counts, grown = np.bincount(which).tolist(), z[-1] / point.z.value
        factor = Jet(grown, grown * sum(n * one for n, one in zip(counts, slope, strict=True)))
        potential = point.potential
        if potential is not None:
            gained = sum(n * (1 - 1 / r) * lower_log(s.value) for n, r, s in zip(counts, kinds, steps, strict=True))
            potential = potential + len(which) * point.u.value + gained
        margins = (*point.margins, least)
        return CurvePoint(point.z * factor, point.g / factor, point.u, potential, margins, point.base, point.updates)


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
