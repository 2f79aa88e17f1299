"""The sharpness of a batch: the largest eigenvalue of its generalised Gauss–Newton matrix, plain or preconditioned."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float, Shaped
from scipy.sparse import diags_array
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, aslinearoperator, eigsh
from torch import Tensor, nn

from freeness.errors import ConvergenceError, InputError, is_real
from freeness.torch.loss.adapted import adapted
from freeness.torch.loss.given import GivenLoss
from freeness.torch.loss.losses import check_targets, loss_function
from freeness.torch.measured.curvature_dual import dual_operator
from freeness.torch.measured.curvature_gram import dual_matrix
from freeness.torch.measured.curvature_matrices import CHUNK, Matrix, as_operator, curvature_operator, hessian_products
from freeness.torch.measured.curvature_reduced import reduced_hessian
from freeness.torch.measured.lanczos import (
    LanczosOptions,
    SpectralEstimate,
    exact_spectrum,
    largest_eigenpair,
    spectral_estimate,
)
from freeness.torch.measured.ritz import climb, dot
from freeness.torch.model.batched import plain_attention
from freeness.torch.model.function import converted
from freeness.torch.model.indexing import read_at_once
from freeness.torch.model.modes import DRAWS, draws, fixed_masks, trained_mode
from freeness.torch.model.outputs import run
from freeness.torch.model.state import trained_parameters, untouched

_DENSE = 24  # below this many parameters the matrix is formed
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}  # of the Ritz vector; the value is better by its square
_RESTARTS = 200
_AGAIN = 4  # samples of a second run
_SHORT = 20_000  # rows up to which all vectors of a recursion are kept
_STEPS = 300  # of a recursion without them, which loses some to rounding


class Sharpness(NamedTuple):
    """λ_max and the residual ‖Gv - λv‖ of its unit vector v, or that of the dual of G: an eigenvalue lies within it."""

    value: float
    residual: float


@dataclass(frozen=True, eq=False)
class CurvatureOptions:
    """Which curvature matrix of a batch.

    Args:
        matrix: "ggn", "fisher", "hessian" or "empirical_fisher", see :func:`curvature_operator`.
        preconditioner: positive diagonal P (parameters,), as from :func:`adam_preconditioner`; then P^{-1/2} G P^{-1/2}.
        training: True for training mode, where batch normalisation takes the statistics of this batch, which is held at once
            then, and dropout has the same masks in every evaluation; False for eval mode; None for the mode that training will
            use, see :func:`~freeness.torch.untouched`.
        tolerance: of :func:`batch_sharpness`, the residual over λ that is near enough; as near as rounding allows when left out.
    """

    matrix: Matrix = "ggn"
    preconditioner: Float[Tensor, " parameters"] | None = None
    training: bool | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.matrix not in get_args(Matrix):
            raise InputError(f"expected a matrix among {', '.join(get_args(Matrix))}, got {self.matrix!r}; choose one.")
        if self.tolerance is not None and not (is_real(self.tolerance) and 0 <= self.tolerance < 1):
            raise InputError(f"expected a tolerance from 0 to 1, got {self.tolerance!r}; 0.003 is 0.3 % of λ.")


@dataclass(frozen=True)
class AdamOptions:
    """How Adam's second moment is taken.

    Args:
        batches: number of mini-batches; each has at least one sample.
        epsilon: Adam's ε.
        training: the mode, as in :class:`CurvatureOptions`.
    """

    batches: int = 8
    epsilon: float = 1e-8
    training: bool | None = None

    def __post_init__(self) -> None:
        if self.batches < 1 or self.epsilon <= 0:
            raise InputError(
                f"expected batches ≥ 1 and epsilon > 0, got {self.batches} and {self.epsilon}; Adam's defaults are 8 here and "
                "1e-8."
            )


def batch_sharpness(
    model: nn.Module,
    inputs: Shaped[Tensor, "samples ..."],
    targets: Shaped[Tensor, "samples ..."],
    loss: GivenLoss,
    options: CurvatureOptions | None = None,
) -> Sharpness:
    """λ_max of the batch GGN, G = (1/B) Σ_b J_bᵀ H_b J_b with H_b the Hessian of the loss in the outputs; or of another matrix.

    Gradient descent on the linearised loss contracts iff η < 2/λ_max (theory.md §7). Any module, in the mode that training
    will use unless asked otherwise; its parameters are those that require gradients. Lanczos on products with G, or with its dual
    where there are fewer outputs than parameters, from a fixed start vector; float64 models reach about 1e-9, float32 ones 1e-5,
    relative. Of a bfloat16 model a copy in float32 is measured.

    Args:
        model: any module that maps inputs (B, …) to outputs, in a dict, a tuple or an object among others too; left as it was.
        inputs: the batch, (B, …).
        targets: see :func:`~freeness.torch.loss.losses.check_targets`.
        loss: a name ("half_squared_error", "half_mean_squared_error", "mse", "cross_entropy", "binary_cross_entropy"), a loss of
            torch, or a function of (outputs, targets), see :func:`~freeness.torch.given_loss`.
        options: which matrix, preconditioner and mode.

    Returns:
        ``(value, residual)``.

    Raises:
        InputError: targets or preconditioner do not fit, the outputs are not finite, or two runs differ.
        ConvergenceError: Lanczos did not converge.

    Example:
        >>> model = nn.Linear(2, 1, bias=False).double()
        >>> x = torch.tensor([[3.0, 4.0]]).double()
        >>> round(batch_sharpness(model, x, torch.zeros(1, 1).double(), "half_squared_error").value, 6)
        25.0
    """
    how = options or CurvatureOptions()
    model, loss = adapted(model, (inputs, targets), loss)
    with measured(model, (inputs, targets), loss, how.training) as (ready, x, y):
        operator, _, gradient = _operator(ready, (x, y), loss, how)
        finest = _TOLERANCE[next(iter(trained_parameters(ready).values())).dtype]
        return _largest(operator, max(finest, how.tolerance or 0.0), gradient)


def curvature_spectrum(
    model: nn.Module,
    inputs: Shaped[Tensor, "samples ..."],
    targets: Shaped[Tensor, "samples ..."],
    loss: GivenLoss,
    options: CurvatureOptions | None = None,
    lanczos: LanczosOptions | None = None,
) -> SpectralEstimate:
    """The spectral density of a curvature matrix of a batch, estimated from products with random vectors.

    Where the outputs are so few that all eigenvalues but zeros cost less than these products they are computed, and errors are 0.

    Args:
        model: as in :func:`batch_sharpness`.
        inputs: the batch, (B, …).
        targets: as in :func:`batch_sharpness`.
        loss: as in :func:`batch_sharpness`.
        options: which matrix, preconditioner and mode.
        lanczos: probes, steps and generator.

    Returns:
        The law of all eigenvalues, mostly an atom at 0 where there are more parameters than outputs, with standard errors.

    Raises:
        InputError: as :func:`batch_sharpness`.

    Example:
        >>> model = nn.Linear(2, 1, bias=False).double()
        >>> x = torch.tensor([[3.0, 4.0]]).double()
        >>> round(curvature_spectrum(model, x, torch.zeros(1, 1).double(), "half_squared_error").top, 6)
        25.0
    """
    how = options or CurvatureOptions()
    model, loss = adapted(model, (inputs, targets), loss)
    asked = lanczos or LanczosOptions()
    with measured(model, (inputs, targets), loss, how.training) as (ready, x, y):
        if how.preconditioner is None:
            whole = dual_matrix(ready, (x, y), loss, how.matrix, asked.probes * asked.steps)
            if whole is not None:
                size = sum(parameter.numel() for parameter in trained_parameters(ready).values())
                return exact_spectrum(torch.linalg.eigvalsh(whole).cpu().numpy(), size)
        operator, size, _ = _operator(ready, (x, y), loss, how)

        def product(vector: np.ndarray) -> np.ndarray:
            return operator.matvec(vector.astype(operator.dtype))

        found = spectral_estimate(product, operator.shape[0], asked, positive=how.matrix != "hessian")
        return found.padded(size)


@contextmanager
def measured(
    model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss, training: bool | None
) -> Iterator[tuple[nn.Module, Tensor, Tensor]]:
    """A block in which the model may be differentiated, with its data; it is left as it was."""
    loss_function(loss)
    if next(model.parameters(), torch.empty(0)).dtype == torch.bfloat16:
        model = converted(model, torch.float32)
        data = (_widened(data[0]), _widened(data[1]))
    inputs, targets = data
    mode = trained_mode(model, inputs, training)
    with (
        untouched(model, training=mode),
        fixed_masks(model),
        torch.inference_mode(False),
        plain_attention(),
        read_at_once(model),
    ):
        _check_batch(model, inputs, targets, loss)
        for parameter in trained_parameters(model).values():
            parameter.requires_grad_()
        yield model, inputs, targets


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def adam_preconditioner(
    model: nn.Module,
    inputs: Shaped[Tensor, "samples ..."],
    targets: Shaped[Tensor, "samples ..."],
    loss: GivenLoss,
    options: AdamOptions | None = None,
) -> Float[Tensor, " parameters"]:
    """P = √v̂ + ε, the diagonal by which Adam divides; v̂ is the mean squared gradient of mini-batches.

    Of a mean loss it is nowhere below the whole batch's gradient. Where a forward pass draws numbers, dropout for one, that is
    asked for: a parameter may be masked in all mini-batches and not in the whole, and λ would be divided by ε there.

    Args:
        model: any module; left as it was.
        inputs: the data, (n, …), cut in order into at most as many mini-batches of equal size as the options say.
        targets: see :func:`~freeness.torch.loss.losses.check_targets`.
        loss: as in :func:`batch_sharpness`.
        options: number of mini-batches, ε, and mode.

    Returns:
        P, (parameters,), in the order of ``model.parameters()`` that require gradients, in their dtype (float32 of bfloat16).

    Raises:
        InputError: targets do not fit, or outputs are not finite.

    Source: theory.md §7 (v̂ of 8 mini-batches); Cohen et al., arXiv 2207.14484 (preconditioned sharpness).

    Example:
        >>> model = nn.Linear(1, 1, bias=False).double()
        >>> x = torch.ones(4, 1).double()
        >>> adam_preconditioner(model, x, model(x).detach() - 3.0, "half_squared_error")
        tensor([3.0000], dtype=torch.float64)
    """
    how = options or AdamOptions()
    model, loss = adapted(model, (inputs, targets), loss)
    drawn = draws(model, inputs, how.training)
    with measured(model, (inputs, targets), loss, how.training) as (ready, x, y), torch.enable_grad():
        parameters = list(trained_parameters(ready).values())
        criterion = loss_function(loss)
        mean = torch.zeros_like(torch.cat([parameter.detach().reshape(-1) for parameter in parameters]))

        def gradient(some: Tensor, wanted: Tensor) -> Tensor:
            value = criterion(run(ready, some), wanted)
            if not value.requires_grad or not bool(
                value.isfinite()
            ):  # no output depends on a parameter, or no class counts
                return torch.zeros_like(mean)
            return torch.cat(
                [part.reshape(-1) for part in torch.autograd.grad(value, parameters, materialize_grads=True)]
            )

        parts = list(zip(_cut(x, how.batches, ready), _cut(y, how.batches, ready), strict=True))
        for some, wanted in parts:
            mean += gradient(some, wanted).square() / len(parts)
        root = mean.sqrt()
        return (torch.maximum(root, gradient(x, y).abs()) if drawn else root) + how.epsilon


def _cut(data: Tensor, batches: int, model: nn.Module) -> Sequence[Tensor]:
    """Mini-batches; in training mode of at least two samples, since one alone has no statistics."""
    data = data.detach()
    return data.tensor_split(max(min(batches, len(data) // 2), 1)) if model.training else data.chunk(batches)


def _check_batch(model: nn.Module, inputs: Tensor, targets: Tensor, loss: GivenLoss) -> None:
    parameters = list(trained_parameters(model).items())
    if not parameters:
        raise InputError("expected a model with parameters, got none; there is no curvature to measure.")
    for name, parameter in parameters:
        if parameter.dtype not in _TOLERANCE:
            raise InputError(
                f"expected parameters all in float32, float64 or bfloat16, got {parameter.dtype} in {name!r}; use model.float()."
            )
    if len(inputs) == 0 or len(inputs) != len(targets):
        raise InputError(
            f"expected as many targets as inputs and at least one, got {len(inputs)} inputs and {len(targets)} targets."
        )
    chunk = len(inputs) if model.training else CHUNK
    with torch.no_grad():
        for x, y in zip(inputs.split(chunk), targets.split(chunk), strict=True):
            outputs, first, again = _runs(model, x)
            if float((first - again).abs().max()) > 100 * torch.finfo(first.dtype).eps * float(first.abs().max()):
                raise InputError(f"expected a deterministic model, got other outputs in a second run; {DRAWS}.")
            if not bool(torch.isfinite(outputs).all()):
                raise InputError("expected finite outputs, got NaN or infinity; scale the weights or the inputs down.")
            check_targets(outputs, y, loss)


def _runs(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the model gives, and what two runs do, of a few samples where there are many. The last run is that of all."""
    few = x[:_AGAIN] if len(x) > 2 * _AGAIN else x
    first = run(model, few).detach()
    again = None if few is x else run(model, few).detach()
    outputs = run(model, x).detach()
    return outputs, first, outputs if again is None else again


def _operator(
    model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss, how: CurvatureOptions
) -> tuple[LinearOperator, int, np.ndarray | None]:
    """The matrix, or its dual where that is smaller, the rows of the matrix, and the gradient where that is at hand."""
    size = sum(parameter.numel() for parameter in trained_parameters(model).values())
    scale = None if how.preconditioner is None else checked_diagonal(how.preconditioner, size)
    found = dual_operator(model, data, loss, how.matrix, how.preconditioner)
    if found is not None:
        return found, size, None
    if how.matrix == "hessian" and scale is None:
        reduced = reduced_hessian(model, data, loss)
        if reduced is not None:
            return reduced, size, None
        product = hessian_products(model, data, loss)
        return as_operator(product), size, product.gradient
    operator = curvature_operator(model, *data, loss, how.matrix)
    if scale is not None:  # P^{-1/2} G P^{-1/2}
        diagonal: Any = aslinearoperator(diags_array((1 / np.sqrt(scale)).astype(operator.dtype)))
        operator = diagonal @ operator @ diagonal
    return operator, size, None


def checked_diagonal(preconditioner: Tensor, size: int) -> np.ndarray:
    """A preconditioner that is one of so many parameters, else an InputError."""
    diagonal = preconditioner.detach().cpu().numpy().astype(np.float64).reshape(-1)
    if diagonal.size != size or not np.all(np.isfinite(diagonal)) or not np.all(diagonal > 0):
        raise InputError(
            f"expected a positive preconditioner of {size} entries, got {diagonal.size} entries from "
            f"{diagonal.min():.3g} to {diagonal.max():.3g}; take it from adam_preconditioner for the same model."
        )
    return diagonal


def _largest(operator: LinearOperator, tolerance: float, gradient: np.ndarray | None = None) -> Sharpness:
    size = operator.shape[0]
    start = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
    if size > _SHORT:  # a basis would be large, and eigsh looks at its residual at the end of a restart only
        first = _led(operator, torch.from_numpy(start.astype(operator.dtype)), gradient)
        climbed = climb(
            lambda v: torch.from_numpy(operator.matvec(v.numpy())), first, _STEPS, keep=False, tolerance=tolerance
        )
        value, residual = climbed.value - climbed.error, 2 * climbed.error
        if residual <= tolerance * value:
            return Sharpness(value, residual)
    elif not operator.matvec(start.astype(operator.dtype)).any():  # G is positive semi-definite, so it is zero
        return Sharpness(0.0, 0.0)
    elif size <= _DENSE:
        matrix = np.stack([operator.matvec(unit) for unit in np.eye(size, dtype=operator.dtype)], axis=1)
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        return _residual(operator, float(values[-1]), vectors[:, -1])
    else:  # no restarts: a step more wherever one is needed
        found = largest_eigenpair(lambda v: operator.matvec(v.astype(operator.dtype)), start, tolerance)
        if found is not None:
            return _residual(operator, *found)
    try:
        solve: Any = eigsh  # its stub takes tol for an integer
        first = start.astype(operator.dtype)
        values, vectors = solve(operator, k=1, which="LA", v0=first, tol=tolerance, maxiter=_RESTARTS)
    except ArpackNoConvergence as error:
        raise ConvergenceError(
            f"expected Lanczos to converge in {_RESTARTS} restarts, it did not; measure in float64 or on a smaller batch."
        ) from error
    return _residual(operator, float(values[0]), vectors[:, 0])


def _led(operator: LinearOperator, drawn: Tensor, gradient: np.ndarray | None) -> Tensor:
    """A start beside the largest eigenvalues: the image of a random vector, and the gradient where it is known.

    The gradient of a batch lies mostly in the eigenvectors of the largest eigenvalues (Gur-Ari, Roberts, Dyer, arXiv 1812.04754).
    The image holds as much of each as its eigenvalue says, so that none is hidden from which the gradient has nothing.
    """
    if gradient is None or not gradient.any():
        return drawn
    slope, image = torch.from_numpy(gradient), torch.from_numpy(operator.matvec(drawn.numpy()))
    slope = slope / slope.abs().max()  # the square of a small one is 0 in float32
    length = dot(image, image) ** 0.5
    return slope / dot(slope, slope) ** 0.5 + (image / length if 0 < length < math.inf else drawn)


def _residual(operator: LinearOperator, value: float, vector: np.ndarray) -> Sharpness:
    image = operator.matvec(vector.astype(operator.dtype))
    return Sharpness(value, float(np.linalg.norm(image - value * vector)))
