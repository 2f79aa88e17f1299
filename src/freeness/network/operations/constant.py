"""A tensor beside the signals, the same whatever comes in."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError, is_real, is_size
from freeness.network.moments import Pairs, Step, Stream, Trained, backward, joined, trained
from freeness.network.operation import Operation

_SAME = 1e-5  # by which entries of one row differ, relative, that single precision holds


@dataclass(frozen=True)
class Constant(Operation):
    """E of ``channels`` × ``positions`` that reads no signal: positional embeddings, class tokens, scales and shifts.

    ``sigma``: root mean square of its entries. Where there is one channel, or no positions, it is the same at all of them.
    ``gram``: means over channels of e(p)e(p') between positions, where entries are given; () where each is drawn by itself.
    ``means``: over channels, at each position; () for 0.
    """

    channels: int
    positions: tuple[int, ...] = ()
    sigma: float = 1.0
    trained: bool = True
    name: str = ""
    gram: tuple[tuple[float, ...], ...] = ()
    means: tuple[float, ...] = ()
    arity: ClassVar[int | None] = 0

    def __post_init__(self) -> None:
        if not (isinstance(self.positions, tuple) and all(map(is_size, (self.channels, *self.positions)))):
            raise InputError(f"expected sizes ≥ 1, got {self.channels!r} channels and positions {self.positions!r}.")
        if not (is_real(self.sigma) and self.sigma >= 0):
            raise InputError(f"expected sigma ≥ 0 of a constant, got {self.sigma!r}; it is a root mean square.")
        if {len(self.gram), *map(len, self.gram)} not in ({0}, {self.count}) or len(self.means) not in (0, self.count):
            raise InputError(f"expected a Gram matrix and means of {self.count} positions, got others; correct them.")

    @property
    def count(self) -> int:
        """Of its positions."""
        return math.prod(self.positions)

    @property
    def between(self) -> Float[np.ndarray, "count count"]:
        """Means over channels of e(p)e(p')."""
        return np.array(self.gram) if self.gram else self.sigma**2 * np.eye(self.count)

    @property
    def shared(self) -> Float[np.ndarray, "count count"]:
        """1 where two positions have the same entries, as of one row of a table."""
        gram = self.between
        square = np.diagonal(gram)
        same = gram >= (1 - _SAME) * np.maximum(square[:, None], square)
        return (same & (gram > 0) | np.eye(len(gram), dtype=bool)).astype(float)


@joined.register
def _(operation: Constant, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    """Σ is the same for all samples."""
    (like,) = streams
    shape, count = () if like.alike else operation.positions, len(like.second)
    if like.across and shape:
        gram, one = (found.reshape(*shape, *shape) for found in (operation.between, operation.shared))
    else:
        one = np.ones(shape)
        gram = np.diagonal(operation.between).reshape(shape) if operation.gram and shape else operation.sigma**2 * one

    def step(pairs: Pairs) -> Pairs:
        lead = pairs.value.shape[:2]
        drawn = one if like.standard else np.where(one > 0, gram, 0.0)
        trains = drawn if operation.trained else 0 * gram
        return Pairs(
            np.broadcast_to(gram, (*lead, *gram.shape)), np.broadcast_to(trains, (*lead, *gram.shape)), pairs.rows
        )

    own = operation.means if shape or operation.count == 1 else np.mean(operation.means or 0.0)
    means = np.resize(own, (count, *shape)) if operation.means else None
    after = like._replace(
        second=np.broadcast_to(gram, (count, *gram.shape)),
        growth=np.zeros((count, *shape)),
        mean=None if means is None else lambda: means,
        gaussian=means is None,
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
    count, flat = operation.count, gradient.reshape(len(gradient), -1)
    square = flat.reshape(len(flat), count, count) if flat.shape[1] == count**2 else flat[:, :, None] * np.eye(count)
    powers = (square * operation.shared).sum(axis=(1, 2))
    return Trained(powers, np.zeros_like(powers))
