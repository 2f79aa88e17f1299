"""RMS normalisations that a model writes out, as Llama does: x·rsqrt(mean x² + ε) over the last axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.fx import Node

from freeness.torch.record.graph_view import GraphView, node_name

CASTS = {"to", "_to_copy", "type_as"}


def written_norms(view: GraphView) -> Mapping[Node, tuple[Node, float]]:
    """The last call of every such normalisation, with the call that gives what it normalises, and ε."""
    found: dict[Node, tuple[Node, float]] = {}
    for node in view.nodes:
        if node_name(node) != "mul" or len(node.all_input_nodes) != 2:
            continue
        for given, factor in (node.all_input_nodes, node.all_input_nodes[::-1]):
            known = _inverse_size(factor)
            if known is not None and _uncast(known[0]) is _uncast(given):
                found[node] = _uncast(given), known[1]
    return found


def _inverse_size(node: Node) -> tuple[Node, float] | None:
    """x and ε of rsqrt(mean x² + ε) over the last axis, which is kept."""
    added = _behind(node, "rsqrt")
    mean = None if added is None else _behind(added, "add")
    square = None if mean is None else _behind(mean, "mean")
    if added is None or mean is None or square is None or not isinstance(added.args[1], int | float):
        return None
    axes: Any = mean.args[1]
    if axes not in ([-1], (-1,), [square.meta["val"].ndim - 1]) or True not in mean.args[2:3]:
        return None
    twice = node_name(square) == "pow" and square.args[1] == 2
    itself = node_name(square) == "mul" and len(square.all_input_nodes) == 1 and square.args[0] is square.args[1]
    return (
        (square.all_input_nodes[0], float(added.args[1])) if twice or itself or node_name(square) == "square" else None
    )


def _behind(node: Node, name: str) -> Node | None:
    """What a call of that name reads first."""
    first = node.args[0] if node.args else None
    return first if node_name(node) == name and isinstance(first, Node) else None


def _uncast(node: Node) -> Node:
    while node_name(node) in CASTS and isinstance(node.args[0], Node):
        node = node.args[0]
    return node
