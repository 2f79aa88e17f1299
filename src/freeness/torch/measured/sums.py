"""Whether a model adds signals, as residual networks do: read off the graph that one forward pass leaves for its gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from freeness.errors import FreenessError
from freeness.torch.model.outputs import run, select_output
from freeness.torch.model.walks import made_of, reached

_SUMS = ("AddBackward", "SubBackward", "LerpBackward")
_FEW = 2  # samples: some normalisations refuse one
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)  # they add what comes in and what was before, which is no skip


def adds_signals(model: nn.Module, inputs: Tensor) -> bool:
    """Whether two signals are added, both of the input, and one of them behind weights that the other has not passed.

    Not seen: sums in custom functions, behind detached signals, and of a model that cannot be run so.

    Example:
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.inner = nn.Linear(3, 3)
        ...     def forward(self, x):
        ...         return x + self.inner(x).tanh()
        >>> adds_signals(Block(), torch.ones(2, 3)), adds_signals(nn.Linear(3, 3), torch.ones(2, 3))
        (True, False)
    """
    if any(isinstance(module, _RECURRENT) for module in model.modules()):
        return False
    signals = signals_of(model, inputs)
    return any(parts_differ(node, signals) for node in signals if node.name().startswith(_SUMS))


def signals_of(model: nn.Module, inputs: Tensor) -> set[Node]:
    """The nodes, of the graph that a forward pass leaves, whose values depend on the input; none where it cannot be run so."""
    leaf = inputs[:_FEW].detach().clone()
    if leaf.is_floating_point():
        leaf.requires_grad_()
    try:
        with torch.enable_grad():
            given = leaf * 1 if leaf.requires_grad else leaf  # a leaf may not be written to, its product may
            end = select_output(run(model, given))[1].grad_fn
    except FreenessError:
        return set()
    return set() if end is None else _carrying(end, leaf)


def _carrying(end: Node, leaf: Tensor) -> set[Node]:
    """The nodes whose values depend on the input."""
    users: dict[Node, list[Node]] = {}
    first: list[Node] = []
    for node in reached([end], made_of):
        if getattr(node, "variable", None) is leaf or node.name().startswith("Embedding"):
            first.append(node)
        for before in made_of(node):
            users.setdefault(before, []).append(node)
    return set(reached(first, lambda node: users.get(node, ())))


def parts_differ(node: Node, signals: set[Node]) -> bool:
    """Whether the history of one part of a sum, or of a product, has weights that another's has not."""

    def parts(one: Node) -> list[Node]:
        return [before for before in made_of(one) if before in signals]

    if len(set(parts(node))) < 2:
        return False
    one, other = (set(reached([part], parts)) for part in parts(node)[:2])
    return any(_has_weights(node) for node in one ^ other)


def _has_weights(node: Node) -> bool:
    name = node.name().lower().partition("backward")[0]
    return name.endswith(("mm", "linear")) or "convolution" in name
