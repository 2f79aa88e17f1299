"""A table of vectors, one for every token."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.errors import InputError, is_real
from freeness.network.operations.checks import check_weights
from freeness.network.operations.operation import Weights


@dataclass(frozen=True)
class Embedding(Weights):
    """x_p = E[token_p] with E of shape (count, width), entries N(0, sigma²): equal tokens have equal vectors."""

    count: int
    width: int
    sigma: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        check_weights(self, (self.count, self.width), 0.0)
        if not (is_real(self.sigma) and self.sigma >= 0):
            raise InputError(f"expected sigma ≥ 0 of an embedding, got {self.sigma!r}; it is a standard deviation.")
