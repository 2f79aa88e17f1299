"""Optimisers that step for a trial: copies of the user's, which share the parameters and nothing else."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.loss.given import made_optimizer
from freeness.torch.model.state import trained_parameters
from freeness.training import SGD, Adam, Optimizer, optimizer_of

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
AnyOptimizer = str | Optimizer | torch.optim.Optimizer | Callable[..., torch.optim.Optimizer]
_RATE = 1e-3  # of a template; every trial has its own
_LEFT_OUT = ("params", "lr", "initial_lr")
_SHARED = "step"  # what a scheduler hangs on an instance; it would step the user's own


@dataclass(frozen=True, eq=False)
class Stepping:
    """An optimiser as a template: how it is called, and how every group's rate follows that of the first.

    Attributes:
        template: over the model's parameters; never stepped.
        name: of it.
        rate: of its first group whose rate is not 0.
        shares: of every group, over that one.
    """

    template: torch.optim.Optimizer
    name: str
    rate: float
    shares: tuple[float, ...]

    def fresh(self, replaced: Mapping[int, nn.Parameter] | None = None) -> torch.optim.Optimizer:
        """A copy with a state of its own and without hooks, over the same parameters or over others in their place."""
        memo: dict[int, Any] = {id(parameter): parameter for parameter in self.parameters}
        memo.update(replaced or {})
        kind: Any = type(self.template)
        found: Any = kind.__new__(kind)
        for name, value in vars(self.template).items():
            if "hooks" in name:
                vars(found)[name] = OrderedDict()
            elif name != _SHARED:
                vars(found)[name] = copy.deepcopy(value, memo)
        return found

    def set_rate(self, optimizer: torch.optim.Optimizer, rate: float) -> None:
        """Give every group of a copy its share of a rate."""
        for group, share in zip(optimizer.param_groups, self.shares, strict=True):
            now = group["lr"]
            if isinstance(now, Tensor):
                now.fill_(rate * share)
            else:
                group["lr"] = rate * share

    @property
    def settings(self) -> str:
        """Of its groups, all that is no rate and no parameter: momentum, weight decay and the like."""
        groups = [{k: v for k, v in group.items() if k not in _LEFT_OUT} for group in self.template.param_groups]
        return str(groups)

    @property
    def memory(self) -> int:
        """1/(1-β₁), the gradients that an optimiser of Adam's kind averages; 0 of others."""
        first = self.template.param_groups[0].get("betas", (0.0,))[0]
        return round(1 / (1 - first)) if 0 < first < 1 else 0

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that it steps."""
        return [parameter for group in self.template.param_groups for parameter in group["params"]]

    def over(self, parameters: Sequence[nn.Parameter]) -> OptimizerFactory:
        """A factory as :func:`~freeness.torch.critical_rate` takes it: a copy over copies of these parameters, in their order."""

        def made(copies: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
            replaced = {id(one): other for one, other in zip(parameters, copies, strict=True)}
            found = self.fresh(replaced)
            self.set_rate(found, self.rate)
            return found

        return made


def stepping(model: nn.Module, given: AnyOptimizer) -> Stepping:
    """What a user means by an optimiser, over the parameters of a model.

    Args:
        model: whose parameters that require gradients are stepped, unless an instance says which.
        given: a name; a :class:`~freeness.training.Optimizer`; any optimiser of torch or of yours, with its groups, whose rates
            keep their ratios; or what makes one of a list of parameters.

    Raises:
        InputError: none of these, or one that steps nothing of the model.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        >>> groups = [{"params": model[0].parameters()}, {"params": model[1].parameters(), "lr": 0.5}]
        >>> stepping(model, torch.optim.SGD(groups, lr=0.1)).shares
        (1.0, 5.0)
        >>> stepping(model, lambda parameters: torch.optim.NAdam(parameters, lr=0.01)).name
        'nadam'
    """
    found = given if isinstance(given, torch.optim.Optimizer) else _made(model, given)
    own = {id(parameter) for parameter in model.parameters()}
    stepped = [parameter for group in found.param_groups for parameter in group["params"]]
    if any(id(parameter) not in own for parameter in stepped):
        raise InputError(
            "expected an optimizer over parameters of the model, got one with others; make it after the model is "
            "built, moved and wrapped, of model.parameters()."
        )
    rates = [float(group.get("initial_lr", group["lr"])) for group in found.param_groups if "lr" in group]
    base = next((rate for rate in rates if rate > 0), 0.0)
    if len(rates) < len(found.param_groups) or base == 0:
        raise InputError(
            f"expected an optimizer whose groups have a rate lr > 0, got {type(found).__name__} without; set one."
        )
    name = given if isinstance(given, str) else given.name if isinstance(given, Optimizer) else type(found).__name__
    return Stepping(found, name.lower(), base, tuple(rate / base for rate in rates))


def _made(model: nn.Module, given: str | Optimizer | Callable[..., torch.optim.Optimizer]) -> torch.optim.Optimizer:
    parameters = [one for one in trained_parameters(model).values() if one.is_floating_point()]
    if isinstance(given, str | Optimizer):
        return torch_optimizer(optimizer_of(given), parameters)
    return made_optimizer(given, parameters)


def torch_optimizer(optimizer: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """What torch has for an optimiser of ours, at some rate.

    Example:
        >>> made = torch_optimizer(SGD(momentum=0.9), [nn.Parameter(torch.zeros(1))])
        >>> type(made).__name__, made.param_groups[0]["momentum"]
        ('SGD', 0.9)
    """
    if isinstance(optimizer, SGD):
        return torch.optim.SGD(
            parameters,
            lr=_RATE,
            momentum=optimizer.momentum,
            nesterov=optimizer.nesterov,
            weight_decay=optimizer.weight_decay,
        )
    if isinstance(optimizer, Adam):
        kind = torch.optim.AdamW if optimizer.decoupled else torch.optim.Adam
        betas = (optimizer.beta1, optimizer.beta2)
        return kind(parameters, lr=_RATE, betas=betas, eps=optimizer.epsilon, weight_decay=optimizer.weight_decay)
    raise InputError(
        f"expected an optimizer that torch has, got {optimizer}; pass an instance of torch's, or a factory."
    )
