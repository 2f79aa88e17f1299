"""A part of a signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from freeness.errors import InputError
from freeness.network.operations.operation import Operation


@dataclass(frozen=True)
class Selection(Operation):
    """Entries ``start``:``stop`` of the channels (a chunk of packed projections) or positions (a class token) of a signal.

    Positions are counted in rows. ``vector``: the one position that is left is no axis any more.
    """

    of: Literal["channels", "positions"]
    start: int
    stop: int
    vector: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.of not in ("channels", "positions"):
            raise InputError(f"expected a selection of channels or positions, got {self.of!r}; choose one.")
        if not 0 <= self.start < self.stop:
            raise InputError(f"expected 0 ≤ start < stop of a selection, got {self.start}:{self.stop}; correct them.")
        if self.vector and (self.of != "positions" or self.stop != self.start + 1):
            raise InputError("expected one position that becomes a vector, got another selection; leave vector out.")
