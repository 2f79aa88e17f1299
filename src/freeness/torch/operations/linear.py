"""Linear layers: on one vector a sample, on every position alike, or over the positions."""

from __future__ import annotations

import re
from dataclasses import replace

from torch import Tensor, nn

from freeness.network import Dense, PositionWise, TokenMixing, Weights
from freeness.torch.layout import Dims, Typing, holds, whole
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.recognition import recognise
from freeness.torch.steps import DenseStep
from freeness.torch.walk import Asked, Signal

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
    """x W + b with a parameter W of shape (fan_in, fan_out), as in the Conv1D of GPT-2.

    Args:
        asked: the product.
        signal: name of the argument x.
        weight: of W.
        bias: of b.
    """
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
    last = len(given.dims) - 1
    layout = walk.typed(given, [last])
    over_positions = holds(layout[last], "positions") and not holds(layout[last], "channels")
    over_positions = over_positions or (not layout[last] and (given.place.typing.channels or 1) > 1)
    over_positions = over_positions and sum(not holds(atoms, "samples") for atoms in layout) > 1  # else a vector
    given = walk.settled(given)
    typing = given.place.typing
    assert typing.channels is not None
    features = typing.count if over_positions else typing.channels
    if given.layout[-1] != whole("positions" if over_positions else "channels", features):
        raise Unread("on a part of the channels or positions")
    name = module_name(asked, weight)
    behind, dims = _behind(given, len(tensors[0]), over_positions)
    any_trained = walk.any_trained
    if over_positions:
        asked.note(
            "none", f"over the positions of a tensor of shape {tuple(given.shape)} (one weight at several channels)"
        )
    else:
        asked.note()
    return walk.weigh(
        asked,
        name,
        given,
        DenseStep(name, *tensors),
        lambda: _record(name, tensors, typing, over_positions, any_trained),
        (behind, dims),
    )


def _behind(given: Signal, outputs: int, over_positions: bool) -> tuple[Typing, Dims]:
    typing = given.place.typing
    if over_positions:
        behind = Typing(channels=typing.channels, positions=(outputs,))
        return behind, (*given.layout[:-1], whole("positions", outputs))
    return Typing(channels=outputs, positions=typing.positions), (*given.layout[:-1], whole("channels", outputs))


def _record(
    name: str, tensors: tuple[Tensor, Tensor | None], typing: Typing, over_positions: bool, any_trained: bool
) -> Weights:
    kind = TokenMixing if over_positions else PositionWise if typing.positions else Dense
    fan_out, fan_in = tensors[0].shape
    return kind(fan_in, fan_out, recognise(tensors[0]), *bias_facts(tensors[1], any_trained), name)


def bias_facts(bias: Tensor | None, any_trained: bool) -> tuple[float, bool]:
    """σ_b, and whether the bias is trained.

    Args:
        bias: the tensor.
        any_trained: whether the model trains anything; otherwise all biases count.
    """
    if bias is None:
        return 0.0, False
    return float(bias.detach().double().square().mean().sqrt()), bias.requires_grad or not any_trained


def check_trained(asked: Asked, weight: Tensor) -> None:
    """Refuse a weight that is frozen in a model that trains others.

    Raises:
        Unread: it is.
    """
    if asked.walk.any_trained and not weight.requires_grad:
        raise Unread("frozen, which the theory of Θ does not know")


def module_name(asked: Asked, weight: tuple[str, nn.Parameter]) -> str:
    """The path of the module in which the call stands, if it has the weight; else that by which torch names the weight."""
    view = asked.walk.view
    path, _ = view.module(asked.node)
    if view.model.get_submodule(path)._parameters.get("weight") is weight[1]:
        return view.path(path)
    return view.path(re.sub(r"(^|[._])weight$", "", weight[0]))
