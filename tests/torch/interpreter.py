"""What a record says that a network computes, written anew on (samples, channels, *positions): the reader's ground truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch

import torch
from torch import Tensor
from torch.nn import functional

from freeness.network import (
    INPUT,
    Activation,
    Attention,
    Concatenation,
    Constant,
    Convolution,
    Dense,
    Embedding,
    Flatten,
    MaxPooling,
    Network,
    Normalisation,
    Operation,
    Pooling,
    PositionWise,
    Product,
    Reshape,
    Selection,
    Sum,
    TokenMixing,
    Upsampling,
)

Look = Callable[[str], Tensor | None]


def computed(network: Network, x: Tensor, look: Look) -> Tensor:
    """The output, of tensors that ``look`` finds by name: weights and biases as torch has them, constants as (C, *positions)."""
    values = {INPUT: x}
    for node in network.nodes:
        name = node.shares or node.name
        values[node.name] = apply(node.operation, name, look, *(values[each] for each in node.inputs))
    return values[network.nodes[-1].name]


@singledispatch
def apply(operation: Operation, name: str, look: Look, *given: Tensor) -> Tensor:
    """One operation."""
    raise AssertionError(operation)


def _biased(y: Tensor, bias: Tensor | None, axis: int) -> Tensor:
    return y if bias is None else y + bias.reshape(*(-1 if a == axis else 1 for a in range(y.ndim)))


@apply.register(Dense)
@apply.register(PositionWise)
def _(operation: Operation, name: str, look: Look, x: Tensor) -> Tensor:
    y = torch.einsum("oc,bc...->bo...", look(f"{name}.weight"), x)
    assert (x.ndim == 2) == isinstance(operation, Dense)
    return _biased(y, look(f"{name}.bias"), 1)


@apply.register
def _(operation: TokenMixing, name: str, look: Look, x: Tensor) -> Tensor:
    return _biased(torch.einsum("op,bcp->bco", look(f"{name}.weight"), x), look(f"{name}.bias"), 2)


@apply.register
def _(operation: Convolution, name: str, look: Look, x: Tensor) -> Tensor:
    weight, dimensions = look(f"{name}.weight"), len(operation.kernel)
    assert weight is not None and weight.shape[0] == operation.channels_out
    half = [taps // 2 * operation.dilation for taps in operation.kernel[::-1] for _ in range(2)]
    if operation.padding != "valid":
        x = functional.pad(x, half, "circular" if operation.padding == "circular" else "constant")
    call = (functional.conv1d, functional.conv2d, functional.conv3d)[dimensions - 1]
    more = {"stride": operation.stride, "dilation": operation.dilation, "groups": operation.groups}
    return _biased(call(x, weight, **more), look(f"{name}.bias"), 1)


@apply.register
def _(operation: Activation, name: str, look: Look, x: Tensor) -> Tensor:
    return torch.from_numpy(operation.function.function(x.numpy()))


@apply.register
def _(operation: Normalisation, name: str, look: Look, x: Tensor) -> Tensor:
    if operation.kind == "batch":  # of running statistics 0 and 1
        return x / math.sqrt(1 + operation.epsilon)
    grouped = x.unflatten(1, (operation.groups, -1))
    axes = tuple(range(2, grouped.ndim)) if operation.positions else (2,)
    centred = grouped - (grouped.mean(axes, keepdim=True) if operation.kind == "layer" else 0)
    return (centred / (centred.square().mean(axes, keepdim=True) + operation.epsilon).sqrt()).flatten(1, 2)


def _alike(values: tuple[Tensor, ...]) -> list[Tensor]:
    most = max(value.ndim for value in values)
    return [value.reshape(*value.shape, *(1,) * (most - value.ndim)) for value in values]


@apply.register
def _(operation: Sum, name: str, look: Look, *given: Tensor) -> Tensor:
    return torch.stack(
        torch.broadcast_tensors(*(s * x for s, x in zip(operation.scales, _alike(given), strict=True)))
    ).sum(0)


@apply.register
def _(operation: Product, name: str, look: Look, *given: Tensor) -> Tensor:
    return torch.stack(torch.broadcast_tensors(*_alike(given))).prod(0)


@apply.register
def _(operation: Concatenation, name: str, look: Look, *given: Tensor) -> Tensor:
    samples = max(len(value) for value in given)
    return torch.cat([v.expand(samples, *v.shape[1:]) for v in given], 1 if operation.along == "channels" else 2)


@apply.register
def _(operation: Selection, name: str, look: Look, x: Tensor) -> Tensor:
    if operation.of == "channels":
        return x[:, operation.start : operation.stop]
    part = x.flatten(2)[:, :, operation.start : operation.stop]
    return part[:, :, 0] if operation.vector else part


@apply.register
def _(operation: Reshape, name: str, look: Look, x: Tensor) -> Tensor:
    return x.reshape(*x.shape[:2], *operation.positions)


@apply.register
def _(operation: Flatten, name: str, look: Look, x: Tensor) -> Tensor:
    return x.flatten(1)


@apply.register
def _(operation: Pooling, name: str, look: Look, x: Tensor) -> Tensor:
    if operation.size is None:
        return x.flatten(2).mean(2)
    return functional.avg_pool2d(x, operation.size, operation.stride)


@apply.register
def _(operation: MaxPooling, name: str, look: Look, x: Tensor) -> Tensor:
    assert operation.size is not None
    return functional.max_pool2d(x, operation.size, operation.stride, operation.padding)


@apply.register
def _(operation: Upsampling, name: str, look: Look, x: Tensor) -> Tensor:
    for axis, factor in enumerate(operation.factors, 2):
        x = x.repeat_interleave(factor, axis)
    return x


@apply.register
def _(operation: Attention, name: str, look: Look, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    assert operation.rotary is None  # held in test_rotary.py
    q, k, v = (x.unflatten(1, (operation.heads, -1)) for x in (q, k, v))
    width = q.shape[2]
    scale = {"root": width**-0.5, "full": 1 / width}.get(operation.scale, operation.scale)
    scores = torch.einsum("bhcp,bhcs->bhps", q, k) * scale
    if operation.relative is not None:
        scores = scores + torch.tensor(operation.relative.over(scores.shape[-1])).to(scores)
    if operation.causal:
        scores = scores + torch.full(scores.shape[-2:], -math.inf, dtype=scores.dtype).triu(1)
    return torch.einsum("bhps,bhcs->bhcp", scores.softmax(-1), v).flatten(1, 2)


@apply.register
def _(operation: Embedding, name: str, look: Look, tokens: Tensor) -> Tensor:
    weight = look(f"{name}.weight")
    assert weight is not None
    return weight[tokens[:, 0]].movedim(-1, 1)


@apply.register
def _(operation: Constant, name: str, look: Look) -> Tensor:
    found = look(name)
    assert found is not None and found.shape == (operation.channels, *operation.positions)
    return found[None]
