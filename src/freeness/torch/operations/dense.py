"""A linear call: on one vector a sample (Dense), on every position alike, or over the positions."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from freeness.network import Dense
from freeness.torch.operations import position_wise, token_mixing
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.operations.trained_weights import LinearForm, bias_facts, check_trained, module_name
from freeness.torch.record.layout import Typing, whole
from freeness.torch.record.recognition import recognise
from freeness.torch.record.steps import DenseStep
from freeness.torch.record.walk import Asked, Signal

KIND = Kind(
    "linear layer",
    ("linear",),
    "spectra",
    "on one vector a sample or at every position, its weight used once and trained like the others",
)


def read(asked: Asked) -> Signal:
    """W x + b over the last axis."""
    weight, bias = asked.parameter("weight"), asked.parameter("bias")
    assert weight is not None
    return _over_last(asked, asked.signal("input"), weight, (weight[1], None if bias is None else bias[1]))


def applied(asked: Asked, signal: str, weight: str, bias: str | None) -> Signal:
    """x W + b with a parameter W of shape (fan_in, fan_out), as in the Conv1D of GPT-2."""
    found = asked.constant(weight)
    if found is None or not isinstance(found.tensor, nn.Parameter) or found.tensor.ndim != 2:
        raise Unread
    shift = None if bias is None else asked.parameter(bias)
    tensors = found.tensor.T, None if shift is None else shift[1]
    return _over_last(replace(asked, kind=KIND), asked.signal(signal), (found.name, found.tensor), tensors)


def _over_last(
    asked: Asked, given: Signal, weight: tuple[str, nn.Parameter], tensors: tuple[Tensor, Tensor | None]
) -> Signal:
    walk = asked.walk
    check_trained(asked, weight[1])
    mixes = token_mixing.mixes_positions(given, walk.typed(given, [len(given.dims) - 1]))
    given = walk.settled(given)
    typing = given.place.typing
    assert typing.channels is not None
    form = token_mixing.FORM if mixes else position_wise.FORM if typing.positions else FORM
    if given.layout[-1] != whole(form.axis, typing.count if mixes else typing.channels):
        raise Unread("on a part of the channels or positions")
    name = module_name(asked, weight)
    if mixes:
        asked.note("none", token_mixing.reason(given))
    else:
        asked.note()
    fan_out, fan_in = tensors[0].shape
    any_trained = walk.any_trained
    return walk.weigh(
        asked,
        name,
        given,
        DenseStep(name, *tensors),
        lambda: form.record(fan_in, fan_out, recognise(tensors[0]), *bias_facts(tensors[1], any_trained), name),
        (form.behind(typing, fan_out), (*given.layout[:-1], whole(form.axis, fan_out))),
    )


FORM = LinearForm(Dense, "channels", lambda typing, outputs: Typing(channels=outputs))
READERS = ((KIND, read),)
