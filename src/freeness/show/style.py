"""What all pictures share: colours that the colour-blind tell apart (Okabe, Ito 2008), and a name for measured series."""

from __future__ import annotations

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
