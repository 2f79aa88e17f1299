"""The door for losses and optimisers: names, torch's modules, functions, instances and factories become objects here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.training import (
    SGD,
    Adam,
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    Optimizer,
    SquaredError,
    loss_names,
    loss_of,
    optimizer_names,
    optimizer_of,
)

GivenLoss = str | Loss | nn.Module | Callable[..., Tensor]
GivenOptimizer = str | Optimizer | torch.optim.Optimizer | Callable[..., torch.optim.Optimizer]

_FUNCTIONS: dict[Callable[..., Tensor], Loss] = {
    nn.functional.mse_loss: SquaredError(averaged=True, halved=False),
    nn.functional.cross_entropy: CrossEntropy(),
    nn.functional.binary_cross_entropy_with_logits: BinaryCrossEntropy(),
}
_IGNORED = -100  # torch's default of a class that does not count
_LINEAR = "which is linear in its inputs and has a Gauss–Newton matrix of 0; let the model return logits and take cross_entropy"
_REASONS: dict[type[nn.Module], str] = {nn.KLDivLoss: _LINEAR, nn.NLLLoss: _LINEAR}


def given_loss(given: GivenLoss) -> Loss:
    """The loss that a name, a module of torch or one of its functions stands for.

    Args:
        given: a name; a :class:`~freeness.training.Loss`; MSELoss, CrossEntropyLoss (with label smoothing) or BCEWithLogitsLoss;
            or the function of one of these.

    Raises:
        InputError: a loss that is none of these, is not averaged over the batch, or has weights.

    Example:
        >>> given_loss(nn.CrossEntropyLoss(label_smoothing=0.1)).name
        'cross_entropy (label smoothing 0.1)'
    """
    if isinstance(given, (str, Loss)):
        return loss_of(given)
    if isinstance(given, nn.Module):
        read = _MODULES.get(type(given))
        return read(given) if read is not None else _refused(given)
    if callable(given) and given in _FUNCTIONS:
        return _FUNCTIONS[given]
    return _refused(given)


def given_optimizer(given: GivenOptimizer) -> Optimizer:
    """The optimiser that a name, an instance of torch's or what makes one stands for; its rate is not looked at.

    Args:
        given: a name; an :class:`~freeness.training.Optimizer`; an instance of SGD, Adam or AdamW, with the same numbers in all
            parameter groups; or a class or function that makes one of a list of parameters.

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
    found = given if isinstance(given, torch.optim.Optimizer) else _made(given)
    read = _OPTIMIZERS.get(type(found))
    if read is None:
        raise InputError(
            f"expected an optimizer among {', '.join(optimizer_names())}, or SGD, Adam or AdamW of torch, got "
            f"{type(found).__name__}, whose stability is not covered; choose one, or search the rate by trial."
        )
    groups = [read(group) for group in found.param_groups]
    if any(group != groups[0] for group in groups):
        raise InputError(
            "expected the same momentum and weight decay in all parameter groups, got several; give one group's optimizer."
        )
    return groups[0]


def _refused(given: object) -> NoReturn:
    name = getattr(given, "__name__", type(given).__name__)
    reason = next(
        (why for kind, why in _REASONS.items() if isinstance(given, kind)), "whose curvature is not known here"
    )
    raise InputError(
        f"expected a loss among {', '.join(loss_names())}, or MSELoss, CrossEntropyLoss or BCEWithLogitsLoss of torch, got "
        f"{name}, {reason}."
    )


def _made(factory: Any) -> torch.optim.Optimizer:
    """What a factory makes of one parameter of its own."""
    try:
        found = factory([nn.Parameter(torch.zeros(1))])
    except (TypeError, ValueError) as error:
        raise InputError(
            f"expected an optimizer, or what makes one of a list of parameters, got {factory!r}, which raised {brief(error)}; "
            "bind its other arguments by functools.partial."
        ) from error
    if not isinstance(found, torch.optim.Optimizer):
        raise InputError(
            f"expected an optimizer, or what makes one of a list of parameters, got {factory!r}; pass torch.optim.SGD, for "
            "instance."
        )
    return found


def _plain(module: Any, *unset: str) -> None:
    """Refuse what changes the loss of a sample, or how it is averaged."""
    if module.reduction != "mean":
        raise InputError(
            f"expected a loss averaged over the batch, got {type(module).__name__} with reduction={module.reduction!r}; take "
            '"mean".'
        )
    weighted = [name for name in unset if getattr(module, name) is not None]
    if weighted:
        raise InputError(
            f"expected {type(module).__name__} without {' and '.join(weighted)}, got one with; its curvature is not known here, "
            "so leave the weights out."
        )


def _squared(module: nn.Module) -> Loss:
    _plain(module)
    return SquaredError(averaged=True, halved=False)


def _classes(module: Any) -> Loss:
    _plain(module, "weight")
    if module.ignore_index != _IGNORED:
        raise InputError(
            f"expected CrossEntropyLoss without ignore_index, got {module.ignore_index}; leave these samples out of the data."
        )
    return CrossEntropy(module.label_smoothing)


def _binary(module: nn.Module) -> Loss:
    _plain(module, "weight", "pos_weight")
    return BinaryCrossEntropy()


_MODULES: dict[type[nn.Module], Callable[[Any], Loss]] = {
    nn.MSELoss: _squared,
    nn.CrossEntropyLoss: _classes,
    nn.BCEWithLogitsLoss: _binary,
}


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
