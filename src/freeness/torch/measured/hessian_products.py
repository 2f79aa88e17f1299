"""Products with the Hessian of any loss of a model, and a start for what they are asked of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.model.batched import plain_attention
from freeness.torch.model.custom_functions import custom_functions
from freeness.torch.model.state import trained_parameters
from freeness.torch.model.weight_norms import WrittenWeightNorms

_STEP = 3e-4  # of a finite difference of gradients, over 1 + the norm of the weights: about √ε of float32


def gradient_of(model: nn.Module, loss: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """The gradient by all trained parameters as one vector, and the loss.

    Raises:
        InputError: the loss is not finite.
    """
    parts, value, _ = _gradients(list(trained_parameters(model).values()), loss, False)
    return _vector(parts), value


def hessian_product(
    model: nn.Module, loss: Callable[[], Tensor], scale: Callable[[Tensor], Tensor] | None = None
) -> tuple[Callable[[Tensor], Tensor], float]:
    """v ↦ P^{-1/2} H P^{-1/2} v, and the loss; for the weights as they are now.

    By second derivatives. Where an operation has none, or is a user's own and may lack it without a word, by a difference of
    gradients. At the kinks of ReLU gradients jump, which a difference takes for curvature: up to ten times λ.
    The caller restores the weights.

    ``scale`` gives P from the gradient at these weights, over all trained parameters; None is 1.

    Raises:
        InputError: the loss is not finite.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> product, _ = hessian_product(model, lambda: model(torch.ones(1, 1)).square().sum())
        >>> product(torch.ones(1))
        tensor([2.])
    """
    parameters = list(trained_parameters(model).values())
    with plain_attention(), WrittenWeightNorms():
        slopes, value, own = _gradients(parameters, loss, True)
    root = None if scale is None else scale(_vector(slopes).detach()).sqrt()
    ways: list[Callable[[Tensor], Tensor]] = [lambda vector: _along(parameters, slopes, vector)]
    if own:
        ways.append(_differences(parameters, loss))

    def product(vector: Tensor) -> Tensor:
        along = vector if root is None else vector / root
        try:
            curved = ways[-1](along)
        except RuntimeError:  # an operation whose backward pass has no derivative
            if len(ways) > 1:
                raise
            ways.append(_differences(parameters, loss))
            curved = ways[-1](along)
        return curved if root is None else curved / root

    return product, value


def drawn_direction(model: nn.Module) -> Tensor:
    """A vector over all trained parameters, always the same, in float32 at least.

    Example:
        >>> drawn_direction(nn.Linear(2, 1)).shape
        torch.Size([3])
    """
    parameters = list(trained_parameters(model).values())
    drawn = torch.randn(sum(one.numel() for one in parameters), generator=torch.Generator().manual_seed(0))
    return drawn.to(parameters[0].device, torch.promote_types(parameters[0].dtype, torch.float32))


def parts_of(vector: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """A vector over all parameters in their shapes and dtypes.

    Example:
        >>> [part.tolist() for part in parts_of(torch.arange(3.0), [torch.zeros(1, 2), torch.zeros(1)])]
        [[[0.0, 1.0]], [2.0]]
    """
    parts = vector.split([one.numel() for one in parameters])
    return [part.reshape(one.shape).to(one.dtype) for one, part in zip(parameters, parts, strict=True)]


def _gradients(
    parameters: Sequence[nn.Parameter], loss: Callable[[], Tensor], graph: bool
) -> tuple[tuple[Tensor, ...], float, bool]:
    """With the loss, and whether an operation of the user's own is on the way."""
    with torch.enable_grad():
        value = loss()
        if not bool(value.isfinite()):
            raise InputError(f"expected a finite loss, got {float(value.detach())}; the training has diverged.")
        own = graph and any(custom_functions(value.grad_fn))
        found = torch.autograd.grad(
            value, parameters, create_graph=graph and not own, materialize_grads=True, allow_unused=True
        )
        dense = tuple(one.to_dense() if one.is_sparse else one for one in found)
    return dense, float(value.detach()), own


def _along(parameters: Sequence[nn.Parameter], slopes: Sequence[Tensor], vector: Tensor) -> Tensor:
    """H v as the gradient of the gradient's component along v."""
    pairs = zip(slopes, parts_of(vector, parameters), strict=True)
    live = [(slope, part) for slope, part in pairs if slope.requires_grad]
    if not live:
        return torch.zeros_like(vector)
    found = torch.autograd.grad(
        [slope for slope, _ in live],
        parameters,
        [part for _, part in live],
        retain_graph=True,
        materialize_grads=True,
        allow_unused=True,
    )
    return _vector(found).to(vector.dtype)


def _differences(parameters: Sequence[nn.Parameter], loss: Callable[[], Tensor]) -> Callable[[Tensor], Tensor]:
    """Each product moves the weights there and back."""
    for one in parameters:
        if one.dtype.itemsize < 4:
            raise InputError(f"expected weights in float32, got {one.dtype}, of which a small step leaves nothing.")
    here = [one.detach().clone() for one in parameters]
    plain = _vector(_gradients(parameters, loss, False)[0])
    length = _STEP * (1 + math.sqrt(sum(float(one.double().square().sum()) for one in here)))

    def product(vector: Tensor) -> Tensor:
        step = length / float(vector.norm())
        for one, first, part in zip(parameters, here, parts_of(vector * step, parameters), strict=True):
            one.data.copy_(first + part)  # .data: version counters stay, a graph of the caller's stays valid
        moved = _vector(_gradients(parameters, loss, False)[0])
        for one, first in zip(parameters, here, strict=True):
            one.data.copy_(first)
        return ((moved - plain) / step).to(vector.dtype)

    return product


def _vector(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts])
