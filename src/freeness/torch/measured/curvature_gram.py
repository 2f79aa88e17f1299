"""A curvature matrix of few outputs from the other side, written down: exact, where that is cheaper than random products."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.torch.loss.given import GivenLoss
from freeness.torch.measured.any_model import Survey, gram, gram_work, planned, survey
from freeness.torch.measured.curvature_dual import dual_root
from freeness.torch.measured.curvature_matrices import CHUNK, Matrix
from freeness.torch.measured.plan import DENSE, carried_seconds, product_seconds
from freeness.torch.model.counting import counted
from freeness.torch.model.function import Function
from freeness.torch.model.state import trained_parameters

_LOG = logging.getLogger(__name__)
_MOST = 2048  # rows
_BYTES = 1e9  # held at most


@dataclass(frozen=True, eq=False)
class _Rooted(Function):
    """f ↦ Sᵀf of a sample, S (C, columns) a constant: its Θ is SᵀJJᵀS."""

    root: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        assert self.root is not None
        return super().__call__(x) @ self.root


def dual_matrix(
    model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss, matrix: Matrix, products: float
) -> Tensor | None:
    """(1/B) SᵀJJᵀS of :func:`~freeness.torch.measured.curvature_dual.dual_operator` as a matrix, in float64.

    Row for row by the gradients of single cotangents, which layers pair without J_θ in memory. The samples must not see each
    other; that they do not is checked by one random cotangent of all: ‖JᵀSu‖² = uᵀSᵀJJᵀSu.

    Args:
        model: with parameters that require gradients.
        data: inputs and targets.
        loss: averaged over the batch.
        matrix: which.
        products: what so many products with a graph that is kept cost is not exceeded.

    Returns:
        None where it does not help: no root is known, too many rows, a batch with shared statistics, or other ways are cheaper.

    Source: theory.md §7 (the dual of the batch GGN).

    Example:
        >>> model = nn.Linear(3, 1, bias=False).double().eval()
        >>> x, y = torch.tensor([[0.0, 3.0, 4.0]]).double(), torch.zeros(1, 1).double()
        >>> dual_matrix(model, (x, y), "half_squared_error", "ggn", 30)
        tensor([[25.]], dtype=torch.float64)
    """
    inputs, _ = data
    if model.training or len(inputs) > CHUNK or matrix == "hessian":
        return None
    roots = _roots(model, data, loss, matrix)
    if roots is None or roots.shape[0] * roots.shape[2] > _MOST:
        return None
    functions = [_Rooted(model, root=root) for root in roots]
    samples = list(inputs.split(1))
    try:
        found = survey(functions[0], samples[0])
        passes = _passes(found, len(samples))
        if passes is None or not _pays(model, samples, found, passes, products):
            return None
        total = gram(functions, samples, passes)
    except (RuntimeError, NotImplementedError, InputError) as error:
        _LOG.info("no dual matrix (%s)", brief(error))
        return None
    return total / len(samples) if _holds(model, inputs, roots, total) else None


def _roots(model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss, matrix: Matrix) -> Tensor | None:
    """S of every sample, (B, C, columns), read off by one vector a column: blocks do not mix samples."""
    inputs, targets = data
    with torch.no_grad():
        outputs = model(inputs)
    each = outputs[0].numel()
    if len(inputs) * each > _MOST:
        return None
    root = dual_root(outputs, targets, loss, matrix)
    if root is None:
        return None
    columns = 1 if matrix == "empirical_fisher" else each
    units = torch.eye(columns, dtype=outputs.dtype, device=outputs.device)
    spread = [root[0](unit.expand(len(inputs), -1).reshape(-1)).detach().reshape(len(inputs), each) for unit in units]
    return torch.stack(spread, 2)


def _passes(found: Survey, samples: int) -> int | None:
    """The fewest that hold little enough, to a factor of two, for each goes through the network again."""
    some = (1 << doubling for doubling in range(len(found.uses).bit_length()))
    return next((passes for passes in some if planned(found, samples, passes).bytes <= _BYTES), None)


def _pays(model: nn.Module, samples: list[Tensor], found: Survey, passes: int, products: float) -> bool:
    """By counted operations."""
    one, count = counted(model, samples[0]), len(samples)
    rows = count * carried_seconds(one, found.outputs, passes)
    work = sum(gram_work(found, name, count) for name in found.uses) / DENSE
    return rows + work < products * product_seconds(one, count)


def _holds(model: nn.Module, inputs: Tensor, roots: Tensor, total: Tensor) -> bool:
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(len(total), generator=generator, dtype=torch.float64).to(total)
    direction = torch.einsum("bck,bk->bc", roots, u.reshape(len(roots), -1).to(roots))
    with torch.enable_grad():
        outputs = model(inputs)
    parameters = list(trained_parameters(model).values())
    pulled = torch.autograd.grad(outputs, parameters, direction.reshape(outputs.shape), materialize_grads=True)
    square = sum(float(part.double().square().sum()) for part in pulled)
    expected = float(u @ total @ u)
    return abs(square - expected) <= torch.finfo(roots.dtype).eps ** 0.5 * abs(expected)
