"""What long computations report while they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` stages are finished and ``stage`` is about to run, or has come as far as ``share`` of it.

    ``note``: what else there is to say, as the forecast. As text it is one line, so that ``progress=print`` follows a computation
    in a notebook or a script.

    Example:
        >>> print(Progress("freeness of the weights", 2, 7))
        [3/7] freeness of the weights
        >>> print(Progress("curvature", 7, 8, share=0.5))
        [8/8] curvature, 50%
    """

    stage: str
    done: int
    total: int
    share: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        come = f", {self.share:.0%}" if self.share > 0 else ""
        told = f" ({self.note})" if self.note else ""
        return f"[{min(self.done + 1, self.total)}/{self.total}] {self.stage}{come}{told}"


Report = Callable[[Progress], None]
