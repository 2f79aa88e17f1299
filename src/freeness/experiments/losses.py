"""Losses of stacks and their gradients in the outputs, written out."""

from __future__ import annotations

from functools import singledispatch

import torch
from torch import Tensor

from freeness.errors import InputError
from freeness.training import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError, loss_of


def loss_and_pull(loss: Loss | str, outputs: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Each member's loss (M,), the mean over its batch, and its gradient (M, B, C) in the outputs; targets are one-hot.

    Outputs are (M, B, C), classes (M, B).

    Example:
        >>> value, pull = loss_and_pull("half_squared_error", torch.zeros(1, 1, 2), torch.tensor([[1]]))
        >>> value.tolist(), pull.tolist()
        ([0.5], [[[0.0, -1.0]]])
    """
    return stacked(loss_of(loss), outputs, classes)


@singledispatch
def stacked(loss: Loss, outputs: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """What :func:`loss_and_pull` says of one kind of loss; register that of your own."""
    raise InputError(f"expected a loss that sweeps train with, got {loss}; choose a squared error or cross_entropy.")


@stacked.register
def _(loss: SquaredError, outputs: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """h/2 Σe² with e = f - y has the gradient he/B."""
    members, batch, size = outputs.shape
    error = outputs.scatter_add(2, classes[:, :, None], outputs.new_full((members, batch, 1), -1.0))
    scale = loss.curvature(size) / batch
    return _total(error.square()) * (scale / 2), error * scale


@stacked.register
def _(loss: CrossEntropy, outputs: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """(softmax f - y)/B."""
    if loss.label_smoothing > 0:
        raise InputError("expected cross_entropy without label smoothing in a sweep, got some; leave it out.")
    batch = outputs.shape[1]
    chosen = torch.log_softmax(outputs, dim=2).gather(2, classes[:, :, None])
    pull = torch.softmax(outputs, dim=2).scatter_add(2, classes[:, :, None], torch.full_like(chosen, -1.0)) / batch
    return -_total(chosen) / batch, pull


@stacked.register
def _(loss: BinaryCrossEntropy, outputs: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """(p - y)/(BC) with p the logistic function."""
    _, batch, size = outputs.shape
    aims = torch.zeros_like(outputs).scatter_(2, classes[:, :, None], 1.0)
    values = torch.nn.functional.softplus(outputs) - aims * outputs
    return _total(values) / (batch * size), (outputs.sigmoid() - aims) / (batch * size)


def _total(values: Tensor) -> Tensor:
    """Sums over each member; a running sum adds in one order, however many members there are."""
    return values.reshape(len(values), -1).cumsum(dim=1)[:, -1]
