"""A network's record: its operations one below the other, and what each reads."""

from __future__ import annotations

from functools import singledispatch

from freeness.network import Activation, Network, Node, Operation, Sum, Weights
from freeness.show.answer import Answer, Section, Table, answer_of, number

_SHOWN = 20  # operations at either end that are listed


@answer_of.register
def _(record: Network) -> Answer:
    matrices = "1 weight matrix" if record.depth == 1 else f"{record.depth} weight matrices"
    rows = [_row(node) for node in record.nodes]
    left_out = len(rows) - 2 * _SHOWN
    if left_out > 1:
        rows[_SHOWN:-_SHOWN] = [(f"{left_out} more", "", "", "")]
    table = Table(("operation", "kind", "what it does", "reads"), tuple(rows))
    return Answer(f"Network of {matrices}, {len(record.nodes)} operations", (Section("", (table,)),))


def _row(node: Node) -> tuple[str, ...]:
    shared = f"; the weights of {node.shares}" if node.shares else ""
    return (node.name, type(node.operation).__name__, told(node.operation) + shared, ", ".join(node.inputs))


@singledispatch
def told(operation: Operation) -> str:
    """What an operation does, in a few words: its plain numbers, and what is so of it.

    Example:
        >>> from freeness.network import Dropout
        >>> told(Dropout(0.1, "drop"))
        'rate 0.1'
    """
    values = vars(operation).items()
    said = {name: value for name, value in values if name != "name" and value is not False}
    plain = {name: value for name, value in said.items() if isinstance(value, (bool, int, float, str))}
    return ", ".join(
        f"{name} {value if isinstance(value, (bool, int, str)) else number(value)}" for name, value in plain.items()
    )


@told.register
def _(operation: Activation) -> str:
    return operation.function.name


@told.register
def _(operation: Sum) -> str:
    return "scales " + ", ".join(number(scale) for scale in operation.scales)


@told.register
def _(operation: Weights) -> str:
    into, out = operation.sizes
    weights = operation.weights
    return f"{into}→{out}, {type(weights).__name__}, σ_w {number(weights.sigma_w)}, σ_b {number(operation.sigma_b)}"
