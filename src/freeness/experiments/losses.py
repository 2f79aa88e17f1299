"""Losses of stacks and their gradients in the outputs, written out."""

from __future__ import annotations

import torch
from torch import Tensor

from freeness.advice.learning_rate import Loss


def loss_and_pull(loss: Loss, outputs: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Each member's loss (M,), the mean over its batch, and its gradient (M, B, C) in the outputs.

    With y one-hot and e = f - y: ½Σe² has the gradient e/B, ½ mean e/(BC), torch's mean 2e/(BC); cross-entropy has (softmax f -
    y)/B.

    Args:
        loss: its name.
        outputs: (M, B, C).
        classes: (M, B).

    Example:
        >>> value, pull = loss_and_pull("half_squared_error", torch.zeros(1, 1, 2), torch.tensor([[1]]))
        >>> value.tolist(), pull.tolist()
        ([0.5], [[[0.0, -1.0]]])
    """
    members, batch, size = outputs.shape
    if loss == "cross_entropy":
        chosen = torch.log_softmax(outputs, dim=2).gather(2, classes[:, :, None])
        pull = torch.softmax(outputs, dim=2).scatter_add(2, classes[:, :, None], torch.full_like(chosen, -1.0)) / batch
        return -_total(chosen) / batch, pull
    error = outputs.scatter_add(2, classes[:, :, None], outputs.new_full((members, batch, 1), -1.0))
    scale = {"half_squared_error": 1.0, "half_mean_squared_error": 1 / size, "mse": 2 / size}[loss] / batch
    return _total(error.square()) * (scale / 2), error * scale


def _total(values: Tensor) -> Tensor:
    """Sums over each member; a running sum adds in one order, however many members there are."""
    return values.reshape(len(values), -1).cumsum(dim=1)[:, -1]
