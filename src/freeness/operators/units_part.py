"""Units between two random matrices, each with its own derivatives at every position: the hidden layer of an MLP on tokens.

Of unit i with derivatives d_w,i by what the matrix w writes, κ_i = Σ_w (d_w d_wᵀ) ∘ a_w and, with b where the outputs are read,

    p = Σ_i (1 - κ_i b)⁻¹ κ_i,    r_w = Σ_i (d_w d_wᵀ) ∘ b (1 - κ_i b)⁻¹.

Of many units some are taken, the others by their mean alone: Σ_i f(d_i d_iᵀ) ≈ n f(M) + n/k Σ_{i ≤ k} [f(d_i d_iᵀ) -
f(M_k)], where M and M_k are the means of d dᵀ over all n units and over those k. What first-order terms scatter is gone.

Source: theory.md §11 for p and r; the control variate is this project's.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact

from freeness.operators.packing import symmetric
from freeness.operators.parts import GivenPart, less_inverted, mean_logarithm

_PIECE = 1_000_000  # numbers of one array that is worked on at once
_TAKEN = 64  # units taken one by one: beside 512 of them G moves by less than 10⁻³


class UnitsPart(GivenPart):
    """Ports: what each matrix writes, in order, and last where outputs are read.

    Args:
        channels: n.
        derivatives: of each matrix that writes (C, P).
        taken: how many units one by one; at most 64, where None.
    """

    def __init__(
        self, channels: int, derivatives: Sequence[Float[np.ndarray, "units positions"]], taken: int | None = None
    ) -> None:
        count, size = derivatives[0].shape
        self.channels, self.sizes = channels, (size,) * (len(derivatives) + 1)
        few = min(count, _TAKEN if taken is None else taken)
        self._every = [(d.T @ d / count)[None, None] for d in derivatives]
        self._some = [(d[:few].T @ d[:few] / few)[None, None] for d in derivatives]
        self._own = [d[None, :few, :, None] * d[None, :few, None, :] for d in derivatives]
        self.exact = few == count

    @cached_property
    def _single(self) -> UnitsPart:
        """In single precision."""
        other = copy(self)
        other._every, other._some, other._own = (
            [square.astype(np.float32) for square in squares] for squares in (self._every, self._some, self._own)
        )
        return other

    def about(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> list[Inexact[np.ndarray, "points _ _"]]:
        return self._single.answers([field.astype(np.complex64) for field in fields])

    def answers(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> list[Inexact[np.ndarray, "points _ _"]]:
        points, size = fields[0].shape[:2]
        height = max(1, _PIECE // (self._own[0].shape[1] * size**2))
        pieces = [
            self._answered([field[first : first + height] for field in fields]) for first in range(0, points, height)
        ]
        return [symmetric(np.concatenate(parts)) for parts in zip(*pieces, strict=True)]

    def potential(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> Inexact[np.ndarray, " points"]:
        points = [[field[point : point + 1] for field in fields] for point in range(len(fields[0]))]
        own = np.concatenate([_logarithms(self._own, point) for point in points])
        if not self.exact:
            own = own - _logarithms(self._some, fields) + _logarithms(self._every, fields)
        return self.channels * own

    def returned(
        self, asked: Float[np.ndarray, "positions positions"]
    ) -> list[Float[np.ndarray, "positions positions"]]:
        """r (P, P) where each matrix writes, where no noise comes in.

        Args:
            asked: b (P, P).
        """
        return [self.channels * (square[0, 0] * asked) for square in self._every]

    def _answered(self, fields: Sequence[np.ndarray]) -> list[np.ndarray]:
        own = _means(self._own, fields)
        if not self.exact:
            some, every = _means(self._some, fields), _means(self._every, fields)
            own = [one - less + more for one, less, more in zip(own, some, every, strict=True)]
        return [self.channels * one for one in own]


def _means(squares: Sequence[np.ndarray], fields: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Over units with given d dᵀ (1, C, P, P), to fields (m, P, P)."""
    kappa, asked = _noise(squares, fields)
    inverse = less_inverted(kappa @ asked)
    back = asked @ inverse
    return [*((square * back).mean(axis=1) for square in squares), (inverse @ kappa).mean(axis=1)]


def _logarithms(squares: Sequence[np.ndarray], fields: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of log det(1 - κ b) over units (m,)."""
    kappa, asked = _noise(squares, fields)
    return mean_logarithm(kappa @ asked)


def _noise(squares: Sequence[np.ndarray], fields: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """κ of every unit (m, C, P, P), and b (m, 1, P, P)."""
    *written, asked = (field[:, None] for field in fields)
    kappa = squares[0] * written[0]
    for square, field in zip(squares[1:], written[1:], strict=True):
        kappa = kappa + square * field
    return kappa, asked
