"""Piecewise-linear activations: kinks, slopes and the value at 0 say all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from freeness.gaussian.activations import ActivationFunction


def piecewise_linear(kinks: tuple[float, ...], slopes: tuple[float, ...], at_zero: float = 0.0) -> ActivationFunction:
    """φ continuous with the given slopes and φ(0) = at_zero; slopes[i] holds left of kinks[i]. It has no name yet.

    Each piece is a line through one of its points: the piece with 0 through 0, the others through the kink nearest to 0.
    So φ(x) = φ(0) + slope·x near 0 without cancellation, however small x is.

    Args:
        kinks: where the slope changes, ascending.
        slopes: of the pieces, one more than kinks.
        at_zero: φ(0).

    Example:
        >>> tent = piecewise_linear((-1.0, 0.0, 1.0), (0.0, 1.0, -1.0, 0.0), at_zero=1.0)
        >>> tent.function(np.array([-2.0, -0.5, 0.0, 0.25])).tolist()
        [0.0, 0.5, 1.0, 0.75]
    """
    k, s = np.array(kinks), np.array(slopes)
    home = int(np.searchsorted(k, 0.0, side="left"))  # the piece with 0
    points = np.concatenate([k[:home], [0.0], k[home:]])  # by piece
    rises = np.diff(points) * np.concatenate([s[1 : home + 1], s[home:-1]])  # of φ from each point to the next
    values = np.concatenate([[0.0], np.cumsum(rises)])
    values += at_zero - values[home]

    def function(x: np.ndarray) -> np.ndarray:
        beyond = [x > kink for kink in kinks]
        value, slope, point = (_chosen(table, beyond, x) for table in (values, s, points))
        return value + slope * (x - point)

    def derivative(x: np.ndarray) -> np.ndarray:
        return _chosen(s, [x > kink for kink in kinks], x) + np.zeros_like(x)

    return ActivationFunction("", function, derivative, kinks, slopes, tails=(slopes[0], slopes[-1]))


def _chosen(table: np.ndarray, beyond: Sequence[np.ndarray], x: np.ndarray) -> np.ndarray:
    """The entry of each piece, in the precision of x, or one for all: a search for pieces takes four times as long."""
    own = table.astype(np.result_type(x, np.float32))
    found = np.asarray(own[0])
    for passed, before, entry in zip(beyond, own, own[1:], strict=False):
        if entry != before or found.ndim:
            found = np.asarray(np.where(passed, entry, found))
    return found
