"""Keys and values of grouped queries that a model repeats for each query head; the record of attention does that by itself."""

from __future__ import annotations

from collections.abc import Mapping

from torch.fx import Node

from freeness.torch.record.graph_view import GraphView, node_name

_ATTENTION = "scaled_dot_product_attention"
_TURNED = ("transpose", "permute")
_WEIGHED = (
    "mul",
    "div",
    "add",
    "masked_fill",
    "to",
    "_to_copy",
)  # between products of queries with keys and their softmax
_KEPT = ("dropout", "to", "_to_copy", "clone", "contiguous", "type_as")  # between softmax and values
_PRODUCTS = ("matmul", "bmm")
_LENGTH = 8  # calls between softmax and its products


def repeated_heads(view: GraphView) -> Mapping[Node, Node]:
    """Calls that give keys or values (samples, heads, tokens, channels) several times, with the call that gives them once."""
    found: dict[Node, Node] = {}
    for node in view.nodes:
        used = [user for user in node.users if user.op == "call_function"]
        if node_name(node) not in ("reshape", "_unsafe_view", "view") or not used:
            continue
        if not all(_attends(user, node) for user in used):
            continue
        expanded = node.args[0]
        raised = expanded.args[0] if isinstance(expanded, Node) and node_name(expanded) == "expand" else None
        source = raised.args[0] if isinstance(raised, Node) and node_name(raised) == "unsqueeze" else None
        if isinstance(source, Node) and isinstance(expanded, Node) and isinstance(raised, Node) and raised.args[1] == 2:
            once, several, whole = (tuple(one.meta["val"].shape) for one in (source, expanded, node))
            if len(once) == 4 and whole == (once[0], several[1] * several[2], *once[2:]) and several[1] == once[1]:
                found[node] = source
    return found


def _attends(user: Node, given: Node) -> bool:
    """Whether a call is an attention, or a product of one that is written out."""
    name = node_name(user)
    if name in _TURNED:
        return bool(user.users) and all(_attends(one, user) for one in user.users)
    if name not in _PRODUCTS or len(user.args) != 2 or user.args[1] is not given:
        return name == _ATTENTION
    return _leads_to_softmax(user) or _comes_from_softmax(user.args[0])


def _leads_to_softmax(node: Node) -> bool:
    for _ in range(_LENGTH):
        users = [one for one in node.users if node_name(one) != "_assert_tensor_metadata"]
        if len(users) != 1:
            return False
        (node,) = users
        if node_name(node) in ("softmax", "_softmax"):
            return True
        if node_name(node) not in _WEIGHED:
            return False
    return False


def _comes_from_softmax(node: object) -> bool:
    for _ in range(_LENGTH):
        if not isinstance(node, Node):
            return False
        if node_name(node) in ("softmax", "_softmax"):
            return True
        if node_name(node) not in _KEPT:
            return False
        node = node.args[0]
    return False
