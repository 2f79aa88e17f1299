"""What all pictures share: colours that the colour-blind tell apart (Okabe, Ito 2008), a name for measured series, cells."""

from __future__ import annotations

import numpy as np

THEORY = "#0072B2"
MEASURED = "#E69F00"
MEASURED_DARK = "#8A5A00"  # for thin lines and text on white
GREEN = "#009E73"
RED = "#D55E00"
GREY = "#666666"
PALE = "#bbbbbb"  # where nothing can be drawn
ORDERED_TO_CHAOTIC = (THEORY, "#ffffff", RED)  # critical in the middle


def counted(eigenvalues: int, how: str = "measured") -> str:
    """The name of the measured series."""
    return f"{how} ({eigenvalues} eigenvalue{'' if eigenvalues == 1 else 's'})"


def cell_edges(centres: np.ndarray) -> np.ndarray:
    """Of cells of a heat map: between the centres, and as far beyond the outer ones."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.array([2 * centres[0] - middle[0], *middle, 2 * centres[-1] - middle[-1]])
