"""The Kullback–Leibler divergence of what a model says from shares of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.loss.class_losses import check_logarithms, softmax_root
from freeness.torch.loss.loss_rules import Root, averages, check, criterion, curvature_root
from freeness.training import Objective

_AXIS = 1  # of the classes; the last one where it is the only one that is normalised


@final
@dataclass(frozen=True, eq=False)
class DivergenceLoss(Objective):
    """Σ_k y_k (ln y_k - f_k), torch's KLDivLoss: f = ln p is what the model returns.

    In f it is linear. As f is normalised it equals the loss of the logits, Σ y (ln y - ln softmax f), with H = Σy·(diag p - ppᵀ):
    the Gauss–Newton matrix is taken of that.

    Attributes:
        reduction: "batchmean", "mean" over all numbers (as torch's default has it) or "sum".
        log_target: the targets are ln y.
    """

    reduction: str = "batchmean"
    log_target: bool = False

    @property
    def name(self) -> str:
        told = {"batchmean": "", "mean": " (mean over all numbers)", "sum": " (sum over the batch)"}
        return f"kl_divergence{told[self.reduction]}"

    @property
    def formula(self) -> str:
        return "Σ over classes of y (ln y - f), f = ln p"

    @property
    def expects(self) -> str:
        return f"{'logarithms of ' * self.log_target}shares of classes of the outputs' shape"

    @property
    def meant(self) -> str:
        """That of the logits."""
        return "the outputs are log p, in which the loss is linear; the matrix is that of the logits, with H = diag p - ppᵀ"


class _Divergence(nn.Module):
    def __init__(self, loss: DivergenceLoss) -> None:
        super().__init__()
        self.loss, self.reduction = loss, loss.reduction

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar; ln softmax leaves log probabilities as they are."""
        logarithms = outputs.log_softmax(_axis(outputs))
        each = nn.functional.kl_div(logarithms, targets, reduction="none", log_target=self.loss.log_target)
        return each.sum() / _count(self.loss, outputs)


def _axis(outputs: Tensor) -> int:
    """The one along which they are log probabilities."""
    last = outputs.ndim - 1
    if last > 1:
        off = [float(outputs.detach().logsumexp(axis).abs().max()) for axis in (_AXIS, last)]
        return _AXIS if off[0] <= off[1] else last
    return _AXIS


def _count(loss: DivergenceLoss, outputs: Tensor) -> int:
    return {"batchmean": len(outputs), "mean": outputs.numel(), "sum": 1}[loss.reduction]


@criterion.register
def _(loss: DivergenceLoss) -> nn.Module:
    return _Divergence(loss)


@curvature_root.register
def _(loss: DivergenceLoss, outputs: Tensor, targets: Tensor) -> Root:
    shares = targets.exp() if loss.log_target else targets
    axis = _axis(outputs)
    return softmax_root(outputs, axis, shares.sum(axis) * len(outputs) / _count(loss, outputs))


@averages.register
def _(loss: DivergenceLoss, targets: Tensor) -> bool:
    return loss.reduction != "sum"


@check.register
def _(loss: DivergenceLoss, outputs: Tensor, targets: Tensor) -> None:
    check.dispatch(Objective)(loss, outputs, targets)
    if outputs.ndim < 2:
        raise InputError(f"expected outputs (batch, classes) for {loss}, got shape {tuple(outputs.shape)}.")
    check_logarithms(str(loss), outputs, _axis(outputs))
    if not loss.log_target and bool((targets < 0).any()):
        raise InputError(f"expected shares of classes ≥ 0 for {loss}, got less; give probabilities.")
