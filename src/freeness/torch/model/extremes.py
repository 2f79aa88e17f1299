"""Larger and smaller of two tensors by a function whose backward pass takes many rows at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_CALLS = {
    **dict.fromkeys((torch.maximum, Tensor.maximum, torch.max, Tensor.max), torch.maximum),
    **dict.fromkeys((torch.minimum, Tensor.minimum, torch.min, Tensor.min), torch.minimum),
}


class RowsOfExtremes(TorchFunctionMode):
    """A block in which ``torch.maximum`` and ``torch.minimum`` have the same values and derivatives, by products with shares.

    Their own backward pass goes row by row where several are carried at once. Recurrences that hold the logarithm of a sum, as
    RWKV's, call them at every step.

    Example:
        >>> x, y = torch.tensor([1.0, 2.0, 3.0], requires_grad=True), torch.tensor([2.0, 2.0, 2.0], requires_grad=True)
        >>> with RowsOfExtremes():
        ...     larger = torch.maximum(x, y)
        >>> larger.tolist(), [found.tolist() for found in torch.autograd.grad(larger.sum(), [x, y])]
        ([2.0, 2.0, 3.0], [[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]])
    """

    def __torch_function__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if (
            func in _CALLS
            and not kwargs
            and len(args) == 2
            and all(map(_plain, args))
            and args[0].dtype == args[1].dtype
        ):
            return _Extreme.apply(*torch.broadcast_tensors(*args), _CALLS[func])[0]
        return func(*args, **(kwargs or {}))


class _Extreme(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor, chosen: Any) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        found = chosen(a, b)
        return found, (found == a).to(a.dtype) - (a == b).to(a.dtype) / 2

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.save_for_forward(output[1])

    @staticmethod
    def backward(ctx: Any, *given: Any) -> Any:
        (share,) = ctx.saved_tensors
        return given[0] * share, given[0] * (1 - share), None

    @staticmethod
    def jvp(ctx: Any, *given: Any) -> Any:
        (share,) = ctx.saved_tensors
        return share * given[0] + (1 - share) * given[1], None


def _plain(one: Any) -> bool:
    return isinstance(one, Tensor) and one.is_floating_point()
