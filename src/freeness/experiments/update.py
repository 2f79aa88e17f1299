"""Steps of the optimisers for stacks, as ``torch.optim`` makes them, every member with its own rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, singledispatch

import torch
from torch import Tensor

from freeness.errors import InputError
from freeness.experiments.specification import Cell
from freeness.training import SGD, Adam, Optimizer


@dataclass(eq=False)
class Update:
    """An optimiser over a stack; ``state`` holds what it remembers of each parameter.

    Plain gradient descent writes W - η dᵀx without forming the gradient.
    """

    optimizer: Optimizer
    rates: Tensor
    state: dict[tuple[str, int], list[Tensor]] = field(default_factory=dict)
    count: int = 0

    @cached_property
    def _plain(self) -> bool:
        return self.optimizer == SGD()

    def begin(self) -> None:
        """A new step."""
        self.count += 1

    def weight(self, place: int, weight: Tensor, d: Tensor, x: Tensor) -> None:
        """Step of weights (M, out, in) whose gradient is dᵀx.

        ``d`` is (M, B, out), ``x`` (M, B, in).
        """
        if not self._plain:
            self._moved("weight", place, weight, torch.bmm(d.transpose(1, 2), x))
        elif d.shape[1] == 1:  # an outer product; a batched product of one member takes other code than of several
            weight.addcmul_((d * -self.rates).transpose(1, 2), x)
        else:
            weight.baddbmm_((d * -self.rates).transpose(1, 2), x)

    def bias(self, place: int, bias: Tensor, d: Tensor) -> None:
        """Step of biases (M, 1, out) whose gradient is the sum of d over the batch."""
        gradient = d if d.shape[1] == 1 else d.cumsum(dim=1)[:, -1:]
        if self._plain:
            bias.sub_(self.rates * gradient)
        else:
            self._moved("bias", place, bias, gradient)

    def rows(self, chosen: Tensor) -> Update:
        """The optimiser of the chosen members."""
        state = {name: [tensor[chosen] for tensor in kept] for name, kept in self.state.items()}
        return Update(self.optimizer, self.rates[chosen], state, self.count)

    def _moved(self, name: str, place: int, parameter: Tensor, gradient: Tensor) -> None:
        kept = self.state.setdefault((name, place), [])
        parameter.sub_(step(self.optimizer, self.rates, gradient, kept, self.count))


@singledispatch
def step(optimizer: Optimizer, rates: Tensor, gradient: Tensor, kept: list[Tensor], count: int) -> Tensor:
    """What a step takes off a parameter; register that of your own optimiser.

    Args:
        optimizer: whose rule is applied, with its numbers.
        rates: of the members, (M, 1, 1).
        gradient: (M, …), of the parameter's shape.
        kept: what is remembered of it, changed in place; empty at first.
        count: of steps, from 1.

    Example:
        >>> kept = []
        >>> [float(step(SGD(momentum=0.5), torch.ones(()), torch.ones(()), kept, count)) for count in (1, 2)]
        [1.0, 1.5]
    """
    raise InputError(f"expected an optimizer that sweeps train with, got {optimizer}; choose sgd, momentum or adam.")


@step.register
def _(optimizer: SGD, rates: Tensor, gradient: Tensor, kept: list[Tensor], count: int) -> Tensor:
    _without_decay(optimizer.weight_decay)
    if optimizer.momentum == 0:
        return rates * gradient
    velocity = _remembered(kept, gradient, 1)[0]
    velocity.mul_(optimizer.momentum).add_(gradient)
    return rates * (gradient + optimizer.momentum * velocity if optimizer.nesterov else velocity)


@step.register
def _(optimizer: Adam, rates: Tensor, gradient: Tensor, kept: list[Tensor], count: int) -> Tensor:
    _without_decay(optimizer.weight_decay)
    first, second = _remembered(kept, gradient, 2)
    beta, beta2 = optimizer.beta1, optimizer.beta2
    first.mul_(beta).add_(gradient * (1 - beta))
    second.mul_(beta2).add_(gradient.square() * (1 - beta2))
    root = (second / (1 - beta2**count)).sqrt_().add_(optimizer.epsilon)
    return rates * (first / (1 - beta**count)) / root


def _remembered(kept: list[Tensor], gradient: Tensor, how_many: int) -> list[Tensor]:
    if not kept:
        kept += [torch.zeros_like(gradient) for _ in range(how_many)]
    return kept


def _without_decay(decay: float) -> None:
    if decay > 0:
        raise InputError(f"expected no weight decay in a sweep, got {decay:g}; leave it out.")


def update_of(cell: Cell, rates: Tensor) -> Update:
    """The optimiser of a column, without memory."""
    return Update(cell.descent, rates)
