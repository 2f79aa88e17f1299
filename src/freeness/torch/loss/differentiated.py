"""Models that differentiate themselves in their forward pass, as physics-informed networks do: they need a graph every time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

RESIDUALS = 'let the model return its residuals, and pass loss="mse" with targets 0'  # for losses that differentiate it
_TOLD = ("does not require grad", "not have been used in the graph")


@contextmanager
def differentiated(model: nn.Module) -> Iterator[None]:
    """A block in which the model builds its graph under ``no_grad`` too, of inputs that may be differentiated.

    What it returns under ``no_grad`` is without a graph, as that of other models.

    Example:
        >>> class Slope(nn.Linear):
        ...     def forward(self, x):
        ...         return torch.autograd.grad(super().forward(x).sum(), x, create_graph=True)[0]
        >>> model = Slope(2, 1)
        >>> with differentiated(model), torch.no_grad():
        ...     torch.equal(model(torch.ones(3, 2))[0], model.weight[0])
        True
    """
    outside: list[bool] = []

    def begin(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        outside.append(torch.is_grad_enabled())
        torch.set_grad_enabled(True)
        return tree_map(_open, args), tree_map(_open, kwargs)

    def end(_: nn.Module, __: object, returned: Any) -> Any:
        graph = outside.pop()
        torch.set_grad_enabled(graph)
        return returned if graph else tree_map(_closed, returned)

    before = model.register_forward_pre_hook(begin, with_kwargs=True)
    with before, model.register_forward_hook(end, always_call=True):
        yield


def is_of_graph(error: BaseException | None) -> bool:
    """Whether something failed because a derivative was asked of what has no graph, itself or what raised it.

    Example:
        >>> try:
        ...     torch.autograd.grad(torch.ones(()), torch.ones(()))
        ... except RuntimeError as error:
        ...     is_of_graph(error)
        True
    """
    while error is not None:
        if isinstance(error, RuntimeError) and any(told in str(error) for told in _TOLD):
            return True
        error = error.__cause__
    return False


def _open(value: Any) -> Any:
    plain = isinstance(value, Tensor) and value.is_floating_point() and not value.requires_grad
    return value.detach().requires_grad_() if plain else value


def _closed(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value
