"""What theory says of the table of layers, on the same batch and with the loss gradient that the outputs really have."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from freeness.advice import LayerTable, ModuleRow
from freeness.errors import FreenessError, InputError
from freeness.meanfield import loss_moments
from freeness.network import INPUT
from freeness.spectra import realised_gradients
from freeness.torch.loss.output_hessian import OutputHessian
from freeness.torch.model.outputs import run, select_output
from freeness.torch.model.random_calls import only_in_training
from freeness.torch.model.state import trained_parameters, untouched
from freeness.torch.record.layout import size_of
from freeness.torch.record.proof import reproduces
from freeness.torch.record.signals import neurons_of
from freeness.torch.record.steps import Permuted, Step
from freeness.torch.record.tracing import Trace

_LOG = logging.getLogger(__name__)
_ROUNDED = 1e-4  # relative departures that single precision makes
_MOST = 20_000_000  # numbers of the given maps of one layer
_AROUND = "what this forward pass fixed (softmax weights and their derivative, slopes, norms), with random weights over channels"
_ANOTHER = "expected samples by themselves, got a model whose masks mix them, or another record of the batch; measure the layers."
_RUNNING = "expected batch normalisation by the batch, got running statistics; take training mode."
_ALONE = "expected random calls that eval mode makes too, got {} in training alone; call them in both modes, as nn.Dropout does."
_BATCHES = "expected batch normalisation by running statistics, got those of the batch; take eval mode."


@dataclass(frozen=True, eq=False)
class OutputLoss:
    """Outputs of a batch, and the loss as a function of them."""

    outputs: Tensor
    loss: Callable[[Tensor], Tensor]

    def derivatives(self) -> tuple[Tensor, Tensor]:
        """Gradient of the loss in the outputs, and its second derivatives in each, by one product with random signs.

        Where the loss has no second derivative they are 0.

        Example:
            >>> [found.tolist() for found in OutputLoss(torch.ones(1, 2), lambda f: f.pow(3).sum()).derivatives()]
            [[[3.0, 3.0]], [[6.0, 6.0]]]
        """
        curved = OutputHessian(self.loss, self.outputs)
        drawn = torch.randint(0, 2, self.outputs.shape, generator=torch.Generator().manual_seed(0))
        signs = drawn.to(curved.slope) * 2 - 1
        return curved.slope, torch.zeros_like(signs) + signs * curved(
            signs
        )  # where it is 0, it has no storage of its own


@dataclass(frozen=True, eq=False)
class _Place:
    """A step with what theory says there: mean square of its signal, sums of squares of gradients, and how these scatter.

    ``scale``: of a norm's scales; NaN where it is not known.
    """

    step: Step
    signal: float | None
    weights: float
    shift: float
    scatter: float
    signal_scatter: float | None = None
    scale: float = math.nan


def with_theory(
    table: LayerTable, trace: Trace, inputs: Tensor, outputs: OutputLoss, *, training: bool | None = False
) -> LayerTable:
    """The table with the predicted signals and gradients, where theory covers the model.

    Args:
        table: measured on ``inputs``.
        trace: of the same model.
        inputs: the batch as the model takes it.
        outputs: with their loss.
        training: whether the table was measured in training mode (None: each module in its own), where batch normalisation has
            the statistics of the batch, and dropout has masks. Those on attention weights are not in the theory.

    Example:
        >>> from freeness.torch import observe, trace
        >>> model, x = nn.Sequential(nn.Linear(4, 80), nn.Tanh(), nn.Linear(80, 2)), torch.ones(3, 4)
        >>> outputs = OutputLoss(model(x).detach(), lambda found: found.sum())
        >>> table = observe(model, lambda: model(x).sum())
        >>> [row.gradient_predicted is not None for row in with_theory(table, trace(model, x), x, outputs)]
        [True, True]
    """
    if not table or not trace.complete or trace.together:
        return table
    if trace.by_sample and not _reproduced(trace, inputs):
        return replace(table, refused=_ANOTHER)
    masked, refused = _masked(trace, training), ""
    alone = only_in_training(trace.model, inputs, training) if _trained(trace.model, training) else ()
    for way, batches in ((_of_wide_layers, True), (_of_this_pass, False)):
        departs = _otherwise(trace, training, batches=batches) or (_ALONE.format(", ".join(alone)) if alone else "")
        try:
            if departs:
                raise InputError(departs)
            read = trace.with_masks(masked.__contains__) if masked else trace
            known = {place.step.name: place for place in way(read, inputs, outputs)}
        except FreenessError as error:
            _LOG.info("no prediction of the layers: %s", error)
            refused = refused or str(error)
            continue
        trained = {id(tensor) for tensor in trained_parameters(trace.model).values()}
        modules = dict(trace.model.named_modules())
        rows = tuple(_row(row, modules[row.name], known, trained) for row in table)
        if not batches:  # gradients of the uses of one module add up as alike ones, which is not known here
            rows = tuple(replace(row, gradient_predicted=None) if row.uses > 1 else row for row in rows)
        return replace(table, modules=rows, around=_AROUND if not batches else "")
    return replace(table, refused=refused)


def _reproduced(trace: Trace, inputs: Tensor) -> bool:
    """Whether the record gives what the model gives of a whole batch, in eval mode: what it is proven on is one sample."""
    with untouched(trace.model, training=False), torch.no_grad():
        expected = select_output(run(trace.model, inputs), trace.output or None)[1]
        return reproduces(trace.replay(inputs), expected)


def _of_wide_layers(trace: Trace, inputs: Tensor, outputs: OutputLoss) -> Iterator[_Place]:
    """Second moments in the limit of wide layers, of all that is random."""
    cotangents, slopes = (_canonical(trace, value) for value in outputs.derivatives())
    found = loss_moments(trace.network_of(inputs), _inputs(trace, inputs), cotangents, slopes.mean(axis=1))
    for step, told in zip(trace.steps, found, strict=True):
        gradient, signal = (math.hypot(one, _ROUNDED) for one in (told.gradient_scatter, told.signal_scatter))
        yield _Place(step, told.signal, told.weights, told.shift, gradient, signal, told.scale)


def _of_this_pass(trace: Trace, inputs: Tensor, outputs: OutputLoss) -> Iterator[_Place]:
    """Gradients alone, around what the forward pass of some samples fixed."""
    cotangents = _canonical(trace, outputs.derivatives()[0])
    count = len(cotangents)
    chosen = np.linspace(0, count - 1, min(_fitting(trace), count)).round().astype(int)
    if not chosen.size:
        raise InputError(
            f"expected layers of at most {_MOST:,} numbers, channels times squared positions, got more; go by the measured rows."
        )
    some = inputs[torch.as_tensor(chosen, device=inputs.device)]
    realised = neurons_of(trace, some)
    missed = ((1 - chosen.size / count) / chosen.size) ** 0.5
    steps = {step.name: step for step in trace.steps}
    for told in realised_gradients(trace.network_of(some), realised, cotangent=cotangents[chosen], batch=count):
        yield _Place(
            steps[told.name], None, told.weights, told.shift, float(np.linalg.norm((told.scatter, missed, _ROUNDED)))
        )


def _fitting(trace: Trace) -> int:
    """Samples whose given maps fit, channels times squared positions of every layer."""
    sizes = [(step.typing.channels or 1) * step.typing.count**2 for step in trace.steps]
    return math.isqrt(_MOST // max(sizes))


def _otherwise(trace: Trace, training: bool | None, *, batches: bool) -> str:
    """Why batch normalisation took other statistics in the mode of the table than ``batches`` says; "" if it did not."""

    def departs(module: nn.Module) -> str:
        trained = module.training if training is None else training
        return (_BATCHES if trained else _RUNNING) if isinstance(module, _BatchNorm) and trained is not batches else ""

    return next(filter(None, map(departs, trace.model.modules())), "")


def _trained(model: nn.Module, training: bool | None) -> set[nn.Module]:
    """The modules in training mode."""
    return {module for module in model.modules() if (module.training if training is None else training)}


def _masked(trace: Trace, training: bool | None) -> set[nn.Module]:
    """The same of a model that drops; a function that drops is called in the module around it."""
    drops = any(operation.kind == "dropout" for operation in trace.operations)
    return _trained(trace.model, training) if drops else set()


def _inputs(trace: Trace, inputs: Tensor) -> np.ndarray | None:
    """(n, channels, *positions), or tokens (n, positions); None where each of several inputs is data of its own."""
    first = next((read for step in trace.steps for read in step.reads if read.name == INPUT), None)
    if first is None:
        return None
    if not inputs.is_floating_point():
        return first({INPUT: inputs.detach()}).cpu().numpy()
    return first.canonical(first({INPUT: inputs.detach()})).double().cpu().numpy()


def _canonical(trace: Trace, values: Tensor) -> np.ndarray:
    """Of the outputs back through the moves of the output, then (n, channels, *positions)."""
    last = trace.steps[-1]
    shapes = [tuple(-1 if _samples(atoms) else size_of(atoms) for atoms in last.dims)]
    value = torch.empty([len(values) if size < 0 else size for size in shapes[0]], device="meta")
    for move in trace.moves:
        value = move(value)
        shapes.append(tuple(value.shape))
    found = values.detach().double().reshape(shapes[-1])
    for move, shape in zip(reversed(trace.moves), reversed(shapes[:-1]), strict=True):
        found = found.permute(np.argsort(move.axes).tolist()) if isinstance(move, Permuted) else found.reshape(shape)
    return last.canonical(found).cpu().numpy()


def _samples(atoms: Iterable[object]) -> bool:
    return any(getattr(atom, "axis", "") == "samples" for atom in atoms)


def _row(row: ModuleRow, module: nn.Module, known: Mapping[str, _Place], trained: set[int]) -> ModuleRow:
    """A row with the steps of its module."""
    named = [place for name, place in known.items() if name == row.name or _again(name, row.name)]
    if named and row.uses == 1:  # as an attention with its output matrix inside, whose signal is the module's
        named = [place for name, place in known.items() if name == row.name or name.startswith(f"{row.name}.")][-1:]
    tensors = [tensor for tensor in module._parameters.values() if tensor is not None]
    norm = _norm(row, known)
    parts = [_gradient(each, known.values()) for each in tensors if id(each) in trained]
    if norm is not None:
        own = {"weight": None if math.isnan(norm.scale) else norm.scale, "bias": norm.shift}
        parts = [own.get(key) for key, each in module._parameters.items() if each is not None and id(each) in trained]
    steps = [place for place in known.values() if any(_is(place.step.weight, each) for each in tensors)]
    steps += [norm] if norm is not None else []
    signals = [place.signal for place in named if place.signal is not None]
    return replace(
        row,
        signal_predicted=math.fsum(signals) / len(signals) if len(signals) == row.uses > 0 else None,
        gradient_predicted=None
        if None in parts or not parts
        else math.fsum(part for part in parts if part is not None),
        scatter=max((place.scatter for place in steps), default=None),
        signal_scatter=max((place.signal_scatter for place in named if place.signal_scatter is not None), default=None),
    )


def _norm(row: ModuleRow, known: Mapping[str, _Place]) -> _Place | None:
    """The place of a norm whose scales are 1 and shifts 0; None of other modules."""
    moved = any(f"{row.name}.{part}" in known for part in ("scaled", "shifted"))
    return None if row.scale is None or moved else known.get(row.name)


def _again(name: str, module: str) -> bool:
    """Whether a step is another use of a module."""
    start, _, number = name.rpartition(".")
    return start == module and number.isdigit() and int(number) > 1


def _gradient(tensor: Tensor, known: Iterable[_Place]) -> float | None:
    """Sum of squares of a tensor's loss gradient, of all its uses and parts; None of one that no step reads, or not all of it."""
    parts: list[float] = []
    read: dict[int, int] = {}
    for place in known:
        for own, square in ((place.step.weight, place.weights), (place.step.bias, place.shift)):
            if own is not None and _is(own, tensor):
                parts.append(square)
                read[own.data_ptr()] = max(read.get(own.data_ptr(), 0), own.numel())
    return math.fsum(parts) if sum(read.values()) >= tensor.numel() > 0 else None


def _is(one: Tensor | None, other: Tensor) -> bool:
    """Whether one tensor is the other, or a part of it."""
    if one is None:
        return False
    start = other.data_ptr()
    return start <= one.data_ptr() < start + max(other.numel(), 1) * other.element_size()
