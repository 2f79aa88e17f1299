"""Writes in place: which calls of a graph share memory, and what a tensor is once a part of it was written to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch._ops import OpOverload
from torch.fx import Node

from freeness.torch.record.graph_view import GraphView
from freeness.torch.record.steps import GivenTensor

View = Callable[[Any], Any]


def writes(node: Node) -> bool:
    """Whether a call writes to its first argument."""
    first = node.args[0] if node.args else None
    return isinstance(node.target, OpOverload) and node.target._schema.is_mutable and isinstance(first, Node)


class Aliases:
    """Which calls of an exported graph give parts of one tensor; the storage of what was seen when it was made tells."""

    def __init__(self, view: GraphView) -> None:
        self._groups: dict[int, list[Node]] = {}
        self._roots: dict[Node, Node] = {}
        for node in view.nodes:
            storage = _storage(node)
            if storage is not None:
                group = self._groups.setdefault(storage, [])
                group.append(node)
                self._roots[node] = group[0]

    def root(self, node: Node) -> Node:
        """The tensor of which a call gives a part: itself where it is none."""
        return self._roots.get(node, node)

    def before(self, node: Node) -> list[Node]:
        """The calls in front of one that share its memory, and are read behind it, in their order."""
        group = self._groups.get(_storage(node) or 0, [node])
        return [one for one in group[: group.index(node)] if any(user > node for user in one.users)]

    def way(self, node: Node) -> tuple[View, ...] | None:
        """The views that lead from the root to a call; None where one of them asks for more than its tensor."""
        found: list[View] = []
        root = self.root(node)
        while node is not root:
            source = node.args[0] if node.args else None
            if not isinstance(source, Node) or len(node.all_input_nodes) > 1:
                return None
            if not writes(node):  # what writes gives its argument again
                found.append(_view(node))
            node = source
        return tuple(reversed(found))


def _storage(node: Node) -> int | None:
    value = node.meta.get("val")
    first = value[0] if isinstance(value, list | tuple) and value else value
    try:
        return int(first.untyped_storage()._cdata) if isinstance(first, Tensor) else None
    except NotImplementedError:  # of a sparse tensor
        return None


def _view(node: Node) -> View:
    target = node.target
    assert callable(target)
    return lambda tensor: target(tensor, *node.args[1:], **node.kwargs)


@dataclass(frozen=True, eq=False)
class Overwritten:
    """A tensor once a part of it was written to: called with those of ``whole`` and ``part`` that are None.

    ``views``: lead from the whole to the part.

    Example:
        >>> import torch
        >>> Overwritten((lambda x: x[1],), GivenTensor(lambda: torch.zeros(3)))(torch.ones(()))
        tensor([0., 1., 0.])
    """

    views: tuple[View, ...]
    whole: GivenTensor | None = None
    part: GivenTensor | None = None

    def __call__(self, *values: Tensor) -> Tensor:
        """A new tensor; what was given stays."""
        left = list(values)
        whole = left.pop(0) if self.whole is None else self.whole.value()
        part = left.pop(0) if self.part is None else self.part.value()
        found = whole.to(part.dtype) if whole.is_floating_point() and part.is_floating_point() else whole
        found = found.detach().clone()
        target = found
        for view in self.views:
            target = view(target)
        target.copy_(part)
        return found
