"""The framework-free record of a network: a directed graph of operations, in the order in which the signal meets them."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from freeness.errors import InputError, is_real
from freeness.network.operation import INPUT, Operation, Weights, described
from freeness.network.operations import (
    Activation,
    Constant,
    Convolution,
    Data,
    Dense,
    Embedding,
    Normalisation,
    Sum,
)
from freeness.shown import Shown


@dataclass(frozen=True)
class Node:
    """An operation at its place: the name of what it gives, and the names of the signals it reads, in order.

    ``shares``: the name of an earlier node whose weights these are, "" of weights of its own.
    """

    name: str
    operation: Operation
    inputs: tuple[str, ...]
    shares: str = ""

    def __post_init__(self) -> None:
        arity, count = self.operation.arity, len(self.inputs)
        if count < 1 if arity is None else count != arity:
            raise InputError(
                f"expected {'signals' if arity is None else arity} into {described(self.operation)}, got {count}; wire it anew."
            )
        if isinstance(self.operation, Sum) and len(self.operation.scales) != count:
            raise InputError(
                f"expected one scale a signal in {described(self.operation)}, got {len(self.operation.scales)} for {count}."
            )


@dataclass(frozen=True)
class Residual:
    """A recipe, x ↦ skip·x + scale·branch(x): in a network it becomes the operations of the branch and a Sum."""

    branch: tuple[Step, ...]
    scale: float = 1.0
    skip: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        if not self.branch:
            raise InputError("expected a residual branch with operations, got none; x + x is a factor of 2.")
        if not (is_real(self.scale) and is_real(self.skip)):
            raise InputError(f"expected finite scale and skip, got {self.scale!r} and {self.skip!r}; correct them.")


Step = Operation | Residual | Node


@dataclass(frozen=True, init=False)
class Network(Shown):
    """Operations and the wires between them, in an order in which each reads only what is there already.

    The last node is the output. ``Network((first, second, …))`` wires operations one behind another; a :class:`Residual`
    becomes its branch and a sum, a :class:`Node` says itself what it reads.

    Raises:
        InputError: no operation, a name given twice, or a signal that is read before it is there.

    Example:
        >>> from freeness.network import Activation, Dense, Gaussian, activation
        >>> bend, matrix = Activation(activation("relu")), Dense(8, 8, Gaussian(1.0), name="hidden")
        >>> [(node.name, node.inputs) for node in Network((Residual((bend, matrix), scale=0.5),)).nodes]
        [('activation', ('input',)), ('hidden', ('activation',)), ('sum', ('input', 'hidden'))]
    """

    nodes: tuple[Node, ...]

    def __init__(self, steps: Iterable[Step]) -> None:
        object.__setattr__(self, "nodes", _wired(steps))

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations, in the order of the nodes."""
        return tuple(node.operation for node in self.nodes)

    @property
    def layers(self) -> tuple[Operation, ...]:
        """The same by their old name: of a chain, its layers first to last."""
        return self.operations

    @property
    def weights(self) -> tuple[Weights, ...]:
        """The operations with random matrices, first to last."""
        return tuple(operation for operation in self.operations if isinstance(operation, Weights))

    @property
    def dense(self) -> tuple[Dense, ...]:
        """The fully connected layers, first to last."""
        return tuple(operation for operation in self.operations if isinstance(operation, Dense))

    @property
    def depth(self) -> int:
        """L, the number of weight matrices (theory.md §0)."""
        return len(self.weights)

    @property
    def widths(self) -> tuple[int, ...]:
        """N_0, …, N_L of a chain of fully connected layers."""
        dense = [layer for layer in self.chain() if isinstance(layer, Dense)]
        return (dense[0].fan_in, *(layer.fan_out for layer in dense))

    @property
    def is_sequence(self) -> bool:
        """Whether every operation reads what the one before it gave, and nothing else, with weights of its own."""
        before = (INPUT, *(node.name for node in self.nodes))
        return all(node.inputs == (name,) and not node.shares for node, name in zip(self.nodes, before, strict=False))

    @property
    def is_chain(self) -> bool:
        """Whether it is a sequence of fully connected layers and activations."""
        return self.is_sequence and all(isinstance(one, (Dense, Activation)) for one in self.operations)

    @property
    def couples(self) -> bool:
        """Whether an operation's rules for pairs of samples ask for all of a batch."""
        return any(operation.couples for operation in self.operations)

    @property
    def trunk(self) -> tuple[Node, ...]:
        """The nodes that every way from input to output passes: of a residual network, its blocks' sums and what is between."""
        last = {name: index for index, node in enumerate(self.nodes) for name in node.inputs}
        found: list[Node] = []
        farthest = last[INPUT]
        for index, node in enumerate(self.nodes):
            if farthest <= index:
                found.append(node)
            farthest = max(farthest, last.get(node.name, index))
        return tuple(found)

    def mapped(self, change: Callable[[Operation], Operation]) -> Network:
        """The same wires with other operations.

        Example:
            >>> from dataclasses import replace
            >>> from freeness.network import mlp
            >>> mlp(2, 4).mapped(lambda operation: replace(operation, name="")).operations[0].name
            ''
        """
        return Network(replace(node, operation=change(node.operation)) for node in self.nodes)

    def of_samples(self, chosen: Int[np.ndarray, " chosen"]) -> Network:
        """The same for some of the samples whose own tensors its operations hold."""
        return self.mapped(lambda operation: operation.of_samples(chosen))

    @property
    def table(self) -> Embedding | None:
        """The one that reads the input, which is tokens then; None where no table does."""
        return next((one.operation for one in self.readers(INPUT) if isinstance(one.operation, Embedding)), None)

    @property
    def data(self) -> tuple[Data, ...]:
        """What each sample brings beside the input."""
        return tuple(operation for operation in self.operations if isinstance(operation, Data))

    def walk(self) -> Iterator[Operation]:
        """Every operation, in order."""
        yield from self.operations

    def readers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read a signal."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def chain(self) -> tuple[Dense | Activation, ...]:
        """The layers of a chain.

        Raises:
            InputError: another operation, which is named.
        """
        kept = tuple(one for one in self.operations if isinstance(one, (Dense, Activation)))
        if len(kept) < len(self.nodes) or not self.is_sequence:
            other = next((one for one in self.operations if not isinstance(one, (Dense, Activation))), None)
            shared = any(node.shares for node in self.nodes)
            ways = "one weight at several places" if shared else "signals that go two ways"
            found = ways if other is None else described(other)
            raise InputError(
                f"expected a chain of fully connected layers and activations, got {found}; this way of computing "
                "covers no other layers."
            )
        return kept


class NodeList:
    """Nodes of a network as they are added, one after the other."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def add(self, name: str, operation: Operation, *inputs: str) -> str:
        """One node more; its name."""
        self.nodes.append(Node(name, operation, inputs))
        return name


def check_plain(node: Node) -> None:
    """Refuse what no theory knows yet of an operation that it covers otherwise.

    Raises:
        InputError: weights of an earlier node, groups, dilation, or a constant.
    """
    operation, extra = node.operation, ""
    if isinstance(operation, Constant):
        extra = "beside the signal"
    elif node.shares:
        extra = f"with the weights of {node.shares!r}"
    elif isinstance(operation, Convolution | Normalisation) and operation.groups > 1:
        extra = f"of {operation.groups} groups"
    elif isinstance(operation, Convolution) and operation.dilation > 1:
        extra = f"of dilation {operation.dilation}"
    if extra:
        raise InputError(
            f"expected layers that theory covers, got {described(operation)} {extra}; measure the spectra, which needs no theory."
        )


def _wired(steps: Iterable[Step]) -> tuple[Node, ...]:
    """The nodes of steps one behind another."""
    nodes: dict[str, Node] = {}
    last = INPUT
    for step in steps:
        last = _placed(step, last, nodes)
    if not nodes:
        raise InputError("expected a network of at least one operation, got none; there is nothing to compute.")
    read = {name for node in nodes.values() for name in node.inputs}
    for node in list(nodes.values())[:-1]:
        if node.name not in read:
            raise InputError(
                f"expected signals that go on to the output, got {described(node.operation)}, which nobody reads; leave it out."
            )
    return tuple(nodes.values())


def _placed(step: Step, before: str, nodes: dict[str, Node]) -> str:
    """Add what a step stands for behind the signal ``before``; the name of what it gives."""
    if isinstance(step, Residual):
        last = before
        for inner in step.branch:
            last = _placed(inner, last, nodes)
        return _added(Sum((step.skip, step.scale), step.name), (before, last), nodes)
    if isinstance(step, Node):
        if step.name in nodes or step.name == INPUT:
            raise InputError(f"expected names that are given once, got {step.name!r} twice; rename a node.")
        unknown = [name for name in step.inputs if name not in nodes and name != INPUT]
        if unknown:
            raise InputError(
                f"expected {described(step.operation)} to read signals before it, got {unknown[0]!r}; order the nodes."
            )
        nodes[step.name] = step
        return step.name
    if not isinstance(step, Operation):
        raise InputError(f"expected operations, residual blocks or nodes, got {step!r}; a network is made of these.")
    return _added(step, (before,), nodes)


def _added(operation: Operation, inputs: tuple[str, ...], nodes: dict[str, Node]) -> str:
    kind = operation.name or type(operation).__name__.lower()
    name, count = kind, 1
    while name in nodes or name == INPUT:
        count += 1
        name = f"{kind}.{count}"
    nodes[name] = Node(name, operation, inputs)
    return name
