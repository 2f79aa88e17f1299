"""Activations and their derivatives for stacks, every member's numbers the same in every stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from freeness.gaussian import ActivationFunction, AffineImage
from freeness.torch import activation_module, program_function

_VECTOR = 64  # elements: a multiple of what one turn of torch's vectorised loops takes


class Bend(NamedTuple):
    """``apply``: φ(h); ``pull``: g·φ'(h) from g, h and φ(h)."""

    apply: Callable[[Tensor], Tensor]
    pull: Callable[[Tensor, Tensor, Tensor], Tensor]


def bend_of(function: ActivationFunction) -> Bend:
    """How a stack applies an activation and pulls a gradient through it.

    Tensors are (M, B, N). Where the table of activations has no shorter way to the gradient, autograd takes it.

    Raises:
        InputError: a function of one's own that is only known to numpy.

    Example:
        >>> from freeness.network import activation
        >>> h = torch.tensor([[[-2.0, 0.5]]])
        >>> bend_of(activation("hardtanh")).pull(torch.ones_like(h), h, h).tolist()
        [[[0.0, 1.0]]]
    """
    if isinstance(function.function, AffineImage):
        return _affine(function.function, bend_of(function.function.inner))
    if function.slopes == (1.0,):
        return Bend(lambda h: h, lambda g, h, y: g)
    module = activation_module(function)
    chosen = set(function.slopes or (None,)) <= {0.0, 1.0}  # h or a constant, by comparing: no rounding
    apply = module.forward if chosen else lambda h: _whole(module, h)
    if function.torch is not None and function.torch.pull:
        return Bend(apply, program_function(function.torch.pull, "g", "h", "y"))
    return Bend(apply, lambda g, h, y: _whole(lambda both: _pulled(module, both[0], both[1]), torch.stack([g, h])))


def _affine(outer: AffineImage, inner: Bend) -> Bend:
    """scale·(φ(gain·h + shift) + offset)."""
    steep = outer.scale * outer.gain
    return Bend(
        lambda h: outer.scale * (inner.apply(outer.gain * h + outer.shift) + outer.offset),
        lambda g, h, y: inner.pull(steep * g, outer.gain * h + outer.shift, y / outer.scale - outer.offset),
    )


def _pulled(module: nn.Module, g: Tensor, h: Tensor) -> Tensor:
    with torch.enable_grad():
        h = h.detach().requires_grad_()
        return torch.autograd.grad(module(h), h, g)[0]


def _whole(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The function on x (…, M, B, N), each member padded to whole vectors.

    Vectorised loops end in scalar code, whose last bits differ; without padding the size of the stack would decide which
    elements fall there.
    """
    size = x.shape[-2] * x.shape[-1]
    if size % _VECTOR == 0:
        return function(x)
    padded = nn.functional.pad(x.flatten(-2), (0, -size % _VECTOR))
    return function(padded)[..., :size].reshape(*x.shape[-3:])
