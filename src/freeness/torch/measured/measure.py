"""Exact spectra of one real network on one sample: the layer-wise dual Gram matrix, singular values."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from freeness.errors import InputError
from freeness.laws import Empirical
from freeness.spectra import Measurement
from freeness.torch.measured.any_model import (
    Survey,
    gram,
    input_jacobian,
    jacobian_passes,
    jacobian_plan,
    planned,
    survey,
)
from freeness.torch.model.memory import MemoryPlan, check_memory
from freeness.torch.record.elementwise import derivatives
from freeness.torch.record.signals import layer_values
from freeness.torch.record.steps import DenseStep
from freeness.torch.record.tracing import Trace

_STACKED = 4096  # rows that one symmetric product adds at most; more gain nothing
_TILE = 64  # rows of a block of a symmetric product; measured best at width 256 to 1000


def dual_gram(
    trace: Trace,
    x: Tensor,
    *,
    training: bool = False,
    dtype: torch.dtype | None = None,
    passes: int | None = None,
    limit: int | None = None,
) -> Float[Tensor, "outputs outputs"]:
    """Θ = J_θJ_θᵀ of the outputs at one sample, over all trained parameters, exactly and without J_θ (C × P) in memory.

    A chain: Θ = Σ_l (‖x^{l-1}‖² + [bias trained]) B_lB_lᵀ with B_l = ∂f/∂h^l (C × N_l), in float64. Either B is carried
    backward (B_{l-1} = B_l W_l D_{l-1}, C rows) or the sum is carried forward (H ← W D H D Wᵀ + ‖x‖² + 1, N_l rows); the one
    with fewer multiplications is taken.

    Any other model: one backward pass gives the cotangents of all linear layers, convolutions and embeddings; with the inputs
    of these, gradients are formed in blocks, one layer at a time, or Gram matrices over positions where they are cheaper. A
    parameter that is used several times has its gradients added first; one that is used otherwise is left to autograd.

    Args:
        trace: from :func:`~freeness.torch.trace`.
        x: one sample of shape ``trace.input_shape``, or a batch of one.
        training: measure in training mode (batch statistics, the same masks in every evaluation).
        dtype: precision of the computation; the model's own when left out (float64 of a chain).
        passes: backward passes over which the layers are spread; more hold less memory, see :func:`dual_plan`.
        limit: bytes that may be held beyond the model; four fifths of what is free when left out.

    Returns:
        Θ, symmetric (C, C), float64, on the device of the weights.

    Raises:
        InputError: x has the wrong shape or is not finite, the output is not finite, two runs differ, or the memory that is
            needed exceeds the limit; a smaller plan is named.

    Source: Hayase, Karakida, AISTATS 2021 (dual of the one-sample Fisher information).

    Example:
        >>> from freeness.torch import trace
        >>> model = torch.nn.Linear(3, 2)
        >>> dual_gram(trace(model, torch.ones(3)), torch.ones(3))
        tensor([[4., 0.],
                [0., 4.]], dtype=torch.float64)
    """
    if _as_chain(trace, training, dtype):
        sample = trace.sample(x)
        check_memory(_chain_plan(trace), (), limit, sample.device)
        factors = _factors(trace, sample, dtype)
        with torch.no_grad():
            return (
                _backward_gram(factors) if _backward_is_cheaper(factors.shapes) else _forward_gram(factors)
            ).double()
    function = replace(trace.function, training=training, dtype=dtype)
    with function.ready(trace.input(x)) as (ready, sample):
        passes = _checked_passes(survey(ready, sample), 1, passes, limit, sample.device)
        return gram([ready], [sample], passes)


def ntk_gram(
    trace: Trace,
    inputs: Shaped[Tensor, "samples ..."],
    *,
    traced: bool = False,
    dtype: torch.dtype | None = None,
    passes: int | None = None,
    limit: int | None = None,
) -> Float[Tensor, "rows rows"]:
    """The empirical tangent kernel of a batch: blocks J_θ(x_i)J_θ(x_j)ᵀ, every sample by itself and in eval mode.

    Args:
        trace: from :func:`~freeness.torch.trace`.
        inputs: (n, *input_shape).
        traced: only the mean over outputs, τ(J_θ(x_i)J_θ(x_j)ᵀ).
        dtype: precision of the computation; the model's own when left out.
        passes: as in :func:`dual_gram`.
        limit: as in :func:`dual_gram`.

    Returns:
        (n·C, n·C), sample by sample, or (n, n) if ``traced``; float64.

    Raises:
        InputError: as :func:`dual_gram`.

    Example:
        >>> from freeness.torch import trace
        >>> model = torch.nn.Linear(3, 2, bias=False)
        >>> ntk_gram(trace(model, torch.ones(1, 3)), torch.eye(2, 3), traced=True)
        tensor([[1., 0.],
                [0., 1.]], dtype=torch.float64)
    """
    if inputs.ndim == 0 or len(inputs) == 0:
        raise InputError(f"expected inputs (n, …) of at least one sample, got shape {tuple(inputs.shape)}; add some.")
    samples = [trace.input(x) for x in inputs]
    with replace(trace.function, dtype=dtype).ready(samples[0]) as (ready, first):
        passes = _checked_passes(survey(ready, first), len(samples), passes, limit, first.device)
        return gram([ready] * len(samples), [ready.input(sample) for sample in samples], passes, traced)


def dual_plan(trace: Trace, x: Tensor, *, samples: int = 1, passes: int | None = None) -> MemoryPlan:
    """What :func:`dual_gram` (or :func:`ntk_gram` of many samples) will hold in memory beyond the model, before it runs.

    One forward pass finds it out. By default so many passes are taken that no more is held of the layers than the gradients
    of the largest one, or its cotangents.

    Args:
        trace: from :func:`~freeness.torch.trace`.
        x: one sample of shape ``trace.input_shape``, or a batch of one.
        samples: size of the batch.
        passes: backward passes over which the layers are spread.

    Example:
        >>> from freeness.torch import trace
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.MaxPool2d(2), torch.nn.Flatten())
        >>> dual_plan(trace(model, torch.ones(1, 1, 6, 6)), torch.ones(1, 6, 6)).passes
        1
    """
    if _as_chain(trace, False, None) and samples == 1:
        return _chain_plan(trace)
    with trace.function.ready(trace.input(x)) as (ready, sample):
        found = survey(ready, sample)
    return planned(found, samples, _at_least_one(passes) or found.usual_passes())


def _as_chain(trace: Trace, training: bool, dtype: torch.dtype | None) -> bool:
    return trace.is_chain and not training and dtype in (None, torch.float64, torch.float32)


def _chain_plan(trace: Trace) -> MemoryPlan:
    weights = trace.weights
    largest = max(weight.numel() for weight in weights)
    outputs, widest = len(weights[-1]), max(max(weight.shape) for weight in weights)
    inputs = sum(weight.shape[1] for weight in weights[1:])
    backward = 8 * outputs * max(2 * widest, inputs if inputs <= _STACKED else 2 * max(widest, _STACKED))
    return MemoryPlan(
        (("a weight in float64", 8 * largest), ("backward pass", backward), ("Gram matrix", 16 * outputs**2))
    )


def _at_least_one(passes: int | None) -> int | None:
    if passes is not None and passes < 1:
        raise InputError(f"expected passes ≥ 1, got {passes}; leave it out to have it chosen.")
    return passes


def _checked_passes(found: Survey, samples: int, passes: int | None, limit: int | None, device: torch.device) -> int:
    chosen = _at_least_one(passes) or found.usual_passes()
    most = max(len(found.uses), found.outputs, 1)
    smaller = (planned(found, samples, min(chosen << doubling, most)) for doubling in range(1, most.bit_length() + 1))
    check_memory(planned(found, samples, chosen), smaller, limit, device)
    return chosen


def jacobian_singular_values(
    trace: Trace,
    x: Tensor,
    *,
    training: bool = False,
    dtype: torch.dtype | None = None,
    passes: int | None = None,
    limit: int | None = None,
) -> Float[Tensor, " values"]:
    """Singular values of the input–output Jacobian J (C × N_0) at one sample, all of them.

    Args:
        trace: the traced model; of a chain J = W_L D_{L-1} … D_1 W_1 is multiplied in float64, of any other model J is carried
            from its narrower side, of a model of tokens with respect to their embedding.
        x: one sample, as in :func:`dual_gram`.
        training: as in :func:`dual_gram`.
        dtype: as in :func:`dual_gram`.
        passes: parts in which J is carried, by rows or columns; more hold less memory.
        limit: as in :func:`dual_gram`.

    Returns:
        min(C, N_0) values, descending, float64. They come from J itself and not from JJᵀ, which would lose those below
        √ε·s_max.

    Raises:
        InputError: as :func:`dual_gram`, and tokens that no trained nn.Embedding looks up.

    Source: Pennington, Schoenholz, Ganguli 2017.

    Example:
        >>> from freeness.torch import trace
        >>> model = torch.nn.Linear(2, 2).double()
        >>> values = jacobian_singular_values(trace(model, torch.ones(2).double()), torch.ones(2))
        >>> torch.allclose(values, torch.linalg.svdvals(model.weight))
        True
    """
    if _as_chain(trace, training, dtype):
        factors = _factors(trace, trace.sample(x), dtype)
        with torch.no_grad():
            return torch.linalg.svdvals(_jacobian(factors).double())
    with replace(trace.function, training=training, dtype=dtype).ready(trace.input(x)) as (ready, sample):
        found = survey(ready, sample)
        side = min(found.outputs, found.inputs)
        chosen = _at_least_one(passes) or jacobian_passes(found)
        smaller = (jacobian_plan(found, min(chosen << k, side)) for k in range(1, side.bit_length() + 1))
        check_memory(jacobian_plan(found, chosen), smaller, limit, sample.device)
        jacobian = input_jacobian(ready, sample, -(-side // chosen))
    return torch.linalg.svdvals(jacobian.double() if jacobian.device.type != "mps" else jacobian.cpu().double())


def measure_fisher(
    trace: Trace,
    x: Tensor,
    *,
    training: bool = False,
    dtype: torch.dtype | None = None,
    passes: int | None = None,
    limit: int | None = None,
) -> Measurement:
    """The C eigenvalues of Θ = J_θJ_θᵀ, the nonzero ones of the Fisher information; no 1/N, no loss factor.

    Arguments and refusals are those of :func:`dual_gram`.

    Example:
        >>> from freeness.torch import trace
        >>> measure_fisher(trace(torch.nn.Linear(3, 2), torch.ones(3)), torch.ones(3)).eigenvalues
        array([4., 4.])
    """
    method = "layer-wise dual Gram matrix, all eigenvalues" + _precision(trace, training, dtype)
    return _measured(
        method,
        lambda: torch.linalg.eigvalsh(dual_gram(trace, x, training=training, dtype=dtype, passes=passes, limit=limit)),
    )


def measure_jacobian(
    trace: Trace,
    x: Tensor,
    *,
    training: bool = False,
    dtype: torch.dtype | None = None,
    passes: int | None = None,
    limit: int | None = None,
) -> Measurement:
    """The C eigenvalues of JJᵀ: squared singular values of J, and C - N_0 zeros if C > N_0.

    Arguments and refusals are those of :func:`jacobian_singular_values`.

    Example:
        >>> from freeness.torch import trace
        >>> measure_jacobian(trace(torch.nn.Linear(1, 3), torch.ones(1)), torch.ones(1)).eigenvalues[:2]
        array([0., 0.])
    """

    def eigenvalues() -> Tensor:
        values = jacobian_singular_values(trace, x, training=training, dtype=dtype, passes=passes, limit=limit)
        squares = values.square().flip(0)
        return torch.cat([squares.new_zeros(trace.outputs - len(squares)), squares])

    embedded = "" if x.is_floating_point() or trace.is_chain else ", with respect to the embedded tokens"
    method = "singular values of the Jacobian, squared" + embedded + _precision(trace, training, dtype)
    return _measured(method, eigenvalues)


def _precision(trace: Trace, training: bool, dtype: torch.dtype | None) -> str:
    """What to say about the dtype and the mode, where they are not float64 and eval."""
    own = next((parameter.dtype for parameter in trace.model.parameters()), torch.float64)
    used = dtype or (torch.float64 if _as_chain(trace, training, dtype) else own)
    return (
        "" if used == torch.float64 else f", in {str(used).removeprefix('torch.')}"
    ) + ", in training mode" * training


def _measured(method: str, compute: Callable[[], Tensor]) -> Measurement:
    start = time.perf_counter()
    values = np.maximum(compute().cpu().numpy(), 0.0)
    seconds = time.perf_counter() - start
    return Measurement(values, Empirical(values), method, seconds)


class _Room:
    """Matrices that are written again and again: fresh memory costs as much as a product of width 256."""

    def __init__(self, like: Tensor) -> None:
        self._like, self._turn = like, False
        self._held: dict[str, Tensor] = {}

    def __call__(self, name: str, rows: int, columns: int) -> Tensor:
        """A matrix with anything in it, in the place of the last one of the name."""
        held = self._held.get(name)
        if held is None or held.numel() < rows * columns:
            held = self._held[name] = self._like.new_empty(rows * columns)
        return held[: rows * columns].view(rows, columns)

    def next(self, rows: int, columns: int) -> Tensor:
        """A matrix in the place of the last but one that was asked for so."""
        self._turn = not self._turn
        return self(f"{self._turn}", rows, columns)


@dataclass(frozen=True, eq=False)
class _Factor:
    """W D: a weight, with its ‖x‖² + [bias trained], and the slopes φ'(h) of what it reads, None for that of the input itself."""

    weight: Tensor
    slopes: Tensor | None
    gain: float

    def matrix(self, room: _Room) -> Tensor:
        """In the precision of the computation; there until the next one is asked for."""
        found = room("weight", *self.weight.shape).copy_(self.weight)
        return found if self.slopes is None else found.mul_(self.slopes)


@dataclass(frozen=True, eq=False)
class _Factors:
    """Of the chain of the Jacobian, input side first, and the slopes behind the last weight; computed in a precision."""

    dense: tuple[_Factor, ...]
    last: Tensor | None
    dtype: torch.dtype

    @property
    def shapes(self) -> list[torch.Size]:
        """Of the weights."""
        return [factor.weight.shape for factor in self.dense]

    def zeros(self, *shape: int) -> Tensor:
        """In the precision and on the device of the computation."""
        return self.dense[0].weight.new_zeros(*shape, dtype=self.dtype)


def _factors(trace: Trace, x: Tensor, dtype: torch.dtype | None = None) -> _Factors:
    """Signals are in float64."""
    dtype, steps = dtype or torch.float64, trace.chain.steps
    values = layer_values(trace.chain, x)
    functions = [(s.function, h) for s, h in zip(steps, values, strict=False) if not isinstance(s, DenseStep)]
    derived = iter(derivatives(functions))
    factors: list[_Factor] = []
    slopes: Tensor | None = None
    for step, value in zip(steps, values, strict=False):
        if isinstance(step, DenseStep):
            trained_bias = step.bias is not None and (step.bias.requires_grad or not trace.any_trained)
            weight, gain = step.weight.detach().to(value.device), float(value @ value) + trained_bias
            factors.append(_Factor(weight, slopes, gain))
            slopes = None
        else:
            own = next(derived).to(dtype)
            slopes = own if slopes is None else own * slopes
    return _Factors(tuple(factors), slopes, dtype)


def _backward_is_cheaper(shapes: Sequence[torch.Size]) -> bool:
    """Multiplications of both ways; a symmetric product counts half."""
    outputs = shapes[-1][0]
    backward = sum(outputs * rows * columns for rows, columns in shapes[1:-1])
    backward += sum(outputs * outputs * rows / 2 for rows, _ in shapes[:-1])
    forward = sum(rows * columns * columns for rows, columns in shapes[2:])
    forward += sum(rows * rows * columns / 2 for rows, columns in shapes[1:])
    return backward <= forward


def _backward_gram(factors: _Factors) -> Tensor:
    """√gain·Bᵀ of one layer after another; what is in front of the last weight makes a diagonal."""
    *others, last = factors.dense
    outputs = len(last.weight)
    room, stack = _Room(factors.zeros(0)), _Stack(factors.zeros(outputs, outputs), factors.shapes)
    after, back, scale = last, factors.zeros(outputs) + 1 if factors.last is None else factors.last, 1.0
    stack.sum.diagonal().add_(back.square(), alpha=last.gain)
    for factor in reversed(others):
        matrix, own = (
            after.matrix(room),
            math.sqrt(factor.gain) or 1.0,
        )  # a layer that reads 0 has no gain, yet passes on
        rows = stack.rows(matrix.shape[1]) if factor.gain > 0 else room.next(matrix.shape[1], outputs)
        if back.ndim == 1:
            rows.copy_(matrix.mul_(back[:, None] * own).T)
        else:
            torch.addmm(rows, matrix.T, back, beta=0, alpha=own / scale, out=rows)
        after, back, scale = factor, rows, own
    return stack.added()


class _Stack:
    """Σ RᵀR of matrices R with C columns; many of them stand below one another, so that one symmetric product adds them."""

    def __init__(self, total: Tensor, shapes: Sequence[torch.Size]) -> None:
        inputs = [columns for _, columns in shapes[1:]]
        self.sum, self._room, self._used = total, _Room(total), 0
        self._size = (max([0, *inputs, min(sum(inputs), _STACKED)]), len(total))
        self._held = self._room.next(*self._size)

    def rows(self, count: int) -> Tensor:
        """Room for another matrix; the last one stays as it is meanwhile."""
        if self._used + count > len(self._held):
            self.added()
            self._held = self._room.next(*self._size)
        self._used += count
        return self._held[self._used - count : self._used]

    def added(self) -> Tensor:
        """The sum with all that was written so far."""
        if self._used:
            self.sum += _square(self._held[: self._used])
            self._used = 0
        return self.sum


def _square(matrix: Tensor) -> Tensor:
    """MᵀM; numpy takes half the multiplications for it."""
    if matrix.device.type != "cpu" or matrix.dtype not in (torch.float32, torch.float64):
        return matrix.T @ matrix
    values = matrix.numpy()
    return torch.from_numpy(values.T @ values)


def _whole(upper: Tensor) -> Tensor:
    """The symmetric matrix of which only what lies on and above the diagonal is told."""
    return upper.triu_().add_(upper.triu(1).T)


def _times(left: Tensor | None, matrix: Tensor, room: _Room) -> Tensor:
    """left · matrix, where left is a matrix, a diagonal (vector) or the identity (None)."""
    if left is None or left.ndim == 1:
        found = room.next(*matrix.shape).copy_(matrix)
        return found if left is None else found.mul_(left[:, None])
    return torch.mm(left, matrix, out=room.next(len(left), matrix.shape[1]))


def _forward_gram(factors: _Factors) -> Tensor:
    first, *others = factors.dense
    sandwich = factors.zeros(len(first.weight)) + first.gain  # a vector is a diagonal
    room = _Room(sandwich)
    for factor in others:
        matrix = factor.matrix(room)
        diagonal = sandwich.ndim == 1
        half = matrix.mul_(sandwich.sqrt()) if diagonal else torch.mm(matrix, sandwich, out=room("half", *matrix.shape))
        sandwich = room("sandwich", len(half), len(half))
        for row in range(0, len(half), _TILE):
            torch.mm(half[row : row + _TILE], matrix[row:].T, out=sandwich[row : row + _TILE, row:])
        sandwich = _whole(sandwich)
        sandwich.diagonal().add_(factor.gain)
    sandwich = torch.diag(sandwich) if sandwich.ndim == 1 else sandwich
    return sandwich if factors.last is None else sandwich * torch.outer(factors.last, factors.last)


def _jacobian(factors: _Factors) -> Tensor:
    """The product of the chain, multiplied from the narrower end."""
    shapes, room = factors.shapes, _Room(factors.zeros(0))
    from_outputs = shapes[-1][0] * sum(r * c for r, c in shapes[:-1])
    from_inputs = shapes[0][1] * sum(r * c for r, c in shapes[1:])
    product = factors.last if from_outputs <= from_inputs else None
    for factor in reversed(factors.dense) if from_outputs <= from_inputs else factors.dense:
        matrix = factor.matrix(room)  # from the inputs: Jᵀ = D_0 W_1ᵀ D_1 W_2ᵀ …
        product = _times(product, matrix if from_outputs <= from_inputs else matrix.T, room)
    assert product is not None
    if from_outputs <= from_inputs:
        return product
    return product.T if factors.last is None else factors.last[:, None] * product.T
