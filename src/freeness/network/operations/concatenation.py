"""Signals side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from freeness.errors import InputError
from freeness.network.operations.operation import Operation


@dataclass(frozen=True)
class Concatenation(Operation):
    """Signals behind one another, along ``channels`` (DenseNet, U-Net) or along ``positions`` (a class token)."""

    along: Literal["channels", "positions"] = "channels"
    name: str = ""
    arity: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        if self.along not in ("channels", "positions"):
            raise InputError(f"expected a concatenation along channels or positions, got {self.along!r}; choose one.")
