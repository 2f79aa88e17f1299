"""Weight norms with right second derivatives: torch's own take the norm of a weight for a constant in the backward pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_FUSED: Any = vars(torch)["_weight_norm"]  # torch's own, which its stubs keep to themselves


class WrittenWeightNorms(TorchFunctionMode):
    """A block in which torch's weight norm is g·v/‖v‖ by operations that can be differentiated as often as one likes.

    Source: Salimans, Kingma, NeurIPS 2016. The backward pass of torch's fused call multiplies with a saved 1/‖v‖, whose own
    derivative it leaves out: Hessians that are taken through it are not symmetric.

    Example:
        >>> v, g = torch.tensor([[3.0, 4.0]], requires_grad=True), torch.tensor([[1.0]], requires_grad=True)
        >>> with WrittenWeightNorms():
        ...     weight = torch._weight_norm(v, g, 0)
        >>> (slope,) = torch.autograd.grad(weight[0, 0], v, create_graph=True)
        >>> [round(found, 4) for found in torch.autograd.grad(slope[0, 0], v)[0][0].tolist()]
        [-0.0461, 0.0026]
    """

    def __torch_function__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        return _scaled(*args, **given) if func is _FUSED else func(*args, **given)


def _scaled(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    return v * (g / torch.norm_except_dim(v, 2, dim))
