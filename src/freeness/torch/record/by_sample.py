"""The batch at hand: what a record computes of its samples beside the signals, as masks and the tokens of a decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from freeness.errors import InputError


@dataclass(eq=False)
class SampleRows:
    """Inputs, one row a sample, and what was computed of them, by the calls that did."""

    rows: Tensor
    known: dict[object, Any] = field(default_factory=dict[object, Any])
    parts: dict[int, list[SampleRows]] = field(default_factory=dict[int, list["SampleRows"]])

    def of_size(self, size: int) -> list[SampleRows]:
        """Batches of so many samples, the last with one of them again and again."""
        if size not in self.parts:
            count = len(self.rows)
            places = torch.arange(-(-count // size) * size, device=self.rows.device).clamp(max=count - 1)
            self.parts[size] = [SampleRows(self.rows[chosen]) for chosen in places.split(size)]
        return self.parts[size]


_AT_HAND: ContextVar[SampleRows | None] = ContextVar("rows at hand", default=None)


@contextmanager
def at_hand(batch: SampleRows) -> Iterator[None]:
    """Records compute of this batch."""
    token = _AT_HAND.set(batch)
    try:
        yield
    finally:
        _AT_HAND.reset(token)


def rows_at_hand() -> SampleRows:
    """That of which records compute.

    Raises:
        InputError: none is at hand.
    """
    found = _AT_HAND.get()
    if found is None:
        raise InputError(
            "expected a batch for what each sample brings beside the signal, got none; measure it instead."
        )
    return found


def of_each_sample(key: object, size: int | None, compute: Callable[[], Any]) -> Any:
    """What calls give that hold a number of samples, of the batch at hand.

    Args:
        key: of the calls.
        size: how many samples they hold; None for any number.
        compute: runs them for the batch at hand.

    Raises:
        InputError: what they give has no row a sample.

    Example:
        >>> def doubled():
        ...     return 2 * rows_at_hand().rows.reshape(2, 1)
        >>> with at_hand(SampleRows(torch.arange(3)[:, None])):
        ...     of_each_sample("doubled", 2, doubled).tolist()
        [[0], [2], [4]]
    """
    batch = rows_at_hand()
    if key in batch.known:
        return batch.known[key]
    count = len(batch.rows)
    if size is None or count == size:
        found = compute()
    else:
        parts: list[Any] = []
        for part in batch.of_size(size):
            with at_hand(part):
                parts.append(of_each_sample(key, size, compute))
        found = _together(parts, size, count)
    batch.known[key] = found
    return found


def _together(parts: list[Any], size: int, count: int) -> Any:
    if all(isinstance(part, list | tuple) for part in parts):
        return [_together(list(each), size, count) for each in zip(*parts, strict=True)]
    if not all(isinstance(part, Tensor) and part.ndim > 0 and len(part) % size == 0 for part in parts):
        raise InputError("expected tensors with a row a sample, got one of all samples together; measure it instead.")
    each = len(parts[0]) // size
    return torch.cat(parts)[: each * count]
