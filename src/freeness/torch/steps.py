"""What a traced model is made of: weight layers and elementwise functions, holding the model's own tensors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from freeness.torch.elementwise import Expression


@dataclass(frozen=True, eq=False)
class DenseStep:
    """h = W x + b with the model's own tensors: weight (fan_out, fan_in), bias (fan_out) or None."""

    name: str
    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """W x + b over the last dimension, in the dtype and on the device of x."""
        return functional.linear(x, self.weight.to(x), None if self.bias is None else self.bias.to(x))


@dataclass(frozen=True, eq=False)
class ElementwiseStep:
    """x = φ(h), elementwise; ``function`` runs the model's own operations."""

    name: str
    function: Expression

    def __call__(self, x: Tensor) -> Tensor:
        """φ(x)."""
        return self.function(x)


Step = DenseStep | ElementwiseStep
