"""Losses of torch that are sums over single outputs: their Hessian in the outputs is diagonal."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.torch.loss.loss_rules import Root, averages, check, criterion, curvature_root, hessian_root
from freeness.training import BinaryCrossEntropy, Objective, SquaredError

ELEMENTWISE: dict[type[nn.Module], str] = {
    nn.MSELoss: "mse",
    nn.HuberLoss: "huber",
    nn.SmoothL1Loss: "smooth_l1",
    nn.L1Loss: "l1",
    nn.BCEWithLogitsLoss: "binary_cross_entropy",
    nn.BCELoss: "binary_cross_entropy of probabilities",
    nn.SoftMarginLoss: "soft margin",
    nn.PoissonNLLLoss: "poisson_nll",
}
"""Torch's, by what they are called here."""

_SHARES = (nn.BCEWithLogitsLoss, nn.BCELoss)  # whose targets are from 0 to 1
_NUMBERS = ("delta", "beta", "log_input", "full", "eps")
_WEIGHTS = {"weight": "weights", "pos_weight": "weights of positives"}
_NEGATIVE = 1e-9  # of the largest second derivative, that is rounding


@final
@dataclass(frozen=True, eq=False)
class ElementwiseLoss(Objective):
    """A module of torch that sums ℓ(f, y) over all outputs, or averages it; H is the diagonal of ℓ'', by differentiation.

    Attributes:
        module: of one of the kinds in ``ELEMENTWISE``.
    """

    module: nn.Module

    @property
    def name(self) -> str:
        """With the numbers that are not torch's own."""
        kind = type(self.module)
        usual = vars(kind())
        mine = vars(self.module)
        told = [f"{key} {mine[key]:g}" for key in _NUMBERS if key in mine and mine[key] != usual[key]]
        told += [words for key, words in _WEIGHTS.items() if getattr(self.module, key, None) is not None]
        told += ["sum over the batch"] * (mine["reduction"] == "sum")
        return ELEMENTWISE[kind] + (f" ({', '.join(told)})" if told else "")

    @property
    def formula(self) -> str:
        return f"torch.nn.{self.module!r}"

    @property
    def expects(self) -> str:
        return "probabilities of the outputs' shape" if isinstance(self.module, _SHARES) else "numbers of that shape"


class Alike(nn.Module):
    """A module of torch with its weights in the precision of the outputs, and on their device."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(module)
        self.reduction: str = vars(module)["reduction"]

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar."""
        return self.module.to(outputs)(outputs, targets)


@criterion.register
def _(loss: ElementwiseLoss) -> nn.Module:
    return Alike(loss.module)


@curvature_root.register
def _(loss: ElementwiseLoss, outputs: Tensor, targets: Tensor) -> Root | None:
    """√ℓ''; None where it is negative somewhere."""
    with torch.enable_grad():
        point = outputs.detach().clone().requires_grad_()
        value = criterion(loss)(point, targets) * len(point)
        (slope,) = torch.autograd.grad(value, point, create_graph=True)
        bent = torch.zeros_like(point)
        if slope.requires_grad:
            (bent,) = torch.autograd.grad(slope.sum(), point, materialize_grads=True)
    if float(bent.min()) < -_NEGATIVE * float(bent.abs().max()):
        return None
    return diagonal_root(bent.clamp_min(0).sqrt())


def takes_shares(loss: Objective) -> bool:
    """Whether its targets are numbers from 0 to 1.

    Example:
        >>> takes_shares(BinaryCrossEntropy()), takes_shares(SquaredError())
        (True, False)
    """
    shares = isinstance(loss, ElementwiseLoss) and isinstance(loss.module, _SHARES)
    return shares or isinstance(loss, BinaryCrossEntropy)


def diagonal_root(root: Tensor) -> Root:
    """S = diag(root)."""
    return lambda v: root * v.reshape(root.shape), lambda w: root * w


@averages.register
def _(loss: ElementwiseLoss, targets: Tensor) -> bool:
    weight: Any = getattr(loss.module, "weight", None)
    return vars(loss.module)["reduction"] == "mean" and weight is None


@check.register
def _(loss: ElementwiseLoss, outputs: Tensor, targets: Tensor) -> None:
    check.dispatch(Objective)(loss, outputs, targets)
    if isinstance(loss.module, _SHARES):
        check_shares(str(loss), targets)
    try:
        with torch.no_grad():
            criterion(loss)(outputs, targets)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"expected outputs and weights that fit {loss}, got {brief(error)} for shape {tuple(outputs.shape)}; "
            "correct the weights, or what the model returns."
        ) from error


def check_shares(name: str, targets: Tensor) -> None:
    """Refuse what is not from 0 to 1."""
    if not (float(targets.min()) >= 0 and float(targets.max()) <= 1):
        raise InputError(f"expected targets from 0 to 1 for {name}, got others; give probabilities.")


# --- the losses that theory knows --------------------------------------------------------------------------------


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
def _(loss: SquaredError, outputs: Tensor) -> Root:
    scale = loss.curvature(outputs[0].numel()) ** 0.5
    return lambda v: scale * v.reshape(outputs.shape), lambda w: scale * w


@criterion.register
def _(_loss: BinaryCrossEntropy) -> nn.Module:
    return nn.BCEWithLogitsLoss()


@hessian_root.register
def _(_loss: BinaryCrossEntropy, outputs: Tensor) -> Root:
    """√(p(1-p)/C)."""
    p = outputs.sigmoid()
    return diagonal_root((p * (1 - p) / outputs[0].numel()).sqrt())


@check.register
def _(loss: BinaryCrossEntropy, outputs: Tensor, targets: Tensor) -> None:
    check.dispatch(Objective)(loss, outputs, targets)
    check_shares("binary_cross_entropy", targets)
