"""Curvature matrices of a batch from the other side: in the space of its outputs, where vectors are short."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn

from freeness.errors import brief
from freeness.torch.loss.given import GivenLoss, given_loss
from freeness.torch.loss.loss_rules import Root, curvature_root
from freeness.torch.loss.losses import is_mean, loss_function
from freeness.torch.measured.curvature_matrices import CHUNK, Matrix
from freeness.torch.measured.products import JacobianProducts
from freeness.torch.model.state import trained_parameters

_LOG = logging.getLogger(__name__)


def dual_operator(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    loss: GivenLoss,
    matrix: Matrix,
    preconditioner: Tensor | None = None,
) -> LinearOperator | None:
    """(1/B) SᵀJ P⁻¹ JᵀS for the curvature matrix G = (1/B) JᵀSSᵀJ: the nonzero eigenvalues of P^{-1/2} G P^{-1/2}.

    SSᵀ is the Hessian of the loss in the outputs: S = √c for squared errors and diag(√p) - p√pᵀ for the cross-entropy with
    probabilities p, since Σp = 1. Of the empirical Fisher S holds the slopes of the loss, one column a sample.

    Returns:
        None where it does not help: for the Hessian, losses whose root is not known, batches that are not held at once, fewer
        parameters than outputs, or an operation whose backward pass has no derivative.

    Source: theory.md §7 (the dual of the batch GGN).

    Example:
        >>> model = nn.Linear(3, 1, bias=False).double()
        >>> x, y = torch.tensor([[0.0, 3.0, 4.0]]).double(), torch.zeros(1, 1).double()
        >>> found = dual_operator(model, (x, y), "half_squared_error", "ggn")
        >>> found @ np.ones(1)
        array([25.])
    """
    inputs, targets = data
    parameters = list(trained_parameters(model).values())
    if matrix == "hessian" or (len(inputs) > CHUNK and not model.training and is_mean(loss, targets)):
        return None
    with torch.enable_grad():
        outputs = model(inputs)
    count = len(inputs) if matrix == "empirical_fisher" else outputs.numel()
    if count >= sum(parameter.numel() for parameter in parameters):
        return None
    point = outputs.detach()
    root = dual_root(point, targets, loss, matrix)
    if root is None:
        return None
    try:
        products = JacobianProducts(outputs, parameters)
    except (RuntimeError, NotImplementedError) as error:
        _LOG.info("no dual (%s)", brief(error))
        return None
    spread, gather = root
    weights = None if preconditioner is None else preconditioner.to(outputs).reshape(-1)

    held = torch.float64 if outputs.dtype == torch.float64 else torch.float32  # numpy has no bfloat16

    def product(vector: np.ndarray) -> np.ndarray:
        flat = torch.from_numpy(np.ascontiguousarray(vector).reshape(-1)).to(outputs.device, outputs.dtype)
        there = products.there_and_back(spread(flat), weights)
        return (gather(there).reshape(-1) / len(inputs)).detach().cpu().to(held).numpy()

    dtype = np.dtype(np.float64 if held == torch.float64 else np.float32)
    made: Any = LinearOperator  # its stub knows no arguments
    return made((count, count), matvec=product, rmatvec=product, dtype=dtype)


def dual_root(outputs: Tensor, targets: Tensor, loss: GivenLoss, matrix: Matrix) -> Root | None:
    """S and Sᵀ; None where no root is known.

    Example:
        >>> spread, _ = dual_root(torch.zeros(2, 1), torch.zeros(2, 1), "half_squared_error", "ggn")
        >>> spread(torch.tensor([1.0, 2.0])).tolist()
        [[1.0], [2.0]]
    """
    if matrix == "empirical_fisher":
        return _slopes(outputs, targets, loss)
    return curvature_root(given_loss(loss), outputs, targets)


def _slopes(outputs: Tensor, targets: Tensor, loss: GivenLoss) -> Root:
    """S of the empirical Fisher: the gradients of the loss in the outputs, one column a sample."""
    point = outputs.clone().requires_grad_()
    with torch.enable_grad():
        value = loss_function(loss)(point, targets) * len(outputs)
    (slopes,) = torch.autograd.grad(value, point)
    slopes = slopes.flatten(1)
    return (
        lambda v: (v[:, None] * slopes).reshape(outputs.shape),
        lambda w: (slopes * w.flatten(1)).sum(1),
    )
