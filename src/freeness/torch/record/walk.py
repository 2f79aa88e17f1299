"""The values that a walk over an exported graph gives its calls, and what the readers of calls may do with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any

from torch import Tensor, nn
from torch._ops import OpOverload
from torch.fx import Node

from freeness.network import INPUT, Activation, Data, Flatten, Operation, Reshape
from freeness.torch.operations.kind import Kind, Theory, TracedOperation, Unread
from freeness.torch.record.elementwise import PointwiseCall as Elementwise
from freeness.torch.record.elementwise import PointwiseProgram, Slot, activation_function
from freeness.torch.record.graph_view import GraphView, node_name
from freeness.torch.record.layout import Dims, Typing, holds, of_axis, size_of, unknown, whole
from freeness.torch.record.rotary import Turning
from freeness.torch.record.steps import Call, Calls, ElementwiseStep, GivenTensor, Move, Permuted, Read, Step

_INPUTS, _PACKED = "several inputs", "theory tells signals and gradients of the layers; spectra are measured"
_QUIET = {"flatten and reshape", "permutation of axes", "selection", "padding", "any other"}
Record = Callable[[], Operation]
Silent = Callable[[], tuple[int, ...]]  # tokens whose vectors are 0


@dataclass(eq=False)
class Place:
    """What a step gives; ``calls`` are the elementwise ones made of it since, by whichever branch.

    ``read``: whether everything from the input to here has a record. ``closed`` and ``settled``: what was made of it already, by
    its elementwise calls and by how it lies.
    """

    name: str
    typing: Typing
    dims: Dims
    read: bool = True
    calls: list[Elementwise] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    closed: dict[int, Place] = field(default_factory=dict)
    settled: dict[Dims, Signal] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Signal:
    """A tensor that depends on the input: elementwise calls, then moves, behind a place.

    ``moved``: the call that moved it last; ``pad``: a padding that waits for its convolution, ``turn``: a rotation by positions
    that waits for its attention.
    """

    place: Place
    dims: Dims
    slot: int = 0
    moves: tuple[Move, ...] = ()
    moved: Node | None = None
    pad: Asked | None = None
    turn: WaitingTurn | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple(size_of(atoms) for atoms in self.dims)

    @property
    def layout(self) -> Dims:
        """Which axes hold what, as far as it is known."""
        return self.place.typing.resolved(self.dims)

    @property
    def read(self) -> Read:
        """It, for a step."""
        return Read(self.place.name, self.place.typing, self.dims, self.moves)


@dataclass(frozen=True, eq=False)
class WaitingTurn:
    """A rotation of a signal: by which call, of which signal, and how."""

    name: str
    source: Signal
    turning: Turning


@dataclass(frozen=True, eq=False)
class Scores:
    """Products of queries with keys on the way to the weights of an attention; ``soft`` once softmax has been taken.

    ``asked``: the call that gave them last; ``causal``: whether they hide what is later; ``added``: what distances add to them.
    """

    asked: Asked
    query: Signal
    key: Signal
    scale: float = 1.0
    causal: bool = False
    soft: bool = False
    added: GivenTensor | None = None


@dataclass(frozen=True, eq=False)
class Several:
    """Results of a call that gives several, made when one is asked for."""

    item: Callable[[int], Value]


Value = Signal | GivenTensor | Scores | Several


@dataclass(frozen=True, eq=False)
class Asked:
    """One call of the graph, for its reader: the node, torch's name, and its arguments by name with values in them."""

    node: Node
    kind: Kind
    arguments: dict[str, Any]
    walk: Walk

    @property
    def name(self) -> str:
        """Torch's name of the call."""
        return node_name(self.node)

    @property
    def signals(self) -> list[Signal]:
        """What it reads that depends on the input."""
        return signals_in(self.arguments.values())

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the result."""
        return tuple(self.node.meta["val"].shape)

    @property
    def path(self) -> str:
        """The path of the module in whose forward the call stands."""
        return self.walk.view.path(self.walk.view.module(self.node)[0])

    @property
    def label(self) -> str:
        """A name for people: the module's path, with the call's name where the module is more than this call."""
        return self.walk.view.operation_path(self.node)

    def signal(self, key: str, *, turned: bool = False) -> Signal:
        """An argument that depends on the input and is neither padded nor, unless that is asked for, turned."""
        found = self.arguments[key]
        if isinstance(found, GivenTensor) and found.by_sample and (value := found.value()).is_floating_point():
            return self.walk.brought(found, tuple(value.shape))
        if not isinstance(found, Signal):
            raise Unread("of a tensor that does not come from the input")
        if found.pad is not None:
            raise Unread("behind a padding that no convolution follows")
        if found.turn is not None and not turned:
            raise Unread("behind rotary positions that no attention follows")
        return found

    def constant(self, key: str) -> GivenTensor | None:
        """An argument that does not depend on the input; None where it is left out."""
        found = self.arguments.get(key)
        if isinstance(found, GivenTensor) or found is None:
            return found
        raise Unread(f"with {key} that depends on the input")

    def parameter(self, key: str) -> tuple[str, nn.Parameter] | None:
        """A parameter of the model and its name; None where it is left out."""
        found = self.constant(key)
        if found is None:
            return None
        if not isinstance(found.tensor, nn.Parameter):
            raise Unread("its weight or bias is computed (a parametrization)")
        return found.name, found.tensor

    def call(self, **changed: Any) -> Call:
        """The call itself, for a step: signals numbered in their order, the model's own tensors in it."""
        numbers = count()
        target = self.node.target
        if not isinstance(target, OpOverload):
            assert callable(target)
            arguments = tuple(_filled(self.walk.given(value), numbers) for value in self.node.args)
            return Call(
                target, arguments, {k: _filled(self.walk.given(v), numbers) for k, v in self.node.kwargs.items()}
            )
        placed, named = [], {}
        for argument in target._schema.arguments:
            value = changed[argument.name] if argument.name in changed else self.arguments[argument.name]
            if argument.kwarg_only:
                named[argument.name] = _filled(value, numbers)
            else:
                placed.append(_filled(value, numbers))
        return Call(target, tuple(placed), named)

    def note(self, theory: Theory | None = None, reason: str = "", kind: str = "") -> None:
        """Write the call into the list of operations, unless it stands behind what has no record and says nothing by itself.

        ``theory``: what covers it, what covers its kind when left out; ``kind``: another than the name of the call tells.
        """
        name, signals = kind or self.kind.name, self.signals
        if name not in _QUIET or not signals or any(signal.place.read for signal in signals):
            self.walk.note(self.node, name, self.kind.theory if theory is None else theory, reason)


def _filled(value: Any, numbers: Iterator[int]) -> Any:
    if isinstance(value, Signal):
        return Slot(next(numbers))
    if isinstance(value, list | tuple):
        return [_filled(part, numbers) for part in value]
    if isinstance(value, Scores | Several):
        raise Unread("of what is on the way to attention, or of several results")
    return value


def signals_in(values: Iterable[Any]) -> list[Signal]:
    """All signals among the arguments of a call, those in lists where they stand."""
    found: list[Signal] = []
    for value in values:
        if isinstance(value, Signal):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += signals_in(value)
    return found


Reader = Callable[[Asked], Value]
Masked = Callable[[nn.Module], bool]  # whether dropout of a module is to be recorded as on


class Walk:
    """The state of a walk: values of the graph's nodes, the steps that were made, the operations that were met.

    ``doubted``: calls of which no record is to be made. ``masked``: in which modules dropout is on; None: in none.
    """

    def __init__(
        self, view: GraphView, batch: int | None, doubted: Collection[Node] = (), masked: Masked | None = None
    ) -> None:
        self.view, self.batch, self.doubted, self._masked = view, batch, doubted, masked
        self.values: dict[Node, Value] = {}
        self.steps: list[Step] = []
        self.operations: list[TracedOperation] = []
        self.noted: dict[str, int] = {}  # by the name of a step with weights: the index of its operation
        self.missing: list[TracedOperation] = []  # calls that have no record
        self.any_trained = any(parameter.requires_grad for parameter in view.model.parameters())
        self._names = {INPUT}
        self.whole = False  # whether the input is whole numbers, as tokens are
        self.by_sample = False  # whether a step takes tensors of each sample's own

    def masks(self, node: Node) -> bool:
        """Whether a call of dropout is to be recorded as on."""
        return self._masked is not None and self._masked(self.view.model.get_submodule(self.view.module(node)[0]))

    def given(self, argument: Any) -> Any:
        """An argument of a node with values in the place of nodes."""
        if isinstance(argument, Node):
            return self.values[argument]
        if isinstance(argument, list | tuple):
            return [self.given(part) for part in argument]
        return argument

    def note(self, node: Node, kind: str, theory: Theory, reason: str = "") -> None:
        """Write a call into the list of operations; calls of one activation are one."""
        path, module = self.view.module(node)
        operation = TracedOperation(self.view.path(path), module, node_name(node), kind, theory, reason)
        before = self.operations[-1] if self.operations else None
        one = before is not None and kind == "activation" and (before.kind, before.path) == (kind, operation.path)
        if not one:
            self.operations.append(operation)

    def note_inputs(self) -> None:
        """Write down that the model takes several inputs."""
        module = type(self.view.model).__name__
        self.operations.append(TracedOperation("", module, _INPUTS, _INPUTS, "none", _PACKED))

    def add(
        self,
        name: str,
        signals: Sequence[Signal],
        compute: Callable[..., Tensor],
        record: Record | None,
        typing: Typing,
        dims: Dims,
    ) -> Signal:
        """A step that reads these signals; what it gives."""
        label, number = name or "forward", 1
        while label in self._names:
            number += 1
            label = f"{name or 'forward'}.{number}"
        self._names.add(label)
        self.steps.append(Step(label, tuple(signal.read for signal in signals), compute, record, typing, dims))
        read = record is not None and all(signal.place.read for signal in signals)
        return Signal(Place(label, typing, dims, read), dims)

    def brought(self, given: GivenTensor, shape: tuple[int, ...], tokens: int = 0, silent: Silent = tuple) -> Signal:
        """What each sample brings beside the input, as a signal; of ``tokens`` their number, and which are ``silent``."""
        dims, size = unknown(shape, self.batch)
        typing, name = Typing(size), INPUT

        def record() -> Data:
            found = typing.canonical(given.value(), dims).cpu()
            values = found[:, 0].numpy() if tokens else found.double().numpy()
            return Data(values, tokens, silent(), name)

        self.by_sample = True
        return self.add(name, [], given.value, record, typing, dims)

    def weigh(
        self,
        asked: Asked,
        name: str,
        signal: Signal,
        compute: Callable[..., Tensor],
        record: Record,
        behind: tuple[Typing, Dims],
    ) -> Signal:
        """A step with random weights, whose call was noted last."""
        made = self.add(name or asked.name, [signal], compute, record, *behind)
        self.noted[made.place.name] = len(self.operations) - 1
        return made

    # --- what readers do with signals

    def close(self, signal: Signal) -> Signal:
        """The signal behind its elementwise calls, which become an activation."""
        place, slot = signal.place, signal.slot
        if signal.turn is not None:
            raise Unread("behind rotary positions that no attention follows")
        if slot == 0:
            return signal
        if slot not in place.closed:
            first, function = expression(place.calls, slot)
            name = place.names[first - 1]
            made = self.add(
                name,
                [Signal(place, place.dims)],
                ElementwiseStep(name, function),
                lambda: Activation(activation_function(function), name),
                place.typing,
                place.dims,
            )
            place.closed[slot] = made.place
        return replace(signal, place=place.closed[slot], slot=0)

    def scaled(self, signal: Signal) -> tuple[Signal, float]:
        """The closed signal without the number that it is multiplied by at last, and this number."""
        factor, slot = 1.0, signal.slot
        while slot:
            call = signal.place.calls[slot - 1]
            before = _factor(call)
            if before is None:
                break
            slot, factor = before[0], factor * before[1]
        return self.close(replace(signal, slot=slot)), factor

    def typed(self, signal: Signal, channel: Iterable[int] | None = None) -> Dims:
        """The layout of a signal, whose channels are said where no layer has said them before.

        Raises:
            Unread: what is shown is a part whose channels are not known.
        """
        typing = signal.place.typing
        if typing.channels is None:
            free = [axis for axis, atoms in enumerate(signal.dims) if not holds(atoms, "samples")]
            usual = [] if not free else [free[0] if len(free) > 2 else free[-1]]
            typing.settle(signal.dims, usual if channel is None else channel)
        return signal.layout

    def settled(self, signal: Signal, channel: Iterable[int] | None = None) -> Signal:
        """The closed signal with channels and positions as its axes show them: a record says where that changes.

        Channels and positions on one axis are a vector (:class:`~freeness.network.Flatten`); positions on other axes than
        before are a :class:`~freeness.network.Reshape`.
        """
        signal = self.close(signal)
        dims, typing = self.typed(signal, channel), signal.place.typing
        assert typing.channels is not None
        if of_axis(dims, "channels") != whole("channels", typing.channels):
            raise Unread("it puts channels into another order")
        if of_axis(dims, "positions") != whole("positions", typing.count):
            raise Unread("it puts positions into another order")
        free = [axis for axis, atoms in enumerate(dims) if not holds(atoms, "samples")]
        groups = tuple(size for atoms in dims if (size := size_of(of_axis((atoms,), "positions"))) > 1)
        mixed = [axis for axis, atoms in enumerate(dims) if holds(atoms, "positions") and holds(atoms, "channels")]
        apart = not any(holds(atoms, "positions") and holds(atoms, "samples") for atoms in dims)
        flat = mixed or (typing.positions and len(free) < 2 and apart)
        if not flat and groups == tuple(size for size in typing.positions if size > 1):
            return signal
        if dims not in signal.place.settled:
            made = self._flattened(signal, dims, mixed or free) if flat else self._reshaped(signal, dims, free)
            signal.place.settled[dims] = made
        return signal.place.settled[dims]

    def _reshaped(self, signal: Signal, dims: Dims, free: list[int]) -> Signal:
        groups = tuple(
            size_of(of_axis((dims[axis],), "positions"))
            for axis in range(len(dims))
            if not holds(dims[axis], "channels") and (axis in free or holds(dims[axis], "positions"))
        )
        name = self._moved(signal)
        reshaped = Typing(channels=signal.place.typing.channels, positions=groups)
        return self.add(name, [signal], _same, lambda: Reshape(groups, name), reshaped, dims)

    def _flattened(self, signal: Signal, dims: Dims, axes: list[int]) -> Signal:
        typing = signal.place.typing
        assert typing.channels is not None
        if len(axes) > 1 or sum(holds(atoms, "channels") or holds(atoms, "positions") for atoms in dims) > 1:
            raise Unread("it joins a part of the channels with positions")
        kinds = [atom.axis for atoms in dims for atom in atoms if atom.axis != "samples"]
        if sum(one != other for one, other in pairwise(kinds)) > 1:
            raise Unread("it joins a part of the channels with positions")
        features = typing.channels * typing.count
        name = self._moved(signal)
        flat = tuple(
            (
                *(atom for atom in atoms if atom.axis == "samples"),
                *(whole("channels", features) if axis in axes else ()),
            )
            for axis, atoms in enumerate(dims)
        )
        return self.add(name, [signal], _same, lambda: Flatten(name), Typing(channels=features), flat)

    def _moved(self, signal: Signal) -> str:
        """Note the call that moved a signal, after which its record is named."""
        if signal.moved is None:
            return f"{signal.place.name}.flatten"
        self.note(signal.moved, "flatten and reshape", "spectra")
        return self.view.operation_path(signal.moved)

    def unread(self, asked: Asked, refusal: Unread) -> Value:
        """What a call gives that has no record, with the reason in the list of operations."""
        count = len(self.operations)
        asked.note("none", str(refusal) or asked.kind.limits, refusal.kind)
        self.missing += self.operations[count:]
        if isinstance(asked.node.meta["val"], list | tuple):
            return Several(lambda item: self.uncovered(asked, item))
        return self.uncovered(asked)

    def uncovered(self, asked: Asked, item: int | None = None) -> Signal:
        """A step for a call that has no record: it is run as it is."""
        signals = [self.close(self.padded(signal)) for signal in asked.signals]
        given = asked.node.meta["val"]
        dims, size = unknown(tuple((given if item is None else given[item]).shape), self.batch)
        return self.add(asked.label, signals, Calls((asked.call(),), item=item), None, Typing(size), dims)

    def as_it_is(self, signal: Signal) -> Signal:
        """A signal with channels or positions in an order that no record has."""
        dims, size = unknown(signal.shape, self.batch)
        return self.add("output", [self.close(signal)], _same, None, Typing(size), dims)

    def spelled(self, scores: Scores) -> Signal:
        """Products of signals that do not end in attention: calls without a record."""
        asked = scores.asked
        given = {key: self.spelled_in(one) for key, one in asked.arguments.items()}
        found = self.unread(replace(asked, arguments=given), Unread())
        assert isinstance(found, Signal)
        return found

    def spelled_in(self, argument: Any) -> Any:
        """An argument of a call, with what is such a product in it, in lists as well."""
        if isinstance(argument, list | tuple):
            return [self.spelled_in(part) for part in argument]
        return self.spelled(argument) if isinstance(argument, Scores) else argument

    def padded(self, signal: Signal) -> Signal:
        """The signal with the padding or the rotation that waits, of which by itself there is no record."""
        if signal.turn is not None:
            turn, moves = signal.turn, signal.moves[len(signal.turn.source.moves) :]
            source = self.close(turn.source)
            dims, size = unknown(source.shape, self.batch)
            made = self.add(turn.name, [source], turn.turning, None, Typing(size), dims)
            for move in moves:
                assert isinstance(move, Permuted)
                dims = tuple(dims[axis] for axis in move.axes)
            return replace(made, dims=dims, moves=moves)
        if signal.pad is None:
            return signal
        padding, signal = signal.pad, self.close(signal)
        dims, size = unknown(padding.shape, self.batch)
        return self.add(padding.label, [signal], Calls((padding.call(),)), None, Typing(size), dims)


def expression(calls: Sequence[Elementwise], end: int) -> tuple[int, PointwiseProgram]:
    """Slot ``end`` as a function of slot 0 with the calls that it needs, and the slot of the first of them."""
    needed = {end}
    for slot in range(end, 0, -1):
        if slot in needed:
            call = calls[slot - 1]
            needed |= {a.index for a in (*call.arguments, *call.options.values()) if isinstance(a, Slot)}
    kept = sorted(slot for slot in needed if slot > 0)
    place = {0: Slot(0)} | {slot: Slot(i + 1) for i, slot in enumerate(kept)}

    def moved(value: Any) -> Any:
        return place[value.index] if isinstance(value, Slot) else value

    made = tuple(
        Elementwise(call.target, tuple(map(moved, call.arguments)), {k: moved(v) for k, v in call.options.items()})
        for call in (calls[slot - 1] for slot in kept)
    )
    return kept[0], PointwiseProgram(made, place[end])


def _factor(call: Elementwise) -> tuple[int, float] | None:
    """The slot before and c, of a call h ↦ c·h."""
    arguments = call.arguments
    if call.name == "neg" and isinstance(arguments[0], Slot):
        return arguments[0].index, -1.0
    if call.name not in ("mul", "div") or call.options or len(arguments) != 2:
        return None
    first, second = arguments
    if isinstance(first, Slot) and isinstance(second, int | float):
        return first.index, float(second) if call.name == "mul" else 1.0 / second
    if call.name == "mul" and isinstance(second, Slot) and isinstance(first, int | float):
        return second.index, float(first)
    return None


def _same(x: Tensor) -> Tensor:
    return x
