"""What an analysis measures for the learning rate; where none follows, the reason, at no cost to the rest."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from freeness.advice import Training, batch_learning_rate
from freeness.advice.analysis import LearningRate
from freeness.advice.learning_rate import PRECONDITIONED, Curvature, StartRate
from freeness.advice.start_rate import start_rate
from freeness.errors import ConvergenceError, FreenessError, InputError
from freeness.meanfield import has_closed_covariance
from freeness.network import Activation
from freeness.torch.curvature import AdamOptions, CurvatureOptions, adam_preconditioner, batch_sharpness
from freeness.torch.outputs import run, select_output
from freeness.torch.start_facts import start_facts
from freeness.torch.trace import Trace

if TYPE_CHECKING:
    from freeness.torch.analyze import AnalyzeOptions

_LOG = logging.getLogger(__name__)
_TRIED = 3_000_000  # parameters up to which the law of the trials is trusted, and quick
_DEEP = 20  # weight matrices up to which the kernel of smooth activations takes a second or two
_FLAT = 10.0  # roundings of 1 within which a probability is 1


def batch_curvature(
    traced: Trace, inputs: Tensor, targets: Tensor, options: AnalyzeOptions
) -> Curvature | LearningRate:
    """λ of the batch with what belongs to it, or why there is no learning rate: it never costs what was measured before it."""
    model, batch = one_output(traced), min(options.samples, len(inputs))
    x, y = inputs[:batch], targets[:batch]
    try:
        scale = None
        if options.optimizer in PRECONDITIONED:
            scale = adam_preconditioner(model, inputs, targets, options.loss, AdamOptions(training=options.training))
        how = CurvatureOptions(preconditioner=scale, training=options.training)
        found = batch_sharpness(model, x, y, options.loss, how)
        flat = _flat(model, x, found.value, options)
        if flat:
            return _no_rate(flat, batch, options, found.value, found.residual)
        start = _start(model, (inputs, targets), options)
        return Curvature(found.value, found.residual, batch, start, _predicted_sharpness(traced, x, options))
    except (FreenessError, ArithmeticError, MemoryError, RuntimeError) as error:
        _LOG.info("no learning rate: %s", error)
        first = str(error).splitlines()[:1] or [type(error).__name__]
        return _no_rate(f"No learning rate: {first[0]}", batch, options)


def one_output(traced: Trace) -> nn.Module:
    """The model, returning the tensor that is looked at."""
    return traced.model if not traced.output else _Selected(traced.model, traced.output)


class _Selected(nn.Module):
    def __init__(self, model: nn.Module, output: str) -> None:
        super().__init__()
        self.model, self.output = model, output
        self.training = model.training

    def forward(self, x: Tensor) -> Tensor:
        return select_output(self.model(x), self.output)[1]


def _flat(model: nn.Module, x: Tensor, sharpness: float, options: AnalyzeOptions) -> str:
    """Why λ is nothing to go by; "" where it is."""
    if options.loss == "cross_entropy":
        with torch.no_grad():
            outputs = run(model.eval(), x).float()
        least = float(outputs.softmax(1).amax(1).min()) if outputs.shape[1] > 1 else 0.0
        if least >= 1 - _FLAT * torch.finfo(torch.float32).eps:
            return (
                f"No learning rate: the softmax is saturated at all {len(x)} samples (outputs of up to "
                f"{float(outputs.abs().max()):.3g} give one class the probability 1 within rounding), so the loss has no "
                "curvature that could bound a rate; scale the inputs or the last layer down."
            )
    if sharpness > 0:
        return ""
    return (
        f"No learning rate: λ is {sharpness:.3g} on {len(x)} samples, so the outputs do not depend on the parameters here; "
        "repair the initialisation or the inputs."
    )


def _no_rate(
    reason: str, batch: int, options: AnalyzeOptions, sharpness: float = math.nan, error: float = math.nan
) -> LearningRate:
    return LearningRate(math.nan, math.nan, reason, sharpness, error, None, options.loss, options.optimizer, batch)


def _predicted_sharpness(traced: Trace, inputs: Tensor, options: AnalyzeOptions) -> float | None:
    """By the tangent kernel of these inputs; None where there is none, or where it takes long."""
    if not traced.is_chain or options.optimizer in PRECONDITIONED or traced.network.depth > _DEEP:
        return None
    functions = [layer.function for layer in traced.network.layers if isinstance(layer, Activation)]
    if any(function.kinks and not has_closed_covariance(function) for function in functions):
        return None
    points = inputs.detach().double().cpu().numpy()
    try:
        how = Training(options.loss, options.optimizer, batch=len(points))
        return batch_learning_rate(traced.network, points, how).sharpness
    except (InputError, ConvergenceError) as error:
        _LOG.info("no batch sharpness by theory: %s", error)
        return None


def _start(model: nn.Module, data: tuple[Tensor, Tensor], options: AnalyzeOptions) -> StartRate | None:
    """The rate to start from by the law of the trials; None for what they did not cover: training mode and large models."""
    size = sum(parameter.numel() for parameter in model.parameters())
    if options.training or size > _TRIED:
        return None
    measured = "adam" if options.optimizer in PRECONDITIONED else options.optimizer  # adamw has the same preconditioner
    facts = start_facts(model, data, options.loss, measured, batch=options.samples)
    return start_rate(facts, options.loss, options.optimizer) if min(facts.sharpness, facts.reach) > 0 else None
