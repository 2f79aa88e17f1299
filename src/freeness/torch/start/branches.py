"""Residual branches of any model: where one ends, and with which tensors; read off the graph of one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.utils._pytree import tree_leaves

from freeness.torch.model.batched import plain_attention
from freeness.torch.model.state import untouched
from freeness.torch.record.reads import mean_squares_read
from freeness.torch.record.state_spaces import StateSpaces, state_spaces_of
from freeness.torch.record.wired_graph import WiredGraph, is_straight, lifts_zero, normalises, operation_of


@dataclass(frozen=True)
class WiredBranch:
    """One sum x + f(x), by names of tensors.

    ``matrices``: the last weights of f, through which its output comes; ``scales``: those behind them (a normalisation's γ, the
    trained scale of a layer), ``shifts`` what is added behind. ``inside``: all weights of f, at most ``depth`` of them one behind
    the other. ``bare``: whether x comes from the sum before, or the model's start, without a normalisation between. ``attends``:
    whether f takes a softmax.
    """

    matrices: tuple[str, ...]
    scales: tuple[str, ...]
    shifts: tuple[str, ...]
    inside: tuple[str, ...]
    depth: int
    bare: bool
    attends: bool = False


@dataclass(frozen=True)
class Wiring:
    """Residual branches in the order of the forward pass, and the weights that outputs come through; none where a sum is one.

    ``reads``: the mean square of what each weight reads, by name, where it is 1 in front of the activation there. ``states``:
    the tensors of state spaces.
    """

    branches: tuple[WiredBranch, ...]
    heads: tuple[str, ...]
    reads: Mapping[str, float] = field(default_factory=dict[str, float], repr=False)
    states: StateSpaces = field(default_factory=StateSpaces, repr=False)


def wiring_of(model: nn.Module, run: Callable[[], Any]) -> Wiring:
    """Which tensors end the residual branches of a model.

    A sum of two signals is one of a branch and a skip connection where the branch was made of the other signal; or, as where a
    stage of a ResNet begins, where both were made of a third and one of them has passed at most one weight since, and what is
    linear. Where weights of 0 do not make a branch 0, as behind an exponential, it has no end. Scores of attention are none. Not
    seen: sums in custom functions. A recurrent model has none.

    Example:
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.inner, self.outer = nn.Linear(3, 3), nn.Linear(3, 3)
        ...     def forward(self, x):
        ...         return x + self.outer(self.inner(x).tanh())
        >>> model = nn.Sequential(nn.Linear(3, 3), Block(), nn.Linear(3, 2))
        >>> wiring_of(model, lambda: model(torch.ones(2, 3)))
        Wiring(branches=(WiredBranch(matrices=('1.outer.weight',), scales=(), shifts=('1.outer.bias',), \
inside=('1.outer.weight', '1.inner.weight'), depth=2, bare=True, attends=False),), heads=('2.weight',))
    """
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    with untouched(model, copies=False), torch.enable_grad(), plain_attention():
        for parameter in frozen:
            if parameter.is_floating_point():
                parameter.requires_grad_()
        outputs = [one for one in tree_leaves(run()) if isinstance(one, Tensor) and one.grad_fn is not None]
        if not outputs:
            return Wiring((), ())
        graph = WiredGraph(model, [one.grad_fn for one in outputs if one.grad_fn is not None])
        recurrent = any(isinstance(module, nn.RNNBase | nn.RNNCellBase) for module in model.modules())
        found = _Branches(graph)
        branches, heads = () if recurrent else found.branches(), found.ends([graph.last], set(), zeroed=False)[0]
        ends = {name for branch in branches for name in branch.matrices}
        return Wiring(branches, () if ends & set(heads) else heads, mean_squares_read(graph), state_spaces_of(graph))


class _Branches:
    """What of a graph is a residual branch."""

    def __init__(self, graph: WiredGraph) -> None:
        self._graph = graph

    def branches(self) -> tuple[WiredBranch, ...]:
        """One for every sum of a branch and a skip connection."""
        found, before = [], None
        for node in self._graph.order:
            adds = operation_of(node).startswith(("add", "sub")) and len(set(self._graph.signals(node))) == 2
            if not adds or self._scores(node):
                continue
            pair = self._told_apart(*self._graph.signals(node))
            if pair is None:
                continue
            skip, branch = pair
            known = self._graph.history(skip)
            passed = self._graph.history(branch) - known
            matrices, scales, shifts = self.ends([branch], known)
            inside = dict.fromkeys((*matrices, *(one for n in passed if (one := self._graph.weight(n)) is not None)))
            if not matrices and not scales:
                continue
            attends = any(operation_of(one).endswith("softmax") for one in passed)
            depth, bare = self._depth(branch, passed), self._bare(skip, before)
            found.append(WiredBranch(matrices, scales, shifts, tuple(inside), depth, bare, attends))
            before = node
        return tuple(found)

    def _told_apart(self, one: Node, other: Node) -> tuple[Node, Node] | None:
        """Skip connection and branch; None where a sum is neither."""
        first, second = self._graph.history(one), self._graph.history(other)
        if one in second or other in first:
            return (one, other) if one in second else (other, one)
        if not first & second:
            return None
        apart = (first - second, second - first)
        ways = [[n for n in history if self._graph.weight(n) is not None] for history in apart]
        if len(ways[0]) == len(ways[1]) or min(map(len, ways)) > 1:
            return None
        skip, branch = (one, other) if len(ways[0]) < len(ways[1]) else (other, one)
        passed = self._graph.history(skip) - self._graph.history(branch)
        return (skip, branch) if all(map(self._linear, passed)) else None

    def _linear(self, node: Node) -> bool:
        """Whether it is linear in one signal, as a skip connection between stages is."""
        straight = is_straight(operation_of(node)) or self._graph.weight(node) is not None
        return straight and len(set(self._graph.signals(node))) < 2

    def _scores(self, node: Node) -> bool:
        """Whether what is added goes into a softmax, as the positions' part of attention does."""
        while not operation_of(node).endswith("softmax"):
            users = self._graph.users(node)
            if len(users) != 1:
                return False
            (node,) = users
        return True

    def ends(
        self, start: Iterable[Node], known: Iterable[Node], *, zeroed: bool = True
    ) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """The last weights, and the scales and shifts behind them, on every way back from some nodes to known ones.

        ``zeroed``: a way ends where 0 does not stay 0, at a gate, an exponential, the weights of attention.
        """
        matrices, scales, shifts = [], [], []
        seen, waiting = set(known), [(node, True) for node in start]
        while waiting:
            node, linear = waiting.pop(0)
            if node in seen:
                continue
            seen.add(node)
            name, own, weight = operation_of(node), self._graph.parameters(node), self._graph.weight(node)
            if weight is not None:
                matrices.append(weight)
                shifts += [one for one in own if one != weight] if linear else []
                continue
            multiplies = name.startswith("mul") and not self._graph.is_shifted(node)
            if linear and own and (multiplies or "norm" in name):
                scales.append(own[0])
                shifts += own[1:]
            elif linear and name.startswith("add"):
                shifts += own
            if not (zeroed and lifts_zero(name)):
                waiting += [(before, linear and is_straight(name)) for before in self._graph.signals(node)]
        return (
            tuple(dict.fromkeys(matrices)),
            tuple(dict.fromkeys(scales)),
            tuple(dict.fromkeys(shifts)),
        )

    def _depth(self, end: Node, passed: frozenset[Node]) -> int:
        """Weights on the longest way through these nodes to the end."""
        depths: dict[Node, int] = {}
        for node in self._graph.order:
            if node in passed:
                before = max((depths.get(one, 0) for one in self._graph.signals(node)), default=0)
                depths[node] = before + (self._graph.weight(node) is not None)
        return depths[end]

    def _bare(self, skip: Node, before: Node | None) -> bool:
        """Whether a skip connection reaches back to the sum before without a normalisation."""
        node = skip
        while node is not before and not normalises(node):
            behind = self._graph.signals(node)
            if len(behind) != 1 or self._graph.weight(node) is not None:
                return not self._written_out(node)
            (node,) = behind
        return not normalises(node)

    def _written_out(self, node: Node) -> bool:
        """Whether a product of a signal with a statistic of its own, as normalisations without an operation are written."""
        return operation_of(node).startswith(("mul", "div")) and len(set(self._graph.signals(node))) == 2
