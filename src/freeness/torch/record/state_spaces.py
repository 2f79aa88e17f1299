"""State spaces in a model: which tensors say how fast their states forget, and how long a step is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch.autograd.graph import Node

from freeness.torch.model.walks import reached
from freeness.torch.record.wired_graph import WiredGraph, is_arranging, lifts_zero, operation_of

_SUMMING = ("cumsum", "sub", "sum", "masked_fill", "tril", "triu", "neg", "flip", "diff", "where", "mul", "einsum")
_STEP = "softplus"
_TIMES = (
    "mul",
    "bmm",
    "mm",
    "einsum",
)  # a step and its decay
_ADDING = ("add", "sub")  # a rate to an exponent, as in RWKV
_COMPARING = (*_ADDING, "maximum", "neg")  # on the way to an exponential of what is largest


@dataclass(frozen=True)
class StateSpaces:
    """Tensors of state spaces by name.

    ``decays``: a in a state's factor exp(-Δ·exp(a)), Δ = softplus(…) a step that depends on the input; ``steps``: what is added
    in that softplus. ``kernels``: several tensors that make the kernel of a state space whose step does not depend on the input.
    ``beside``: factors of signals that are no weights. ``rates``: a where -exp(a) is added to an exponent, as in RWKV; then
    ``weighing`` are the weights whose outputs go into exponents and gates alone.
    """

    decays: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    rates: tuple[str, ...] = ()
    weighing: tuple[str, ...] = ()

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return bool(self.decays or self.kernels)


def state_spaces_of(graph: WiredGraph) -> StateSpaces:
    """The tensors of the state spaces of a model."""
    decays: dict[str, None] = {}
    steps: dict[str, None] = {}
    kernels: dict[str, None] = {}
    beside: dict[str, None] = {}
    rates: dict[str, None] = {}
    for node in graph.order:
        found = graph.exponentials(node)
        if operation_of(node) == "mul" and graph.signals(node) and not found:
            beside.update(dict.fromkeys(graph.parameters(node)))
        if not found:
            continue
        kernels.update((name, None) for names in found if len(names) > 1 for name in names)
        alone = [names[0] for names in found if len(names) == 1]
        if alone and graph.signals(node) and operation_of(node) in _ADDING and _is_exponent(node, graph):
            rates.update(dict.fromkeys(alone))
        if alone and graph.signals(node) and operation_of(node) in _TIMES and _is_exponent(node, graph):
            decays.update(dict.fromkeys(alone))
            steps.update(dict.fromkeys(_added_in_step(node, graph)))
    weighing = dict.fromkeys(_weighing(graph)) if rates else ()
    return StateSpaces(*map(tuple, (decays, steps, kernels, beside, rates, weighing)))


def _weighing(graph: WiredGraph) -> Iterator[str]:
    """Weights whose outputs go into exponentials and gates alone."""

    def passed(one: Node) -> list[Node]:
        name = operation_of(one)
        return graph.users(one) if is_arranging(name) or name in _COMPARING else []

    for node in graph.order:
        weight = graph.weight(node)
        if weight is not None:
            ends = [operation_of(one) for one in reached(graph.users(node), passed) if not passed(one)]
            if ends and all(map(lifts_zero, ends)):
                yield weight


def _is_exponent(node: Node, graph: WiredGraph) -> bool:
    """Whether an exponential is taken of a product, maybe behind sums over time."""

    def passed(one: Node) -> list[Node]:
        name = operation_of(one)
        return graph.users(one) if is_arranging(name) or name in _SUMMING else []

    return any(operation_of(one) == "exp" for one in reached(graph.users(node), passed))


def _added_in_step(node: Node, graph: WiredGraph) -> Iterator[str]:
    """What is added to a signal in the softplus that a product reads."""
    for step in graph.behind(graph.signals(node), ("clamp", "neg")):
        if operation_of(step) != _STEP:
            continue
        for one in graph.behind(graph.signals(step), ()):
            weight = graph.weight(one)
            yield from (name for name in graph.parameters(one) if name != weight)
