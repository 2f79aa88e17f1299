"""Cells of a heat map on logarithmic axes."""

from __future__ import annotations

import numpy as np


def cell_edges(centres: np.ndarray) -> np.ndarray:
    """Between the centres, in logarithms, and as far beyond the outer ones.

    Example:
        >>> cell_edges(np.array([1.0, 4.0])).round(12).tolist()
        [0.5, 2.0, 8.0]
    """
    logs = np.log(centres)
    if len(logs) == 1:
        return np.exp([logs[0] - 0.5, logs[0] + 0.5])
    middle = (logs[1:] + logs[:-1]) / 2
    return np.exp([2 * logs[0] - middle[0], *middle, 2 * logs[-1] - middle[-1]])
