"""A torch model from the record of a network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction, AffineImage
from freeness.network import Dense, Network
from freeness.torch.model.sampling import weight_matrix
from freeness.torch.record.elementwise import TorchFunction, program_function


class Elementwise(nn.Module):
    """A module that applies a function of one tensor."""

    def __init__(self, name: str, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.name, self.function = name, function

    def forward(self, x: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """φ(x), the same shape as x."""
        return self.function(x)

    def extra_repr(self) -> str:
        return self.name


class AffineActivation(nn.Module):
    """scale·(φ(gain·x + shift) + offset): a normalised or shaped activation."""

    def __init__(self, image: AffineImage, name: str) -> None:
        super().__init__()
        self.name = name
        self.inner = activation_module(image.inner)
        self.gain, self.shift = image.gain, image.shift
        self.offset, self.scale = image.offset, image.scale

    def forward(self, x: Tensor) -> Tensor:
        """φ̂(x), the same shape as x; multiplications by 1 and additions of 0 are left out."""
        inside = x if self.gain == 1 else self.gain * x
        value = self.inner(inside if self.shift == 0 else inside + self.shift)
        value = value if self.offset == 0 else value + self.offset
        return value if self.scale == 1 else self.scale * value

    def extra_repr(self) -> str:
        return f"gain={self.gain:.6g}, shift={self.shift:.6g}, offset={self.offset:.6g}, scale={self.scale:.6g}"


def build(network: Network, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """An ``nn.Sequential`` of a record: weights drawn from its ensembles, biases N(0, σ_b²).

    Drawn in float64 from ``generator``, never from the global random state. A bias exists where it is trained or σ_b >
    0; one that the record does not train has ``requires_grad`` False. Module k is layer k of the record. On the CPU.

    Args:
        network: the record, as from :func:`freeness.network.mlp` or a trace.
        generator: torch's, from which all numbers are drawn: the same seed, the same result.
        dtype: of the parameters, float32 or float64.

    Raises:
        InputError: an activation or ensemble without a torch form.

    Example:
        >>> from freeness.network import mlp
        >>> build(mlp(depth=2, width=3, activation="relu"), torch.Generator().manual_seed(0))
        Sequential(
          (0): Linear(in_features=3, out_features=3, bias=False)
          (1): ReLU()
          (2): Linear(in_features=3, out_features=3, bias=False)
        )
    """
    return nn.Sequential(
        *(
            _linear(layer, generator, dtype) if isinstance(layer, Dense) else activation_module(layer.function)
            for layer in network.chain()
        )
    )


def activation_module(function: ActivationFunction) -> nn.Module:
    """The torch module of an entry of the activation table, or of an activation that was read from a model.

    Example:
        >>> from freeness.network import activation
        >>> activation_module(activation("hardtanh"))
        Hardtanh(min_val=-1.0, max_val=1.0)
    """
    if isinstance(function.function, TorchFunction):
        return Elementwise(function.name, function.function.expression)
    if isinstance(function.function, AffineImage):
        return AffineActivation(function.function, function.name)
    form = function.torch
    if form is None:
        raise InputError(
            f"expected an activation that torch knows, got {function.name!r}; build the model by hand and trace it."
        )
    if form.module:
        return getattr(nn, form.module)(**form.arguments)
    return Elementwise(function.name, program_function(form.program, "x"))


def _linear(layer: Dense, generator: torch.Generator, dtype: torch.dtype) -> nn.Linear:
    has_bias = layer.bias or layer.sigma_b > 0
    linear = nn.utils.skip_init(nn.Linear, layer.fan_in, layer.fan_out, bias=has_bias, dtype=dtype)
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight.copy_(weight_matrix(layer.weights, layer.fan_out, layer.fan_in, generator))
        if has_bias:
            draw = torch.randn(layer.fan_out, generator=generator, dtype=torch.float64, device=generator.device)
            linear.bias.copy_(layer.sigma_b * draw)
            linear.bias.requires_grad_(layer.bias)
    return linear
