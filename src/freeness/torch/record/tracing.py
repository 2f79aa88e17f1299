"""From an nn.Module to a Network: which operations it is made of, and the proof that nothing was missed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.network import INPUT, Network, Node, Operation, Weights
from freeness.torch.model.function import Function
from freeness.torch.model.measurable import check_measurable
from freeness.torch.model.outputs import OutputKey, returning, run, select_output
from freeness.torch.model.state import runs_foreign_code, untouched
from freeness.torch.record.by_sample import SampleRows, at_hand
from freeness.torch.record.graph_view import GraphView, export
from freeness.torch.record.hooked import hooked_steps
from freeness.torch.record.kinds import TracedOperation
from freeness.torch.record.own_backward import with_right_slopes
from freeness.torch.record.plain_graph import plain_graph
from freeness.torch.record.proof import TOLERANCE, checked, proven, run_record, several, together_in
from freeness.torch.record.reading import Reading
from freeness.torch.record.recorded import recorded_operations
from freeness.torch.record.steps import DenseStep, ElementwiseStep, Move, Step
from freeness.torch.record.walk import Masked

ChainStep = DenseStep | ElementwiseStep


@dataclass(frozen=True, eq=False)
class Chain:
    """A model as a chain of weight layers and elementwise functions.

    ``steps`` hold the model's own tensors (no copies: a later change of the weights shows); ``input_shape`` is the shape
    of one sample.
    """

    steps: tuple[ChainStep, ...]
    input_shape: tuple[int, ...]

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """W_1, …, W_L, each (fan_out, fan_in)."""
        return tuple(step.weight for step in self.steps if isinstance(step, DenseStep))

    @property
    def biases(self) -> tuple[Tensor | None, ...]:
        """b_1, …, b_L, each (fan_out) or None."""
        return tuple(step.bias for step in self.steps if isinstance(step, DenseStep))

    def replay(self, x: Tensor) -> Tensor:
        """Run the record: inputs (B, *input_shape) give outputs (B, C), one sample of shape ``input_shape`` gives (C,).

        Computed in the dtype of x.
        """
        if tuple(x.shape) == self.input_shape:
            flat = x.reshape(-1)
        elif tuple(x.shape[1:]) == self.input_shape:
            flat = x.reshape(len(x), -1)
        else:
            raise InputError(
                f"expected inputs of shape {('B', *self.input_shape)}, got {tuple(x.shape)}; reshape them."
            )
        with torch.no_grad():
            for step in self.steps:
                flat = step(flat)
        return flat

    def sample(self, x: Tensor) -> Tensor:
        """One sample as a vector (N_0,) in float64 on the device of the weights."""
        features = self.weights[0].shape[1]
        if x.numel() != features:
            raise InputError(
                f"expected one sample of {features} features, got shape {tuple(x.shape)}; pass one row, as in x[0]."
            )
        _check_real(x)
        if not bool(x.any()):
            raise InputError("expected a nonzero sample, got all zeros, which carries no signal; pass another input.")
        device = self.weights[0].device
        return x.detach().reshape(-1).to("cpu" if device.type == "mps" else device, torch.float64)  # mps has no float64


@dataclass(frozen=True, eq=False)
class _Read:
    """Which output is looked at, what was read and proven, and by which graph, made with which input; None: without one."""

    place: str
    reading: Reading
    example: Tensor
    expected: Tensor
    graph: tuple[GraphView, Tensor] | None = None


@dataclass(frozen=True, eq=False)
class Trace:
    """What was read of a model; anything that theory does not cover is named and can be measured.

    ``operations``: every operation that has parameters or changes what theory must know, in the order of the forward pass.
    ``output``: which tensor is looked at, "" where the model returns one; ``outputs``: its size C for one sample. ``steps``: one
    for every node of the network and for every call that has no record, with the model's own tensors; ``moves`` of the last one's
    tensor lead to the output. ``together``: how many samples are run at once, for calls without a record may hold their number;
    0: any number. ``any_trained``: whether the model trains anything; otherwise all biases count. ``written``: as of a
    :class:`~freeness.torch.model.function.Function`.
    """

    model: nn.Module
    input_shape: tuple[int, ...]
    batched: bool
    output: str
    outputs: int
    operations: tuple[TracedOperation, ...]
    steps: tuple[Step, ...]
    moves: tuple[Move, ...]
    together: int
    any_trained: bool
    _chain: Chain | None
    _refusal: str
    written: tuple[Tensor, ...] | None = None
    _read: _Read | None = None

    def with_masks(self, masked: Masked) -> Trace:
        """As in training: with a record of dropout, in the modules that are named so.

        Raises:
            InputError: it was read without a graph.

        Example:
            >>> read = trace(nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.2), nn.Linear(3, 2)), torch.ones(1, 4))
            >>> len(read.network.nodes), len(read.with_masks(lambda module: True).network.nodes)
            (2, 3)
        """
        if self._read is None or self._read.graph is None:
            raise InputError("expected a model of which torch makes a graph, got none; switch dropout off.")
        with _as_it_was(self.model):
            reading = proven(*self._read.graph, self._read.example, self._read.expected, masked)
            reading = with_right_slopes(self.model, reading, self._read.example, self.output or None)
        return replace(
            self,
            operations=reading.operations,
            steps=reading.steps,
            moves=reading.moves,
            together=together_in(reading, self._read.example),
            _chain=None,
            _refusal=_refusal_of(reading),
        )

    @cached_property
    def network(self) -> Network:
        """The framework-free record, made when it is first asked for: telling ensembles takes singular values of all weights.

        What samples bring beside the input is that of the example.

        Raises:
            InputError: a call that has no record; the first one that is in the way is named.
        """
        if not self.complete:
            raise InputError(self._refusal)
        if self._read is None:
            return self._recorded({})
        with at_hand(SampleRows(self._read.example)):
            return self._recorded({})

    @property
    def by_sample(self) -> bool:
        """Whether it takes tensors of each sample's own beside its input: tokens of a decoder, masks."""
        return self._read is not None and self._read.reading.by_sample

    def network_of(self, rows: Tensor) -> Network:
        """The record with what these samples bring beside the input.

        Args:
            rows: of the batch, as the model takes them.
        """
        if not self.by_sample:
            return self.network
        weights = {node.name: node.operation for node in self.network.nodes if isinstance(node.operation, Weights)}
        with at_hand(SampleRows(rows)):
            return self._recorded(weights)

    def _recorded(self, known: Mapping[str, Operation]) -> Network:
        """All records, but for those of weights that are known."""
        first: dict[tuple[int, int], str] = {}
        nodes = []
        for step in self.steps:
            assert step.record is not None
            shares = "" if step.weight is None else first.setdefault(step.place, step.name)
            inputs = tuple(read.name for read in step.reads)
            operation = known[step.name] if step.name in known else step.record()
            nodes.append(Node(step.name, operation, inputs, "" if shares == step.name else shares))
        return Network(nodes)

    @property
    def complete(self) -> bool:
        """Whether every call has a record, so that there is a ``network``; what theory makes of it is another question."""
        return not self._refusal

    @property
    def covered(self) -> bool:
        """Whether there is a ``network`` of kinds of operations that theory covers."""
        return self.complete and all(operation.theory != "none" for operation in self.operations)

    @property
    def refusal(self) -> str:
        """Why theory does not cover the model, in one sentence that names the first operation in the way; "" where it does."""
        return self._refusal or (
            "" if self.covered else _missing([one for one in self.operations if one.theory == "none"])
        )

    @property
    def uncovered(self) -> tuple[TracedOperation, ...]:
        """The operations that theory does not cover, or covers in part, each with its reason."""
        return tuple(operation for operation in self.operations if operation.reason)

    @property
    def is_chain(self) -> bool:
        """Whether the model is a chain of weight layers and elementwise functions."""
        return self._chain is not None

    @property
    def chain(self) -> Chain:
        """The model as a chain.

        Raises:
            InputError: it is none.
        """
        if self._chain is None:
            raise InputError(
                self._refusal
                or "expected a chain of Linear layers and elementwise activations, got other layers too; take the signals of "
                "realised_neurons, which follows any record."
            )
        return self._chain

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The weights of linear layers, convolutions and embeddings, first to last."""
        return tuple(step.weight for step in self.steps if step.weight is not None)

    @property
    def biases(self) -> tuple[Tensor | None, ...]:
        """Their biases, None where there is none."""
        return tuple(step.bias for step in self.steps if step.weight is not None)

    @property
    def function(self) -> Function:
        """The model as a function, to be measured."""
        return Function(self.model, self.output or None, written=self.written)

    def replay(self, x: Tensor) -> Tensor:
        """Run the record on inputs (B, *input_shape), or on one sample of shape ``input_shape`` where it is a chain.

        Raises:
            InputError: x has another shape, or there is no record.
        """
        if self._chain is not None:
            return self._chain.replay(x)
        if not self.steps:
            raise InputError(self._refusal)
        if tuple(x.shape[1:]) != self.input_shape:
            raise InputError(
                f"expected inputs of shape {('B', *self.input_shape)}, got {tuple(x.shape)}; reshape them."
            )
        return run_record(self.steps, self.moves, x, self.together)

    def sample(self, x: Tensor) -> Float[Tensor, " width"]:
        """One sample of a chain as a vector (N_0,) in float64, see :meth:`Chain.sample`."""
        return self.chain.sample(x)

    def input(self, x: Tensor) -> Tensor:
        """One sample as the model takes it.

        Args:
            x: a sample of shape ``input_shape``, a batch that holds exactly one, or all its numbers in another shape.

        Raises:
            InputError: several samples, another size, or not finite.
        """
        if x.numel() != math.prod(self.input_shape):
            raise InputError(
                f"expected one sample of shape {self.input_shape}, got {tuple(x.shape)}; pass one row, as in x[0]."
            )
        _check_real(x)
        return x.detach().reshape(1, *self.input_shape) if self.batched else x.detach().reshape(self.input_shape)


def _check_real(x: Tensor) -> None:
    if x.is_complex() or not bool(torch.isfinite(x).all()):
        raise InputError("expected a finite real sample, got NaN, infinity or complex numbers; clean the input.")


def trace(model: nn.Module, example: Tensor, output: OutputKey = None) -> Trace:
    """Read a model: its operations, what of them theory covers, and its record where it is made of layers that have one.

    The graph comes from torch.export, or from forward hooks where export fails. Between two layers all elementwise calls are
    one activation. Every weight is assigned its ensemble (:func:`~freeness.torch.record.recognition.recognise`). σ_b is the
    root mean square of the bias. The model is read in eval mode and left as it was. At the end the record is run on ``example``
    and must reproduce the output (1e-5 in float32, 1e-10 in float64, relative to the largest output). A call at which it parts
    from the model is named and taken without a record; where that does not help, there is none of the model.

    Args:
        model: any module, of floating parameters of one dtype.
        example: an input as the model takes it, (B, …) or (features,): floating in the model's dtype, or tokens.
        output: name or number of the output to look at; the first floating tensor when left out.

    Returns:
        The trace; ``Dense.bias`` is False where a bias is absent or frozen.

    Raises:
        InputError: parameters that are not finite, or an input on which the model fails.

    Example:
        >>> model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2, bias=False))
        >>> trace(model, torch.ones(1, 6)).network.widths
        (6, 5, 2)
        >>> found = trace(nn.Sequential(nn.Linear(6, 5), nn.Softmax(-1)), torch.ones(1, 6))
        >>> found.covered, [operation.path for operation in found.uncovered]
        (False, ['1'])
    """
    found = _read(model, example, output)
    place, reading, expected = found.place, found.reading, found.expected
    operations, steps, refusal = reading.operations, reading.steps, _refusal_of(reading)
    batched = example.ndim > 1
    together = together_in(reading, example)
    return Trace(
        model,
        _shape(example),
        batched,
        place,
        expected.numel() // (len(example) if batched else 1),
        operations,
        steps,
        reading.moves,
        together,
        any(parameter.requires_grad for parameter in model.parameters()),
        None if refusal or not _is_chain(operations) else chain_of(steps, _shape(example)),
        refusal,
        _read=found,
    )


def _shape(example: Tensor) -> tuple[int, ...]:
    """Of one sample."""
    return tuple(example.shape[1:]) if example.ndim > 1 else tuple(example.shape)


def read_chain(model: nn.Module, example: Tensor) -> Chain:
    """A model as a chain of Linear layers and elementwise functions, without the ensembles of its weights.

    Example:
        >>> chain = read_chain(nn.Sequential(nn.Linear(6, 5), nn.Tanh()), torch.ones(1, 6))
        >>> [step.name for step in chain.steps], chain.input_shape
        (['0', '1'], (6,))
    """
    found = _read(model, example, None)
    place, reading = found.place, found.reading
    if place:
        raise InputError("expected a model that returns one tensor, got several outputs; wrap it to return one tensor.")
    if reading.refusal is not None and not reading.unproven:
        raise reading.refusal
    for operation in reading.operations[:-1] if reading.unproven else reading.operations:
        if operation.theory == "none" or operation.kind not in _CHAIN_KINDS:
            raise _refused(operation)
    if reading.unproven:
        raise InputError(reading.unproven)
    spread = next(
        (step for step in reading.steps if isinstance(step.compute, DenseStep) and step.typing.positions), None
    )
    if spread is not None:
        raise InputError(
            f"expected Linear layers on vectors, got {spread.name!r} at positions {spread.typing.positions} (one weight at "
            "several positions); pass one vector a sample."
        )
    refusal = _refusal_of(reading)
    chain = None if refusal else chain_of(reading.steps, _shape(example))
    if chain is None:
        raise InputError(
            refusal or "expected layers one behind another, got signals that go several ways; take trace instead."
        )
    return chain


_CHAIN_KINDS = {"linear layer", "activation", "dropout", "flatten and reshape", "permutation of axes"}


def _is_chain(operations: Sequence[TracedOperation]) -> bool:
    return all(operation.theory != "none" and operation.kind in _CHAIN_KINDS for operation in operations)


def chain_of(steps: Sequence[Step], input_shape: tuple[int, ...]) -> Chain | None:
    """Steps as a chain on flat vectors; None where they are none."""
    found, before = [], INPUT
    for step in steps:
        plain = isinstance(step.compute, DenseStep | ElementwiseStep) and not step.typing.positions
        if not plain or [read.name for read in step.reads] != [before]:
            return None
        found.append(step.compute)
        before = step.name
    return Chain(tuple(found), input_shape)


def _refused(operation: TracedOperation) -> InputError:
    what = operation.operation
    if operation.kind == "residual sum":
        what += " on the output of an earlier layer (a skip or a branch)"
    elif operation.theory == "none" and operation.kind in _CHAIN_KINDS:
        what += f", {operation.reason},"
    return InputError(
        f"expected Linear layers and elementwise activations only, got {what} in {operation.where}; "
        "replace it, or pass the part of the model without it."
    )


def _refusal_of(reading: Reading) -> str:
    """Why there is no network, "" where there is one."""
    if reading.unproven:
        return reading.unproven
    if reading.refusal is not None:
        missing = [operation for operation in reading.operations if operation.theory == "none"]
        return _missing(missing) if missing else str(reading.refusal)
    if any(step.record is None for step in reading.steps):
        return _missing(reading.missing)
    if not reading.steps:
        return "expected an output that depends on the last layer, got another tensor; return the last layer."
    if not any(step.weight is not None for step in reading.steps):
        return "expected a model with at least one Linear layer, got none; there is no spectrum to compute."
    return ""


def _missing(missing: Sequence[TracedOperation]) -> str:
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    return f"expected layers that theory covers, got {missing[0]}{more}; measure the spectra, which needs no theory."


def _read(model: nn.Module, example: Tensor, output: OutputKey) -> _Read:
    """What was read of a model, and proven."""
    _check_tensors(model, example)
    with _as_it_was(model):
        returned = run(model, example)
        place, expected = select_output(returned, output)
        graph = _graph(model if returned is expected else returning(model, place), example)
        reading = _without_graph(model, example) if graph is None else None
    with _as_it_was(model):  # random numbers are again those of the model's run
        if graph is not None:
            reading = proven(*graph, example, expected)
            return _Read(place, with_right_slopes(model, reading, example, output), example, expected, graph)
        assert reading is not None
        return _Read(place, checked(model, reading, example, expected), example, expected)


@contextmanager
def _as_it_was(model: nn.Module) -> Iterator[None]:
    with untouched(model, copies=runs_foreign_code(model)), torch.inference_mode(False), torch.no_grad():
        yield


_LONG = 4_000  # calls beyond which a graph is not read, as of a loop over time: its proof runs them one by one


def _graph(model: nn.Module, example: Tensor) -> tuple[GraphView, Tensor] | None:
    """The graph of a model of one output, and the input that it was made with; None where there is none."""
    for read in (several(example), example):
        view = plain_graph(model, read) or export(model, read)
        if view is not None and (sum(1 for _ in view.nodes) > _LONG or view.regions or view.vmapped):
            return None
        if view is not None:
            return view, read
    return None


def _without_graph(model: nn.Module, example: Tensor) -> Reading:
    try:
        steps = hooked_steps(model, example)
    except InputError as error:
        return Reading((), recorded_operations(model, lambda: model(example)), refusal=error)
    operations = tuple(
        TracedOperation(step.name, "Linear", "linear", "linear layer", "spectra")
        if isinstance(step.compute, DenseStep)
        else TracedOperation(step.name, "", "function", "activation", "spectra")
        for step in steps
    )
    return Reading(steps, operations)


def _check_tensors(model: nn.Module, example: Tensor) -> None:
    check_measurable(model)
    for name, parameter in model.named_parameters():
        if parameter.is_complex():
            raise InputError(
                f"expected real parameters, got complex ones in {name!r}; keep real and imaginary parts as two parameters."
            )
        if parameter.dtype not in TOLERANCE:
            raise InputError(
                f"expected float32, float64 or bfloat16 parameters, got {parameter.dtype} in {name!r}; use model.float()."
            )
        first = next(model.parameters()).dtype
        if parameter.dtype != first:
            raise InputError(
                f"expected parameters of one dtype, got {first} and, in {name!r}, {parameter.dtype}; convert the model, as by "
                "model.float()."
            )
        if parameter.numel() and not all(bool(end.isfinite()) for end in torch.aminmax(parameter.detach())):  # no copy
            raise InputError(
                f"expected finite parameters, got NaN or infinity in {name!r}; initialise or reload the model."
            )
        tokens = not example.is_floating_point() and not example.is_complex()
        if (parameter.dtype != example.dtype and not tokens) or parameter.device != example.device:
            raise InputError(
                f"expected an input of {parameter.dtype} on {parameter.device} like the parameter {name!r}, "
                f"got {example.dtype} on {example.device}; convert the input by x.to(…)."
            )
    if example.numel() == 0 or not bool(torch.isfinite(example).all()):
        raise InputError(
            f"expected a finite input with at least one sample, got shape {tuple(example.shape)}; clean the input."
        )
