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

from freeness.operators.logarithms import logarithm
from freeness.operators.packing import symmetric
from freeness.operators.parts import GivenPart, InSingle, less_inverted

_PIECE = 1_000_000  # numbers of one array that is worked on at once
_TAKEN = 64  # units taken one by one: beside 512 of them G moves by less than 10⁻³
_ROUGHLY = 8  # of these on the way to a solution


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
        self._every = [d.T @ d / count for d in derivatives]
        self.exact = few == count
        self._squares, self._shares = self._standing([d[:few, :, None] * d[:few, None, :] for d in derivatives])

    def _standing(self, own: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
        """d dᵀ of some units, behind them, where these are not all, their mean and that of all (C, P, P); the share of each."""
        shares = np.full(len(own[0]), 1 / len(own[0]))
        if self.exact:
            return list(own), shares
        found = [np.concatenate([one, [one.mean(axis=0), every]]) for one, every in zip(own, self._every, strict=True)]
        return found, np.append(shares, [-1.0, 1.0])

    @cached_property
    def rough(self) -> GivenPart:
        """A few of the units, in single precision."""
        other, single = copy(self), np.float32
        other.exact = False
        squares, shares = other._standing([square[: min(_ROUGHLY, self._taken)] for square in self._squares])
        other._squares, other._shares = [square.astype(single) for square in squares], shares.astype(single)
        return InSingle(other)

    @property
    def _taken(self) -> int:
        """Units one by one."""
        return len(self._shares) - (0 if self.exact else 2)

    def answers(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> list[Inexact[np.ndarray, "points _ _"]]:
        points, height = len(fields[0]), self._height(fields)
        pieces = [
            self._answered([field[first : first + height] for field in fields]) for first in range(0, points, height)
        ]
        return [symmetric(np.concatenate(parts)) for parts in zip(*pieces, strict=True)]

    def potential(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> Inexact[np.ndarray, " points"]:
        points, height = len(fields[0]), self._height(fields)
        pieces = [[field[first : first + height] for field in fields] for first in range(0, points, height)]
        found = [logarithm(*_noise(self._squares, piece)) @ self._shares for piece in pieces]
        return self.channels * np.concatenate(found)

    def _height(self, fields: Sequence[np.ndarray]) -> int:
        """Points that are worked on at once."""
        return max(1, _PIECE // (self._shares.size * fields[0].shape[1] ** 2))

    def returned(
        self, asked: Float[np.ndarray, "positions positions"]
    ) -> list[Float[np.ndarray, "positions positions"]]:
        """r (P, P) where each matrix writes, where no noise comes in."""
        return [self.channels * (square * asked) for square in self._every]

    def _answered(self, fields: Sequence[np.ndarray]) -> list[np.ndarray]:
        kappa, asked = _noise(self._squares, fields)
        inverse = less_inverted(kappa @ asked)
        back = asked @ inverse
        shares = self.channels * self._shares[:, None, None]
        return [
            *((shares * square * back).sum(axis=1) for square in self._squares),
            (shares * (inverse @ kappa)).sum(axis=1),
        ]


def _noise(squares: Sequence[np.ndarray], fields: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """κ of every unit (m, C, P, P), and b (m, 1, P, P)."""
    *written, asked = (field[:, None] for field in fields)
    kappa = squares[0] * written[0]
    for square, field in zip(squares[1:], written[1:], strict=True):
        kappa = kappa + square * field
    return kappa, asked
