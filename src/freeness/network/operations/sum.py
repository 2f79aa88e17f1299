"""A weighted sum of signals; a skip connection is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from freeness.errors import InputError, is_real
from freeness.network.operations.operation import Operation


@dataclass(frozen=True)
class Sum(Operation):
    """y = Σ_i scales_i x_i, of signals with the same channels and positions. x + β·branch(x) has the scales (1, β)."""

    scales: tuple[float, ...] = (1.0, 1.0)
    name: str = ""
    arity: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        if not (isinstance(self.scales, tuple) and self.scales and all(map(is_real, self.scales))):
            raise InputError(f"expected finite scales of a sum in a tuple, got {self.scales!r}; correct them.")
