"""Exact spectra of one real network on one sample: the layer-wise dual Gram matrix, singular values."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from freeness.laws import Empirical
from freeness.network.layers import Dense
from freeness.spectra.records import Measurement
from freeness.torch.elementwise import derivative
from freeness.torch.signals import layer_values
from freeness.torch.steps import DenseStep
from freeness.torch.trace import Trace

_TILE = 64  # rows of a block of a symmetric product; measured best at width 256 to 1000


def dual_gram(trace: Trace, x: Tensor) -> Tensor:
    """Θ = J_θJ_θᵀ of the outputs at one sample, over all weights and trained biases.

    Θ = Σ_l (‖x^{l-1}‖² + [bias trained]) B_lB_lᵀ with B_l = ∂f/∂h^l (C × N_l). Either B is carried backward
    (B_{l-1} = B_l W_l D_{l-1}, C rows) or the sum is carried forward (H ← W D H D Wᵀ + ‖x‖² + 1, N_l rows); the one
    with fewer multiplications is taken. No automatic differentiation of outputs, and no J_θ (C × P) in memory.

    Args:
        trace: the traced model.
        x: one sample of shape ``trace.input_shape`` or (N_0,), or a batch of one.

    Returns:
        Θ, symmetric (C, C), float64, on the device of the weights.

    Raises:
        InputError: x has the wrong shape, is zero or not finite, or a layer's output is not finite.

    Source: Hayase, Karakida, AISTATS 2021 (dual of the one-sample Fisher information).

    Example:
        >>> from freeness.torch import trace
        >>> model = torch.nn.Linear(3, 2)
        >>> dual_gram(trace(model, torch.ones(3)), torch.ones(3))
        tensor([[4., 0.],
                [0., 4.]], dtype=torch.float64)
    """
    factors = _factors(trace, x)
    with torch.no_grad():
        return _backward_gram(factors) if _backward_is_cheaper(factors) else _forward_gram(factors)


def jacobian_singular_values(trace: Trace, x: Tensor) -> Tensor:
    """Singular values of the input–output Jacobian J = W_L D_{L-1} … D_1 W_1 (C × N_0) at one sample.

    Args:
        trace: the traced model.
        x: one sample, as in :func:`dual_gram`.

    Returns:
        min(C, N_0) values, descending, float64. They come from J itself and not from JJᵀ, which would lose those below
        √ε·s_max.

    Raises:
        InputError: as :func:`dual_gram`.

    Source: Pennington, Schoenholz, Ganguli 2017.

    Example:
        >>> from freeness.torch import trace
        >>> model = torch.nn.Linear(2, 2).double()
        >>> values = jacobian_singular_values(trace(model, torch.ones(2).double()), torch.ones(2))
        >>> torch.allclose(values, torch.linalg.svdvals(model.weight))
        True
    """
    factors = _factors(trace, x)
    with torch.no_grad():
        return torch.linalg.svdvals(_jacobian(factors))


def measure_fisher(trace: Trace, x: Tensor) -> Measurement:
    """The C eigenvalues of Θ = J_θJ_θᵀ, the nonzero ones of the Fisher information; no 1/N, no loss factor.

    Args:
        trace: the traced model.
        x: one sample, as in :func:`dual_gram`.

    Raises:
        InputError: as :func:`dual_gram`.

    Example:
        >>> from freeness.torch import trace
        >>> measure_fisher(trace(torch.nn.Linear(3, 2), torch.ones(3)), torch.ones(3)).eigenvalues
        array([4., 4.])
    """
    return _measured("layer-wise dual Gram matrix, all eigenvalues", lambda: torch.linalg.eigvalsh(dual_gram(trace, x)))


def measure_jacobian(trace: Trace, x: Tensor) -> Measurement:
    """The C eigenvalues of JJᵀ: squared singular values of J, and C - N_0 zeros if C > N_0.

    Args:
        trace: the traced model.
        x: one sample, as in :func:`dual_gram`.

    Raises:
        InputError: as :func:`dual_gram`.

    Example:
        >>> from freeness.torch import trace
        >>> measure_jacobian(trace(torch.nn.Linear(1, 3), torch.ones(1)), torch.ones(1)).eigenvalues[:2]
        array([0., 0.])
    """

    def eigenvalues() -> Tensor:
        squares = jacobian_singular_values(trace, x).square().flip(0)
        return torch.cat([squares.new_zeros(trace.network.widths[-1] - len(squares)), squares])

    return _measured("singular values of the Jacobian, squared", eigenvalues)


def _measured(method: str, compute: Callable[[], Tensor]) -> Measurement:
    start = time.perf_counter()
    values = np.maximum(compute().cpu().numpy(), 0.0)
    seconds = time.perf_counter() - start
    return Measurement(values, Empirical(values), method, seconds)


@dataclass(frozen=True, eq=False)
class _Factor:
    """One step of the chain of the Jacobian: a weight with its ‖x‖² + [bias trained], or the diagonal φ'(h)."""

    matrix: Tensor
    gain: float = 0.0

    @property
    def diagonal(self) -> bool:
        return self.matrix.ndim == 1


def _factors(trace: Trace, x: Tensor) -> list[_Factor]:
    """Input side first; the diagonals before the first weight and after the last one included."""
    values = layer_values(trace, x)
    factors = []
    for layer, step, value in zip(trace.network.layers, trace.steps, values, strict=False):
        if isinstance(step, DenseStep):
            trained_bias = isinstance(layer, Dense) and layer.bias
            factors.append(_Factor(step.weight.detach().to(value), float(value @ value) + trained_bias))
        else:
            factors.append(_Factor(derivative(step.function, value)))
    return factors


def _backward_is_cheaper(factors: Sequence[_Factor]) -> bool:
    """Multiplications of both ways; a symmetric product counts half."""
    shapes = [factor.matrix.shape for factor in factors if not factor.diagonal]
    outputs = shapes[-1][0]
    backward = sum(outputs * rows * columns for rows, columns in shapes[1:-1])
    backward += sum(outputs * outputs * rows / 2 for rows, _ in shapes[:-1])
    forward = sum(rows * columns * columns for rows, columns in shapes[2:])
    forward += sum(rows * rows * columns / 2 for rows, columns in shapes[1:])
    return backward <= forward


def _backward_gram(factors: Sequence[_Factor]) -> Tensor:
    outputs = next(factor for factor in reversed(factors) if not factor.diagonal).matrix.shape[0]
    gram = factors[-1].matrix.new_zeros(outputs, outputs)
    back: Tensor | None = None  # ∂f/∂h; None is the identity, a vector a diagonal
    first = next(i for i, factor in enumerate(factors) if not factor.diagonal)
    for i in reversed(range(first, len(factors))):
        factor = factors[i]
        if not factor.diagonal:
            _add_gram(gram, back, factor.gain)
        if i > first:
            back = _times(back, factor)
    return gram.triu_().add_(gram.triu(1).T.clone())


def _times(left: Tensor | None, factor: _Factor) -> Tensor:
    """left · factor, where left is a matrix, a diagonal (vector) or the identity (None)."""
    if left is None:
        return factor.matrix
    if left.ndim == 1:
        return left * factor.matrix if factor.diagonal else left[:, None] * factor.matrix
    return left * factor.matrix if factor.diagonal else left @ factor.matrix


def _add_gram(gram: Tensor, matrix: Tensor | None, scale: float) -> None:
    """Add scale·M Mᵀ to ``gram``, on and above the diagonal (with what of the tiles lies below it)."""
    if matrix is None:
        gram.diagonal().add_(scale)
    elif matrix.ndim == 1:
        gram.diagonal().add_(matrix.square(), alpha=scale)
    else:
        for row in range(0, len(gram), _TILE):
            gram[row : row + _TILE, row:].addmm_(matrix[row : row + _TILE], matrix[row:].T, alpha=scale)


def _forward_gram(factors: Sequence[_Factor]) -> Tensor:
    dense = [factor for factor in factors if not factor.diagonal]
    sandwich: Tensor = dense[0].matrix.new_full((dense[0].matrix.shape[0],), dense[0].gain)  # a vector is a diagonal
    first = next(i for i, factor in enumerate(factors) if not factor.diagonal)
    for factor in factors[first + 1 :]:
        if factor.diagonal:
            sandwich = _conjugated(sandwich, factor.matrix)
            continue
        half = factor.matrix * sandwich.sqrt() if sandwich.ndim == 1 else factor.matrix @ sandwich
        other = half if sandwich.ndim == 1 else factor.matrix
        sandwich = half.new_zeros(len(half), len(half))
        for row in range(0, len(half), _TILE):
            torch.mm(half[row : row + _TILE], other[row:].T, out=sandwich[row : row + _TILE, row:])
        sandwich = sandwich.triu_().add_(sandwich.triu(1).T.clone())
        sandwich.diagonal().add_(factor.gain)
    return torch.diag(sandwich) if sandwich.ndim == 1 else sandwich


def _conjugated(sandwich: Tensor, diagonal: Tensor) -> Tensor:
    """D H D."""
    return sandwich * diagonal.square() if sandwich.ndim == 1 else sandwich * torch.outer(diagonal, diagonal)


def _jacobian(factors: Sequence[_Factor]) -> Tensor:
    """The product of the chain, multiplied from the narrower end."""
    shapes = [factor.matrix.shape for factor in factors if not factor.diagonal]
    from_outputs = shapes[-1][0] * sum(r * c for r, c in shapes[:-1])
    from_inputs = shapes[0][1] * sum(r * c for r, c in shapes[1:])
    product: Tensor | None = None
    if from_outputs <= from_inputs:
        for factor in reversed(factors):
            product = _times(product, factor)
        assert product is not None
        return product
    for factor in factors:  # Jᵀ = W_1ᵀ D_1 W_2ᵀ …
        product = _times(product, _Factor(factor.matrix if factor.diagonal else factor.matrix.T))
    assert product is not None
    return product.T
