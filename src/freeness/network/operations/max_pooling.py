"""Max pooling."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.errors import InputError
from freeness.network.moments import Pairs, Step, Stream, forward
from freeness.network.operation import Operation, described
from freeness.network.operations.checks import check_windows


@dataclass(frozen=True)
class MaxPooling(Operation):
    """The largest entry of each channel in windows of ``size`` positions at a distance ``stride``; ``padding`` at each side."""

    size: tuple[int, ...] | None = None
    stride: int | None = None
    padding: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        check_windows(self.size, self.stride)


@forward.register
def _(layer: MaxPooling, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    raise InputError(
        f"expected average pooling, got {described(layer)}, whose largest entries have no second moments in this theory; "
        "measure the network instead."
    )
