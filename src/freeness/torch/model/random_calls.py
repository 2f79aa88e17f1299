"""Calls that draw random numbers, by name: what training draws and eval mode does not call is no part of a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from freeness.torch.model.buffers import same_buffers
from freeness.torch.model.outputs import run
from freeness.torch.model.state import untouched

_TRIED = 2  # samples
_FRESH = ("rand", "randn", "rand_like", "randn_like", "randint", "randint_like", "randperm", "normal", "bernoulli")
_WRITTEN = ("bernoulli_", "uniform_", "normal_", "exponential_", "multinomial", "poisson", "rrelu", "gumbel_softmax")


class _Counted(TorchFunctionMode):
    """Counts calls of dropout, on or off, and of what draws."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, given = getattr(func, "__name__", ""), kwargs or {}
        rate = given.get("p", args[1] if len(args) > 1 else 0.5)
        if name in _FRESH + _WRITTEN or ("dropout" in name and rate):
            self.calls[name] += 1
        return func(*args, **given)


def only_in_training(model: nn.Module, inputs: Tensor, training: bool | None) -> tuple[str, ...]:
    """Names of random calls that a model makes oftener in the mode of training than in eval mode.

    ``training``: None for the mode that training will use, see :func:`~freeness.torch.untouched`. Dropout that eval mode calls
    without effect is none of them.

    Example:
        >>> class Drops(nn.Linear):
        ...     def forward(self, x):
        ...         return super().forward(nn.functional.dropout(x, 0.5) if self.training else x)
        >>> x = torch.ones(2, 3)
        >>> only_in_training(Drops(3, 1), x, True), only_in_training(nn.Dropout(0.5), x, True)
        (('dropout',), ())
    """

    def calls(mode: bool | None) -> Counter[str]:
        kept = untouched(model, training=mode, copies=list(model.buffers()))
        with kept, same_buffers(model), torch.enable_grad(), _Counted() as counted:
            run(model, inputs[:_TRIED])
        return counted.calls

    return tuple(calls(training) - calls(False))
