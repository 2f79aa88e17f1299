"""The proof that nothing of a model was missed: its record is run, and where it parts from the model that call is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node, map_arg

from freeness.network import INPUT
from freeness.torch.record.graph_view import GraphView, node_name
from freeness.torch.record.kinds import OTHER, TracedOperation
from freeness.torch.record.reading import Reading, read_graph
from freeness.torch.record.steps import Move, Step, run_steps
from freeness.torch.record.walk import Masked

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10, torch.bfloat16: 2e-2}  # of the largest entry
_same_draws = partial(torch.random.fork_rng, devices=())  # what draws, draws what the model did
_TRIES = 8  # calls of one model that are taken as they are, one after the other
_PARTED = "the record gives something else there"
_ELSEWHERE = "it does what no graph shows, or something else for other numbers of samples"


def proven(view: GraphView, read: Tensor, example: Tensor, expected: Tensor, masked: Masked | None = None) -> Reading:
    """What was read, such that the record gives the model's output on an example.

    A call whose record gives something else than the call is taken as it is: without a record, named, and measured. The record of
    all others stands. ``masked``: modules whose dropout is recorded as on, though it is off in the model's output.

    Returns:
        The reading; without steps, and with the reason, where the record does not become right by that.
    """
    doubted: set[Node] = set()
    while True:
        with _same_draws():
            reading = read_graph(view, read, doubted, masked)
        if not reading.steps or _right(reading, example, expected):
            return reading
        parted = _parted(view, reading, read)
        if parted is None or parted in doubted or len(doubted) == _TRIES:
            named = None if parted is None else _operation(view, parted)
            return _unproven(view.model, read_graph(view, read, (), masked), named)
        doubted.add(parted)


def checked(model: nn.Module, reading: Reading, example: Tensor, expected: Tensor) -> Reading:
    """What was read of a model without a graph: without steps, and with the reason, where the record is not the model's."""
    right = not reading.steps or _right(reading, example, expected)
    return reading if right else _unproven(model, reading, None)


def together_in(reading: Reading, example: Tensor) -> int:
    """How many samples are run at once: calls without a record may hold their number; 0: any number."""
    return len(several(example)) if example.ndim > 1 and reading.missing else 0


def several(example: Tensor) -> Tensor:
    """An input of several samples, which tells their axis from others of one entry."""
    alone = example.ndim > 1 and len(example) == 1
    return example.repeat(3, *(1 for _ in example.shape[1:])) if alone else example


def run_record(
    steps: Sequence[Step], moves: Sequence[Move], x: Tensor, together: int, *, graph: bool = False
) -> Tensor:
    """What the last step gives, moved; ``together`` samples at once, where calls may hold their number, 0 for any number.

    ``graph``: keep that of the derivative in x.
    """
    if together:
        several = (one.expand(together, *one.shape) for one in x)
        return torch.cat([run_record(steps, moves, one, 0, graph=graph)[:1] for one in several])
    value = x
    with torch.set_grad_enabled(graph):
        for passed in run_steps(steps, x):
            value = passed.value
        for move in moves:
            value = move(value)
    return value


def _right(reading: Reading, example: Tensor, expected: Tensor) -> bool:
    try:
        with _same_draws():
            found = run_record(reading.steps, reading.moves, example, together_in(reading, example))
    except RuntimeError:  # other numbers of samples do not fit, as where an input without a batch was read
        return False
    return reproduces(found, expected)


def reproduces(found: Tensor, expected: Tensor) -> bool:
    """Whether a record's tensor is the model's, up to rounding and shape."""
    if found.numel() != expected.numel():
        return False
    error = float((found.reshape(-1) - expected.detach().reshape(-1)).abs().max()) if expected.numel() else 0.0
    return error <= TOLERANCE[expected.dtype] * max(float(expected.abs().max()), torch.finfo(expected.dtype).tiny)


def _parted(view: GraphView, reading: Reading, x: Tensor) -> Node | None:
    """The first call whose result is not what the record says of it; None where the record follows the graph to its end.

    A step that cannot be run ends the record there.
    """
    known = {INPUT: x}
    with _same_draws(), suppress(RuntimeError):
        known |= ((passed.step.name, passed.value) for passed in run_steps(reading.steps, x))
    ended = next((step.name for step in reading.steps if step.name not in known), None)
    for node, value in _run(view, x).items():
        said = reading.signals.get(node)
        if said is not None and said.name == ended:
            return node
        if said is None or said.name not in known or not value.is_floating_point():
            continue
        if not reproduces(said(known), value):
            return node
    return None


def _run(view: GraphView, x: Tensor) -> Mapping[Node, Tensor]:
    """Every tensor of the graph, after all that is written to it in place."""
    known: dict[Node, Any] = {}
    for node in view.nodes:
        if node.op == "placeholder":
            known[node] = view.tensors[node.name][1].detach() if node.name in view.tensors else x
        elif node.op == "call_function":
            assert callable(node.target)
            arguments = map_arg((node.args, node.kwargs), known.__getitem__)
            known[node] = node.target(*arguments[0], **arguments[1])
    return {node: value for node, value in known.items() if isinstance(value, Tensor) and node.op == "call_function"}


def _operation(view: GraphView, node: Node) -> TracedOperation:
    path, module = view.module(node)
    return TracedOperation(view.path(path), module, node_name(node), OTHER.name, "none", _PARTED)


def _unproven(model: nn.Module, reading: Reading, parted: TracedOperation | None) -> Reading:
    """No record, with the reason, and the place where it parts from the model."""
    if parted is None:
        parted = TracedOperation("", type(model).__name__, "forward", OTHER.name, "none", _ELSEWHERE)
    refusal = (
        f"expected a record that reproduces the model's output, got another output from {parted}; simplify its forward (no "
        "in-place writes, no randomness)."
    )
    return replace(reading, steps=(), operations=(*reading.operations, parted), unproven=refusal)
