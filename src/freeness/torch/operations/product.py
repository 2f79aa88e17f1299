"""Products of signals: gates, and scales of channels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from freeness.network import Activation, Product, activation
from freeness.torch.operations import activation as elementwise
from freeness.torch.operations.activation import number_in
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.operations.selection import CHANNELS as HALVES
from freeness.torch.operations.selection import KIND as SELECTION
from freeness.torch.operations.selection import selected
from freeness.torch.operations.sum import is_pointwise, joined_pair, note_pair
from freeness.torch.record.elementwise import PointwiseCall, PointwiseProgram, Slot
from freeness.torch.record.steps import ElementwiseStep, GivenTensor
from freeness.torch.record.walk import Asked, Signal

KIND = Kind(
    "product of branches",
    ("mul", "div", "glu", "masked_fill"),
    "spectra",
    "of signals with the same channels and positions",
)


def read(asked: Asked) -> Signal:
    """A product of two signals, or a number times one."""
    if asked.name == "glu":
        return _glu(asked)
    if asked.name == "masked_fill":
        asked = _as_product(asked)
    if is_pointwise(asked) and asked.arguments.get("rounding_mode") is None:
        return elementwise.activation(asked)
    first, second = asked.arguments["self"], asked.arguments["other"]
    if asked.name == "div":
        if not isinstance(second, GivenTensor) or asked.arguments.get("rounding_mode") is not None:
            raise Unread("a quotient of two signals")
        tensor = second
        second = replace(tensor, value=lambda: 1.0 / tensor.value(), tensor=None)
    for key in ("self", "other"):
        if isinstance(asked.arguments[key], Signal):
            asked.signal(key)  # refuses what is padded
    pair, dims, typing = joined_pair(asked, first, second)
    note_pair(asked)
    name = asked.label
    return asked.walk.add(name, pair, _product, lambda: Product(name), typing, dims)


def _as_product(asked: Asked) -> Asked:
    """What a given mask makes 0 is a product with what it leaves."""
    mask = asked.arguments["mask"]
    if not isinstance(mask, GivenTensor) or number_in(asked.arguments["value"]) != 0:
        raise Unread("by another mask than a given one, or with another number than 0")
    kept = replace(mask, value=lambda: 1.0 - mask.value().float(), tensor=None)
    return replace(asked, arguments={"self": asked.arguments["self"], "other": kept})


def _product(first: Tensor, second: Tensor) -> Tensor:
    return first * second


def _glu(asked: Asked) -> Signal:
    """a ∘ sigmoid(b) of the two halves of the channels."""
    walk = asked.walk
    signal = walk.close(asked.signal("self"))
    axis = asked.arguments["dim"] % len(signal.dims)
    half = signal.shape[axis] // 2
    asked.note(*HALVES, kind=SELECTION.name)
    first, gate = (selected(asked, signal, axis, start, start + half) for start in (0, half))
    call = PointwiseProgram((PointwiseCall(torch.ops.aten.sigmoid.default, (Slot(0),)),), Slot(1))
    name = asked.label
    bent = walk.add(
        name,
        [gate],
        ElementwiseStep(name, call),
        lambda: Activation(activation("sigmoid"), name),
        gate.place.typing,
        gate.dims,
    )
    asked.note()
    return walk.add(name, [first, bent], _product, lambda: Product(name), first.place.typing, first.dims)


READERS = ((KIND, read),)
