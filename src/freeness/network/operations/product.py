"""An elementwise product of signals: a gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from freeness.network.operations.operation import Operation


@dataclass(frozen=True)
class Product(Operation):
    """y = x_1 ∘ x_2 ∘ …, elementwise, of signals with the same channels and positions (SwiGLU, GEGLU, gates).

    A signal of one channel, or one position or none, is the same at all of them.
    """

    name: str = ""
    arity: ClassVar[int | None] = None
