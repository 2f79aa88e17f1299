"""Read a model nearly call by call: one walk over the graph of torch.export, which names what it cannot read.

Elementwise calls wait until something else reads them, and become one activation; views and permutations say where samples,
channels and positions lie; every other call is a step of the record. What has no record is a step without one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.fx import Node

from freeness.errors import InputError
from freeness.network import INPUT
from freeness.torch.operations.activation import activation
from freeness.torch.operations.attention import towards_attention
from freeness.torch.operations.embedding import KIND as EMBEDDING
from freeness.torch.operations.kind import TracedOperation, Unread
from freeness.torch.operations.normalisation import written
from freeness.torch.operations.reshape import PERMUTATION, RESHAPE
from freeness.torch.record.by_sample import SampleRows, at_hand, of_each_sample, rows_at_hand
from freeness.torch.record.elementwise import PointwiseCall, is_elementwise
from freeness.torch.record.graph_view import GraphView, node_name
from freeness.torch.record.in_place import Aliases, Overwritten, View, writes
from freeness.torch.record.kinds import ACTIVATION, OTHER, READERS, kind_of
from freeness.torch.record.layout import Typing, unknown
from freeness.torch.record.repeated_heads import repeated_heads
from freeness.torch.record.rotary import Turning, rotations
from freeness.torch.record.steps import GivenTensor, Move, Read, Step
from freeness.torch.record.walk import Asked, Masked, Place, Scores, Several, Signal, Value, WaitingTurn, Walk
from freeness.torch.record.written_norms import CASTS, written_norms
from freeness.torch.request.packing import takes_apart

_SAME = {"contiguous", "clone", "alias", "lift_fresh_copy", "lift_fresh", "detach"}
_PARTS = {"getitem", "slice", "select", "narrow"}
_CHECKS = {"_assert_tensor_metadata"}
_FRESH = {f"{word}_like" for word in ("zeros", "ones", "full", "empty")} | {
    f"new_{word}" for word in ("zeros", "ones", "full")
}


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read: the steps from input to output, () where the output does not depend on the input; all operations.

    ``missing``: those of them that have no record; ``moves``: of the last step's tensor, to the output. ``refusal``: why there is
    no graph. ``signals``: how the steps give what a call of the graph gives. ``unproven``: why the record is not the model's.
    ``by_sample``: whether steps take tensors of each sample's own.
    """

    steps: tuple[Step, ...]
    operations: tuple[TracedOperation, ...]
    missing: tuple[TracedOperation, ...] = ()
    moves: tuple[Move, ...] = ()
    refusal: InputError | None = None
    signals: Mapping[Node, Read] = field(default_factory=dict)
    unproven: str = ""
    by_sample: bool = False


def read_graph(
    view: GraphView, example: Tensor, doubted: Collection[Node] = (), masked: Masked | None = None
) -> Reading:
    """The steps that a graph is made of.

    ``doubted``: calls that are taken as they are, for their record gave another result; ``masked``: modules whose dropout is on.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
        >>> found = read_graph(GraphView.exported(model, torch.ones(1, 4)), torch.ones(1, 4))
        >>> [operation.kind for operation in found.operations], [step.name for step in found.steps]
        (['linear layer', 'activation'], ['0', '1'])
    """
    refused, rows = set(doubted), SampleRows(example)
    while True:
        try:
            with at_hand(rows):
                return _walked(view, example, Walk(view, _samples(example), doubted, masked), _Known.of(view, refused))
        except _Otherwise as other:
            refused.add(other.node)


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known by its last call, each by its source: rotations by positions, norms that are written out, repeated heads."""

    repeated: Mapping[Node, Node]
    turned: Mapping[Node, tuple[Node, Turning]]
    normed: Mapping[Node, tuple[Node, float]]

    @classmethod
    def of(cls, view: GraphView, refused: Collection[Node]) -> _Known:
        """Of a graph, but for some calls."""
        repeated = {node: source for node, source in repeated_heads(view).items() if node not in refused}
        return cls(
            repeated,
            {node: how for node, how in rotations(view, repeated).items() if node not in refused},
            {node: how for node, how in written_norms(view).items() if node not in refused},
        )

    @property
    def sources(self) -> Mapping[Node, Node]:
        """What each is made of."""
        known = {node: source for ways in (self.turned, self.normed) for node, (source, _) in ways.items()}
        return known | dict(self.repeated)


class _Otherwise(Exception):
    """A call that has to be read like any other."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node


def _samples(example: Tensor) -> int | None:
    return example.shape[0] if example.ndim > 1 else None


def _walked(view: GraphView, example: Tensor, walk: Walk, known: _Known) -> Reading:
    """One walk over the graph.

    Raises:
        _Otherwise: something that was thought to be known is not.
    """
    end, aliases = view.returned, Aliases(view)
    needed = _needed(view, end, aliases, known.sources)
    for node in view.nodes:
        if node.op == "placeholder":
            walk.values[node] = _given(walk, node, example)
        elif node in needed and node in known.sources:
            walk.values[node] = _as_known(walk, node, known)
        elif node.op == "call_function" and node in needed:
            _read(walk, node)
            if writes(node):
                _write(walk, node, aliases)
    last = walk.values.get(end) if isinstance(end, Node) else None
    if isinstance(last, Scores):
        last = walk.spelled(last)
    if not isinstance(last, Signal):
        return Reading((), tuple(walk.operations), tuple(walk.missing))
    last = _finished(walk, end, last)
    steps = _before(walk.steps, last.place.name)
    signals, missing = _given_by_steps(walk), tuple(walk.missing)
    return Reading(steps, _shared(walk, steps), missing, last.moves, signals=signals, by_sample=walk.by_sample)


def _given_by_steps(walk: Walk) -> dict[Node, Read]:
    """How the steps give what the calls of the graph give, but for elementwise calls in the middle of an activation."""
    found: dict[Node, Read] = {}
    for node, value in walk.values.items():
        if node.op == "call_function" and isinstance(value, Signal) and value.pad is value.turn is None:
            place = value.place.closed.get(value.slot) if value.slot else value.place
            if place is not None:
                found[node] = Read(place.name, place.typing, value.dims, value.moves)
    return found


def _given(walk: Walk, node: Node, example: Tensor) -> Value:
    known = walk.view.tensors.get(node.name)
    if known is not None:
        name, tensor = known
        return GivenTensor(tensor.detach, name, tensor, isinstance(tensor, nn.Parameter) and tensor.requires_grad)
    if any(map(takes_apart, node.users)):  # each of several inputs is its own
        walk.note_inputs()
        walk.by_sample = True
        return GivenTensor(lambda: rows_at_hand().rows, by_sample=True)
    walk.whole = not example.is_floating_point()
    dims, size = unknown(tuple(example.shape), walk.batch)
    return Signal(Place(INPUT, Typing(size), dims), dims)


def _read(walk: Walk, node: Node) -> None:
    """The value of a call."""
    if node_name(node) in _CHECKS:
        return
    value = _constant(walk, node)
    if value is not None and value.by_sample and _is_input(node):
        walk.values[node] = walk.brought(value, tuple(node.meta["val"].shape))
    else:
        walk.values[node] = _signal(walk, node) if value is None else value


def _is_input(node: Node) -> bool:
    """Whether a call is the last of those that take one of several inputs of numbers."""
    floating = node.meta["val"].is_floating_point()
    return floating and takes_apart(node) and not any(map(takes_apart, node.users))


def _as_known(walk: Walk, node: Node, known: _Known) -> Signal:
    """What is known by its last call; of queries or keys that are turned, a rotation that waits for its attention."""
    signal = walk.values[known.sources[node]]
    if node in known.repeated and isinstance(signal, Signal) and signal.pad is None:
        return signal  # attention repeats it
    if not (isinstance(signal, Signal) and signal.pad is signal.turn is None):
        raise _Otherwise(node)
    try:
        if node in known.normed:
            return written(Asked(node, kind_of(node_name(node)), {}, walk), signal, known.normed[node][1])
        signal = walk.close(signal)
    except Unread:
        raise _Otherwise(node) from None
    return replace(signal, turn=WaitingTurn(walk.view.operation_path(node), signal, known.turned[node][1]))


def _write(walk: Walk, node: Node, aliases: Aliases) -> None:
    """What a call writes to has its value, too; so has what that is a part of, and every other part is read anew."""
    source, root = node.args[0], aliases.root(node)
    assert isinstance(source, Node)
    value, way = walk.values[node], aliases.way(source)
    walk.values[source] = value
    if source is not root and way is not None and root in walk.values:
        shape = tuple(root.meta["val"].shape)  # without views the whole is written to again
        walk.values[root] = _overwritten(walk, node, (walk.values[root], value), way, shape) if way else value
    noted, missing = len(walk.operations), len(walk.missing)
    for other in aliases.before(node):
        if other in (source, root) or other not in walk.values:
            continue
        if writes(other):
            walk.values[other] = walk.given(other.args[0])
        else:
            _read(walk, other)
    del walk.operations[noted:], walk.missing[missing:]  # they were met before


def _overwritten(
    walk: Walk, node: Node, values: tuple[Value, Value], way: tuple[View, ...], shape: tuple[int, ...]
) -> Value:
    """A tensor of which a part was written to: a step without a record, where it depends on the input."""
    whole, part = (walk.spelled(one) if isinstance(one, Scores) else one for one in values)
    given = [one if isinstance(one, GivenTensor) else None for one in (whole, part)]
    compute = Overwritten(way, *given)
    if all(one is not None for one in given):
        own, key = any(one is not None and one.by_sample for one in given), object()
        value = partial(of_each_sample, key, walk.batch, compute) if own else compute
        return GivenTensor(value, trained=any(one is not None and one.trained for one in given), by_sample=own)
    signals = [walk.close(walk.padded(one)) for one in (whole, part) if isinstance(one, Signal)]
    if all(signal.place.read for signal in signals):
        walk.note(node, OTHER.name, "none", "it writes to a part of a tensor")
        walk.missing.append(walk.operations[-1])
    dims, size = unknown(shape, walk.batch)
    return walk.add(walk.view.operation_path(node), signals, compute, None, Typing(size), dims)


def _constant(walk: Walk, node: Node) -> GivenTensor | None:
    """The value of a call that does not depend on the input; None where it does."""
    sources = [walk.values.get(source) for source in node.all_input_nodes]
    if node_name(node) in _FRESH:
        sources = []
    own = [isinstance(source, Signal) and _is_tokens(walk, source) for source in sources]
    plain = (source is None or isinstance(source, GivenTensor) for source in sources)
    if not all(one or each for one, each in zip(own, plain, strict=True)) or (any(own) and _stays(node)):
        return None
    given = [source for source in sources if isinstance(source, GivenTensor)]
    by_sample = any(own) or any(source.by_sample for source in given)
    if by_sample and not _by_rows(walk, node, given):
        return None
    if node.args and isinstance(node.args[0], Node) and node_name(node) in _SAME:
        first = walk.values.get(node.args[0])
        if isinstance(first, GivenTensor):
            return first
    trained = any(source.trained for source in given)
    names = [source.name for source in given if source.name]
    known = {
        source: walk.values.get(source) for source in node.all_input_nodes
    }  # before this call writes to one of them
    value, name = partial(_computed, walk, node, known), names[0] if trained else ""
    if by_sample:
        key = object()
        return GivenTensor(lambda: of_each_sample(key, walk.batch, value), name, None, trained, by_sample=True)
    return GivenTensor(value, name, _part(walk, node, value) if trained else None, trained)


def _part(walk: Walk, node: Node, value: Callable[[], Any]) -> nn.Parameter | None:
    """The rows of a parameter that a call gives, as packed projections are cut into."""
    found = value() if node_name(node) in _PARTS else None
    if not isinstance(found, Tensor) or not found.is_contiguous():
        return None
    place = found.untyped_storage().data_ptr()
    whole = (one for one in walk.view.model.parameters() if one.untyped_storage().data_ptr() == place)
    return next((nn.Parameter(found, requires_grad=one.requires_grad) for one in whole), None)


def _is_tokens(walk: Walk, signal: Signal) -> bool:
    """Whether it is the input itself, of whole numbers, through which no gradient goes."""
    return walk.whole and signal.place.name == INPUT and signal.slot == 0


def _stays(node: Node) -> bool:
    """Whether a call leaves tokens a signal: a table, or another shape."""
    name, kind = node_name(node), kind_of(node_name(node))
    return kind in (EMBEDDING, RESHAPE, PERMUTATION) or name in _SAME or (name in CASTS | {"expand"} and _keeps(node))


def _by_rows(walk: Walk, node: Node, given: Sequence[GivenTensor]) -> bool:
    """Whether a call on what samples bring gives a row a sample, and is none of trained weights."""
    found = node.meta["val"]
    found = found if isinstance(found, list | tuple) else [found]
    if not all(isinstance(one, Tensor) and one.ndim > 0 and len(one) % (walk.batch or 1) == 0 for one in found):
        return False
    weighted = any(isinstance(source.tensor, nn.Parameter) or source.trained for source in given)
    name = node_name(node)
    moves = name in _SAME | {"expand"} or kind_of(name) in (RESHAPE, PERMUTATION)
    return not weighted or moves or (isinstance(node.target, OpOverload) and is_elementwise(node.target))


def _computed(walk: Walk, node: Node, known: Mapping[Node, Value | None]) -> Any:
    """A call on constants, of a signal the shape alone; what it would write to is copied before."""

    def filled(argument: Any) -> Any:
        if isinstance(argument, list | tuple):
            return [filled(part) for part in argument]
        if not isinstance(argument, Node):
            return argument
        value = known.get(argument)
        if isinstance(value, GivenTensor):
            return value.value()
        if isinstance(value, Signal) and _is_tokens(walk, value):
            return value.read({INPUT: rows_at_hand().rows})
        like = argument.meta["val"]
        return torch.zeros(like.shape, dtype=like.dtype, device=next(walk.view.model.parameters()).device)

    arguments = [filled(argument) for argument in node.args]
    if isinstance(node.target, OpOverload) and node.target._schema.is_mutable:
        arguments[0] = arguments[0].clone()
    assert callable(node.target)
    call = (
        torch.reshape if node_name(node) == "view" else node.target
    )  # copies that are left out in front had its strides
    return call(*arguments, **{key: filled(value) for key, value in node.kwargs.items()})


def _signal(walk: Walk, node: Node) -> Value:
    """The value of a call that depends on the input: read, or a step without a record."""
    kind = kind_of(node_name(node))
    asked = Asked(node, kind, _arguments(walk, node), walk)
    first = asked.arguments.get("self", asked.arguments.get("input"))
    try:
        if node_name(node) == "getitem":
            return _item(asked)
        if node in walk.doubted:
            raise Unread("its record gives another result than the call")
        if isinstance(first, Signal | Scores) and _keeps(node):
            return first
        if any(isinstance(value, Scores) for value in asked.arguments.values()):
            return towards_attention(asked)
        if isinstance(node.target, OpOverload):
            if node_name(node) in READERS:
                return READERS[node_name(node)](asked)
            if kind is ACTIVATION:
                return activation(asked)
        raise Unread
    except Unread as refusal:
        given = {key: walk.spelled_in(one) for key, one in asked.arguments.items()}
        return walk.unread(replace(asked, arguments=given), refusal)


def _item(asked: Asked) -> Value:
    several, index = (asked.walk.given(argument) for argument in asked.node.args)
    if isinstance(several, Several):
        return several.item(index)
    raise Unread


def _keeps(node: Node) -> bool:
    """Whether a call gives its first argument again."""
    name = node_name(node)
    if name in _SAME:
        return True
    source = node.args[0]
    assert isinstance(source, Node)
    before, after = source.meta["val"], node.meta["val"]
    return name in CASTS | {"expand", "expand_as"} and (before.dtype, before.shape) == (
        after.dtype,
        after.shape,
    )


def _arguments(walk: Walk, node: Node) -> dict[str, Any]:
    """Arguments by name, in the order of the schema, with values in the place of nodes; by number where there is no schema."""
    if not isinstance(node.target, OpOverload):
        return {str(number): walk.given(argument) for number, argument in enumerate(node.args)}
    bound = PointwiseCall(node.target, node.args, node.kwargs).bound
    return {argument.name: walk.given(bound[argument.name]) for argument in node.target._schema.arguments}


def _finished(walk: Walk, node: Node, signal: Signal) -> Signal:
    """The output as a step."""
    try:
        return walk.settled(walk.padded(signal))
    except Unread as refusal:
        walk.note(node, "permutation of axes", "none", str(refusal))
        walk.missing.append(walk.operations[-1])
        return walk.as_it_is(signal)


def _needed(view: GraphView, output: Any, aliases: Aliases, turned: Mapping[Node, Node]) -> set[Node]:
    """The nodes on which the output depends, in-place writes to what they share memory with included."""
    needed = {output}
    roots = {aliases.root(output)} if isinstance(output, Node) else set[Node]()
    for node in reversed(list(view.nodes)):
        if node in needed or (writes(node) and aliases.root(node) in roots):
            before = [turned[node]] if node in turned else node.all_input_nodes
            needed |= {node, *before}
            roots |= {aliases.root(one) for one in (node, *before)}
    return needed


def _before(steps: list[Step], last: str) -> tuple[Step, ...]:
    """The steps on which the last one depends."""
    needed = {last}
    for step in reversed(steps):
        if step.name in needed:
            needed |= {read.name for read in step.reads}
    return tuple(step for step in steps if step.name in needed)


def _shared(walk: Walk, steps: tuple[Step, ...]) -> tuple[TracedOperation, ...]:
    """The operations, of which those with a weight that stands at several places say so: theory takes them for independent."""
    counts = Counter(step.place for step in steps if step.weight is not None)
    operations = list(walk.operations)
    for step in steps:
        number = counts[step.place]
        if number > 1 and step.name in walk.noted:
            index = walk.noted[step.name]
            operations[index] = replace(operations[index], theory="none", reason=f"the same weight at {number} places")
    return tuple(operations)
