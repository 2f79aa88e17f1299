"""What torch does with a loss: computes it, refuses targets that do not fit, and takes the root of its Hessian.

Each is a function of the kind of loss, by single dispatch, so that a loss of your own says its part without a change here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.given import GivenLoss, given_loss
from freeness.training import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError

_Map = Callable[[Tensor], Tensor]


def loss_function(loss: GivenLoss) -> nn.Module:
    """The module that computes a loss, the mean over the batch.

    Args:
        loss: a name or anything else that :func:`~freeness.torch.given.given_loss` takes.

    Raises:
        InputError: no such loss.

    Example:
        >>> float(loss_function("half_squared_error")(torch.ones(1, 4), torch.zeros(1, 4)))
        2.0
    """
    return criterion(given_loss(loss))


def check_targets(outputs: Tensor, targets: Tensor, loss: GivenLoss) -> None:
    """Refuse targets that do not fit the outputs.

    Args:
        outputs: what the model returns for the batch.
        targets: for cross-entropy class numbers (B,) in int64 below C, outputs (B, C); otherwise the shape and dtype of outputs.
        loss: as in :func:`loss_function`.

    Raises:
        InputError: another shape, dtype or range, or targets that are not finite.
    """
    check(given_loss(loss), outputs, targets)


# --- by the kind of loss -----------------------------------------------------------------------------------------


@singledispatch
def criterion(loss: Loss) -> nn.Module:
    """The module that computes it; register that of your own loss.

    Raises:
        InputError: none is registered.
    """
    raise InputError(
        f"expected a loss that torch computes, got {loss}; register its module with freeness.torch.criterion."
    )


@singledispatch
def check(loss: Loss, outputs: Tensor, targets: Tensor) -> None:
    """Refuse targets that do not fit: numbers of the outputs' shape and dtype, unless registered otherwise."""
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


@singledispatch
def hessian_root(loss: Loss, outputs: Tensor) -> tuple[_Map, _Map] | None:
    """S with SSᵀ = H, from a flat vector to the shape of the outputs, and Sᵀ; None where none is registered."""
    return None


# --- squared errors ----------------------------------------------------------------------------------------------


class _SquaredError(nn.Module):
    """Σ or mean over outputs of (f - y)², or ½ of it, averaged over the batch."""

    reduction = "mean"

    def __init__(self, loss: SquaredError) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar from outputs and targets of the same shape (B, …)."""
        squares = (outputs - targets).square()
        factor = 0.5 if self.loss.halved else 1.0
        return factor * (squares.mean() if self.loss.averaged else squares.sum() / len(outputs))


@criterion.register
def _(loss: SquaredError) -> nn.Module:
    return _SquaredError(loss)


@hessian_root.register
def _(loss: SquaredError, outputs: Tensor) -> tuple[_Map, _Map]:
    scale = loss.curvature(outputs[0].numel()) ** 0.5
    return lambda v: scale * v.reshape(outputs.shape), lambda w: scale * w


# --- cross-entropies ---------------------------------------------------------------------------------------------


@criterion.register
def _(loss: CrossEntropy) -> nn.Module:
    return nn.CrossEntropyLoss(label_smoothing=loss.label_smoothing)


@hessian_root.register
def _(_loss: CrossEntropy, outputs: Tensor) -> tuple[_Map, _Map]:
    """diag(√p) - p√pᵀ, since Σp = 1."""
    p = outputs.softmax(1)
    root = p.sqrt()

    def spread(v: Tensor) -> Tensor:
        v = v.reshape(outputs.shape)
        return root * v - p * (root * v).sum(1, keepdim=True)

    return spread, lambda w: root * w - root * (p * w).sum(1, keepdim=True)


@check.register
def _(_loss: CrossEntropy, outputs: Tensor, targets: Tensor) -> None:
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


@criterion.register
def _(_loss: BinaryCrossEntropy) -> nn.Module:
    return nn.BCEWithLogitsLoss()


@hessian_root.register
def _(_loss: BinaryCrossEntropy, outputs: Tensor) -> tuple[_Map, _Map]:
    """√(p(1-p)/C)."""
    p = outputs.sigmoid()
    root = (p * (1 - p) / outputs[0].numel()).sqrt()
    return lambda v: root * v.reshape(outputs.shape), lambda w: root * w


@check.register
def _(loss: BinaryCrossEntropy, outputs: Tensor, targets: Tensor) -> None:
    check.dispatch(Loss)(loss, outputs, targets)
    if not (float(targets.min()) >= 0 and float(targets.max()) <= 1):
        raise InputError("expected targets from 0 to 1 for binary_cross_entropy, got others; give probabilities.")
