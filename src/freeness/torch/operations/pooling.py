"""Averages over positions."""

from __future__ import annotations

import math
from typing import Any

import torch

from freeness.network import Pooling, Sum
from freeness.torch.model.taps import each
from freeness.torch.operations.convolution import behind_windows, check_image
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.operations.sum import Weighted
from freeness.torch.record.elementwise import Slot
from freeness.torch.record.layout import Dims, Typing, holds
from freeness.torch.record.steps import Call, Calls
from freeness.torch.record.walk import Asked, Several, Signal, Value

KIND = Kind(
    "average pooling",
    (*(f"{way}avg_pool{d}d" for way in ("", "adaptive_") for d in (1, 2, 3)), "mean", "sum"),
    "spectra",
    "without padding, or over all positions",
)


def read(asked: Asked) -> Value:
    """An average over windows, or over all positions."""
    given, name = asked.signal("self"), asked.path or asked.label
    if asked.name == "mean":
        return over_all(asked, given, Pooling(name=name))
    if asked.name == "sum":
        return _total(asked, given, name)
    given = image(asked, given)
    positions = given.place.typing.positions
    if asked.name.startswith("adaptive"):
        return adaptive(asked, given, lambda size, stride: Pooling(size, stride, name))
    size, stride, padding = windows_of(asked, len(positions))
    if any(padding) or asked.arguments.get("ceil_mode") or asked.arguments.get("divisor_override"):
        raise Unread("with padding, rounding up or another divisor")
    if len(set(stride)) != 1:
        raise Unread(f"of unequal strides {stride}")
    return over_windows(asked, given, Pooling(size, stride[0], name))


def _total(asked: Asked, given: Signal, name: str) -> Signal:
    """A sum over all positions, by their mean."""
    axes, keeps = asked.arguments.get("dim"), bool(asked.arguments.get("keepdim"))
    call = Call(torch.ops.aten.mean.dim, (Slot(0), axes, keeps))
    mean = over_all(asked, given, Pooling(name=name), call)
    count = (float(math.prod(given.shape) // math.prod(mean.shape)),)
    return asked.walk.add(name, [mean], Weighted(count), lambda: Sum(count, name), mean.place.typing, mean.dims)


def windows_of(asked: Asked, axes: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Size, stride and padding of windows, each by axis; a stride that is left out is the size."""
    size = each(asked.arguments["kernel_size"], axes)
    return size, each(asked.arguments.get("stride") or size, axes), each(asked.arguments.get("padding") or 0, axes)


def image(asked: Asked, given: Signal) -> Signal:
    """A signal as (samples, channels, *positions)."""
    if len(given.dims) < 3 or asked.walk.batch is None:
        raise Unread("of an input without positions")
    asked.walk.typed(given, [1])
    given = asked.walk.settled(given)
    check_image(given)
    return given


def over_windows(asked: Asked, given: Signal, record: Any) -> Value:
    """The step of a pooling over windows; where torch gives places beside the values, they have no record."""
    asked.note(reason=asked.kind.limits if asked.kind.theory == "none" else "")
    several = isinstance(asked.node.meta["val"], list | tuple)
    behind = behind_windows(given, shape_of(asked), given.place.typing.channels or 1)
    calls = Calls((asked.call(),), item=0 if several else None)
    made = asked.walk.add(record.name, [given], calls, lambda: record, *behind)
    return Several(lambda item: asked.walk.uncovered(asked, item) if item else made) if several else made


def shape_of(asked: Asked) -> tuple[int, ...]:
    """Of the result, the first of several."""
    value = asked.node.meta["val"]
    return tuple((value[0] if isinstance(value, list | tuple) else value).shape)


def adaptive(asked: Asked, given: Signal, record: Any) -> Value:
    """A pooling to a number of positions: over all of them, or over windows that tile them."""
    positions, wanted = given.place.typing.positions, shape_of(asked)[2:]
    if set(wanted) == {1}:
        return over_windows(asked, given, record(None, None))
    if wanted == positions:
        return given
    size = tuple(have // want for have, want in zip(positions, wanted, strict=True))
    if any(have % want for have, want in zip(positions, wanted, strict=True)) or len(set(size)) != 1:
        raise Unread(f"from {positions} to {wanted} positions, of which there is no record")
    return over_windows(asked, given, record(size, size[0]))


def over_all(asked: Asked, given: Signal, record: Any, call: Call | None = None) -> Signal:
    """The step of a reduction over all positions, by the call that is asked, or another."""
    walk, axes = asked.walk, asked.arguments.get("dim")
    axes = [axes] if isinstance(axes, int) else axes
    if not axes or asked.arguments.get("dtype") is not None:
        raise Unread("over other axes than all positions")
    axes = sorted(axis % len(given.dims) for axis in axes)
    others = [axis for axis, atoms in enumerate(given.dims) if not holds(atoms, "samples") and axis not in axes]
    walk.typed(given, others)
    given = walk.settled(given)
    layout, typing = given.layout, given.place.typing
    reduced = [
        axis for axis, atoms in enumerate(layout) if not holds(atoms, "samples") and not holds(atoms, "channels")
    ]
    if not typing.positions or (typing.channels or 1) == 1 or axes != reduced:
        raise Unread("over other axes than all positions")
    keeps = asked.arguments.get("keepdim")
    dims: Dims = tuple(() if axis in axes else atoms for axis, atoms in enumerate(layout) if keeps or axis not in axes)
    behind = Typing(channels=typing.channels, positions=(1,) * len(typing.positions) if keeps else ())
    asked.note(reason=asked.kind.limits if asked.kind.theory == "none" else "")
    calls = Calls((asked.call() if call is None else call,))
    return walk.add(record.name, [given], calls, lambda: record, behind, dims)


READERS = ((KIND, read),)
