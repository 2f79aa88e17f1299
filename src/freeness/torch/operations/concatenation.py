"""Signals side by side: dense connections, class tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from freeness.network import Concatenation
from freeness.torch.operations.constant import constant
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.record.layout import AxisPart, Typing, holds
from freeness.torch.record.steps import GivenTensor
from freeness.torch.record.walk import Asked, Signal

KIND = Kind(
    "concatenation",
    ("cat", "concat", "stack"),
    "spectra",
    "of positions, with one axis of them; of channels, in kernels only",
)
_CHANNELS = "of channels: spectra follow one width, not parts of several depths"


@dataclass(frozen=True, eq=False)
class JoinedSignals:
    """Tensors behind one another along an axis; one that has no samples stands in front of or behind each."""

    axis: int

    def __call__(self, *values: Tensor) -> Tensor:
        """All of them."""
        sizes = [max(value.shape[axis] for value in values) for axis in range(values[0].ndim)]
        spread = [value.expand(*sizes[: self.axis], -1, *sizes[self.axis + 1 :]) for value in values]
        return torch.cat(spread, self.axis)


def read(asked: Asked) -> Signal:
    """Signals, and tensors beside them, behind one another along the channels or the positions."""
    walk, parts, signals = asked.walk, asked.arguments.get("tensors", []), asked.signals
    if asked.name == "stack" or not all(isinstance(part, Signal | GivenTensor) for part in parts):
        raise Unread
    if any(signal.pad is not None for signal in signals):
        raise Unread("behind a padding that no convolution follows")
    parts = [part for part in parts if isinstance(part, Signal) or part.value().numel()]  # an empty cache is none
    if len(parts) == 1:
        return signals[0]
    axis = asked.arguments["dim"] % len(asked.shape)
    known = next((one for one in signals if one.place.typing.channels is not None), signals[0])
    channel = [each for each, atoms in enumerate(walk.typed(known)) if holds(atoms, "channels")]
    for signal in signals:
        walk.typed(signal, channel)
    settled = [walk.settled(part) if isinstance(part, Signal) else part for part in parts]
    first = next(part for part in settled if isinstance(part, Signal))
    along, stride = _along([part for part in settled if isinstance(part, Signal)], axis)
    if stride > 1 and len(signals) < len(parts):
        raise Unread("of a signal and a tensor beside it")
    placed = [
        part if isinstance(part, Signal) else constant(asked, part, first, along=(axis, along)) for part in settled
    ]
    total = sum(part.shape[axis] for part in placed)
    name = asked.label
    asked.note(*(("kernels", _CHANNELS) if along == "channels" else ("spectra", "")))
    dims = (*first.layout[:axis], (AxisPart(along, total, stride),), *first.layout[axis + 1 :])
    behind = _behind(first.place.typing, along, total, stride)
    return walk.add(name, placed, JoinedSignals(axis), lambda: Concatenation(along, name), behind, dims)


def _along(parts: list[Signal], axis: int) -> tuple[Literal["channels", "positions"], int]:
    """What stands on an axis, and its stride."""
    atoms = next((part.layout[axis] for part in parts if part.layout[axis]), ())
    along = "positions" if holds(atoms, "positions") else "channels"
    stride = atoms[0].stride if atoms else 1
    rests = set()
    for part in parts:
        typing = part.place.typing
        whole = typing.count if along == "positions" else typing.channels
        if len(part.layout[axis]) > 1 or holds(part.layout[axis], "samples") or part.shape[axis] * stride != whole:
            raise Unread("of a part of the channels or positions")
        rests.add(part.layout[:axis] + part.layout[axis + 1 :])
    if len(rests) > 1:
        raise Unread("of signals that lie differently")
    return along, stride


def _behind(typing: Typing, along: str, total: int, stride: int) -> Typing:
    if along == "channels":
        return Typing(channels=total * stride, positions=typing.positions)
    rest = typing.positions[1:]
    return Typing(
        channels=typing.channels, positions=(total, *rest) if math.prod(rest) == stride else (total * stride,)
    )


READERS = ((KIND, read),)
