"""The graph that one forward pass leaves for its gradient, with the parameters that each of its nodes reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from torch import nn
from torch.autograd.graph import Node

from freeness.torch.model.walks import made_of, reached

_PRODUCTS = ("mm", "linear", "bmm", "matmul", "mv")  # with a weight among their factors
_STRAIGHT = (  # a factor behind anything else is no scale of the branch
    *("add", "sub", "mul", "div", "neg", "view", "unsafe_view", "reshape", "transpose", "permute", "t", "expand"),
    *("squeeze", "unsqueeze", "clone", "alias", "select", "slice", "index", "cat", "split", "unbind", "chunk", "stack"),
    *("to_copy", "mean", "sum", "dropout", "native_dropout", "as_strided", "roll", "constant_pad_nd"),
)


_ARRANGING = frozenset(_STRAIGHT) - {"add", "sub", "mul", "div", "neg", "sum"} | {
    "upsample_nearest2d",
    "upsample_bilinear2d",
}


_LIFTING = frozenset(
    (
        "exp",
        "exp2",
        "softplus",
        "sigmoid",
        "hardsigmoid",
        "log_sigmoid",
        "cos",
        "cosh",
        "softmax",
        "log_softmax",
        "rsub",
    )
)


class WiredGraph:
    """Nodes in an order in which each stands behind those it was made of, with the parameters that each reads.

    What is computed of parameters alone, a view, a cast or a decay that is an exponential, counts as those parameters.
    """

    def __init__(self, model: nn.Module, ends: list[Node]) -> None:
        self.values = dict(model.named_parameters())
        self._names = {id(parameter): name for name, parameter in self.values.items()}
        self.order = _sorted(ends)
        self.last = ends[0]
        self._own: dict[Node, tuple[str, ...]] = {}
        self._exponential: set[Node] = set()
        self._users: dict[Node, list[Node]] = {}
        self._histories: dict[Node, frozenset[Node]] = {}
        for node in self.order:
            before = made_of(node)
            for one in before:
                self._users.setdefault(one, []).append(node)
            name = self._names.get(id(getattr(node, "variable", None)))
            if name is not None:
                self._own[node] = (name,)
            elif before and all(one in self._own for one in before) and not self._applies(node):
                self._own[node] = tuple(dict.fromkeys(name for one in before for name in self._own[one]))
                if operation_of(node) == "exp" or not self._exponential.isdisjoint(before):
                    self._exponential.add(node)

    def _applies(self, node: Node) -> bool:
        """Whether a node with parameters alone behind it applies one to an input, which needs no gradient."""
        name = operation_of(node)
        return name.startswith("embedding") or name.endswith(_PRODUCTS) or "convolution" in name or normalises(node)

    def signals(self, node: Node) -> list[Node]:
        """What it is made of, but for parameters."""
        return [one for one in made_of(node) if one not in self._own]

    def parameters(self, node: Node) -> list[str]:
        """Names of what it reads directly; of what is computed of several the largest."""
        return [max(self._own[one], key=self._size) for one in made_of(node) if one in self._own]

    def is_shifted(self, node: Node) -> bool:
        """Whether what it reads of parameters is a sum, as 1 + w, so that a parameter of 0 is no factor of 0."""
        waiting = [one for one in made_of(node) if one in self._own]
        return any(operation_of(one).startswith(("add", "sub", "rsub")) for one in reached(waiting, made_of))

    def exponentials(self, node: Node) -> list[tuple[str, ...]]:
        """Names of the parameters whose exponential it reads."""
        return [self._own[one] for one in made_of(node) if one in self._exponential]

    def _size(self, name: str) -> int:
        return self.values[name].numel()

    def weight(self, node: Node) -> str | None:
        """The weight that a node multiplies signals with."""
        name = operation_of(node)
        found = self.parameters(node)
        if not found or not (name.endswith(_PRODUCTS) or "convolution" in name):
            return None
        return found[-1] if name in ("addmm", "addmv", "addbmm", "baddbmm") else found[0]

    def users(self, node: Node) -> list[Node]:
        """Which nodes are made of it."""
        return self._users.get(node, [])

    def history(self, node: Node) -> frozenset[Node]:
        """The node and all signals that it was made of."""
        if node not in self._histories:
            self._histories[node] = frozenset(reached([node], self.signals))
        return self._histories[node]

    def behind(self, start: Iterable[Node], through: Collection[str] = ()) -> Iterator[Node]:
        """The first nodes on every way back that do more than to arrange, to pool or to scale signals."""

        def passed(node: Node) -> list[Node]:
            name, signals = operation_of(node), self.signals(node)
            scaled = name in ("mul", "div") and len(signals) == 1
            return signals if is_arranging(name) or name in through or scaled else []

        return (node for node in reached(start, passed) if not passed(node))


def is_straight(name: str) -> bool:
    """Whether a factor in front of this operation is one behind it.

    Example:
        >>> is_straight("max_pool2d"), is_straight("relu")
        (True, False)
    """
    return name in _STRAIGHT or "norm" in name or "pool" in name


def lifts_zero(name: str) -> bool:
    """Whether an operation makes another number of 0.

    Example:
        >>> lifts_zero("sigmoid"), lifts_zero("tanh")
        (True, False)
    """
    return name in _LIFTING


def is_arranging(name: str) -> bool:
    """Whether an operation only puts numbers elsewhere, pools them, or leaves some out.

    Example:
        >>> is_arranging("permute"), is_arranging("max_pool2d_with_indices"), is_arranging("add")
        (True, True, False)
    """
    return name in _ARRANGING or "pool" in name


def normalises(node: Node) -> bool:
    """Whether a node is an operation of normalisation."""
    return "norm" in operation_of(node)


def operation_of(node: Node) -> str:
    """addmm of AddmmBackward0, batch_norm of NativeBatchNormBackward0 as native_batch_norm, in small letters."""
    found = node.name().partition("Backward")[0]
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in found).lstrip("_")


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
            waiting += [(before, False) for before in reversed(made_of(node)) if before not in done]
    return order
