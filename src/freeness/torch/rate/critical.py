"""The smallest rate at which one step raises the loss of the very batch it was taken on: as cheap as ten forward passes.

It knows the loss beyond second order, where 2/λ does not; 2 over it is the critical sharpness.

Source: Kalra, Barkeshli, arXiv 2406.09405 (doubling, then bisection); arXiv 2601.16979 (critical sharpness).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.torch.model.state import trained_parameters, untouched
from freeness.torch.request.stepping import OptimizerFactory

_GROW = 4.0  # while the rate is sought from afar
_MOST = 60  # forward passes at most
_DROWNED = 1e7  # times the weights: of these nothing is left in float32 behind such a step
_TOLERANCE = 1.1  # of the rate that is returned, as a factor
_FIRST = 1e-3


@dataclass(frozen=True)
class CriticalRate:
    """``rate`` raises the loss and ``below`` does not; infinite and 0 where there is none; ``passes``: forward passes taken.

    ``loss`` is the loss before the step, ``slope`` its derivative by the rate, negative where the step leads downhill.
    """

    rate: float
    below: float
    loss: float
    slope: float
    passes: int

    @property
    def sharpness(self) -> float:
        """The critical sharpness 2/rate: that of a parabola with the same critical rate along the gradient."""
        return 2 / self.rate if self.rate > 0 else math.inf


def critical_rate(
    model: nn.Module,
    loss: Callable[[], Tensor],
    optimizer: OptimizerFactory | None = None,
    *,
    start: float = _FIRST,
    training: bool | None = None,
) -> CriticalRate:
    """The critical rate of an optimiser's first step from the present weights.

    Args:
        model: any module; left as it was.
        loss: runs the model on one batch and returns the scalar loss; random operations see the same numbers each time.
        optimizer: makes an optimiser of parameters, as ``lambda p: torch.optim.AdamW(p, lr=1e-3)``; its first step at a rate is
            taken to be that rate times a direction. Plain gradient descent when left out.
        start: where the search begins; the rate of the last visit saves passes.
        training: the mode; None leaves every module in its own.

    Raises:
        InputError: the loss is not one finite number, depends on no weight, or the optimiser does not move the weights.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> x = torch.ones(1, 1)
        >>> found = critical_rate(model, lambda: 0.5 * model(x).square().sum())  # λ = 1, so 2/λ = 2
        >>> found.below <= 2.0 <= found.rate <= 1.1 * found.below
        True
    """
    modes = {module: module.training for module in model.modules()}
    with untouched(model), torch.enable_grad():
        for module, mode in modes.items():
            module.training = mode if training is None else training
        line = _Line(model, loss, optimizer)
        return _searched(line, start)


class _Line:
    """The loss along one direction, with the same random numbers at every rate."""

    def __init__(self, model: nn.Module, loss: Callable[[], Tensor], optimizer: OptimizerFactory | None) -> None:
        self._loss = loss
        self._state = torch.get_rng_state()
        self._parameters = list(trained_parameters(model).values())
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
        value = self._run()
        self._start = [parameter.detach().clone() for parameter in self._parameters]
        gradients, self._direction = first_direction(value, self._parameters, optimizer)
        self.value = float(value.detach())
        self.slope = sum(float((g * d).sum()) for g, d in zip(gradients, self._direction, strict=True))
        size, moved = (float(torch.stack([t.norm() for t in some]).norm()) for some in (self._start, self._direction))
        self.most = _DROWNED * max(size, 1.0) / moved if moved > 0 else math.inf
        self.passes = 1

    def raises(self, rate: float) -> bool:
        """Whether the loss at this rate is above that of the start, or is none."""
        self.passes += 1
        with torch.no_grad():
            for parameter, first, step in zip(self._parameters, self._start, self._direction, strict=True):
                parameter.data.copy_(
                    first + rate * step
                )  # .data: version counters stay, a graph of the caller's stays valid
            found = float(self._run())
            for parameter, first in zip(self._parameters, self._start, strict=True):
                parameter.data.copy_(first)
        return not found <= self.value

    def _run(self) -> Tensor:
        torch.set_rng_state(self._state)
        found = self._loss()
        with torch.no_grad():
            for buffer, kept in self._buffers:
                buffer.data.copy_(kept)
        return found


def check_trains(loss: Tensor) -> None:
    """Refuse a loss without a graph."""
    if not loss.requires_grad:
        raise InputError("expected a loss that depends on the trained weights, got one that does not; check the model.")


def first_direction(
    loss: object, parameters: Sequence[nn.Parameter], optimizer: OptimizerFactory | None
) -> tuple[Sequence[Tensor], list[Tensor]]:
    """Gradients of a loss, and the first step of an optimiser per unit rate; refused where there is none."""
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not bool(loss.isfinite()):
        raise InputError("expected a loss that is one finite number, got another; check outputs and targets.")
    check_trains(loss)
    gradients = torch.autograd.grad(loss, parameters, materialize_grads=True, allow_unused=True)
    directions = gradients_step(parameters, gradients, optimizer)
    if not any(bool(part.any()) for part in directions):
        raise InputError("expected an optimiser that moves the weights, got a step of 0; is the gradient 0?")
    return gradients, directions


def gradients_step(
    parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor], optimizer: OptimizerFactory | None
) -> list[Tensor]:
    """The first step of an optimiser per unit rate: -gradient, where none is given.

    Example:
        >>> weight = nn.Parameter(torch.zeros(2))
        >>> step = gradients_step([weight], [torch.tensor([3.0, -1.0])], lambda p: torch.optim.Adam(p, lr=0.1))
        >>> step[0].round(decimals=4)
        tensor([-1.,  1.])
    """
    if optimizer is None:
        return [-gradient for gradient in gradients]
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    stepped = optimizer(copies)
    rate = stepped.param_groups[0]["lr"]
    for one, gradient in zip(copies, gradients, strict=True):
        one.grad = gradient.detach().clone()
    try:
        stepped.step()
    except TypeError as error:
        raise InputError(
            f"expected an optimizer that steps by step(), got {brief(error)} from {type(stepped).__name__}; take another."
        ) from error
    with torch.no_grad():
        return [(after - before) / rate for after, before in zip(copies, parameters, strict=True)]


def _searched(line: _Line, start: float) -> CriticalRate:
    """Grow or shrink until the loss is raised on one side only, then bisect in logarithms."""
    low, high, rate = 0.0, math.inf, start
    while line.passes < _MOST and (low == 0 or high == math.inf or high > _TOLERANCE * low):
        if line.raises(rate):
            high = rate
        else:
            low = rate
        rate = high / _GROW if low == 0 else low * _GROW if high == math.inf else math.sqrt(low * high)
        if not math.isfinite(rate) or rate < 1e-30 or (high == math.inf and rate > line.most):
            break
    return CriticalRate(high, low, line.value, line.slope, line.passes)


def as_factory(optimizer: torch.optim.Optimizer) -> OptimizerFactory:
    """A factory of fresh optimisers with the settings of one at hand, all parameters in its first group.

    Example:
        >>> weight = nn.Parameter(torch.zeros(1))
        >>> made = as_factory(torch.optim.SGD([weight], lr=0.1, momentum=0.9))([weight])
        >>> made.param_groups[0]["momentum"]
        0.9
    """
    known = inspect.signature(type(optimizer)).parameters
    settings = {key: value for key, value in optimizer.param_groups[0].items() if key != "params" and key in known}
    return lambda parameters: type(optimizer)(parameters, **settings)
