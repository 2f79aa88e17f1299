"""Max pooling."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.network.operations.checks import check_windows
from freeness.network.operations.operation import Operation


@dataclass(frozen=True)
class MaxPooling(Operation):
    """The largest entry of each channel in windows of ``size`` positions at a distance ``stride``; ``padding`` at each side."""

    size: tuple[int, ...] | None = None
    stride: int | None = None
    padding: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        check_windows(self.size, self.stride)
