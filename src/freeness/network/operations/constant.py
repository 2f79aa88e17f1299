"""A tensor beside the signals, the same whatever comes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from freeness.errors import InputError, is_real, is_size
from freeness.network.operation import Operation


@dataclass(frozen=True)
class Constant(Operation):
    """E of ``channels`` × ``positions`` that reads no signal: positional embeddings, class tokens, scales and shifts.

    ``sigma``: root mean square of its entries. Where there is one channel, or no positions, it is the same at all of them.
    """

    channels: int
    positions: tuple[int, ...] = ()
    sigma: float = 1.0
    trained: bool = True
    name: str = ""
    arity: ClassVar[int | None] = 0

    def __post_init__(self) -> None:
        if not (isinstance(self.positions, tuple) and all(map(is_size, (self.channels, *self.positions)))):
            raise InputError(f"expected sizes ≥ 1, got {self.channels!r} channels and positions {self.positions!r}.")
        if not (is_real(self.sigma) and self.sigma >= 0):
            raise InputError(f"expected sigma ≥ 0 of a constant, got {self.sigma!r}; it is a root mean square.")
