"""Whether a model adds signals, as residual networks do: read off the graph that one forward pass leaves for its gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from freeness.errors import FreenessError
from freeness.torch.outputs import run, select_output

_SUMS = ("AddBackward", "SubBackward", "LerpBackward")
_FEW = 2  # samples: some normalisations refuse one
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)  # they add what comes in and what was before, which is no skip


def adds_signals(model: nn.Module, inputs: Tensor) -> bool:
    """Whether two signals are added, both of the input, and one of them behind weights that the other has not passed.

    Not seen: sums in custom functions, behind detached signals, and of a model that cannot be run so.

    Args:
        model: any module; the caller protects its state.
        inputs: samples first.

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
    leaf = inputs[:_FEW].detach().clone()
    if leaf.is_floating_point():
        leaf.requires_grad_()
    try:
        with torch.enable_grad():
            given = leaf * 1 if leaf.requires_grad else leaf  # a leaf may not be written to, its product may
            end = select_output(run(model, given))[1].grad_fn
    except FreenessError:
        return False
    if end is None:
        return False
    signals = _carrying(end, leaf)
    sums = (node for node in signals if node.name().startswith(_SUMS))
    return any(_skips([before for before, _ in node.next_functions if before in signals], signals) for node in sums)


def _carrying(end: Node, leaf: Tensor) -> set[Node]:
    """The nodes whose values depend on the input."""
    users: dict[Node, list[Node]] = {end: []}
    waiting, found = [end], []
    while waiting:
        node = waiting.pop()
        if getattr(node, "variable", None) is leaf or node.name().startswith("EmbeddingBackward"):
            found.append(node)
        for before, _ in node.next_functions:
            if before is None:
                continue
            if before not in users:
                users[before] = []
                waiting.append(before)
            users[before].append(node)
    reached = set(found)
    while found:
        new = [node for node in users[found.pop()] if node not in reached]
        reached.update(new)
        found += new
    return reached


def _skips(parts: list[Node], signals: set[Node]) -> bool:
    """Whether the history of one part has weights that another's has not."""
    if len(set(parts)) < 2:
        return False
    one, other = (_history(part, signals) for part in parts[:2])
    return any(_has_weights(node) for node in one ^ other)


def _history(node: Node, signals: set[Node]) -> set[Node]:
    found, waiting = {node}, [node]
    while waiting:
        for before, _ in waiting.pop().next_functions:
            if before in signals and before not in found:
                found.add(before)
                waiting.append(before)
    return found


def _has_weights(node: Node) -> bool:
    name = node.name().lower().partition("backward")[0]
    return name.endswith(("mm", "linear")) or "convolution" in name
