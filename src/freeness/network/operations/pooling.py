"""Average pooling."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.network.operations.checks import check_windows
from freeness.network.operations.operation import Operation


@dataclass(frozen=True)
class Pooling(Operation):
    """Averages over windows of ``size`` positions at a distance ``stride``; over all positions where ``size`` is None."""

    size: tuple[int, ...] | None = None
    stride: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        check_windows(self.size, self.stride)
