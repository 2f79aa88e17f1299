"""Sums of signals: skip connections, biases of their own, positional embeddings."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from freeness.network import Sum
from freeness.torch.operations.activation import SCALE, activation, number_in, of_one_place
from freeness.torch.operations.constant import constant
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.record.layout import Dims, Typing, holds, of_axis, whole
from freeness.torch.record.steps import GivenTensor
from freeness.torch.record.walk import Asked, Signal

KIND = Kind(
    "residual sum",
    ("add", "sub", "rsub", "lerp", "__add__", "__iadd__"),
    "spectra",
    "of signals with the same channels and positions",
)


@dataclass(frozen=True, eq=False)
class Weighted:
    """Σ_i scales_i x_i."""

    scales: tuple[float, ...]

    def __call__(self, *values: Tensor) -> Tensor:
        """The sum."""
        found = [value if scale == 1 else scale * value for scale, value in zip(self.scales, values, strict=True)]
        total = found[0]
        for value in found[1:]:
            total = total + value
        return total


def read(asked: Asked) -> Signal:
    """A sum of two signals with numbers in front of them, or a number more of one."""
    if is_pointwise(asked):
        return activation(asked)
    factors = _factors(asked)
    (first, one), (second, two) = (_scaled(asked, key) for key in ("self", "end" if asked.name == "lerp" else "other"))
    pair, dims, typing = joined_pair(asked, first, second)
    scales = (one * factors[0], two * factors[1])
    note_pair(asked)
    name = asked.label
    return asked.walk.add(name, pair, Weighted(scales), lambda: Sum(scales, name), typing, dims)


def _factors(asked: Asked) -> tuple[float, float]:
    """In front of both."""
    if asked.name == "lerp":
        share = number_in(asked.arguments["weight"])
        if share is None:
            raise Unread("in shares that are trained or computed", SCALE)
        return 1.0 - share, share
    alpha = float(asked.arguments.get("alpha", 1))
    return {"sub": (1.0, -alpha), "rsub": (-alpha, 1.0)}.get(asked.name, (1.0, alpha))


def _scaled(asked: Asked, key: str) -> tuple[Signal | GivenTensor, float]:
    value = asked.arguments[key]
    return asked.walk.scaled(asked.signal(key)) if isinstance(value, Signal) else (value, 1.0)


def is_pointwise(asked: Asked) -> bool:
    """Whether a call of two arguments is a function of one signal."""
    keys = ("self", "other", "end", "weight")
    others = [value for key, value in asked.arguments.items() if key in keys and not isinstance(value, Signal)]
    return of_one_place(asked.signals) and all(number_in(one) is not None for one in others)


def note_pair(asked: Asked) -> None:
    """Note a call of two signals, or of a signal and a tensor beside it."""
    tensors = [value for value in asked.arguments.values() if isinstance(value, GivenTensor)]
    if tensors:
        asked.note("none", f"with {tensors[0].what}", SCALE)
    else:
        asked.note()


def joined_pair(
    asked: Asked, first: Signal | GivenTensor, second: Signal | GivenTensor
) -> tuple[list[Signal], Dims, Typing]:
    """Two signals that lie alike, one of which may be spread over positions or channels; how the result lies."""
    walk = asked.walk
    for one, other in ((first, second), (second, first)):
        if isinstance(one, Signal) and isinstance(other, Signal) and one.place.typing.channels is None:
            known = other.layout if other.place.typing.channels is not None else None
            lead = len(other.dims) - len(one.dims)
            channel = None if known is None else [a - lead for a, atoms in enumerate(known) if holds(atoms, "channels")]
            walk.typed(one, channel)
    pair = []
    for one, other in ((first, second), (second, first)):
        if isinstance(one, Signal):
            pair.append(walk.settled(one))
        else:
            assert isinstance(other, Signal)
            pair.append(constant(asked, one, walk.settled(other)))
    dims = _broadcast(pair)
    if tuple(asked.shape) != tuple(
        max(sizes) for sizes in zip(*(_right(one.shape, len(dims)) for one in pair), strict=True)
    ):
        raise Unread("it spreads a signal over other axes")
    typings = [one.place.typing for one in pair]
    channels = max(typing.channels or 1 for typing in typings)
    positions = max((typing.positions for typing in typings), key=lambda sizes: (_product(sizes), len(sizes)))
    if of_axis(dims, "channels") != whole("channels", channels) or of_axis(dims, "positions") != whole(
        "positions", _product(positions)
    ):
        raise Unread("of signals with other channels or positions")
    return pair, dims, Typing(channels=channels, positions=positions)


def _right(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    return (1,) * (count - len(shape)) + shape


def _product(sizes: tuple[int, ...]) -> int:
    return Typing(positions=sizes).count


def _broadcast(pair: list[Signal]) -> Dims:
    count = max(len(one.dims) for one in pair)
    found = []
    for atoms in zip(*(((),) * (count - len(one.dims)) + one.layout for one in pair), strict=True):
        known = {each for each in atoms if each}
        if len(known) > 1:
            raise Unread("of signals that lie differently")
        found.append(next(iter(known), ()))
    return tuple(found)


READERS = ((KIND, read),)
