"""Nearest-neighbour upsampling."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.network.operation import Operation
from freeness.network.operations.checks import check_windows


@dataclass(frozen=True)
class Upsampling(Operation):
    """Every position ``factors`` times along each dimension: a map of images onto larger ones (U-Net, decoders)."""

    factors: tuple[int, ...]
    name: str = ""

    def __post_init__(self) -> None:
        check_windows(self.factors, None)
