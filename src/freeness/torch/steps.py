"""What a traced model is made of: weight layers and functions in between, holding the model's own tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional

from freeness.network import Flatten, Normalisation, Pooling
from freeness.torch.elementwise import Expression, Operation

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


@dataclass(frozen=True, eq=False)
class ConvolutionStep:
    """A convolution with the model's own tensors; ``calls`` are the padding, if any, and the convolution."""

    name: str
    weight: Tensor
    bias: Tensor | None
    calls: tuple[Operation, ...]
    padding: Literal["circular", "zeros", "valid"]

    def __call__(self, x: Tensor) -> Tensor:
        """The convolution of (B, channels, *positions)."""
        for call in self.calls:
            x = call(x)
        return x


@dataclass(frozen=True, eq=False)
class FunctionStep:
    """A normalisation or pooling: torch's own call, and the layer that it is."""

    name: str
    call: Operation
    layer: Normalisation | Pooling

    def __call__(self, x: Tensor) -> Tensor:
        """The call's value."""
        return self.call(x)


@dataclass(frozen=True, eq=False)
class ShapeStep:
    """Another shape of every sample; ``layer`` is None where no layer stands for that."""

    name: str
    shape: tuple[int, ...]
    layer: Flatten | None

    def __call__(self, x: Tensor) -> Tensor:
        """(B, …) in the new shape."""
        return x.reshape(len(x), *self.shape)


@dataclass(frozen=True, eq=False)
class ResidualStep:
    """skip·x + scale·branch(x)."""

    name: str
    branch: tuple[Step, ...]
    scale: float
    skip: float

    def __call__(self, x: Tensor) -> Tensor:
        """The sum."""
        return self.skip * x + self.scale * run_steps(self.branch, x)


ChainStep = DenseStep | ElementwiseStep
Step = DenseStep | ElementwiseStep | ConvolutionStep | FunctionStep | ShapeStep | ResidualStep


def run_steps(steps: Sequence[Step], x: Tensor) -> Tensor:
    """One after the other.

    Example:
        >>> import torch
        >>> run_steps([DenseStep("a", 2 * torch.eye(2), None)], torch.ones(1, 2))
        tensor([[2., 2.]])
    """
    for step in steps:
        x = step(x)
    return x


def walk_steps(steps: Sequence[Step]) -> Iterator[Step]:
    """All steps in the order of the forward pass, a residual one before its branch."""
    for step in steps:
        yield step
        if isinstance(step, ResidualStep):
            yield from walk_steps(step.branch)
