"""Softmax attention: torch's own call, and the products, mask and softmax that people write out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from freeness.network import Attention, RelativeScores, Rotary
from freeness.torch.operations.activation import number_in
from freeness.torch.operations.dense import applied
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.record.layout import AxisPart, Dims, Typing, holds, joined, size_of, whole
from freeness.torch.record.rotary import Turning
from freeness.torch.record.steps import GivenTensor, Permuted
from freeness.torch.record.walk import Asked, Scores, Signal, Value

KIND = Kind(
    "attention",
    ("scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention"),
    "none",
    "products of signals with signals",
)
MATRIX = Kind(
    "matrix product",
    ("matmul", "einsum", "mm", "bmm", "addmm", "baddbmm", "bilinear", "mv", "dot", "outer"),
    "none",
    "only weights of linear layers and convolutions are read as random matrices",
)
_SAME_TURN = 1e-4  # of frequencies
_LOW = -1e4  # scores that softmax makes 0
_SAME_SCORE = 1e-5  # of the largest
SOFTMAX = Kind("softmax", ("softmax", "log_softmax", "_softmax"), "none", "it couples all neurons")


@dataclass(frozen=True, eq=False)
class Attended:
    """softmax(q kᵀ·scale + mask) v over the last two axes; ``turnings`` of queries and keys by their positions.

    ``added``: to the scores, as they lie.
    """

    scale: float
    causal: bool
    turnings: tuple[Turning, Turning] | None = None
    added: GivenTensor | None = None

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """The mixture of the values."""
        if self.turnings is not None:
            query, key = (
                turning(each, each.ndim - 2) for turning, each in zip(self.turnings, (query, key), strict=True)
            )
        groups = query.shape[-3] != key.shape[-3] if query.ndim > 3 else False
        if self.added is None:
            return functional.scaled_dot_product_attention(
                query, key, value, is_causal=self.causal, scale=self.scale, enable_gqa=groups
            )
        added = self.added.value().to(query)
        added = added if self.added.by_sample else _one_sample(added, query.ndim)
        if self.causal:
            added = added.expand(*added.shape[:-2], query.shape[-2], -1)
            added = added.masked_fill(torch.ones_like(added).triu(1).bool(), -math.inf)
        return functional.scaled_dot_product_attention(query, key, value, added, scale=self.scale, enable_gqa=groups)


def fused(asked: Asked) -> Signal:
    """Torch's call."""
    if asked.name != "scaled_dot_product_attention" or asked.arguments.get("dropout_p"):
        raise Unread
    query, key, value = (asked.signal(name, turned=name != "value") for name in ("query", "key", "value"))
    mask = asked.arguments.get("attn_mask")
    causal = bool(asked.arguments.get("is_causal"))
    scores = Scores(asked, query, key, causal=causal)
    if mask is not None:
        if not isinstance(mask, GivenTensor):
            raise Unread("with a mask that depends on a signal")
        scores = _masked(scores, mask)
    scale = asked.arguments.get("scale")
    return _attention(asked, scores, value, 1 / math.sqrt(query.shape[-1]) if scale is None else scale)


def product(asked: Asked) -> Value:
    """q kᵀ, or the weights of an attention times its values."""
    if asked.name == "addmm" and (asked.arguments["alpha"], asked.arguments["beta"]) == (1, 1):
        return applied(asked, "mat1", "mat2", "self")
    if asked.name not in ("matmul", "mm", "bmm") or len(asked.arguments) != 2:
        raise Unread
    first, second = asked.arguments.values()
    if isinstance(first, Signal) and isinstance(second, GivenTensor):
        return applied(asked, "self", "mat2" if asked.name in ("mm", "bmm") else "other", None)
    if isinstance(first, Scores) and isinstance(second, Signal) and first.soft:
        return _attention(asked, first, second, first.scale)
    if (
        isinstance(first, Signal)
        and isinstance(second, Signal)
        and len(first.dims) > 2
        and second.pad is first.pad is None
    ):
        layouts = [asked.walk.typed(one) for one in (first, second)]
        if holds(layouts[0][-1], "channels") and holds(layouts[1][-2], "channels"):
            axes = (*range(len(second.dims) - 2), len(second.dims) - 1, len(second.dims) - 2)
            return Scores(asked, first, transposed(second, axes))
    raise Unread


def transposed(signal: Signal, axes: tuple[int, ...]) -> Signal:
    """A signal with its axes permuted."""
    dims = tuple(signal.layout[axis] for axis in axes)
    return replace(signal, dims=dims, moves=(*signal.moves, Permuted(axes)))


def towards_attention(asked: Asked) -> Value:
    """A call on products of queries with keys: a scale, a mask, softmax, dropout that is off, values."""
    first = asked.arguments.get("self", asked.arguments.get("input"))
    if asked.name in ("matmul", "bmm"):
        return product(asked)
    if asked.name == "add" and isinstance(first, GivenTensor):
        first, asked = asked.arguments["other"], replace(asked, arguments={**asked.arguments, "other": first})
    if not isinstance(first, Scores) or len([v for v in asked.arguments.values() if isinstance(v, Scores)]) > 1:
        raise Unread
    other = asked.arguments.get("other")
    number = number_in(other)
    if (
        asked.name in ("mul", "div")
        and number is not None
        and not (first.soft or first.causal or first.added is not None)
    ):
        return replace(first, asked=asked, scale=first.scale * (number if asked.name == "mul" else 1 / number))
    if asked.name == "masked_fill" and not first.soft:
        mask, filled = asked.arguments["mask"], number_in(asked.arguments["value"])
        if isinstance(mask, GivenTensor) and filled is not None and filled <= _LOW:
            return replace(
                _masked(first, replace(mask, value=lambda: ~mask.value().bool(), trained=False)), asked=asked
            )
    if (
        asked.name == "add"
        and asked.arguments.get("alpha", 1) == 1
        and isinstance(other, GivenTensor)
        and not first.soft
    ):
        return replace(_masked(first, other), asked=asked)
    if asked.name in ("softmax", "_softmax") and asked.arguments["dim"] in (-1, len(asked.shape) - 1):
        return replace(first, asked=asked, soft=True)
    if "dropout" in asked.name and not asked.arguments.get("train"):
        return replace(first, asked=asked)
    raise Unread


def _seen(mask: Tensor, truths: bool) -> Literal["all", "earlier"] | None:
    """What a mask (…, queries, keys) leaves to be seen, of truths or of numbers to add; None of another part.

    Example:
        >>> _seen(torch.ones(3, 3).tril().bool(), True), _seen(torch.zeros(3, 3), False)
        ('earlier', 'all')
    """
    shown = mask.bool() if truths else mask == 0
    if not (truths or bool((mask[~shown] <= _LOW).all())):
        return None
    if bool(shown.all()):
        return "all"
    square = shown.shape[-1] == shown.shape[-2]
    return "earlier" if square and bool((shown == torch.ones_like(shown).tril()).all()) else None


def _masked(scores: Scores, mask: GivenTensor) -> Scores:
    """Scores with a tensor added, or with a mask of truths; one that hides nothing, or what is later, is said so."""
    value = mask.value()
    seen = None if mask.by_sample else _seen(value, value.dtype == torch.bool)
    if seen is not None:
        return replace(scores, causal=scores.causal or seen == "earlier")
    added = replace(mask, value=lambda: _as_scores(mask.value()))
    if scores.added is None and not mask.by_sample and value.dtype != torch.bool:
        found = _relative(value, len(scores.query.dims))
        return replace(scores, causal=scores.causal or (found is not None and found[1]), added=added)
    before = scores.added
    if before is not None:
        added = GivenTensor(
            lambda: before.value() + _as_scores(mask.value()),
            before.name or mask.name,
            trained=before.trained or mask.trained,
            by_sample=before.by_sample or mask.by_sample,
        )
    return replace(scores, added=added)


def _as_scores(mask: Tensor) -> Tensor:
    """What a mask adds; one of truths says what is seen."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -math.inf)


def _one_sample(added: Tensor, axes: int) -> Tensor:
    """What is added to the scores of one sample, at every query, with a place for samples if they have ``axes`` of four."""
    while added.ndim > 3:
        added = added[0]
    added = added.expand(*added.shape[:-2], added.shape[-1], -1) if added.shape[-2] == 1 else added
    return added if axes == 3 else added[None]


def _relative(added: Tensor, axes: int) -> tuple[RelativeScores, bool] | None:
    """What is added by distance, and whether what is later is hidden; None where it is not that of distances alone.

    What all keys of a query have in common does nothing, so the distance 0 has 0.
    """
    lead = max(added.ndim - 3, 0)
    one = _one_sample(added, 3)
    alike = bool((added == added[(slice(0, 1),) * lead]).all())
    if axes != 4 or one.ndim < 2 or one.shape[-1] != one.shape[-2] or not alike:
        return None
    table = one.detach().double().cpu().numpy().reshape(-1, *one.shape[-2:])
    count = table.shape[-1]
    hidden, later = table <= _LOW, np.triu(np.ones((count, count), dtype=bool), 1)
    causal = bool(hidden.any())
    if causal and not (hidden == later).all():
        return None
    table = table - np.diagonal(table, axis1=1, axis2=2)[:, :, None]
    shown = np.broadcast_to(~(later & causal), table.shape)
    rows: list[np.ndarray] = []
    for distance in range(1 - count, count):
        entries = np.diagonal(table, distance, 1, 2)
        visible = bool(np.diagonal(shown, distance, 1, 2).any())
        rows.append(entries.mean(axis=1) if visible else np.zeros(len(table)))
        if visible and np.ptp(entries, axis=1).max() > _SAME_SCORE * np.abs(table[shown]).max():
            return None
    return RelativeScores(tuple(tuple(map(float, row)) for row in np.stack(rows, axis=1))), causal


def _attention(asked: Asked, scores: Scores, values: Signal, scale: float) -> Signal:
    """The step: queries, keys and values with heads, positions and channels of a head on their last three axes."""
    walk, given, causal, added = asked.walk, (scores.query, scores.key, values), scores.causal, scores.added
    rotary, turnings = _rotary(given[:2])
    (query, one), (key, two) = (walk.scaled(replace(one, turn=None)) for one in given[:2])
    query, key, value = map(walk.settled, (query, key, values))
    scale *= one * two
    heads, key_heads = _heads(query), _heads(key)
    if _heads(value) != key_heads or key.place.typing.count != value.place.typing.count:
        raise Unread("of keys and values that lie differently")
    found = None if added is None or added.by_sample else _relative(added.value(), len(query.dims))
    relative = None if found is None else found[0]
    if relative is not None and len(relative.values) not in (1, heads):
        raise Unread("with scores of other heads")
    beside = None if relative is not None or added is None else partial(_beside, added, query, heads)
    if added is not None and added.by_sample:
        walk.by_sample = True
        if query.layout[0] == () or not holds(query.layout[0], "samples"):
            raise Unread("with a mask of each sample where another axis is first")
    width = query.shape[-1]
    outer = query.layout[:-1]
    inner = value.layout[-1]
    channels = heads * size_of(inner)
    dims = (*_with_heads(outer, heads, size_of(inner)), inner)
    named = _scale(scale, width)
    asked.note("none", KIND.limits, kind=KIND.name)
    name = asked.path or "attention"
    return walk.add(
        name,
        [query, key, value],
        Attended(scale, causal, turnings, added),
        lambda: Attention(
            heads,
            causal,
            named,
            None if key_heads == heads else key_heads,
            name,
            rotary,
            relative,
            None if beside is None else beside(),
        ),
        Typing(channels=channels, positions=query.place.typing.positions),
        dims,
    )


def _beside(added: GivenTensor, query: Signal, heads: int) -> np.ndarray:
    """What is added to scores as (samples or 1, heads or 1, queries or 1, keys)."""
    value = added.value().detach().double().cpu()
    axes = len(query.dims)
    value = value.reshape((1,) * (axes - value.ndim) + tuple(value.shape))
    first, *rest, rows, columns = value.shape
    inner = heads // max(math.prod(query.shape[1:-2]), 1)  # of the first axis, beside the samples
    if first > 1 and inner > 1:
        return value.reshape(-1, heads, rows, columns).numpy()
    return value.reshape(first, math.prod(rest), rows, columns).numpy()


def _rotary(pair: Sequence[Signal]) -> tuple[Rotary | None, tuple[Turning, Turning] | None]:
    """How queries and keys are turned by their positions."""
    query, key = (signal.turn for signal in pair)
    if query is None and key is None:
        return None, None
    records = [None if turn is None else turn.turning.record for turn in (query, key)]
    if query is None or key is None or None in records or not _alike(*records):
        raise Unread("of queries and keys that are turned otherwise")
    for signal, turn in zip(pair, (query, key), strict=True):
        axis = turn.turning.axis
        for move in signal.moves[len(turn.source.moves) :]:
            assert isinstance(move, Permuted)
            axis = move.axes.index(axis)
        if axis != len(signal.dims) - 2:
            raise Unread("of rotary positions on other axes")
    return records[0], (query.turning, key.turning)


def _alike(one: Rotary | None, other: Rotary | None) -> bool:
    """Up to the rounding of the tables of single precision."""
    assert one is not None and other is not None
    same = one.halves == other.halves and len(one.frequencies) == len(other.frequencies)
    return same and max(abs(a - b) for a, b in zip(one.frequencies, other.frequencies, strict=True)) < _SAME_TURN


def _scale(scale: float, width: int) -> Any:
    for name, value in (("root", 1 / math.sqrt(width)), ("full", 1 / width)):
        if math.isclose(scale, value, rel_tol=1e-6):
            return name
    return scale


def _heads(signal: Signal) -> int:
    """How many heads there are, of a signal with positions and the channels of a head on its last two axes."""
    typing, layout = signal.place.typing, signal.layout
    if typing.channels is None or layout[-2] != whole("positions", typing.count):
        raise Unread("whose positions stand on other axes")
    if layout[-1] not in ((AxisPart("channels", signal.shape[-1]),), ()):
        raise Unread("whose channels stand on other axes")
    return typing.channels // signal.shape[-1]


def _with_heads(outer: Dims, heads: int, width: int) -> Dims:
    """The axes before the last with the heads' channels of this width."""
    return tuple(
        joined([AxisPart("channels", atom.size, width) if atom.axis == "channels" else atom for atom in atoms])
        for atoms in outer
    )


READERS = (
    (MATRIX, product),
    (SOFTMAX, None),
    (KIND, fused),
)
