"""The generalised Gauss–Newton matrix of a batch where vectors are shorter, with the way to the parameters and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from freeness.torch.loss.given import GivenLoss, given_loss
from freeness.torch.loss.loss_rules import curvature_root
from freeness.torch.loss.losses import loss_function
from freeness.torch.loss.output_hessian import OutputHessian
from freeness.torch.measured.products import ForwardProducts, PartedProducts, Products, light_products
from freeness.torch.model.state import trained_parameters

_Map = Callable[[Tensor], Tensor]


class Parts(NamedTuple):
    """The diagonal P by which the matrix is divided, and samples whose graph is held at a time (None: one graph is kept).

    ``known``: the ``way`` of a matrix of other samples, whose derivatives were checked.
    """

    preconditioner: Tensor | None = None
    size: int | None = None
    known: type[Products] | None = None


class GaussNewton:
    """P^{-1/2} G P^{-1/2} with G = (1/B) JᵀHJ, or its dual (1/B) SᵀJP⁻¹JᵀS with SSᵀ = H where the outputs are fewer.

    ``parts``: the diagonal, and how the batch is held.

    Source: theory.md §7.

    Example:
        >>> model = nn.Linear(3, 1, bias=False)
        >>> x = torch.tensor([[0.0, 3.0, 4.0]])
        >>> matrix = GaussNewton(model, (x, torch.zeros(1, 1)), "half_squared_error", Parts())
        >>> matrix.size, matrix.product(torch.ones(1))
        (1, tensor([25.]))
    """

    def __init__(self, model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss, parts: Parts) -> None:
        inputs, targets = data
        self.samples = len(inputs)
        split = parts.size is not None and parts.size < len(inputs) and not model.training
        checked = parts.known in (ForwardProducts, PartedProducts)
        self._products: Products = (
            PartedProducts(model, inputs, parts.size or 1, checked=checked)
            if split
            else light_products(model, inputs, parts.known)
        )
        self.way = type(self._products)
        outputs, parameters = self._products.outputs, trained_parameters(model).values()
        self._like = next(iter(parameters))
        diagonal = parts.preconditioner
        self._scale = None if diagonal is None else diagonal.to(self._like).reshape(-1)
        self.size = count = sum(parameter.numel() for parameter in parameters)
        self._root = curvature_root(given_loss(loss), outputs.detach(), targets) if outputs.numel() < count else None
        self._curved: _Map | None = None
        if self._root is None:
            criterion = loss_function(loss)
            self._curved = OutputHessian(lambda point: criterion(point, targets) * len(point), outputs)
        else:
            self.size = outputs.numel()

    def product(self, vector: Tensor) -> Tensor:
        """The matrix times a vector of ``size`` numbers."""
        if self._root is not None:
            there = self._products.there_and_back(self._root[0](vector), self._scale)
            return self._root[1](there).reshape(-1) / self.samples
        return self.lower(self.lift(vector))

    def lift(self, vector: Tensor) -> list[Tensor]:
        """A vector's direction in the parameters, in their parts: of large models it is not held twice."""
        if self._root is None:
            return self._products.parts(vector if self._scale is None else vector / self._scale.sqrt())
        return self._products.back(self._root[0](vector), self._scale)

    def lower(self, direction: Sequence[Tensor]) -> Tensor:
        """The matrix' image of what such a direction came from: Sᵀ J d / B, or P^{-1/2} JᵀHJ d / B."""
        pushed = self._products.along(direction)
        if self._root is not None:
            return self._root[1](pushed).reshape(-1) / self.samples
        assert self._curved is not None
        pulled = self._products.pull(self._curved(pushed)) / self.samples
        return pulled if self._scale is None else pulled / self._scale.sqrt()

    def random(self) -> Tensor:
        """A vector of normal numbers, the same every time."""
        drawn = torch.randn(self.size, generator=torch.Generator().manual_seed(0))
        return drawn.to(self._like.device, self._like.dtype)
