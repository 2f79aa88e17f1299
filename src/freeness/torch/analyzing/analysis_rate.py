"""What an analysis measures for the learning rate; where none follows, the reason, at no cost to the rest."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from freeness.advice import Stage, Training, batch_learning_rate
from freeness.errors import ConvergenceError, FreenessError, InputError, brief
from freeness.meanfield import has_closed_covariance
from freeness.network import Activation
from freeness.torch.analyzing.shorter import shortened
from freeness.torch.loss.adapted import adapted
from freeness.torch.loss.class_losses import ClassLoss, probabilities
from freeness.torch.loss.losses import loss_function
from freeness.torch.measured.curvature import AdamOptions, CurvatureOptions, adam_preconditioner, batch_sharpness
from freeness.torch.measured.curvature_estimate import Effort, estimated_sharpness
from freeness.torch.measured.plan import BEGINNING, REHEARSAL, coarse_products, coarse_samples
from freeness.torch.model.modes import fixed_masks, is_coupled
from freeness.torch.model.outputs import run
from freeness.torch.model.pace import TimeUp
from freeness.torch.model.state import trained_parameters, untouched
from freeness.torch.rate.rehearsal import Room, rehearsed, untried
from freeness.torch.rate.starts import rate_facts
from freeness.torch.rate.untried import TRIED
from freeness.torch.record.tracing import Trace
from freeness.torch.request.analyze_options import AnalyzeOptions
from freeness.torch.request.stages import Stages
from freeness.training import SGD, Adam, CrossEntropy, Curvature, Loss, Rate, SquaredError, start_rate

_LOG = logging.getLogger(__name__)
_DEEP = 20  # weight matrices up to which the kernel of smooth activations takes a second or two
_FLAT = 10.0  # roundings of 1 within which a probability is 1


def batch_curvature(
    traced: Trace,
    data: tuple[Tensor, Tensor],
    options: AnalyzeOptions,
    stages: Stages,
) -> Curvature | Rate:
    """λ of the batch with what belongs to it, or why there is no learning rate: it never costs what was measured before it.

    ``stages``: what is planned for λ, for that of many samples, and for trials of the rate.
    """
    plan, (inputs, targets) = stages.planned("curvature"), data
    batch = plan.samples or min(options.samples, len(inputs))
    whole, x, y = traced.model, inputs[:batch], targets[:batch]
    try:
        if plan.length:
            whole, x, y = shortened(whole, x, y, plan.length)
            inputs, targets = x, y
        model, loss = adapted(whole, (x, y), options.criterion, options.output)
        options = replace(options, loss=loss)
        scale, descent = None, options.descent
        if isinstance(descent, Adam):
            averaged = AdamOptions(epsilon=descent.epsilon, training=options.training)
            scale = adam_preconditioner(model, inputs, targets, options.criterion, averaged)
        elif descent.preconditioned:
            raise InputError(
                f"expected an optimizer whose preconditioner is measured, got {descent}; take adam or sgd."
            )
        how = CurvatureOptions(preconditioner=scale, training=options.training)
        value, error, batch = _sharpness(model, (x, y), how, options, plan)
        flat = _flat(model, (x, y), value, options)
        if flat:
            return no_rate(flat, batch, options, value, error)
        many = stages.planned(BEGINNING).way == "exact" and begins(traced, targets, options)
        start = _start(model, (inputs, targets), options, value, many=many)
        if start is not None:
            start = _tried(model, (inputs, targets), options, start, stages)
        return Curvature(value, error, batch, start, _predicted_sharpness(traced, x, options))
    except (FreenessError, ArithmeticError, MemoryError, RuntimeError) as error:
        _LOG.info("no learning rate: %s", error)
        first = str(error).splitlines()[:1] or [type(error).__name__]
        return no_rate(f"No learning rate: {first[0]}", batch, options)


def _tried(model: nn.Module, data: tuple[Tensor, Tensor], options: AnalyzeOptions, start: Rate, stages: Stages) -> Rate:
    """The rate behind its trial; as it was where that cannot be run, which it says."""
    planned = stages.planned(REHEARSAL)
    room = Room(planned.effort, stages.refusal(planned), stages.late)
    try:
        return rehearsed(model, data, (options.criterion, options.descent), start, room=room, training=options.training)
    except (FreenessError, ArithmeticError, MemoryError, RuntimeError, ValueError) as error:
        return untried(start, f"steps of training stopped with {brief(error)}")


def _sharpness(
    model: nn.Module, data: tuple[Tensor, Tensor], how: CurvatureOptions, options: AnalyzeOptions, plan: Stage
) -> tuple[float, float, int]:
    """λ and its error, as planned, and of how many samples it is."""
    if plan.way == "exact":
        found = batch_sharpness(model, *data, options.criterion, how)
        return found.value, found.residual, len(data[0])
    coarse = 0 if is_coupled(model, how.training) else coarse_products(plan.effort)
    effort = Effort(plan.effort, coarse, coarse_samples(len(data[0])), plan.part or None)
    estimate = estimated_sharpness(model, *data, options.criterion, how, effort)
    return estimate.value, estimate.error, estimate.samples


def _flat(model: nn.Module, data: tuple[Tensor, Tensor], sharpness: float, options: AnalyzeOptions) -> str:
    """Why λ is nothing to go by; "" where it is."""
    x, y = data
    if isinstance(options.criterion, CrossEntropy | ClassLoss):
        largest = _saturated(model, x, y)
        if largest is not None:
            return (
                f"No learning rate: the softmax is saturated at all {len(x)} samples (outputs of up to {largest:.3g} give one "
                "class the probability 1 within rounding), so the loss has no curvature. Scale the inputs or the last layer down."
            )
    if sharpness > 0:
        return ""
    if _descends(model, data, options):
        return (
            f"No learning rate: λ is {sharpness:.3g} on {len(x)} samples, for the loss is not curved in the outputs, as sums "
            "of absolute errors, margins or logarithms are not. freeness rate, or find_rate in Python, finds one by trials."
        )
    return (
        f"No learning rate: λ is {sharpness:.3g} on {len(x)} samples, so the outputs do not depend on the parameters here, "
        "or the loss is not curved in the outputs. Repair the initialisation or the inputs, or take another loss."
    )


def _descends(model: nn.Module, data: tuple[Tensor, Tensor], options: AnalyzeOptions) -> bool:
    """Whether the loss has a slope in the parameters."""
    with untouched(model, training=options.training), fixed_masks(model), torch.enable_grad():
        parameters = list(trained_parameters(model).values())
        for parameter in parameters:
            parameter.requires_grad_()
        value = loss_function(options.criterion)(run(model, data[0]), data[1])
        if not value.requires_grad:
            return False
        return any(bool(g.any()) for g in torch.autograd.grad(value, parameters, materialize_grads=True))


def _saturated(model: nn.Module, x: Tensor, y: Tensor) -> float | None:
    """The largest output, where one class has the probability 1 at all places of all samples; one sample may tell that not."""
    largest = 0.0
    with untouched(model, copies=False), torch.no_grad():
        for some, wanted in ((x[:1], y[:1]), (x, y)):
            outputs = run(model, some).float()
            if float(probabilities(outputs, wanted).amax(1).min()) < 1 - _FLAT * torch.finfo(torch.float32).eps:
                return None
            largest = float(outputs.abs().max())
    return largest


def no_rate(
    reason: str, batch: int, options: AnalyzeOptions, sharpness: float = math.nan, error: float = math.nan
) -> Rate:
    """A rate that is not known, and why."""
    return Rate(
        recommended=math.nan,
        bound=math.nan,
        sharpness=sharpness,
        sharpness_error=error,
        reason=reason,
        loss=options.criterion.name,
        optimizer=options.descent.name,
        batch=batch,
    )


def trials_call(options: AnalyzeOptions) -> str:
    """The call that finds the rate by trials: names as they were given, and what has none as the user's own variable."""
    given = {"loss": options.loss, "optimizer": options.optimizer}
    named = [
        f"{name}={value!r}" if isinstance(value, str) else f"{name}={name}" for name, value in given.items() if value
    ]
    sized = "" if options.batch is None else f"FindOptions(batch={options.batch}), "
    names = "find_rate" if options.batch is None else "FindOptions, find_rate"
    return f"from freeness.torch import {names}; print(find_rate(model, data, {sized}{', '.join(named)}))"


def of_fewer(rate: Rate, wanted: int) -> Rate:
    """Said in its reason, where samples see each other and λ is that of fewer than ``wanted``: it is another number then.

    Example:
        >>> rate = Rate(0.1, 1.0, 2.0, "By λ.", "mse", "sgd", batch=8)
        >>> of_fewer(rate, 8).reason, of_fewer(rate, 16).reason.split(". ")[1]
        ('By λ.', 'The budget allowed 8 of the 16 samples, and batch normalisation takes the statistics of these')
    """
    if not rate.known or rate.batch >= wanted:
        return rate
    few = (
        f" The budget allowed {rate.batch} of the {wanted} samples, and batch normalisation takes the statistics of these. The "
        f"whole batch has another λ, so the rate may be off; raise the budget, or train with batches of {rate.batch}."
    )
    return replace(rate, reason=rate.reason + few)


def _predicted_sharpness(traced: Trace, inputs: Tensor, options: AnalyzeOptions) -> float | None:
    """By the tangent kernel of these inputs; None where there is none, or where it takes long."""
    descent, loss = options.descent, options.criterion
    if not (traced.is_chain and isinstance(descent, SGD) and isinstance(loss, Loss)) or traced.network.depth > _DEEP:
        return None
    functions = [layer.function for layer in traced.network.layers if isinstance(layer, Activation)]
    if any(function.kinks and not has_closed_covariance(function) for function in functions):
        return None
    points = inputs.detach().double().cpu().numpy()
    try:
        how = Training(loss, descent, batch=len(points))
        return batch_learning_rate(traced.network, points, how).sharpness
    except (InputError, ConvergenceError) as error:
        _LOG.info("no batch sharpness by theory: %s", error)
        return None


def begins(traced: Trace, targets: Tensor, options: AnalyzeOptions) -> bool:
    """Whether λ is measured on many samples for the rate: not of large models, other losses, several places."""
    size = sum(parameter.numel() for parameter in trained_parameters(traced.model).values())
    told = isinstance(options.descent, SGD | Adam) and isinstance(options.criterion, SquaredError | CrossEntropy)
    return told and size <= TRIED and _one_place(targets)


def _start(
    model: nn.Module, data: tuple[Tensor, Tensor], options: AnalyzeOptions, sharpness: float, *, many: bool
) -> Rate | None:
    """By the rule that was fitted to trained networks, with λ of many samples or the one at hand; None of other optimisers."""
    loss, descent = options.criterion, options.descent
    if not isinstance(descent, SGD | Adam):
        return None
    mode = options.training if is_coupled(model, options.training) else False  # λ does not ask for masks
    for known in (None, sharpness) if many else (sharpness,):
        try:
            facts = rate_facts(model, data, loss, descent, (options.samples, mode), known)
        except TimeUp:
            continue
        if facts.sharpness > 0:
            return start_rate(facts, loss, descent)
    return None


def _one_place(targets: Tensor) -> bool:
    """Whether there is one class a sample, none of them ignored, or numbers."""
    return targets.is_floating_point() or (targets.ndim == 1 and bool((targets >= 0).all()))
