"""What is trained of a model is what is measured: parameters that require gradients and that the optimiser steps."""

from __future__ import annotations

import torch
from torch import nn

from freeness.torch.loss.given import GivenOptimizer
from freeness.torch.model.state import trained_parameters
from freeness.torch.request.mode_note import listed


def train_what_is_stepped(model: nn.Module, optimizer: GivenOptimizer) -> None:
    """Freeze the parameters that an optimiser does not hold, inside a block that leaves the model untouched.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> train_what_is_stepped(model, torch.optim.SGD([model.bias], lr=1.0))
        >>> list(trained_parameters(model))
        ['bias']
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        return
    stepped = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if any(id(parameter) in stepped for parameter in model.parameters()):
        for parameter in model.parameters():
            if id(parameter) not in stepped:
                parameter.requires_grad_(False)


def trained_note(model: nn.Module) -> tuple[str, ...]:
    """That only a part of the parameters is trained, and which modules hold it, or none; nothing where all are.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)).requires_grad_(False)
        >>> _ = model[1].requires_grad_(True)
        >>> trained_note(model)
        ('Measured is what is trained: 3 of 11 parameters (1.weight, 1.bias). The others are frozen.',)
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        return ("No parameter requires gradients, so none would be trained. Measured is as if all were.",)
    whole = sum(parameter.numel() for parameter in model.parameters())
    trained = trained_parameters(model)
    count = sum(parameter.numel() for parameter in trained.values())
    if count == whole:
        return ()
    return (
        f"Measured is what is trained: {count} of {whole} parameters ({listed(list(trained))}). The others are frozen.",
    )
