"""The next step of a training: its rate, and a copy of its optimiser that takes it on copies of the weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from freeness.torch.model.state import trained_parameters
from freeness.torch.rate.critical import OptimizerFactory


def first_rate(optimizer: torch.optim.Optimizer) -> float:
    """The rate of an optimiser's first group.

    Example:
        >>> first_rate(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.25))
        0.25
    """
    return float(optimizer.param_groups[0]["lr"])


def next_step(optimizer: torch.optim.Optimizer, model: nn.Module) -> OptimizerFactory:
    """What makes a copy of an optimiser, with all that it remembers, of copies of the model's trained parameters.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        >>> other = next_step(optimizer, model)([nn.Parameter(torch.ones(1, 1))])
        >>> other.param_groups[0]["momentum"], other.param_groups[0]["params"][0] is model.weight
        (0.9, False)
    """
    parameters = list(trained_parameters(model).values())

    def made(copies: Any) -> torch.optim.Optimizer:
        memo: dict[int, Any] = {id(old): new for old, new in zip(parameters, copies, strict=True)}
        return copy.deepcopy(optimizer, memo)

    return made
