"""Residual branches of any model: where one ends, and with which tensors; read off the graph of one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.utils._pytree import tree_leaves

from freeness.torch.batched import plain_attention
from freeness.torch.state import untouched

_PRODUCTS = ("mm", "linear", "bmm", "matmul", "mv")  # with a weight among their factors


_STRAIGHT = (  # a factor behind anything else is no scale of the branch
    *(
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "view",
        "unsafe_view",
        "reshape",
        "transpose",
        "permute",
        "t",
        "expand",
        "squeeze",
    ),
    *("unsqueeze", "clone", "alias", "select", "slice", "index", "cat", "split", "unbind", "chunk", "stack", "to_copy"),
    *("mean", "sum", "dropout", "native_dropout", "as_strided", "roll", "constant_pad_nd"),
)


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
    """Residual branches in the order of the forward pass, and the weights that outputs come through; none where a sum is one."""

    branches: tuple[WiredBranch, ...]
    heads: tuple[str, ...]


def wiring_of(model: nn.Module, run: Callable[[], Any]) -> Wiring:
    """Which tensors end the residual branches of a model.

    A sum of two signals is one of a branch and a skip connection where the branch was made of the other signal; or, as where a
    stage of a ResNet begins, where both were made of a third and one of them has passed at most one weight since, and no product
    of signals. Scores of attention are none. Not seen: sums in custom functions, and behind reentrant checkpoints. A recurrent
    model has none.

    Args:
        model: any module; left as it was.
        run: calls it, with few samples.

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
        graph = _Graph(model, [one.grad_fn for one in outputs if one.grad_fn is not None])
        recurrent = any(isinstance(module, nn.RNNBase | nn.RNNCellBase) for module in model.modules())
        branches, heads = () if recurrent else graph.branches(), graph.ends([graph.last], set())[0]
        ends = {name for branch in branches for name in branch.matrices}
        return Wiring(branches, () if ends & set(heads) else heads)


class _Graph:
    """Nodes in an order in which each stands behind those it was made of, with the weights that each reads."""

    def __init__(self, model: nn.Module, ends: list[Node]) -> None:
        self._names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._order = _sorted(ends)
        self.last = ends[0]
        self._own: dict[Node, str] = {}  # nodes that are a parameter, or a view or cast of one
        self._users: dict[Node, list[Node]] = {}
        for node in self._order:
            before = _before(node)
            for one in before:
                self._users.setdefault(one, []).append(node)
            name = self._names.get(id(getattr(node, "variable", None)))
            if name is not None:
                self._own[node] = name
            elif len(before) == 1 and before[0] in self._own and not self._applies(node):
                self._own[node] = self._own[before[0]]
        self._histories: dict[Node, frozenset[Node]] = {}

    def _applies(self, node: Node) -> bool:
        """Whether a node with a parameter alone behind it applies it to an input, which needs no gradient."""
        name = _named(node)
        return name.startswith("embedding") or name.endswith(_PRODUCTS) or "convolution" in name or "norm" in name

    def _signals(self, node: Node) -> list[Node]:
        return [one for one in _before(node) if one not in self._own]

    def _parameters(self, node: Node) -> list[str]:
        return [self._own[one] for one in _before(node) if one in self._own]

    def _weight(self, node: Node) -> str | None:
        """The weight that a node multiplies signals with."""
        name = _named(node)
        found = self._parameters(node)
        if not found or not (name.endswith(_PRODUCTS) or "convolution" in name):
            return None
        return found[-1] if name in ("addmm", "addmv", "addbmm", "baddbmm") else found[0]

    def history(self, node: Node) -> frozenset[Node]:
        """The node and all signals that it was made of."""
        if node not in self._histories:
            found, waiting = {node}, [node]
            while waiting:
                for before in self._signals(waiting.pop()):
                    if before not in found:
                        found.add(before)
                        waiting.append(before)
            self._histories[node] = frozenset(found)
        return self._histories[node]

    def branches(self) -> tuple[WiredBranch, ...]:
        """One for every sum of a branch and a skip connection."""
        found, before = [], None
        for node in self._order:
            adds = _named(node).startswith(("add", "sub")) and len(set(self._signals(node))) == 2
            if not adds or self._scores(node):
                continue
            pair = self._told_apart(*self._signals(node))
            if pair is None:
                continue
            skip, branch = pair
            known = self.history(skip)
            passed = self.history(branch) - known
            matrices, scales, shifts = self.ends([branch], known)
            inside = dict.fromkeys((*matrices, *(one for n in passed if (one := self._weight(n)) is not None)))
            if not matrices and not scales:
                continue
            attends = any(_named(one).endswith("softmax") for one in passed)
            depth, bare = self._depth(branch, passed), self._bare(skip, before)
            found.append(WiredBranch(matrices, scales, shifts, tuple(inside), depth, bare, attends))
            before = node
        return tuple(found)

    def _told_apart(self, one: Node, other: Node) -> tuple[Node, Node] | None:
        """Skip connection and branch; None where a sum is neither."""
        first, second = self.history(one), self.history(other)
        if one in second or other in first:
            return (one, other) if one in second else (other, one)
        if not first & second:
            return None
        ways = [[n for n in history if self._weight(n) is not None] for history in (first - second, second - first)]
        if len(ways[0]) == len(ways[1]) or min(map(len, ways)) > 1:
            return None
        skip, branch = (one, other) if len(ways[0]) < len(ways[1]) else (other, one)
        passed = self.history(skip) - self.history(branch)
        return None if any(len(set(self._signals(node))) > 1 for node in passed) else (skip, branch)

    def _scores(self, node: Node) -> bool:
        """Whether what is added goes into a softmax, as the positions' part of attention does."""
        while not _named(node).endswith("softmax"):
            users = self._users.get(node, [])
            if len(users) != 1:
                return False
            (node,) = users
        return True

    def ends(
        self, start: Iterable[Node], known: Iterable[Node]
    ) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """The last weights, and the scales and shifts behind them, on every way back from some nodes to known ones."""
        matrices, scales, shifts = [], [], []
        seen, waiting = set(known), [(node, True) for node in start]
        while waiting:
            node, linear = waiting.pop(0)
            if node in seen:
                continue
            seen.add(node)
            name, own, weight = _named(node), self._parameters(node), self._weight(node)
            if weight is not None:
                matrices.append(weight)
                shifts += [one for one in own if one != weight] if linear else []
                continue
            if linear and own and (name.startswith("mul") or "norm" in name):
                scales.append(own[0])
                shifts += own[1:]
            elif linear and name.startswith("add"):
                shifts += own
            waiting += [(before, linear and _is_straight(name)) for before in self._signals(node)]
        return (
            tuple(dict.fromkeys(matrices)),
            tuple(dict.fromkeys(scales)),
            tuple(dict.fromkeys(shifts)),
        )

    def _depth(self, end: Node, passed: frozenset[Node]) -> int:
        """Weights on the longest way through these nodes to the end."""
        depths: dict[Node, int] = {}
        for node in self._order:
            if node in passed:
                before = max((depths.get(one, 0) for one in self._signals(node)), default=0)
                depths[node] = before + (self._weight(node) is not None)
        return depths[end]

    def _bare(self, skip: Node, before: Node | None) -> bool:
        """Whether a skip connection reaches back to the sum before without a normalisation."""
        node = skip
        while node is not before and not self._normalises(node):
            behind = self._signals(node)
            if len(behind) != 1 or self._weight(node) is not None:
                return not self._written_out(node)
            (node,) = behind
        return not self._normalises(node)

    def _normalises(self, node: Node) -> bool:
        return "norm" in _named(node)

    def _written_out(self, node: Node) -> bool:
        """Whether a product of a signal with a statistic of its own, as normalisations without an operation are written."""
        return _named(node).startswith(("mul", "div")) and len(set(self._signals(node))) == 2


def _is_straight(name: str) -> bool:
    return name in _STRAIGHT or "norm" in name or "pool" in name


def _named(node: Node) -> str:
    """addmm of AddmmBackward0, batch_norm of NativeBatchNormBackward0 as native_batch_norm, in small letters."""
    found = node.name().partition("Backward")[0]
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in found).lstrip("_")


def _before(node: Node) -> list[Node]:
    return [before for before, _ in node.next_functions if before is not None]


def _sorted(ends: list[Node]) -> list[Node]:
    """All nodes behind some, each after those it was made of."""
    order: list[Node] = []
    done: set[Node] = set()
    waiting: list[tuple[Node, bool]] = [(end, False) for end in reversed(ends)]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            order.append(node)
        elif node not in done:
            done.add(node)
            waiting.append((node, True))
            waiting += [(before, False) for before in reversed(_before(node)) if before not in done]
    return order
