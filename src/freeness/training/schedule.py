"""How a rate goes along training: constant or falling, with or without a warm-up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from freeness.errors import InputError

_SHAPES: dict[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "cosine": lambda at: 0.5 * (1 + math.cos(math.pi * at)),
    "linear": lambda at: 1 - at,
}


@dataclass(frozen=True)
class Schedule:
    """The rate of every step as a share of the one that is named: linear up to it over ``warmup`` steps, then by its shape.

    Args:
        steps: of the whole training.
        shape: "constant", "cosine" (half a period, down to 0) or "linear" (down to 0).
        warmup: steps; the first has the share ``first`` + (1 - ``first``)/warmup, the last of them 1.
        first: share from which a warm-up begins.

    Raises:
        InputError: another shape, or a warm-up that is no part of the training.

    Example:
        >>> [round(Schedule(4, "cosine").share(step), 3) for step in range(4)]
        [1.0, 0.854, 0.5, 0.146]
        >>> [Schedule(8, warmup=4).share(step) for step in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]

    Source: of the cosine, Loshchilov and Hutter, arXiv 1608.03983, eq. 5 with η_min = 0 and one period.
    """

    steps: int
    shape: str = "constant"
    warmup: int = 0
    first: float = 0.0

    def __post_init__(self) -> None:
        if self.shape not in _SHAPES:
            raise InputError(f"expected a schedule among {', '.join(_SHAPES)}, got {self.shape!r}; choose one.")
        if not 0 <= self.warmup < self.steps:
            raise InputError(
                f"expected a warm-up of 0 to {self.steps - 1} of the {self.steps} steps, got {self.warmup}; shorten it."
            )

    def share(self, step: int) -> float:
        """Of the named rate, at a step that is counted from 0."""
        if step < self.warmup:
            return self.first + (1 - self.first) * (step + 1) / self.warmup
        return _SHAPES[self.shape](min(1.0, (step - self.warmup) / (self.steps - self.warmup)))

    @property
    def falls(self) -> bool:
        """Whether the rate falls towards the end."""
        return self.shape != "constant"

    def __str__(self) -> str:
        return self.shape + (f" after a warm-up of {self.warmup} steps" if self.warmup else "")


def schedule_names() -> tuple[str, ...]:
    """The shapes that there are."""
    return tuple(_SHAPES)
