"""Read a model as a composition of layers: one walk over the graph of torch.export, which names what it cannot read.

Every tensor that depends on the input is a signal: a place in the composition, behind which only elementwise calls have been
made. Steps are linked to the one before, so that where a sum meets, the way back to a common place is the residual branch.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node

from freeness.errors import InputError
from freeness.network import Flatten
from freeness.torch.elementwise import Expression, Operation, Slot, is_elementwise
from freeness.torch.graph_view import GraphView, node_name, node_target
from freeness.torch.kinds import ACTIVATION, Theory, TracedOperation, kind_of
from freeness.torch.layer_readers import Uncovered, normalisation, pooling, sides
from freeness.torch.steps import (
    ConvolutionStep,
    DenseStep,
    ElementwiseStep,
    FunctionStep,
    ResidualStep,
    ShapeStep,
    Step,
    walk_steps,
)

_SHAPES = set(kind_of("view").calls)
_COPIES = {"contiguous", "clone", "alias", "lift_fresh_copy", "lift_fresh"}
_CASTS = {"to", "_to_copy"}
_CHECKS = {"_assert_tensor_metadata"}
_FRESH = {f"{word}_like" for word in ("zeros", "ones", "full", "empty")} | {
    f"new_{word}" for word in ("zeros", "ones", "full")
}
_QUIET = {
    "flatten and reshape",
    "permutation of axes",
    "selection",
    "padding",
    "any other",
}  # not said behind what is uncovered
_SCALE = "trained scale or shift"


@dataclass(eq=False)
class _Place:
    """Behind ``step``; ``calls`` are the elementwise ones made since, by whichever branch."""

    before: _Place | None
    step: Step | None
    read: bool = True  # whether everything from the input to here was read
    spread: bool = False  # whether features stand on axes of positions
    calls: list[Operation] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    closed: dict[int, _Place] = field(default_factory=dict)
    origin: tuple[_Place, int] | None = None  # of an elementwise step: where its calls are, and its last slot


@dataclass(frozen=True, eq=False)
class _Signal:
    place: _Place
    slot: int = 0
    pad: Operation | None = None


@dataclass(frozen=True, eq=False)
class _Constant:
    """A tensor that does not depend on the input; None where it is computed."""

    name: str = ""
    tensor: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read: ``steps`` from input to output, or None where something on the way is not covered; all operations.

    ``refusal``: why there is no graph.
    """

    steps: tuple[Step, ...] | None
    operations: tuple[TracedOperation, ...]
    refusal: InputError | None = None


def read_graph(view: GraphView, example: Tensor, output: int = 0) -> Reading:
    """The composition of layers that a graph is.

    Args:
        view: the graph.
        example: the input that it was made with, (B, …) or (features,).
        output: which of the returned tensors.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
        >>> found = read_graph(GraphView(model, torch.ones(1, 4)), torch.ones(1, 4))
        >>> [operation.kind for operation in found.operations], len(found.steps)
        (['linear layer', 'activation'], 2)
    """
    return _Reader(view, example).read(view.returned[output])


class _Reader:
    def __init__(self, view: GraphView, example: Tensor) -> None:
        self.view = view
        self.batch = example.shape[0] if example.ndim > 1 else None
        self.values: dict[Node, _Signal | _Constant] = {}
        self.operations: list[TracedOperation] = []
        self.weights: list[tuple[int, Tensor]] = []  # index of the operation, weight
        self.any_trained = any(parameter.requires_grad for parameter in view.model.parameters())

    def read(self, output: Any) -> Reading:
        needed = _needed(self.view, output)
        for node in self.view.nodes:
            if node.op == "placeholder":
                given = self.view.tensors.get(node.name)
                self.values[node] = _Signal(_Place(None, None)) if given is None else _Constant(*given)
            elif node.op == "call_function" and node in needed:
                self._call(node)
        end = self.values.get(output) if isinstance(output, Node) else None
        self._shared()
        steps = None
        if isinstance(end, _Signal) and end.pad is None:
            place = self._closed(end)
            steps = tuple(_steps(place, None)) if place.read else None
        if any(operation.theory == "none" for operation in self.operations):
            steps = None
        return Reading(steps, tuple(self.operations))

    def _call(self, node: Node) -> None:
        if node_name(node) in _CHECKS:
            return
        signals = [value for source in node.all_input_nodes if isinstance(value := self.values.get(source), _Signal)]
        source = node.args[0] if node.args else None
        if not signals or node_name(node) in _FRESH:
            kept = isinstance(source, Node) and node_name(node) in _SHAPES | _COPIES | _CASTS
            self.values[node] = (
                self.values.get(source, _Constant()) if kept and isinstance(source, Node) else _Constant()
            )
            return
        try:
            value = self._value(node)
        except Uncovered as refusal:
            kind = refusal.kind or kind_of(node_name(node)).name
            if kind not in _QUIET or any(signal.place.read for signal in signals):
                self._note(node, "none", str(refusal) or kind_of(node_name(node)).limits, kind)
            value = _Signal(_Place(None, None, read=False))
        self.values[node] = value
        mutable = isinstance(node.target, torch._ops.OpOverload) and node_target(node)._schema.is_mutable
        if mutable and isinstance(source, Node):
            self.values[source] = value

    def _note(self, node: Node, theory: Theory, reason: str = "", kind: str = "") -> None:
        path, module = self.view.module(node)
        kind = kind or kind_of(node_name(node)).name
        operation = TracedOperation(self.view.path(path), module, node_name(node), kind, theory, reason)
        before = self.operations[-1] if self.operations else None
        if kind == ACTIVATION.name and before is not None and (before.kind, before.path) == (kind, operation.path):
            return  # one more call of the same activation
        self.operations.append(operation)

    def _value(self, node: Node) -> _Signal:
        if not isinstance(node.target, torch._ops.OpOverload):
            raise Uncovered
        name, source = node_name(node), node.args[0] if node.args else None
        signal = self.values.get(source) if isinstance(source, Node) else None
        if isinstance(signal, _Signal):
            if "dropout" in name:
                if node.args[2]:
                    raise Uncovered("it is on, and theory of eval mode knows no noise")
                self._note(node, "spectra")
                return signal
            if name in _COPIES or (name in _CASTS and _meta(node).dtype == _meta(source).dtype):
                return signal
            if name in _SHAPES:
                return self._shape(node, signal)
            readers = {"linear": self._linear, "pad": self._pad}
            readers |= dict.fromkeys(("conv1d", "conv2d", "conv3d"), self._convolution)
            if name in readers:
                return readers[name](node, signal)
            layer = self._layer(node, signal)
            if layer is not None:
                return layer
        return self._elementwise(node)

    # --- weight layers

    def _linear(self, node: Node, signal: _Signal) -> _Signal:
        bound = self._bound(node)
        shape = tuple(_meta(node.args[0]).shape)
        plain = (len(shape) == 2 and shape[0] == self.batch) or (len(shape) == 1 and self.batch in (None, 1))
        if not plain:
            raise Uncovered(f"on a tensor of shape {shape} (one weight at several positions)")
        weight, bias = self._parameter(bound["weight"]), self._parameter(bound.get("bias"))
        assert weight is not None
        name = self.view.path(re.sub(r"(^|\.)weight$", "", weight[0]))
        place = self._closed(signal)
        self._weight(node, weight[1])
        return self._step(place, DenseStep(name, weight[1], None if bias is None else bias[1]))

    def _convolution(self, node: Node, signal: _Signal) -> _Signal:
        bound = self._bound(node)
        weight, bias = self._parameter(bound["weight"]), self._parameter(bound.get("bias"))
        assert weight is not None
        kernel = tuple(weight[1].shape[2:])
        padding = sides(kernel, bound, None if signal.pad is None else signal.pad.bound)
        if self.batch is None or _meta(node.args[0]).ndim != len(kernel) + 2:
            raise Uncovered("on an input without samples as the first axis")
        if signal.place.spread:
            raise Uncovered("on features that were given positions")
        calls = tuple(call for call in (signal.pad, self._operation(node)) if call is not None)
        name = self.view.path(re.sub(r"(^|\.)weight$", "", weight[0]))
        place = self._closed(_Signal(signal.place, signal.slot))
        self._weight(node, weight[1])
        return self._step(place, ConvolutionStep(name, weight[1], None if bias is None else bias[1], calls, padding))

    def _weight(self, node: Node, weight: Tensor) -> None:
        if self.any_trained and not weight.requires_grad:
            raise Uncovered("frozen, which the theory of Θ does not know")
        self._note(node, "spectra")
        self.weights.append((len(self.operations) - 1, weight))

    def _shared(self) -> None:
        """Weights at several places: theory takes them for independent."""
        counts = Counter(id(weight) for _, weight in self.weights)
        for index, weight in self.weights:
            if counts[id(weight)] > 1:
                operation = self.operations[index]
                reason = f"the same weight at {counts[id(weight)]} places"
                self.operations[index] = TracedOperation(
                    operation.path, operation.module, operation.operation, operation.kind, "none", reason
                )

    def _parameter(self, source: Any) -> tuple[str, nn.Parameter] | None:
        if source is None:
            return None
        value = self.values.get(source)
        if not isinstance(value, _Constant) or not isinstance(value.tensor, nn.Parameter):
            raise Uncovered("its weight or bias is computed (a parametrization)")
        return value.name, value.tensor

    # --- layers without weights

    def _layer(self, node: Node, signal: _Signal) -> _Signal | None:
        kind = kind_of(node_name(node)).name
        if "normalisation" not in kind and kind != "average pooling":
            return None
        bound, shape = self._bound(node), tuple(_meta(node.args[0]).shape)
        path = self.view.path(self.view.module(node)[0])
        record = pooling if kind == "average pooling" else normalisation
        layer = record(node_name(node), bound, shape, path)
        if signal.place.spread or self.batch is None:
            raise Uncovered("on features that were given positions")
        place = self._closed(signal)
        theory, limits = kind_of(node_name(node)).theory, kind_of(node_name(node)).limits
        counted = any(isinstance(bound.get(key), Tensor) and bound[key].requires_grad for key in ("weight", "bias"))
        reason = limits if theory == "kernels" else "its trained scale and shift are not counted in the theory of Θ"
        self._note(node, theory, reason if theory == "kernels" or counted else "")
        return self._step(place, FunctionStep(layer.name, self._operation(node), layer))

    def _shape(self, node: Node, signal: _Signal) -> _Signal:
        before, after = tuple(_meta(node.args[0]).shape), tuple(_meta(node).shape)
        if before == after or self.batch is None:
            return signal
        if not after or after[0] != self.batch:
            raise Uncovered("it moves samples")
        steps = list(_steps(self._closed(signal), None)) if signal.place.read else []
        place = self._closed(signal)
        name = self.view.operation_path(node)
        if all(isinstance(step, (ShapeStep, ElementwiseStep)) for step in walk_steps(steps)) and place.read:
            return self._step(place, ShapeStep(name, after[1:], None))  # the input's shape
        if len(after) > 2:
            spread = len(before) == 2 or place.spread
            if not spread:
                raise Uncovered("it gives other positions to a signal")
            return self._step(place, ShapeStep(name, after[1:], None), spread=True)
        layer = None if place.spread else Flatten(name)
        self._note(node, "spectra")
        return self._step(place, ShapeStep(name, after[1:], layer))

    def _pad(self, node: Node, signal: _Signal) -> _Signal:
        if signal.pad is not None:
            raise Uncovered("twice")
        self._note(node, "spectra")
        return _Signal(signal.place, signal.slot, self._operation(node))

    # --- elementwise calls and sums

    def _elementwise(self, node: Node) -> _Signal:
        signals = [value for source in node.all_input_nodes if isinstance(value := self.values[source], _Signal)]
        places = {id(signal.place) for signal in signals}
        name = node_name(node)
        if any(signal.pad is not None for signal in signals):
            raise Uncovered("padding that no convolution follows")
        if len(places) > 1:
            if kind_of(name).name == "residual sum" and len(signals) == 2 and len(node.args) == 2:
                return self._sum(node, signals)
            raise Uncovered(
                "" if kind_of(name).theory == "none" else "of signals on different ways (a skip or a branch)"
            )
        if not is_elementwise(node_target(node)) or kind_of(name).name == "softmax":
            raise Uncovered
        if tuple(_meta(node).shape) != max((tuple(_meta(n).shape) for n in node.all_input_nodes), key=math.prod):
            raise Uncovered("it spreads a signal over other axes")
        place = signals[0].place
        arguments = [self._argument(a) for a in node.args]
        options = {key: self._argument(a) for key, a in node.kwargs.items()}
        if not place.calls:
            place.names.append(self.view.operation_path(node))
        place.calls.append(Operation(node_target(node), tuple(arguments), options))
        self._note(node, "spectra", kind=ACTIVATION.name)
        return _Signal(place, len(place.calls))

    def _argument(self, argument: Any) -> Any:
        """A slot, a plain constant, or the number inside a one-element constant tensor."""
        if not isinstance(argument, Node):
            return argument
        value = self.values[argument]
        if isinstance(value, _Signal):
            return Slot(value.slot)
        if isinstance(value.tensor, nn.Parameter):
            raise Uncovered(f"with the trained parameter {value.name!r}", _SCALE)
        if value.tensor is None or value.tensor.numel() != 1:
            raise Uncovered(f"with the tensor {value.name!r}" if value.name else "with a computed tensor", _SCALE)
        return value.tensor.item()

    def _sum(self, node: Node, signals: list[_Signal]) -> _Signal:
        if _meta(node.args[0]).shape != _meta(node.args[1]).shape:
            raise Uncovered("of tensors of different shapes")
        if not all(signal.place.read for signal in signals):
            raise Uncovered("one of its branches is not covered")
        factor = float(node.kwargs.get("alpha", 1)) * (-1.0 if node_name(node) == "sub" else 1.0)  # type: ignore[arg-type]
        first, second = (self._closed(signal) for signal in signals)
        for skip, branch, factors in ((first, second, (1.0, factor)), (second, first, (factor, 1.0))):
            found = _branch(skip, branch)
            if found is None:
                continue
            start, steps, scale_of_skip = found
            scale, inner = _scaled(steps)
            if not any(isinstance(step, (DenseStep, ConvolutionStep)) for step in inner):
                raise Uncovered("of a signal and a branch without weights on its main path")
            self._note(node, "spectra")
            path = self.view.path(self.view.module(node)[0])
            step = ResidualStep(path, tuple(inner), factors[1] * scale, factors[0] * scale_of_skip)
            return self._step(start, step)
        raise Uncovered("of two branches, neither of which is the plain signal (a skip or a branch)")

    # --- places

    def _step(self, place: _Place, step: Step, spread: bool = False) -> _Signal:
        return _Signal(_Place(place, step, place.read, spread))

    def _closed(self, signal: _Signal) -> _Place:
        """The place behind the signal's elementwise calls."""
        place, slot = signal.place, signal.slot
        if slot == 0:
            return place
        if slot not in place.closed:
            expression = _expression(place.calls, 0, slot)
            assert expression is not None
            step = ElementwiseStep(place.names[0], expression)
            place.closed[slot] = _Place(place, step, place.read, place.spread, origin=(place, slot))
        return place.closed[slot]

    def _operation(self, node: Node) -> Operation:
        """The call with its signal as slot 0 and the model's own tensors."""

        def filled(argument: Any) -> Any:
            if not isinstance(argument, Node):
                return argument
            value = self.values[argument]
            if isinstance(value, _Signal):
                return Slot(0)
            if value.tensor is None:
                raise Uncovered("with a computed tensor")
            return value.tensor

        options = {key: filled(value) for key, value in node.kwargs.items()}
        return Operation(node_target(node), tuple(map(filled, node.args)), options)

    def _bound(self, node: Node) -> dict[str, Any]:
        """Arguments by name; constant tensors in the place of their nodes except for weights, which are looked up."""
        bound = Operation(node_target(node), node.args, node.kwargs).bound
        if kind_of(node_name(node)).name in ("linear layer", "convolution"):
            return bound
        found = {}
        for key, value in bound.items():
            known = self.values.get(value) if isinstance(value, Node) else None
            if isinstance(known, _Constant):
                if known.tensor is None:
                    raise Uncovered("with a computed tensor")
                value = known.tensor
            found[key] = value
        return found


def _meta(node: Any) -> Tensor:
    return node.meta["val"]


def _needed(view: GraphView, output: Any) -> set[Node]:
    """The nodes on which the output depends, in-place writes to them included."""
    needed = {output}
    for node in reversed(list(view.nodes)):
        mutable = isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
        if node in needed or (mutable and node.args and node.args[0] in needed):
            needed |= {node, *node.all_input_nodes}
    return needed


def _steps(place: _Place, until: _Place | None) -> list[Step]:
    found: list[Step] = []
    current: _Place | None = place
    while current is not None and current is not until:
        if current.step is not None:
            found.append(current.step)
        current = current.before
    return found[::-1]


def _branch(skip: _Place, branch: _Place) -> tuple[_Place, list[Step], float] | None:
    """Where a branch starts, its steps, and the factor of the skip connection; None where ``skip`` is no plain signal."""
    behind: list[_Place] = []
    current: _Place | None = branch
    while current is not None:
        if current is skip:
            return skip, _steps(branch, skip), 1.0
        if skip.origin is not None:
            if current is skip.origin[0]:  # the skip connection is the start, rescaled
                factor = _factor(skip.step)
                return None if factor is None else (current, _steps(branch, current), factor)
            if current.origin is not None and current.origin[0] is skip.origin[0]:
                # both went on with elementwise calls: the branch's must pass through the skip's
                rest = _expression(skip.origin[0].calls, skip.origin[1], current.origin[1])
                if rest is not None and isinstance(current.step, ElementwiseStep):
                    later = [place.step for place in reversed(behind) if place.step is not None]
                    return skip, [ElementwiseStep(current.step.name, rest), *later], 1.0
        behind.append(current)
        current = current.before
    return None


def _expression(calls: list[Operation], start: int, end: int) -> Expression | None:
    """Slot ``end`` as a function of slot ``start``, only the calls that it needs; None where it needs others before it."""
    needed = {end}
    for slot in range(end, start, -1):
        if slot in needed:
            call = calls[slot - 1]
            needed |= {a.index for a in (*call.arguments, *call.options.values()) if isinstance(a, Slot)}
    if any(slot < start for slot in needed):
        return None
    kept = sorted(slot for slot in needed if slot > start)
    place = {start: Slot(0)} | {slot: Slot(i + 1) for i, slot in enumerate(kept)}

    def moved(value: Any) -> Any:
        return place[value.index] if isinstance(value, Slot) else value

    return Expression(
        tuple(
            Operation(call.target, tuple(map(moved, call.arguments)), {k: moved(v) for k, v in call.options.items()})
            for call in (calls[slot - 1] for slot in kept)
        ),
        place[end],
    )


def _factor(step: Step | None) -> float | None:
    """c of an elementwise step x ↦ c·x."""
    if not isinstance(step, ElementwiseStep):
        return None
    factor = 1.0
    for call in step.function.operations:
        arguments = call.arguments
        if call.name not in ("mul", "div") or call.options or len(arguments) != 2:
            return None
        number = arguments[1] if isinstance(arguments[0], Slot) else arguments[0]
        if isinstance(number, Slot) or (call.name == "div" and not isinstance(arguments[0], Slot)):
            return None
        factor = factor * number if call.name == "mul" else factor / number
    return float(factor)


def _scaled(steps: list[Step]) -> tuple[float, list[Step]]:
    """The factor at the end of a branch, and the branch without it."""
    factor = _factor(steps[-1]) if steps else None
    return (1.0, steps) if factor is None else (factor, steps[:-1])
