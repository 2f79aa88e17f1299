"""Point it at a model: predicted beside measured spectra, verdict, learning rate."""

from __future__ import annotations

import logging
import math
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from freeness.advice import (
    CODE,
    Analysis,
    Comparison,
    FreenessOutcome,
    LayerRow,
    LayerTable,
    Report,
    Verdict,
    grave_phase,
    layer_rows,
    verdict,
)
from freeness.bars import followed
from freeness.errors import InputError, brief
from freeness.meanfield import Signals
from freeness.network import Activation, Network, Weights
from freeness.spectra import NeuronSignals, Prediction, weight_spread
from freeness.torch.analyzing.analysis_rate import batch_curvature, begins, no_rate, of_fewer, trials_call
from freeness.torch.analyzing.analysis_spectra import (
    Predicted,
    compared,
    detail_of,
    gaps,
    jacobian_or_lost,
    may_take_given_maps,
    measured_fisher,
    silence_note,
    solved_or_drawn,
    takes_given_maps,
)
from freeness.torch.analyzing.design_gain import with_design
from freeness.torch.analyzing.forecasts import WATCH, Request, counted_pass, forecast, told
from freeness.torch.analyzing.layer_theory import OutputLoss, with_theory
from freeness.torch.analyzing.shorter import places_of
from freeness.torch.loss.adapted import Whole, adapted
from freeness.torch.loss.differentiated import RESIDUALS, differentiated, is_of_graph
from freeness.torch.loss.given import GivenLoss, GivenOptimizer
from freeness.torch.loss.loss_modules import loss_kept
from freeness.torch.loss.loss_note import loss_note
from freeness.torch.loss.losses import check_targets, loss_function
from freeness.torch.loss.several_targets import loss_of_several
from freeness.torch.loss.written_loss import WrittenLoss
from freeness.torch.measured.curvature_matrices import CHUNK
from freeness.torch.measured.freeness_tests import freeness_test
from freeness.torch.measured.observing import observe
from freeness.torch.measured.plan import Budget, hurried
from freeness.torch.model.buffers import same_buffers
from freeness.torch.model.compiled import uncompiled
from freeness.torch.model.measurable import check_dense, check_measurable
from freeness.torch.model.modes import fixed_masks, is_coupled
from freeness.torch.model.outputs import required_arguments, run
from freeness.torch.model.pace import TimeUp, cut_off
from freeness.torch.model.state import untouched
from freeness.torch.model.threads import fit_threads, threads_kept
from freeness.torch.rate.starts import MANY
from freeness.torch.record.signals import WeightSignal, realised_neurons, realised_signals, weight_signals
from freeness.torch.record.tracing import Trace, trace
from freeness.torch.request.analyze_options import OWN, AnalyzeOptions
from freeness.torch.request.batch_loss import aimed, no_own_loss
from freeness.torch.request.data_note import data_note
from freeness.torch.request.load import device_of
from freeness.torch.request.mode_note import in_mode, listed
from freeness.torch.request.model_loss import OwnLoss, own_loss
from freeness.torch.request.packing import numbers_in, packed
from freeness.torch.request.stages import Lost, Stages, stages_of
from freeness.torch.request.trained import train_what_is_stepped, trained_note
from freeness.torch.request.user_data import batch_of, label_argument, rows_apart
from freeness.torch.start.architecture import has_recipe
from freeness.torch.start.copied_weights import copies_note
from freeness.training import Curvature, Objective, Rate, measured_rate

_LOG = logging.getLogger(__name__)
_THEORY = 0.15  # of the time left, for theory of the layers, or freeness, at most: nobody knows how long they take


def analyze(
    model: nn.Module,
    data: object,
    options: AnalyzeOptions | None = None,
    *,
    loss: GivenLoss | None = None,
    optimizer: GivenOptimizer | None = None,
    progress: Report | bool | None = None,
) -> Analysis:
    """Predict and measure the spectra of a model at one sample, judge it, and bound its learning rate on a batch.

    Measured is the mode that training will use, see :class:`~freeness.torch.AnalyzeOptions`. The model is left exactly as it was:
    weights, gradients, buffers, modes, random state.

    Args:
        model: any nn.Module. Where theory does not cover it, the spectra are measured alone and the operations
            that are in the way are listed in ``uncovered``. Of tokens the Jacobian is that of their embedding. More than 4096
            eigenvalues are not computed but estimated. Where no learning rate follows, the rest stands and its reason says why.
        data: what :func:`~freeness.torch.batch_of` takes, with targets that fit the loss: (inputs, targets), samples first;
            ((first, second), targets) for several inputs; a dict for ``model(**batch)`` with its labels; a DataLoader, of which
            the first batches are taken. The Jacobian of several inputs is that of all of them.
        options: what to look at.
        loss: overrides that of the options; that of the model where both are left out and it returns one, else "cross_entropy".
        optimizer: overrides that of the options.
        progress: True shows a bar; a function is called before every stage, as ``print``.

    Raises:
        InputError: the model, the data or the options do not fit; one sentence says what to do.

    Example:
        >>> import torch
        >>> from freeness.network import mlp
        >>> from freeness.torch import build
        >>> generator = torch.Generator().manual_seed(0)
        >>> model = build(mlp(4, [20, 60, 60, 60, 5], "hardtanh"), generator)
        >>> inputs = 0.3 * torch.randn(32, 20, generator=generator)
        >>> report = analyze(model, (inputs, inputs[:, :5]), loss="half_squared_error")
        >>> report.verdict.phase
        'critical'
    """
    options = options or AnalyzeOptions()
    options = replace(
        options,
        loss=options.loss if loss is None else loss,
        optimizer=options.optimizer if optimizer is None else optimizer,
    )
    try:
        return _answered(model, data, options, progress)
    except InputError as error:
        if not is_of_graph(error):
            raise
    with differentiated(model):
        try:
            return _answered(model, data, options, progress)
        except InputError as error:
            if not is_of_graph(error) or RESIDUALS in str(error):
                raise
            raise InputError(
                f"expected a model whose forward differentiates by its inputs at most, got {type(model).__name__}, which does by "
                "its weights, as an inner loop of training; find_rate, transfer and Watch take it."
            ) from error


def _answered(model: nn.Module, data: object, options: AnalyzeOptions, progress: Report | bool | None) -> Analysis:
    begun, given = time.monotonic(), options.loss
    model, pair, options = _taken(model, data, options)
    with followed(progress) as report, loss_kept(given, model):
        return _analyzed(model, pair, options, Stages(stages_of(options.parts), options.budget, report, begun))


def _analyzed(model: nn.Module, pair: tuple[Tensor, Tensor], options: AnalyzeOptions, stages: Stages) -> Analysis:
    kept, given = untouched(model, training=options.training), rows_apart(model, pair[0])
    with given, kept, _on_device(model, options.device), _within_range(), same_buffers(model), threads_kept():
        train_what_is_stepped(model, options.optimizer)
        inputs, targets = _checked(model, pair, options)
        fitted = _fitted(model, (inputs, targets), options)
        options, notes = in_mode(model, inputs, options)
        notes += trained_note(model) + loss_note(fitted[0], (inputs, targets), fitted[1])
        wanted = min(options.samples, len(inputs)) if is_coupled(model, options.training) else 0
        found = _found(model, (inputs, targets), fitted, options, stages)
    stages.end()
    notes += _shorter_note(found.learning_rate, stages)
    return replace(
        found,
        learning_rate=of_fewer(found.learning_rate, wanted),
        verdict=replace(found.verdict, warnings=found.verdict.warnings + notes),
        title=options.title or type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        data=options.data or f"{len(inputs)} samples",
        sample=options.sample,
        seed=options.seed,
        dtype=str(next(model.parameters()).dtype).removeprefix("torch."),
        targets=options.stand_in,
        weights=options.weights,
        stages=tuple(stages.finished),
    )


def _found(
    model: nn.Module, data: tuple[Tensor, Tensor], fitted: _Fitted, options: AnalyzeOptions, stages: Stages
) -> Analysis:
    """What the stages find, each by itself."""
    inputs, targets = data
    sample, passes = inputs[options.sample], options.passes
    traced = stages.needed("read the model", lambda: trace(model, sample[None], options.output))
    length = 0 if "curvature" not in stages.wanted else places_of(traced.model, inputs, targets)
    traced, note = _planned(traced, data, options, stages, length)
    few = stages.planned(WATCH).samples or min(options.samples, len(inputs))
    watching = lambda: _watched(traced, (inputs[:few], targets[:few]), fitted, options.training, stages)  # noqa: E731
    modules = stages.run(WATCH, watching, note=note)
    signals = stages.run("forward signals", lambda: _signals(traced, sample))
    predicted = stages.run("predict spectra", lambda: solved_or_drawn(traced, signals, sample, stages, passes))
    first, second, reason, *_ = Predicted(None, None, predicted.reason) if isinstance(predicted, Lost) else predicted
    plan = stages.planned("measure Jacobian")
    jacobian_of = partial(jacobian_or_lost, traced, sample, plan, passes)
    jacobian = compared(first, stages.run(plan.name, jacobian_of), "" if first else reason, stages)
    plan = stages.planned("measure Fisher")
    detail = detail_of(traced, sample, plan, passes) if plan.name in stages.wanted else ""
    fisher_of = partial(measured_fisher, traced, sample, plan, passes)
    fisher = compared(second, stages.run(plan.name, fisher_of, detail), reason, stages)
    freeness = stages.run("test freeness", lambda: _freeness(traced, sample, stages.within(_THEORY)))
    batch = min(options.samples, len(inputs))
    together = is_coupled(traced.model, options.training)
    stages.amend(hurried(stages.planned("curvature"), stages.least, batch, length, together))
    curved = lambda: batch_curvature(traced, (inputs, targets), options, stages)  # noqa: E731
    curvature = stages.run("curvature", curved, vital=True)
    if isinstance(curvature, Lost):
        curvature = no_rate(f"No learning rate: {curvature.reason}.", batch, options)
    if stages.again("measure Jacobian"):
        jacobian = compared(first, stages.run("measure Jacobian", jacobian_of), "" if first else reason, stages)
    if stages.again("measure Fisher"):
        fisher = compared(second, stages.run("measure Fisher", fisher_of, detail), reason, stages)
    rows = () if isinstance(signals, Lost) else _rows(traced, signals, sample)
    layers = LayerTable() if isinstance(modules, Lost) else modules
    judged = _judged(traced, (rows, layers), (jacobian, fisher), (inputs, options, stages))
    return Analysis(
        title="",
        layers=layers,
        jacobian=jacobian,
        fisher=fisher,
        learning_rate=_rate(curvature, traced.outputs, second, grave_phase(rows), options),
        verdict=judged,
        uncovered=_uncovered(traced, predicted),
        parameters=0,
        data="",
        sample=0,
        seed=0,
        dtype="",
        freeness=FreenessOutcome(None, freeness.reason) if isinstance(freeness, Lost) else freeness,
        chain=rows,
    )


def _planned(
    traced: Trace, data: tuple[Tensor, Tensor], options: AnalyzeOptions, stages: Stages, length: int
) -> tuple[Trace, str]:
    """Plan the stages: what they need not find out again, and the sentence that says what they will take."""
    (inputs, targets), budget = data, Budget(options.budget, options.memory)
    begun = min(len(targets), MANY) if begins(traced, targets, options) else 0
    coupled, parted = is_coupled(traced.model, options.training), options.training is False
    samples = min(options.samples, len(targets))
    given = samples, budget, stages.wanted, coupled, parted, begun, length
    asked = Request(*given, inputs[:samples], options.training)
    one = counted_pass(traced, inputs[options.sample])
    fit_threads(one, samples)
    found = forecast(traced, inputs[options.sample], asked, one)
    spectra = ("measure Jacobian", "measure Fisher") if options.passes else ()
    plan = {name: replace(s, way="exact", effort=0) if name in spectra else s for name, s in found.plan.items()}
    stages.follow(plan, found.pace)
    return replace(traced, written=found.written), told(*stages.forecast)


def _shorter_note(rate: Rate, stages: Stages) -> tuple[str, ...]:
    length = stages.planned("curvature").length
    if not length or not math.isfinite(rate.sharpness):
        return ()
    return (
        f"λ and the learning rate are those of the first {length} places of {rate.batch} samples, which is what the time allows; "
        "raise it (budget=…, --budget) for whole sequences.",
    )


def _watched(
    traced: Trace, data: tuple[Tensor, Tensor], fitted: _Fitted, training: bool | None, stages: Stages
) -> LayerTable | Lost:
    """What every module does to signal and gradient of a batch, in the mode of the curvature; it never costs the rest."""
    (x, y), (one, loss), seen = data, fitted, list[Tensor]()
    criterion = loss_function(loss)

    def value() -> Tensor:
        outputs = run(one, x)
        seen.append(outputs.detach())
        return criterion(outputs, y)

    try:
        with fixed_masks(traced.model):
            table = observe(traced.model, value, training=training)
            outputs = OutputLoss(seen[0], lambda found: criterion(found, y))
    except (InputError, ArithmeticError, MemoryError, RuntimeError) as error:
        return Lost(str(error) if isinstance(error, InputError) else brief(error))
    if isinstance(one, Whole):  # theory knows one output
        return table
    deadline = stages.within(_THEORY)
    try:
        with cut_off(deadline):
            return with_theory(table, traced, x, outputs, training=training)
    except (InputError, ArithmeticError, MemoryError, RuntimeError, TimeUp) as error:
        _LOG.info("no theory of the layers: %s", brief(error))
        why = stages.cut(deadline) if isinstance(error, TimeUp) else f"it stopped with {brief(error)}."
        return replace(table, refused=why)


def _judged(
    traced: Trace,
    known: tuple[tuple[LayerRow, ...], LayerTable],
    spectra: tuple[Comparison, Comparison],
    asked: tuple[Tensor, AnalyzeOptions, Stages],
) -> Verdict:
    """The verdict with one first step, and with what speaks against the data."""
    inputs, options, stages = asked
    if traced.is_chain:
        rows, growth = known[0], known[1].gradient_growth
        told = stages, options.source
        judged = with_design(verdict(rows, *spectra, growth), traced.network, rows, growth, told)
    else:
        judged = _measured_verdict(*spectra, options)
        if judged.advice and not has_recipe(traced.model, inputs):
            judged = replace(judged, advice=(_NO_START,))
    notes = silence_note(*(each.measured for each in spectra))
    notes += data_note(numbers_in(traced.model, inputs), options.stand_in)
    return replace(judged, warnings=copies_note(traced.model) + judged.warnings + notes)


def _rate(
    found: Curvature | Rate,
    outputs: int,
    fisher: Prediction | None,
    phase: str | None,
    options: AnalyzeOptions,
) -> Rate:
    if isinstance(found, Rate):
        return found
    rate = measured_rate(found, options.criterion, options.descent, outputs, fisher, phase)
    return replace(rate, trials=options.trials or trials_call(options)) if rate.wide else rate


@contextmanager
def _within_range() -> Iterator[None]:
    """Spectra are squares of weights' products, and their variances fourth powers: beyond 1e308 there are none."""
    try:
        with np.errstate(over="raise"):
            yield
    except (OverflowError, FloatingPointError) as error:
        raise InputError(
            "expected spectra whose variance is below 1e308, got an overflow; scale the weights or the input down."
        ) from error


def _signals(traced: Trace, sample: Tensor) -> Signals | NeuronSignals | None:
    """What theory needs of the forward pass; None where it does not cover the model."""
    if traced.is_chain and traced.network.is_sequence:  # and none of its weights stands twice
        _check_widths(traced.network)
        return realised_signals(traced, sample)
    return realised_neurons(traced, sample) if traced.covered else None


def _rows(traced: Trace, signals: Signals | NeuronSignals | None, sample: Tensor) -> tuple[LayerRow, ...]:
    if isinstance(signals, Signals):
        return layer_rows(traced.network, signals)
    if signals is None:
        return ()
    passed, behind = weight_signals(traced, sample), _activations(traced.network)
    return tuple(_row(index, *both) for index, both in enumerate(zip(passed, behind, strict=True), 1))


def _activations(network: Network) -> list[str | None]:
    """Of every weight layer the activation that reads it; None where another operation does, or several do."""
    found: list[str | None] = []
    for node in network.nodes:
        if isinstance(node.operation, Weights):
            readers = [reader.operation for reader in network.readers(node.name)]
            alone = readers[0] if len(readers) == 1 else None
            found.append(alone.function.name if isinstance(alone, Activation) else None)
    return found


def _row(index: int, passed: WeightSignal, activation: str | None) -> LayerRow:
    """A weight layer by itself, in a network that is no chain: χ is not that of one path."""
    layer = passed.layer
    fan_in, fan_out = layer.entries, layer.sizes[1]
    return LayerRow(
        index=index,
        name=layer.name,
        fan_in=fan_in,
        fan_out=fan_out,
        weights=type(layer.weights).__name__.lower(),
        sigma_w=layer.weights.sigma_w,
        sigma_b=layer.sigma_b,
        qhat=float(passed.given.square().mean()),
        q=float(passed.returned.square().mean()),
        activation=activation,
        chi=None,
        delta=None,
        atoms=(),
        weight_spread=weight_spread(layer.weights, fan_in, fan_out),
    )


def _measured_verdict(jacobian: Comparison, fisher: Comparison, options: AnalyzeOptions) -> Verdict:
    """Of a model that is no chain: what was measured, without a phase."""
    judged = verdict((), jacobian, fisher)
    if jacobian.measured is None:
        sentence = f"The input–output Jacobian was not measured: {jacobian.missing}."
        return replace(judged, phase=None, isometric=False, isometry=None, sentences=(sentence,), advice=())
    law = jacobian.measured.law
    spread = f"{law.variance / law.mean**2:.3g}" if law.mean > 0 else "undefined"
    sentence = (
        f"Measured: the squared singular values of the input–output Jacobian have mean {law.mean:.3g} and relative variance "
        f"{spread}. Phase and isometry are judged of chains of fully connected layers only."
    )
    advice = (
        "Theory has no better start for this model. Measure the usual one of its architecture beside it: gradients pass more "
        "evenly where the relative variance of JJᵀ is smaller.",
        *(CODE + line for line in _again(options)),
    )
    return replace(judged, phase=None, isometric=False, isometry=None, sentences=(sentence,), advice=advice)


_NO_START = "Neither theory nor a published recipe has a start for this model: keep its own."


def _again(options: AnalyzeOptions) -> tuple[str, ...]:
    """What starts the model in another way and measures it again, line by line."""
    if not options.source:
        given = 'initialize_(model, "auto", options=InitializeOptions(data=data))'
        return (f"from freeness.torch import InitializeOptions, initialize_; {given}",)
    named = shlex.quote(options.source)
    named += f" --data {shlex.quote(options.data_source)}" if options.data_source else ""
    asked = options.asked and f" {options.asked}"
    return f"freeness design --apply {named} --save start.pt", f"freeness analyze {named}{asked} --weights start.pt"


def _uncovered(traced: Trace, predicted: Predicted | Lost) -> tuple[str, ...]:
    """Why there is no prediction; then operations without theory, those alike in one line.

    Where theory knows them all and the law could not be solved for, they are not what is in the way.
    """
    lost = isinstance(predicted, Lost)
    whole = not lost and None not in (predicted.jacobian, predicted.fisher)
    known = traced.covered or (may_take_given_maps(traced) if lost else takes_given_maps(traced))
    if not whole and known and (lost or not predicted.refused):
        return () if lost else (predicted.reason,)
    lines, reason = _lines(traced, predicted=whole), predicted.reason
    told = traced.covered or not lines or (not lost and predicted.drawn)
    first = (reason,) if reason and reason not in lines and told else ()
    return first + lines


def _lines(traced: Trace, *, predicted: bool) -> tuple[str, ...]:
    """Operations that theory does not cover, those alike in one line."""
    places: dict[tuple[str, str], list[str]] = {}
    for operation in gaps(traced, predicted=predicted):
        places.setdefault((operation.operation, operation.reason), []).append(operation.path or "forward")
    return tuple(f"{operation} in {listed(paths)}: {why}" for (operation, why), paths in places.items())


class _on_device:
    """The model on ``device`` inside the block, and back where it was afterwards."""

    def __init__(self, model: nn.Module, device: str) -> None:
        self.model, self.device = model, device_of(device)
        self.home = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))

    def __enter__(self) -> None:
        if self.home != self.device:
            self.model.to(self.device)

    def __exit__(self, *_: object) -> None:
        if self.home != self.device:
            self.model.to(self.home)


def _taken(
    model: nn.Module, data: object, options: AnalyzeOptions
) -> tuple[nn.Module, tuple[Tensor, Tensor], AnalyzeOptions]:
    """A model of one tensor with its inputs and targets; the batch size is that of a loader where none is asked for."""
    if not isinstance(model, nn.Module):
        raise InputError(f"expected an nn.Module, got {type(model).__name__}; pass the model itself.")
    check_measurable(model)
    model = uncompiled(model)
    pair = isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data)
    if pair and isinstance(data, tuple | list) and len(required_arguments(model)) < 2 and not label_argument(model, 1):
        return model, (data[0], data[1]), options
    batch = batch_of(data, model)
    asked = isinstance(options.loss, str) and options.loss == OWN
    owned = own_loss(model, batch, options.output) if asked or options.loss is None else None
    size = batch.size if options.batch is None else options.batch
    options = replace(options, batch=size, data=options.data or batch.described)
    if owned is not None:
        if not batch.labels:  # the loss takes none
            options = replace(options, stand_in="")
        options = replace(options, loss=owned.loss, trials=options.trials or trials_call(options))
        return owned.model, (owned.inputs, owned.targets), options
    if asked:
        raise no_own_loss(model)
    targets = batch.targets
    if targets is None:
        targets, loss = aimed(model, batch, options.criterion, options.output)
        options = replace(options, loss=loss)
    if batch.several is not None:
        options = replace(options, loss=loss_of_several(options.loss, batch.several))
    one, rows = packed(model, batch)
    return one, (rows, targets), options


def _checked(model: nn.Module, data: tuple[Tensor, Tensor], options: AnalyzeOptions) -> tuple[Tensor, Tensor]:
    inputs, targets = data
    check_dense(inputs, "as inputs")
    check_dense(targets, "as targets")
    if inputs.is_complex() or targets.is_complex():
        raise InputError(
            "expected real inputs and targets, got complex ones; pass real and imaginary parts as features."
        )
    if inputs.ndim < 2:
        raise InputError(f"expected inputs of shape (samples, …), got {tuple(inputs.shape)}; add a leading dimension.")
    if len(inputs) == 0:
        raise InputError(f"expected at least one sample, got inputs of shape {tuple(inputs.shape)}; pass some.")
    if not (isinstance(options.sample, int) and 0 <= options.sample < len(inputs)):
        raise InputError(f"expected a sample index from 0 to {len(inputs) - 1}, got {options.sample}.")
    if options.samples < 1:
        raise InputError(f"expected a batch of at least one sample, got {options.samples}.")
    parameters = list(model.parameters())
    if not parameters:
        raise InputError("expected a model with parameters, got none; there is nothing to analyse.")
    parameter = next((one for one in parameters if one.is_floating_point()), parameters[0])
    _ = options.criterion, options.descent  # refuse what they do not know
    device = torch.device(options.device)
    moved = targets.to(device) if not targets.is_floating_point() else targets.to(device, parameter.dtype)
    return _fed(model, inputs.to(device), parameter.dtype), moved


_Fitted = tuple[nn.Module, Objective]
"""The model as one of one tensor, and the loss of that."""


def _fitted(model: nn.Module, data: tuple[Tensor, Tensor], options: AnalyzeOptions) -> _Fitted:
    """Model and loss; targets that do not fit are refused before the spectra are measured."""
    inputs, targets = (part[: options.samples] for part in data)
    if len(inputs) != len(targets):
        raise InputError(f"expected a target for each of {len(inputs)} inputs, got {len(targets)}; pass as many.")
    one, loss = adapted(model, (inputs, targets), options.criterion, options.output)
    alike = not isinstance(loss, OwnLoss | WrittenLoss)  # one sample's outputs tell what fits
    with untouched(one, copies=False), torch.no_grad():
        for x, y in zip(inputs.split(CHUNK), targets.split(CHUNK), strict=True):
            outputs = run(one, x[:1] if alike else x)
            check_dense(outputs, "as outputs")
            spread = alike and outputs.ndim > 0 and len(outputs) == 1
            check_targets(outputs.expand(len(x), *outputs.shape[1:]) if spread else outputs, y, loss)
    return one, loss


def _fed(model: nn.Module, inputs: Tensor, dtype: torch.dtype) -> Tensor:
    """The inputs in the model's dtype; whole numbers as they are where it takes tokens only."""
    converted = inputs.to(dtype)
    if inputs.is_floating_point():
        return converted
    try:
        with untouched(model, copies=False), torch.no_grad():
            run(model, converted[:1])
    except InputError:
        return inputs
    return converted


def _check_widths(network: Network) -> None:
    narrow = [layer.name for layer in network.dense[:-1] if layer.fan_out < 2]
    if narrow:
        raise InputError(
            f"expected hidden layers of at least 2 neurons, got width 1 in {', '.join(map(repr, narrow))}; a spectrum of one "
            "neuron has no theory, so widen the layer."
        )


def _freeness(traced: Trace, sample: Tensor, deadline: float) -> FreenessOutcome:
    """The freeness test, or the reason why there is none: it never costs what was measured before it."""
    start = time.perf_counter()
    if not (traced.is_chain or traced.complete):
        return FreenessOutcome(None, "the model has no record of its operations")
    try:
        with cut_off(deadline):
            test = freeness_test(traced, sample)
    except (InputError, ArithmeticError, MemoryError, RuntimeError) as error:
        _LOG.info("no freeness test: %s", error)
        first = str(error).splitlines()[:1] or [type(error).__name__]
        return FreenessOutcome(None, first[0], time.perf_counter() - start)
    return FreenessOutcome(test, "", time.perf_counter() - start)
