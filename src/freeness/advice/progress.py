"""What long computations report while they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` stages are finished and ``stage`` is about to run.

    As text it is one line, so that ``progress=print`` follows a computation in a notebook or a script.

    Example:
        >>> print(Progress("freeness of the weights", 2, 7))
        [3/7] freeness of the weights
    """

    stage: str
    done: int
    total: int

    def __str__(self) -> str:
        return f"[{min(self.done + 1, self.total)}/{self.total}] {self.stage}"


Report = Callable[[Progress], None]
