"""Keys and values of grouped queries that a model repeats for each query head; torch's attention does that by itself."""

from __future__ import annotations

from collections.abc import Mapping

from torch.fx import Node

from freeness.torch.graph_view import GraphView, node_name

_ATTENTION = "scaled_dot_product_attention"


def repeated_heads(view: GraphView) -> Mapping[Node, Node]:
    """Calls that give keys or values (samples, heads, tokens, channels) several times, with the call that gives them once.

    Args:
        view: the graph.
    """
    found: dict[Node, Node] = {}
    for node in view.nodes:
        used = [user for user in node.users if user.op == "call_function"]
        if node_name(node) not in ("reshape", "_unsafe_view", "view") or not used or not all(map(_attends, used)):
            continue
        expanded = node.args[0]
        raised = expanded.args[0] if isinstance(expanded, Node) and node_name(expanded) == "expand" else None
        source = raised.args[0] if isinstance(raised, Node) and node_name(raised) == "unsqueeze" else None
        if isinstance(source, Node) and isinstance(expanded, Node) and isinstance(raised, Node) and raised.args[1] == 2:
            once, several, whole = (tuple(one.meta["val"].shape) for one in (source, expanded, node))
            if len(once) == 4 and whole == (once[0], several[1] * several[2], *once[2:]) and several[1] == once[1]:
                found[node] = source
    return found


def _attends(user: Node) -> bool:
    return node_name(user) == _ATTENTION
