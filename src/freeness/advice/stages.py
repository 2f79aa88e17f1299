"""The stages of an analysis: what is planned for each, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

INTERRUPTED = "the analysis was interrupted"
NOT_ASKED = "it was not asked for"
Way = Literal["exact", "estimated", "left out"]


@dataclass(frozen=True)
class Stage:
    """One stage: how it is gone about, and why.

    ``work``: floating-point operations; ``forecast``: seconds; ``bytes``: held beyond the model at most. ``effort``: products or
    rows that were planned, with ``samples`` of the batch of which ``part`` are held at a time, and ``length`` places of each (0:
    all of them). ``seconds``: what it took, None where it did not run. ``missing``: why its numbers are not there, or not all of
    them; "" where they are.

    Example:
        >>> print(Stage("measure Fisher", "estimated", 4e11, 8.0, 2e9, "all eigenvalues would take 300 s"))
        measure Fisher: estimated, about 8 s (all eigenvalues would take 300 s)
    """

    name: str
    way: Way
    work: float
    forecast: float
    bytes: float
    reason: str = ""
    effort: int = 0
    samples: int = 0
    part: int = 0
    length: int = 0
    seconds: float | None = None
    missing: str = ""

    def __str__(self) -> str:
        told = f" ({self.reason})" if self.reason else ""
        time = "" if self.way == "left out" else f", about {self.forecast:.2g} s"
        return f"{self.name}: {self.way}{time}{told}"
