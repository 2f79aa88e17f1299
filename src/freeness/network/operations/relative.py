"""Scores of an attention that know how far a key lies from its query: T5's trained tables, the slopes of ALiBi.

They are added before the softmax, so what all keys of a query have in common does not count: the distance 0 has 0.

Source: Raffel et al. (2020); Press, Smith, Lewis (2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError, is_real, is_size


@dataclass(frozen=True)
class RelativeScores:
    """What is added to a head's scores: ``values`` at the distances 1 - T … T - 1 of T positions, of every head, or of all.

    Example:
        >>> RelativeScores(((-1.0, 0.0, 2.0),)).over(2).tolist()
        [[[0.0, 2.0], [-1.0, 0.0]]]
    """

    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        lengths = {len(row) for row in self.values}
        if len(lengths) != 1 or min(lengths) % 2 == 0 or not all(is_real(one) for row in self.values for one in row):
            raise InputError(
                f"expected finite scores at the distances 1 - T to T - 1, as many of each head, got rows of lengths "
                f"{[len(row) for row in self.values]}; give 2T - 1 numbers a head."
            )

    @classmethod
    def of_slopes(cls, heads: int, positions: int) -> RelativeScores:
        """ALiBi: head h of H subtracts 2^(-8h/H) for each position between key and query.

        Args:
            heads: H.
            positions: T.

        Source: Press, Smith, Lewis (2022).

        Example:
            >>> RelativeScores.of_slopes(2, 2).values
            ((-0.0625, 0.0, -0.0625), (-0.00390625, 0.0, -0.00390625))
        """
        if not (is_size(heads) and is_size(positions)):
            raise InputError(f"expected heads and positions ≥ 1, got {heads!r} and {positions!r}; correct them.")
        distances = np.abs(np.arange(1 - positions, positions))
        slopes = 2.0 ** (-8 * np.arange(1, heads + 1) / heads)
        return cls(tuple(tuple(map(float, row)) for row in 0.0 - np.multiply.outer(slopes, distances)))

    def over(self, positions: int) -> Float[np.ndarray, "heads queries keys"]:
        """Added scores of every head, or of all alike.

        Args:
            positions: T at most.
        """
        most = len(self.values[0]) // 2 + 1
        if positions > most:
            raise InputError(f"expected at most {most} positions, as scores of distances are for, got {positions}.")
        places = np.arange(positions)
        return np.asarray(self.values)[:, places - places[:, None] + most - 1]
