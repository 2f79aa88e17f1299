"""What long computations report while they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` stages are finished and ``stage`` is about to run."""

    stage: str
    done: int
    total: int


Report = Callable[[Progress], None]
