"""What torch does with a loss, by its kind; each is a function by single dispatch, so that a loss of your own says its part."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.training import Loss, Objective

LinearMap = Callable[[Tensor], Tensor]
Root = tuple[LinearMap, LinearMap]


@singledispatch
def criterion(loss: Objective) -> nn.Module:
    """The module that computes it; register that of your own loss.

    Raises:
        InputError: none is registered.
    """
    raise InputError(
        f"expected a loss that torch computes, got {loss}; register its module with freeness.torch.criterion."
    )


@singledispatch
def check(loss: Objective, outputs: Tensor, targets: Tensor) -> None:
    """Refuse targets that do not fit: numbers of the outputs' shape and dtype, unless registered otherwise."""
    if targets.shape != outputs.shape:
        raise InputError(
            f"expected targets of the outputs' shape {tuple(outputs.shape)}, got {tuple(targets.shape)}; "
            "reshape them, or one-hot encode classes."
        )
    if targets.dtype != outputs.dtype:
        raise InputError(
            f"expected {outputs.dtype} targets for {loss}, got {targets.dtype}; convert them by targets.to(…)."
        )
    if not bool(torch.isfinite(targets).all()):
        raise InputError("expected finite targets, got NaN or infinity; clean the data.")


@singledispatch
def hessian_root(loss: Objective, outputs: Tensor) -> Root | None:
    """S with SSᵀ = H, from a flat vector to the shape of the outputs, and Sᵀ; None where none is registered.

    H is block diagonal, of every sample the Hessian of its loss. Of losses whose Hessian depends on the targets
    :func:`curvature_root` is asked instead.
    """
    return None


@singledispatch
def curvature_root(loss: Objective, outputs: Tensor, targets: Tensor) -> Root | None:
    """S with SSᵀ = B·∂²L/∂f² for the loss L of a batch of B samples, as :func:`hessian_root` where the targets do not matter."""
    return hessian_root(loss, outputs)


@singledispatch
def averages(loss: Objective, targets: Tensor) -> bool:
    """Whether it is the mean over samples of the loss of each, so that parts of a batch may be taken by themselves."""
    return isinstance(loss, Loss)
