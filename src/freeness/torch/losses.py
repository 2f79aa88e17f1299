"""The losses whose curvature is measured, all averaged over the batch, and the check of targets against outputs."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from freeness.errors import InputError

Loss = Literal["half_squared_error", "half_mean_squared_error", "mse", "cross_entropy"]


class HalfSquaredError(nn.Module):
    """½ Σ over outputs of (f - y)², averaged over the batch."""

    reduction = "mean"

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar from outputs and targets of the same shape (B, …)."""
        return 0.5 * (outputs - targets).square().sum() / len(outputs)


class HalfMeanSquaredError(nn.Module):
    """½ mean over outputs and batch of (f - y)²."""

    reduction = "mean"

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar from outputs and targets of the same shape (B, …)."""
        return 0.5 * (outputs - targets).square().mean()


def loss_function(loss: Loss) -> nn.Module:
    """The module that computes a loss.

    Args:
        loss: "half_squared_error" (½ Σ over outputs), "half_mean_squared_error" (½ mean over outputs), "mse" (torch's
            MSELoss) or "cross_entropy" (classes); each the mean over the batch.

    Raises:
        InputError: another name.

    Example:
        >>> float(loss_function("half_squared_error")(torch.ones(1, 4), torch.zeros(1, 4)))
        2.0
    """
    if loss == "half_squared_error":
        return HalfSquaredError()
    if loss == "half_mean_squared_error":
        return HalfMeanSquaredError()
    if loss == "mse":
        return nn.MSELoss()
    if loss == "cross_entropy":
        return nn.CrossEntropyLoss()
    raise InputError(f"expected a loss among {', '.join(get_args(Loss))}, got {loss!r}; choose one of them.")


def check_targets(outputs: Tensor, targets: Tensor, loss: Loss) -> None:
    """Refuse targets that do not fit the outputs.

    Args:
        outputs: what the model returns for the batch.
        targets: for "cross_entropy" class numbers (B,) in int64 below C, outputs (B, C); otherwise the shape and dtype
            of outputs.
        loss: as in :func:`loss_function`.

    Raises:
        InputError: another shape, dtype or range, or targets that are not finite.
    """
    if loss == "cross_entropy":
        _check_classes(outputs, targets)
        return
    if targets.shape != outputs.shape:
        raise InputError(
            f"expected targets of the outputs' shape {tuple(outputs.shape)}, got {tuple(targets.shape)}; "
            "reshape them, or one-hot encode classes."
        )
    if targets.dtype != outputs.dtype:
        raise InputError(
            f"expected {outputs.dtype} targets for {loss}, got {targets.dtype}; convert them by targets.to(…)."
        )
    if not bool(torch.isfinite(targets).all()):
        raise InputError("expected finite targets, got NaN or infinity; clean the data.")


def _check_classes(outputs: Tensor, targets: Tensor) -> None:
    if outputs.ndim != 2:
        raise InputError(
            f"expected outputs (batch, classes) for cross_entropy, got {tuple(outputs.shape)}; return one row of logits a sample "
            "(of a sequence those of its last position), or take another loss."
        )
    if targets.shape != outputs.shape[:1]:
        raise InputError(
            f"expected outputs (batch, classes) and one class a sample, got {tuple(outputs.shape)} and "
            f"{tuple(targets.shape)}; "
            "pass class numbers of shape (batch,)."
        )
    if outputs.shape[1] < 2:
        raise InputError(
            "expected outputs of at least 2 classes for cross_entropy, got 1, for which it is constant; choose another loss, or "
            "another of several outputs by output=…."
        )
    if targets.dtype != torch.int64:
        raise InputError(
            f"expected int64 class numbers for cross_entropy, got {targets.dtype}; convert them by targets.long()."
        )
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= outputs.shape[1]:
        raise InputError(
            f"expected classes from 0 to {outputs.shape[1] - 1}, got {low} to {high}; widen the last layer or correct "
            f"the labels."
        )
