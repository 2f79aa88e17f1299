"""A tensor beside the signals, the same whatever comes in."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from freeness.errors import InputError, is_real, is_size
from freeness.network.moments import Pairs, Step, Stream, Trained, backward, joined, trained
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


@joined.register
def _(operation: Constant, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    """Σ is the same for all samples, and 0 between positions, whose entries are drawn by themselves."""
    (like,) = streams
    shape, count = () if like.alike else operation.positions, len(like.second)
    one = np.ones(shape)
    if like.across and shape:
        one = np.eye(one.size).reshape(*shape, *shape)
    gram = operation.sigma**2 * one

    def step(pairs: Pairs) -> Pairs:
        lead = pairs.value.shape[:2]
        own = (one if like.standard else gram) if operation.trained else 0 * gram
        return Pairs(
            np.broadcast_to(gram, (*lead, *gram.shape)), np.broadcast_to(own, (*lead, *gram.shape)), pairs.rows
        )

    after = like._replace(
        second=np.broadcast_to(gram, (count, *gram.shape)),
        growth=np.zeros((count, *shape)),
        mean=None,
        gaussian=True,
        features=operation.channels if operation.channels > 1 else None,
        uneven=False,
        whole=None,
    )
    return after, step


@backward.register
def _(operation: Constant, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """It reads nothing."""
    return ()


@trained.register
def _(operation: Constant, streams: tuple[Stream, ...], gradient: np.ndarray) -> Trained | None:
    """What comes back to its entries."""
    if not operation.trained:
        return None
    count = int(np.prod(operation.positions))
    flat = gradient.reshape(len(gradient), -1)
    square = flat.reshape(len(flat), count, count) if flat.shape[1] == count**2 else flat[:, :, None] * np.eye(count)
    powers = np.trace(square, axis1=1, axis2=2)
    return Trained(powers, np.zeros_like(powers))
