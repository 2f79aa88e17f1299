"""What a traced model is made of: weight layers and elementwise functions, holding the model's own tensors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from freeness.torch.elementwise import Expression

_STRIP = 64  # rows of W that are converted at a time


@dataclass(frozen=True, eq=False)
class DenseStep:
    """h = W x + b with the model's own tensors: weight (fan_out, fan_in), bias (fan_out) or None."""

    name: str
    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """W x + b over the last dimension, in the dtype and on the device of x; no whole copy of W is made for that."""
        bias = None if self.bias is None else self.bias.to(x)
        if (self.weight.dtype, self.weight.device) == (x.dtype, x.device):
            return functional.linear(x, self.weight, bias)
        found = x.new_empty(*x.shape[:-1], len(self.weight))
        strip = x.new_empty(_STRIP, self.weight.shape[1])
        for start in range(0, len(self.weight), _STRIP):
            rows = self.weight.detach()[start : start + _STRIP]
            found[..., start : start + _STRIP] = functional.linear(x, strip[: len(rows)].copy_(rows))
        return found if bias is None else found + bias


@dataclass(frozen=True, eq=False)
class ElementwiseStep:
    """x = φ(h), elementwise; ``function`` runs the model's own operations."""

    name: str
    function: Expression

    def __call__(self, x: Tensor) -> Tensor:
        """φ(x)."""
        return self.function(x)


Step = DenseStep | ElementwiseStep
