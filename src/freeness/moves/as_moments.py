"""A list of moves read as mean and variance, and as the shares of the mean that each summand has."""

from __future__ import annotations

from typing import NamedTuple

from freeness.moves.move import Shift
from freeness.moves.move_list import MoveList


class MeanVariance(NamedTuple):
    """Mean and variance of a law."""

    mean: float
    variance: float

    @property
    def relative_variance(self) -> float:
        """variance/mean²; of JJᵀ at χ₁ = 1 this is σ_JJ²."""
        return self.variance / self.mean**2


def mean_variance_after(listed: MoveList) -> MeanVariance:
    """Mean and variance behind the moves, in a few operations each.

    Under ⊠ the relative variances add, a shift adds to the mean only, and a change of dimension by r scales the first two
    moments by r (theory.md §1).

    Example:
        >>> from freeness.moves import Scale
        >>> from freeness.moves.move_list import times
        >>> from freeness.laws import MarchenkoPastur
        >>> mean_variance_after(MoveList(1.0, (*times(MarchenkoPastur(1.0)), Scale(2.0))))
        MeanVariance(mean=2.0, variance=4.0)
    """
    mean, variance = listed.start, 0.0
    for move in listed.moves:
        mean, variance = move.mean(mean), move.variance(mean, variance)
    return MeanVariance(mean, variance)


def gains_after(listed: MoveList) -> tuple[float, ...]:
    """What a unit at the start, and a unit at each shift, adds to the mean of the final law.

    Example:
        >>> from freeness.moves import Scale
        >>> gains_after(MoveList(5.0, (Scale(2.0), Shift(1.0), Scale(3.0))))
        (6.0, 3.0)
    """
    gain = 1.0
    found: list[float] = []
    for move in reversed(listed.moves):
        if isinstance(move, Shift):
            found.append(gain)
        else:
            gain = gain * move.mean(1.0)
    return (gain, *reversed(found))
