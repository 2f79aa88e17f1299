"""Dropout, in training."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.errors import InputError, is_real
from freeness.network.operations.operation import Operation


@dataclass(frozen=True)
class Dropout(Operation):
    """In training: entries are 0 with probability ``rate``, the others divided by 1 - rate; independent for each sample."""

    rate: float
    name: str = ""

    def __post_init__(self) -> None:
        if not (is_real(self.rate) and 0 <= self.rate < 1):
            raise InputError(f"expected a dropout rate in [0, 1), got {self.rate!r}; correct it.")
