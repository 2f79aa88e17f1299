"""Positions in another shape."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.errors import InputError, is_size
from freeness.network.operations.operation import Operation


@dataclass(frozen=True)
class Reshape(Operation):
    """The same positions, counted in rows, in the shape ``positions``: an image's pixels become tokens, and back."""

    positions: tuple[int, ...]
    name: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.positions, tuple) and all(map(is_size, self.positions))):
            raise InputError(f"expected sizes ≥ 1 of positions in a tuple, got {self.positions!r}; correct them.")
