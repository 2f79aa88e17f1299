"""Curvature matrices of a batch by their products: generalised Gauss–Newton, Hessian, Fisher."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from curvlinops import GGNLinearOperator, HessianLinearOperator
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.torch.losses import Loss, loss_function
from freeness.torch.products import JacobianProducts
from freeness.torch.state import trained_parameters

_LOG = logging.getLogger(__name__)
CHUNK = 256  # samples held at a time

Matrix = Literal["ggn", "fisher", "hessian", "empirical_fisher"]


def curvature_operator(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss, matrix: Matrix) -> LinearOperator:
    """A curvature matrix in all trained parameters, to be used while the model stays as it is.

    The Hessian comes from curvlinops. The others are Jᵀ M J with a matrix M in the outputs, J v being the derivative of the
    backward pass: the graph of a batch that is held at once is kept for all products. Where a backward pass has no derivative
    curvlinops gives the Gauss–Newton matrix.

    Args:
        model: any module, its parameters requiring gradients.
        inputs: the batch, (B, …).
        targets: see :func:`~freeness.torch.losses.check_targets`.
        loss: averaged over the batch.
        matrix: "ggn" (1/B) Σ JᵀHJ; "fisher", which is the same matrix for all these losses; "hessian"; or "empirical_fisher",
            (1/B) Σ g gᵀ with the gradients of single samples.

    Raises:
        InputError: operations that cannot be differentiated as often as the matrix asks.

    Example:
        >>> model = nn.Linear(2, 1, bias=False).double()
        >>> x, y = torch.tensor([[3.0, 4.0]]).double(), torch.zeros(1, 1).double()
        >>> curvature_operator(model, x, y, "half_squared_error", "ggn") @ np.array([1.0, 0.0])
        array([ 9., 12.])
    """
    parameters = list(trained_parameters(model).values())
    dtype = np.dtype(np.float32 if parameters[0].dtype == torch.float32 else np.float64)
    chunk = len(inputs) if model.training else CHUNK  # batch statistics are those of the whole batch
    data = list(zip(inputs.detach().split(chunk), targets.detach().split(chunk), strict=True))
    if matrix != "hessian":
        try:
            product = _Outer(model, parameters, data, loss, matrix == "empirical_fisher")
            made: Any = LinearOperator  # its stub knows no arguments
            return made((product.size, product.size), matvec=product, rmatvec=product, dtype=dtype)
        except (RuntimeError, NotImplementedError) as error:
            reason = brief(error)
            if matrix == "empirical_fisher":
                raise InputError(
                    f"expected operations whose backward pass has a derivative, got one without ({reason}); take ggn."
                ) from error
            _LOG.info("no derivative of the backward pass (%s), using curvlinops", reason)
    kind: Any = HessianLinearOperator if matrix == "hessian" else GGNLinearOperator
    operator = kind(model, loss_function(loss), parameters, data, check_deterministic=False, num_data=len(inputs))
    found = operator.to_scipy(dtype)
    try:
        found.matvec(np.zeros(found.shape[0], dtype))  # fails here where it fails at all
    except (RuntimeError, NotImplementedError) as error:
        remedy = "write its backward pass in torch's operations" if matrix == "ggn" else 'take the matrix "ggn"'
        raise InputError(
            f"expected operations that torch.func can differentiate twice, got {brief(error)}; {remedy}."
        ) from error
    return found


@dataclass(frozen=True, eq=False)
class _Part:
    """A part of the batch: J, its outputs as a point of their own, and the loss' slope there, times the samples."""

    products: JacobianProducts
    point: Tensor
    slope: Tensor


class _Outer:
    """v ↦ Jᵀ M J v, M the Hessian of the loss in the outputs, or the outer products of its slopes."""

    def __init__(
        self,
        model: nn.Module,
        parameters: list[nn.Parameter],
        data: list[tuple[Tensor, Tensor]],
        loss: Loss,
        empirical: bool,
    ) -> None:
        self.model, self.parameters, self.data = model, parameters, data
        self.criterion, self.empirical = loss_function(loss), empirical
        self.samples = sum(len(inputs) for inputs, _ in data)
        first = self._part(*data[0])
        self.size = first.products.size
        self.kept = first if len(data) == 1 else None

    def _part(self, inputs: Tensor, targets: Tensor) -> _Part:
        with torch.enable_grad():
            products = JacobianProducts(self.model(inputs), self.parameters)
            point = products.outputs.detach().clone().requires_grad_()
            value = self.criterion(point, targets) * len(inputs)
            (slope,) = torch.autograd.grad(value, point, create_graph=True)
        return _Part(products, point, slope)

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        """One product."""
        like = self.parameters[0]
        flat = torch.from_numpy(np.ascontiguousarray(vector).reshape(-1)).to(like.device, like.dtype)
        total = torch.zeros_like(flat)
        for inputs, targets in self.data:
            part = self.kept or self._part(inputs, targets)
            pushed = part.products.push(flat)
            if self.empirical:
                slope = part.slope.detach()
                along = (slope * pushed).flatten(1).sum(1)
                curved = slope * along.reshape(-1, *[1] * (slope.ndim - 1))
            else:
                (curved,) = torch.autograd.grad(part.slope, part.point, pushed, retain_graph=True)
            total += part.products.pull(curved)
        return (total / self.samples).cpu().numpy()
