"""Rotary positions, however a model writes them: found as a linear map, and known by what it does to numbers.

Between a query or a key and its attention people slice, negate, join and multiply by tables of cosines and sines, or take complex
numbers. Whatever the calls are, from the last of them one goes back to the signal that all of it is made of. Two random
signals then tell whether pairs of channels are turned, by which angles, and along which axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import Node

from freeness.network import Rotary
from freeness.torch.record.graph_view import GraphView, node_name

_MOVES = {"transpose", "permute", "contiguous", "clone", "to", "_to_copy", "type_as", "alias"}
_LINEAR = _MOVES | {
    *(
        "mul",
        "neg",
        "add",
        "sub",
        "rsub",
        "cat",
        "stack",
        "slice",
        "select",
        "narrow",
        "split",
        "split_with_sizes",
        "chunk",
    ),
    *("unbind", "getitem", "view", "reshape", "_unsafe_view", "flatten", "unflatten", "unsqueeze", "squeeze", "expand"),
    *("view_as_complex", "view_as_real", "detach"),
}
_TOLERANCE = 100  # times the rounding of the numbers
_UNEVEN = 2e-3  # by which angles may depart from multiples of the position


@dataclass(frozen=True, eq=False)
class Turning:
    """Pairs of entries of the last axis turned by angles that grow along ``axis``: tables (positions, pairs)."""

    cosine: Tensor
    sine: Tensor
    halves: bool
    axis: int

    def __call__(self, x: Tensor, axis: int | None = None) -> Tensor:
        """x turned, with its positions on ``axis``."""
        axis, count = self.axis if axis is None else axis, 2 * self.cosine.shape[1]
        shape = [1] * x.ndim
        shape[axis], shape[-1] = self.cosine.shape
        cosine, sine = (table.to(x).reshape(shape) for table in (self.cosine, self.sine))
        first, second = _pairs(x[..., :count], self.halves)
        both = cosine * first - sine * second, sine * first + cosine * second
        turned = torch.cat(both, -1) if self.halves else torch.stack(both, -1).flatten(-2)
        return torch.cat([turned, x[..., count:]], -1)

    @property
    def record(self) -> Rotary | None:
        """The frequencies; None where angles are no multiples of the position."""
        angles = np.arctan2(self.sine.double().cpu().numpy(), self.cosine.double().cpu().numpy())
        turns, found = angles - angles[0], np.zeros(angles.shape[1])
        for position in range(1, len(turns)):  # each tells the frequency better, as those before know it well enough
            found = found + _wrapped(turns[position] - position * found) / position
        if np.abs(_wrapped(turns - np.multiply.outer(np.arange(len(turns)), found))).max() > _UNEVEN:
            return None
        return Rotary(tuple(map(float, found)), self.halves)


def _wrapped(angles: np.ndarray) -> np.ndarray:
    return (angles + np.pi) % (2 * np.pi) - np.pi


def _pairs(x: Tensor, halves: bool) -> tuple[Tensor, Tensor]:
    if halves:
        first, second = x.chunk(2, -1)
        return first, second
    return x[..., 0::2], x[..., 1::2]


def rotations(view: GraphView, repeated: Mapping[Node, Node]) -> Mapping[Node, tuple[Node, Turning]]:
    """The calls that give turned queries and keys, each with the call that gives what it turns, and how."""
    moving: dict[Node, bool] = {}
    for node in view.nodes:
        own = node.op == "placeholder" and node.name not in view.tensors
        moving[node] = own or any(moving[one] for one in node.all_input_nodes)
    found: dict[Node, tuple[Node, Turning]] = {}
    run = _Run(view, {})
    for given in _attended(view, moving):
        for node in _moved(given, moving, repeated):
            if node in found:
                break
            how = next((each for each in _turnings(run, node, moving) if each[1].record is not None), None)
            if how is not None:
                found[node] = how
                break
    return found


def _turnings(run: _Run, node: Node, moving: Mapping[Node, bool]) -> Iterator[tuple[Node, Turning]]:
    """Of a call what it may turn, and how."""
    for source in _sources(node, moving):
        turning = _turning(run, node, source)
        if turning is not None:
            yield source, turning


def _attended(view: GraphView, moving: Mapping[Node, bool]) -> Iterator[Node]:
    """Queries and keys, and what else is multiplied like them."""
    for node in view.nodes:
        given = [one for one in node.args if isinstance(one, Node)]
        if node_name(node) in ("scaled_dot_product_attention", "matmul", "bmm") and all(
            map(moving.__getitem__, given[:2])
        ):
            yield from given[:2]


def _moved(node: Node, moving: Mapping[Node, bool], repeated: Mapping[Node, Node]) -> Iterator[Node]:
    """A call, and those before it that are only moved in it, or given several times."""
    node = repeated.get(node, node)
    yield node
    while node.op == "call_function" and node_name(node) in _MOVES | {"mul", "div", "cat"}:
        before = [one for one in node.all_input_nodes if moving[one]]
        if len(before) != 1 or (node_name(node) == "cat" and before[0].meta["val"].shape != node.meta["val"].shape):
            return  # behind an empty cache nothing is joined
        node = repeated.get(before[0], before[0])
        yield node


def _sources(node: Node, moving: Mapping[Node, bool]) -> Iterator[Node]:
    """Calls that a result is made of alone, by linear calls, tables of numbers among them; the nearest first."""
    order = {one: place for place, one in enumerate(node.graph.nodes)}
    waiting, several = {node}, False
    while True:
        last = max(waiting, key=order.__getitem__)
        if len(waiting) == 1 and several:
            yield last
        if last.op != "call_function" or node_name(last) not in _LINEAR:
            return
        before = [one for one in last.all_input_nodes if moving[one]]
        several = several or (node_name(last) == "mul" and len(last.all_input_nodes) == 2)
        if not before or (node_name(last) == "mul" and len(before) == 2):
            return
        waiting = (waiting - {last}) | set(before)


def _turning(run: _Run, node: Node, source: Node) -> Turning | None:
    """What a call does to its source, if that is to turn pairs of the last axis along another."""
    like, behind = source.meta["val"], node.meta["val"]
    alike = isinstance(like, Tensor) and isinstance(behind, Tensor) and like.shape == behind.shape
    if not alike or like.ndim < 2 or not like.is_floating_point():
        return None
    shape = tuple(like.shape)
    generator = torch.Generator().manual_seed(0)
    device = next(run.view.model.parameters()).device
    given = [torch.randn(shape, generator=generator, dtype=torch.float64).to(like.dtype).to(device) for _ in range(2)]
    try:
        first, second = (run.of(node, {source: x}).to(like.dtype) for x in given)
    except (RuntimeError, TypeError, KeyError):  # calls that no numbers are known for
        return None
    changed = torch.nonzero((first != given[0]).reshape(-1, shape[-1]).any(0))
    count = shape[-1] if not len(changed) else 2 * ((int(changed.max()) + 2) // 2)
    for width in dict.fromkeys((shape[-1] // 2 * 2, count)):
        for halves in (True, False):
            found = _told(given[0], first, width, halves)
            allowed = _TOLERANCE * torch.finfo(like.dtype).eps * float(second.abs().max())
            if found is not None and float((found(given[1]) - second).abs().max()) <= allowed:
                return found
    return None


def _told(x: Tensor, y: Tensor, width: int, halves: bool) -> Turning | None:
    """The turning of which the axis and the angles are read from one signal before and behind."""
    (a, b), (c, d) = (_pairs(each[..., :width].cpu().double(), halves) for each in (x, y))
    size = a.square() + b.square()
    cosine, sine = (a * c + b * d) / size, (a * d - b * c) / size
    axes = [axis for axis in range(x.ndim - 1) if x.shape[axis] > 1]
    uneven = {axis: float((cosine.amax(axis) - cosine.amin(axis)).max()) for axis in axes}
    if not uneven:
        return None
    axis = max(uneven, key=uneven.__getitem__)
    others = [one for one in range(x.ndim - 1) if one != axis]
    tables = [table.mean(others) if others else table for table in (cosine, sine)]
    return Turning(tables[0], tables[1], halves, axis)


@dataclass(frozen=True, eq=False)
class _Run:
    """Calls of a graph on numbers; those on tensors of the model alone are known from the first time on."""

    view: GraphView
    known: dict[Node, Any]

    def of(self, node: Node, given: dict[Node, Any]) -> Any:
        """What a call gives where some others give this."""
        if node in given:
            return given[node]
        if node in self.known:
            return self.known[node]
        if node.op != "call_function":
            self.known[node] = self.view.tensors[node.name][1].detach()
            return self.known[node]
        before = {one: self.of(one, given) for one in node.all_input_nodes}
        arguments, options = torch.fx.map_arg((node.args, node.kwargs), before.__getitem__)
        mutable = isinstance(node.target, OpOverload) and node.target._schema.is_mutable
        assert callable(node.target)
        if mutable:
            raise TypeError(f"{node.name} writes to what it reads")
        found = node.target(*arguments, **options)
        moved = any(one in given for one in before)
        (given if moved else self.known)[node] = found
        return found
