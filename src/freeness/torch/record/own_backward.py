"""Backward passes of the user's own, as straight-through estimators have: a record knows the derivative of what is computed."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from freeness.torch.model.custom_functions import custom_functions
from freeness.torch.model.outputs import OutputKey, run, select_output
from freeness.torch.model.state import untouched
from freeness.torch.record.kinds import OTHER, TracedOperation
from freeness.torch.record.proof import run_record, together_in
from freeness.torch.record.reading import Reading

_CLOSE = 1e-3  # of the norm of a gradient
_OWN = "its backward pass is its own, and not the derivative of what it computes"


def with_right_slopes(model: nn.Module, reading: Reading, example: Tensor, output: OutputKey) -> Reading:
    """What was read of a model, without its record where a backward pass of its own gives another gradient than that has.

    Of tokens no gradient is compared.
    """
    if not (reading.steps and example.is_floating_point()):
        return reading
    with untouched(model, copies=list(model.buffers())), torch.inference_mode(False), torch.enable_grad():
        x = example.detach().clone().requires_grad_()
        outputs = select_output(run(model, x), output)[1]
        own = next(custom_functions(outputs.grad_fn), None)
        if own is None or _alike(reading, outputs, x):
            return reading
    name = type(own).__name__.removesuffix("Backward")
    parted = TracedOperation("", type(model).__name__, name, OTHER.name, "none", _OWN)
    refusal = f"expected operations with their own derivatives, got another one from {parted}; measure its spectrum."
    return replace(reading, steps=(), operations=(*reading.operations, parted), unproven=refusal)


def _alike(reading: Reading, outputs: Tensor, x: Tensor) -> bool:
    """Whether the record has the model's gradient in its input."""
    direction = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(outputs)
    (wanted,) = torch.autograd.grad(outputs, x, direction, materialize_grads=True)
    point = x.detach().clone().requires_grad_()
    found = run_record(reading.steps, reading.moves, point, together_in(reading, x), graph=True)
    if not found.requires_grad:
        return not bool(wanted.any())
    (slope,) = torch.autograd.grad(found.reshape(outputs.shape), point, direction, materialize_grads=True)
    return float((slope - wanted).norm()) <= _CLOSE * float(wanted.norm())
