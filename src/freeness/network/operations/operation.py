"""What every operation of a network is: a frozen record that says what it does, not where it stands."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar


class Operation(ABC):
    """One operation of a network, a frozen dataclass; what theory knows of it is registered by its type.

    ``name`` is for people: the path of a module, say. ``arity`` says how many signals it reads, None any number ≥ 2.
    """

    name: str
    arity: ClassVar[int | None] = 1


class Weights(Operation):
    """An operation that multiplies by trained random matrices: dense, position-wise, convolution, token mixing, embedding."""


def described(operation: object) -> str:
    """An operation's kind and name, for a message.

    Example:
        >>> from freeness.network import Dropout
        >>> described(Dropout(0.1, "drop3"))
        "Dropout 'drop3'"
    """
    name = getattr(operation, "name", "")
    return type(operation).__name__ + (f" {name!r}" if name else "")
