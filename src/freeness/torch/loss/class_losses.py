"""Losses of classes as torch has them: one class, or shares of all, for each sample, token or pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.loss.loss_rules import Root, averages, check, criterion, curvature_root, hessian_root
from freeness.training import CrossEntropy, Objective

IGNORED = -100  # torch's class that does not count
_LOGARITHMS = 1e-3  # by which the sum of what should be probabilities may differ from 1
_OF_LOGITS = (
    "the outputs are log p, in which the loss is linear; the matrix is that of the logits, with H = diag p - ppᵀ"
)


@final
@dataclass(frozen=True, eq=False)
class ClassLoss(Objective):
    """-Σ_k w_k y_k ln p_k at every sample, token or pixel; H there is s(diag p - ppᵀ) with a weight s.

    The mean divides by the weights of the classes that are there, as torch's does: ignored places count nowhere.

    Attributes:
        weight: w, of each class; None: 1.
        ignore_index: a class that does not count.
        label_smoothing: as torch has it.
        summed: over all places instead of averaged.
        logarithms: the outputs are ln p (NLLLoss), not logits.
    """

    weight: Tensor | None = None
    ignore_index: int = IGNORED
    label_smoothing: float = 0.0
    summed: bool = False
    logarithms: bool = False

    @property
    def name(self) -> str:
        told = [f"label smoothing {self.label_smoothing:g}"] * (self.label_smoothing > 0)
        told += ["class weights"] * (self.weight is not None)
        told += [f"without class {self.ignore_index}"] * (self.ignore_index != IGNORED)
        told += ["sum over the batch"] * self.summed
        return ("nll" if self.logarithms else "cross_entropy") + (f" ({', '.join(told)})" if told else "")

    @property
    def formula(self) -> str:
        how = "sum over all places" if self.summed else "mean over all places that count"
        return f"{how} of -Σ over classes of {'w ' * (self.weight is not None)}y ln p"

    @property
    def expects(self) -> str:
        return "one class number at each sample, token or pixel, or the shares of all classes there"

    @property
    def meant(self) -> str:
        """Of log probabilities: that of the logits."""
        return _OF_LOGITS if self.logarithms else ""


def class_axis(outputs: Tensor, targets: Tensor) -> int | None:
    """The axis of the classes: 1, as in torch, or the last one, as language models have it; None where neither fits.

    Where both fit, as for outputs (B, C, C) and targets (B, C), it is 1.

    Args:
        outputs: (B, C), (B, C, …) or (B, …, C).
        targets: classes, of the shape of the outputs without that axis; or floating shares of their shape, which sum to 1
            along it.

    Example:
        >>> class_axis(torch.zeros(2, 5, 7), torch.zeros(2, 5, dtype=torch.int64))
        2
        >>> class_axis(torch.zeros(2, 7, 5, 5), torch.zeros(2, 5, 5, dtype=torch.int64))
        1
    """
    last = outputs.ndim - 1
    if last < 1:
        return None
    if targets.is_floating_point():
        if targets.shape != outputs.shape:
            return None
        summed = last > 1 and not _sums_to_one(targets, 1) and _sums_to_one(targets, last)
        return last if summed else 1
    if targets.shape == outputs.shape[:1] + outputs.shape[2:]:
        return 1
    return last if targets.shape == outputs.shape[:-1] else None


def _sums_to_one(shares: Tensor, axis: int) -> bool:
    return bool((shares.sum(axis) - 1).abs().max() < _LOGARITHMS)


def probabilities(outputs: Tensor, targets: Tensor) -> Tensor:
    """The softmax, its classes second: (B, C) or (B, C, …)."""
    return outputs.movedim(class_axis(outputs, targets) or 1, 1).softmax(1)


class Places(nn.Module):
    """Computes a loss of classes wherever their axis is."""

    def __init__(self, loss: ClassLoss) -> None:
        super().__init__()
        self.loss = loss
        self.reduction = "sum" if loss.summed else "mean"

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar from outputs (B, C), (B, C, …) or (B, …, C)."""
        axis = class_axis(outputs, targets) or 1
        targets = targets.movedim(axis, 1) if targets.is_floating_point() else targets
        return nn.functional.cross_entropy(  # of log p as well: its softmax is p
            outputs.movedim(axis, 1),
            targets,
            _weight(self.loss, outputs),
            ignore_index=self.loss.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.loss.label_smoothing,
        )


def _weight(loss: ClassLoss, outputs: Tensor) -> Tensor | None:
    return None if loss.weight is None else loss.weight.to(outputs)


def softmax_root(outputs: Tensor, axis: int, scale: Tensor) -> Root:
    """S with SSᵀ = s(diag p - ppᵀ) at every place: √s(diag(√p) - p√pᵀ), since Σp = 1."""
    p = outputs.softmax(axis)
    root = p.sqrt()
    wide = scale.to(outputs).sqrt().unsqueeze(axis)

    def spread(v: Tensor) -> Tensor:
        v = wide * v.reshape(outputs.shape)
        return root * v - p * (root * v).sum(axis, keepdim=True)

    return spread, lambda w: wide * (root * w - root * (p * w).sum(axis, keepdim=True))


def place_weights(loss: ClassLoss, outputs: Tensor, targets: Tensor) -> Tensor:
    """s of every place, in B times the loss: what is shared out over its classes, in the mean over what counts."""
    axis = class_axis(outputs, targets) or 1
    classes = outputs.shape[axis]
    weight = outputs.new_ones(classes) if loss.weight is None else loss.weight.to(outputs)
    smooth = loss.label_smoothing
    if targets.is_floating_point():
        shares = (1 - smooth) * targets + smooth / classes
        found = (shares.movedim(axis, -1) * weight).sum(-1)
        whole = outputs.new_tensor(found.numel())
    else:
        counts = targets != loss.ignore_index
        chosen = weight[targets.clamp(0, classes - 1)] * counts
        found = (1 - smooth) * chosen + smooth / classes * weight.sum() * counts
        whole = chosen.sum()
    return found * len(outputs) / (1 if loss.summed else whole)


@criterion.register
def _(loss: ClassLoss) -> nn.Module:
    return Places(loss)


@curvature_root.register
def _(loss: ClassLoss, outputs: Tensor, targets: Tensor) -> Root:
    return softmax_root(outputs, class_axis(outputs, targets) or 1, place_weights(loss, outputs, targets))


@averages.register
def _(loss: ClassLoss, targets: Tensor) -> bool:
    alike = loss.weight is None and not loss.summed
    return alike and (targets.is_floating_point() or not bool((targets == loss.ignore_index).any()))


@check.register
def _(loss: ClassLoss, outputs: Tensor, targets: Tensor) -> None:
    check_classes(str(loss), outputs, targets, loss.ignore_index)
    if loss.weight is not None and loss.weight.numel() != outputs.shape[class_axis(outputs, targets) or 1]:
        raise InputError(
            f"expected a weight for each of {outputs.shape[class_axis(outputs, targets) or 1]} classes, got "
            f"{loss.weight.numel()}; give as many."
        )
    if loss.logarithms:
        check_logarithms(str(loss), outputs, class_axis(outputs, targets) or 1)


def check_logarithms(name: str, outputs: Tensor, axis: int) -> None:
    """Refuse outputs that are no logarithms of probabilities."""
    if float(outputs.detach().logsumexp(axis).abs().max()) > _LOGARITHMS:
        raise InputError(
            f"expected outputs that are log probabilities for {name}, got others; end the model with LogSoftmax, or take "
            "cross_entropy of logits."
        )


def check_classes(name: str, outputs: Tensor, targets: Tensor, ignored: int = IGNORED) -> None:
    """Refuse targets that are neither classes nor shares of them."""
    axis = class_axis(outputs, targets)
    if axis is None:
        if targets.is_floating_point() and class_axis(outputs, targets.long()) is not None:
            raise InputError(
                f"expected int64 class numbers for {name}, got {targets.dtype}; convert them by targets.long()."
            )
        raise InputError(
            f"expected outputs (B, C), (B, C, …) or (B, …, C) and one class a sample or place for {name}, got "
            f"{tuple(outputs.shape)} and {tuple(targets.shape)}; pass such class numbers or shares."
        )
    if outputs.shape[axis] < 2:
        raise InputError(
            f"expected outputs of at least 2 classes for {name}, got 1, for which it is constant; choose another loss, or "
            "another of several outputs by output=…."
        )
    if targets.is_floating_point():
        if targets.dtype != outputs.dtype or not bool((targets.isfinite() & (targets >= 0)).all()):
            raise InputError(
                f"expected shares of classes ≥ 0 in {outputs.dtype} for {name}, got others in {targets.dtype}; give "
                "probabilities, or class numbers by targets.long()."
            )
        return
    if targets.dtype != torch.int64:
        raise InputError(
            f"expected int64 class numbers for {name}, got {targets.dtype}; convert them by targets.long()."
        )
    known = targets[targets != ignored]
    if known.numel() == 0:
        raise InputError(f"expected a class that counts, got only the ignored {ignored}; give labels that count.")
    low, high = int(known.min()), int(known.max())
    if low < 0 or high >= outputs.shape[axis]:
        raise InputError(
            f"expected classes from 0 to {outputs.shape[axis] - 1}, got {low} to {high}; widen the last layer or correct "
            f"the labels."
        )


# --- the loss that theory knows ----------------------------------------------------------------------------------


def _as_torch(loss: CrossEntropy) -> ClassLoss:
    return ClassLoss(label_smoothing=loss.label_smoothing)


@criterion.register
def _(loss: CrossEntropy) -> nn.Module:
    return Places(_as_torch(loss))


@hessian_root.register
def _(_loss: CrossEntropy, outputs: Tensor) -> Root:
    return softmax_root(outputs, 1, outputs.new_ones(outputs.shape[:1] + outputs.shape[2:]))


@curvature_root.register
def _(loss: CrossEntropy, outputs: Tensor, targets: Tensor) -> Root | None:
    return curvature_root(_as_torch(loss), outputs, targets)


@averages.register
def _(loss: CrossEntropy, targets: Tensor) -> bool:
    return averages(_as_torch(loss), targets)


@check.register
def _(_loss: CrossEntropy, outputs: Tensor, targets: Tensor) -> None:
    check_classes("cross_entropy", outputs, targets)
