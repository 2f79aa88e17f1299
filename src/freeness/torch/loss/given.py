"""The door for losses and optimisers: names, torch's modules, functions, instances and factories become objects here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.torch.loss.class_losses import IGNORED, ClassLoss
from freeness.torch.loss.divergence_loss import DivergenceLoss
from freeness.torch.loss.elementwise_losses import ELEMENTWISE, ElementwiseLoss
from freeness.torch.loss.written_loss import WrittenLoss
from freeness.training import (
    SGD,
    Adam,
    BinaryCrossEntropy,
    CrossEntropy,
    Objective,
    Optimizer,
    SquaredError,
    loss_names,
    loss_of,
    optimizer_names,
    optimizer_of,
)

GivenLoss = str | Objective | nn.Module | Callable[..., Tensor]
GivenOptimizer = str | Optimizer | torch.optim.Optimizer | Callable[..., torch.optim.Optimizer]

_FUNCTIONS: dict[Callable[..., Tensor], type[nn.Module]] = {
    nn.functional.mse_loss: nn.MSELoss,
    nn.functional.cross_entropy: nn.CrossEntropyLoss,
    nn.functional.binary_cross_entropy_with_logits: nn.BCEWithLogitsLoss,
    nn.functional.binary_cross_entropy: nn.BCELoss,
    nn.functional.huber_loss: nn.HuberLoss,
    nn.functional.smooth_l1_loss: nn.SmoothL1Loss,
    nn.functional.l1_loss: nn.L1Loss,
    nn.functional.nll_loss: nn.NLLLoss,
    nn.functional.kl_div: nn.KLDivLoss,
}


def given_loss(given: GivenLoss) -> Objective:
    """The loss that a name, a module of torch, one of its functions or a function of yours stands for.

    Args:
        given: a name; a :class:`~freeness.training.Loss`; a loss of torch (CrossEntropyLoss, NLLLoss, KLDivLoss, MSELoss,
            HuberLoss, BCEWithLogitsLoss and others, with their weights and reductions) or the function of one; or any function
            of (outputs, targets) that is one number.

    Returns:
        A :class:`~freeness.training.Loss` where theory knows it. Of others only what is measured is known; H, their second
        derivative in the outputs, comes from differentiation where it has no closed form.

    Raises:
        InputError: a loss that is none of these, or that is not reduced to one number.

    Example:
        >>> given_loss(nn.CrossEntropyLoss(label_smoothing=0.1)).name
        'cross_entropy (label smoothing 0.1)'
        >>> given_loss(nn.CrossEntropyLoss(ignore_index=0, reduction="sum")).name
        'cross_entropy (without class 0, sum over the batch)'
        >>> given_loss(lambda outputs, targets: (outputs - targets).abs().pow(3).mean()).name
        'the given function'
    """
    if isinstance(given, Objective):
        return given
    if isinstance(given, str):
        return loss_of(given)
    if isinstance(given, partial) and given.func in _FUNCTIONS and not given.args:
        return given_loss(_FUNCTIONS[given.func](**given.keywords))
    if isinstance(given, nn.Module):
        return _of_module(given)
    if isinstance(given, type) or not callable(given):
        raise InputError(
            f"expected a loss among {', '.join(loss_names())}, one of torch, or a function of (outputs, targets), got "
            f"{getattr(given, '__name__', type(given).__name__)}; pass an instance."
        )
    return given_loss(_FUNCTIONS[given]()) if given in _FUNCTIONS else WrittenLoss(given)


def _of_module(module: nn.Module) -> Objective:
    """Of a class of torch itself its own record; a class of the user's is a function."""
    kind = type(module)
    read = _MODULES.get(kind, _elementwise if kind in ELEMENTWISE else None)
    if read is None:
        return WrittenLoss(module)
    if vars(module)["reduction"] == "none":
        raise InputError(
            f'expected a loss that is one number, got {kind.__name__} with reduction=\'none\'; take "mean" or "sum".'
        )
    return read(module)


def _elementwise(module: nn.Module) -> Objective:
    """The loss that theory knows, where it is one."""
    weighted = any(getattr(module, name, None) is not None for name in ("weight", "pos_weight"))
    if vars(module)["reduction"] == "mean" and not weighted:
        if type(module) is nn.MSELoss:
            return SquaredError(averaged=True, halved=False)
        if type(module) is nn.BCEWithLogitsLoss:
            return BinaryCrossEntropy()
    return ElementwiseLoss(module)


def _classes(module: Any) -> Objective:
    summed = module.reduction == "sum"
    if module.weight is None and module.ignore_index == IGNORED and not summed:
        return CrossEntropy(module.label_smoothing)
    return ClassLoss(module.weight, module.ignore_index, module.label_smoothing, summed)


_MODULES: dict[type[nn.Module], Callable[[Any], Objective]] = {
    nn.CrossEntropyLoss: _classes,
    nn.NLLLoss: lambda one: ClassLoss(one.weight, one.ignore_index, summed=one.reduction == "sum", logarithms=True),
    nn.KLDivLoss: lambda one: DivergenceLoss(one.reduction, one.log_target),
}


def given_optimizer(given: GivenOptimizer) -> Optimizer:
    """The optimiser that a name, an instance of torch's or what makes one stands for; its rate is not looked at.

    Args:
        given: a name; an :class:`~freeness.training.Optimizer`; an instance of SGD, Adam or AdamW, with the same momentum in all
            parameter groups, of whose weight decays the largest is taken; or a class or function that makes one of a list of
            parameters.

    Raises:
        InputError: an optimiser whose stability is not known.

    Example:
        >>> given_optimizer(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.8, nesterov=True))
        SGD(momentum=0.8, nesterov=True, weight_decay=0)
        >>> given_optimizer(torch.optim.AdamW).weight_decay
        0.01
    """
    if isinstance(given, (str, Optimizer)):
        return optimizer_of(given)
    found = given if isinstance(given, torch.optim.Optimizer) else made_optimizer(given, [nn.Parameter(torch.zeros(1))])
    read = _OPTIMIZERS.get(type(found))
    if read is None:
        raise InputError(
            f"expected an optimizer among {', '.join(optimizer_names())}, or SGD, Adam or AdamW of torch, got "
            f"{type(found).__name__}, whose stability is not covered; choose one, or search the rate by trial."
        )
    groups = [read(group) for group in found.param_groups]
    decays = [group["weight_decay"] for group in found.param_groups]
    alike = [group.having(None, max(decays)) for group in groups]
    if any(group != alike[0] for group in alike):
        raise InputError("expected the same momentum in all parameter groups, got several; give one group's optimizer.")
    return alike[0]


def made_optimizer(factory: Any, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """What a factory makes of parameters."""
    expected = (
        f"expected an optimizer among {', '.join(optimizer_names())}, an instance, or what makes one of a list of "
        f"parameters, got {factory!r}"
    )
    try:
        found = factory(parameters)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{expected}, which raised {brief(error)}; bind its other arguments by functools.partial."
        ) from error
    if not isinstance(found, torch.optim.Optimizer):
        raise InputError(f"{expected}; pass torch.optim.SGD, for instance.")
    return found


def _sgd(group: dict[str, Any]) -> Optimizer:
    if group["dampening"] != 0 or group["maximize"]:
        raise InputError("expected SGD without dampening that descends, got another; its stability is not covered.")
    return SGD(group["momentum"], group["nesterov"], group["weight_decay"])


def _adam(group: dict[str, Any], decoupled: bool = False) -> Optimizer:
    if group["amsgrad"] or group["maximize"]:
        raise InputError("expected Adam without amsgrad that descends, got another; its stability is not covered.")
    beta1, beta2 = group["betas"]
    return Adam(beta1, beta2, group["eps"], group["weight_decay"], decoupled)


_OPTIMIZERS: dict[type[torch.optim.Optimizer], Callable[[dict[str, Any]], Optimizer]] = {
    torch.optim.SGD: _sgd,
    torch.optim.Adam: _adam,
    torch.optim.AdamW: lambda group: _adam(group, decoupled=True),
}
