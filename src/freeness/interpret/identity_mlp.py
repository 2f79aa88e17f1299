"""The network of one width whose weights start at s·1, with one extra neuron a class in every layer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from freeness.errors import InputError, is_real, is_size
from freeness.gaussian import ActivationFunction
from freeness.network import Dense, Network, mlp
from freeness.torch import build


class IdentityMLP(nn.Module):
    """x⁰ = [x - centre; 0_K], h^l = W_l x^{l-1} + b_l, x^l = φ(h^l), l = 1..L; the output is the class part of h^L.

    All W_l are square of width N = features + K and start at s·1, all b_l at 0. So x^l = [m^l; p^l] keeps two parts at
    every depth: the contribution map m^l, in the space of the input, and the K class neurons p^l. At the start nothing
    mixes: JJᵀ and the Fisher dual are diagonal and known exactly (:func:`freeness.spectra.diagonal_law`); the network
    leaves that point by training.

    ``stack`` is the plain chain of Linear layers and activations, for everything that reads chains; ``network`` its
    record.

    Args:
        shape: of one input; a number for a vector.
        classes: K ≥ 2, columns of the last layer.
        depth: L, the number of weight matrices.
        activation: a name of the table or a record; one that is near the identity around 0 keeps the layers comparable.
        scale: s > 0.
        centre: what is subtracted from every input, of its shape: the mean of the training data, for instance.

    Raises:
        InputError: sizes that are not whole numbers ≥ 1 (K ≥ 2), a scale that is not positive, or a centre of another
            shape.

    Source: Kubota, Hayashi, Hayase, Uchida, ICASSP 2021 (arXiv 2102.13333).

    Example:
        >>> model = IdentityMLP((2, 2), classes=3, depth=4)
        >>> model.width, model(torch.ones(5, 2, 2)).shape
        (7, torch.Size([5, 3]))
    """

    centre: Tensor

    def __init__(
        self,
        shape: int | tuple[int, ...],
        classes: int,
        depth: int,
        activation: str | ActivationFunction = "hardtanh",
        scale: float = 1.0,
        centre: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if not self.shape or not all(map(is_size, self.shape)) or not is_size(classes) or classes < 2:
            raise InputError(
                f"expected sizes ≥ 1 of an input and at least 2 classes, got {self.shape} and {classes!r}; correct them."
            )
        if not (is_real(scale) and scale > 0):
            raise InputError(f"expected a scale s > 0 of the identity, got {scale!r}; 1 is usual.")
        self.features, self.classes = math.prod(self.shape), int(classes)
        self.width, self.scale = self.features + self.classes, float(scale)
        chain = mlp(depth, self.width, activation, "identity", sigma_w=self.scale)
        layers = (replace(layer, bias=True) if isinstance(layer, Dense) else layer for layer in chain.layers)
        self.network = Network(tuple(layers))
        self.stack = build(self.network, torch.Generator())
        found = torch.zeros(self.shape) if centre is None else centre.detach().clone()
        if tuple(found.shape) != self.shape:
            raise InputError(
                f"expected a centre of the inputs' shape {self.shape}, got {tuple(found.shape)}; correct it."
            )
        self.register_buffer("centre", found.to(torch.get_default_dtype()))

    @property
    def depth(self) -> int:
        """L, the number of weight matrices."""
        return len(self.linears)

    @property
    def linears(self) -> list[nn.Linear]:
        """The L layers with weights, first to last."""
        return [layer for layer in self.stack if isinstance(layer, nn.Linear)]

    @property
    def activation(self) -> str:
        """The name of φ."""
        return cast(str, self.network.layers[1].function.name) if self.depth > 1 else "linear"  # pyright: ignore

    def padded(self, inputs: Tensor) -> Tensor:
        """x⁰ = [x - centre; 0_K], one row a sample.

        Args:
            inputs: (n, *shape), or (n, features).

        Raises:
            InputError: inputs of another size.
        """
        if inputs.ndim < 2 or math.prod(inputs.shape[1:]) != self.features:
            raise InputError(
                f"expected inputs (n, {', '.join(map(str, self.shape))}), got {tuple(inputs.shape)}; reshape them, or "
                "build the network for their shape."
            )
        flat = inputs.reshape(len(inputs), -1).to(self.centre) - self.centre.reshape(-1)
        return nn.functional.pad(flat, (0, self.classes))

    def states(self, inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """h^1, …, h^L and x^0, …, x^{L-1}, from one forward pass.

        Args:
            inputs: (n, *shape).
        """
        value = self.padded(inputs)
        before, after = [], [value]
        for module in self.stack:
            value = module(value)
            (before if isinstance(module, nn.Linear) else after).append(value)
        return before, after

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (n, K): the class part of h^L."""
        return self.stack(self.padded(inputs))[:, self.features :]

    def extra_repr(self) -> str:
        return f"shape={self.shape}, classes={self.classes}, depth={self.depth}, scale={self.scale:g}"
