"""Which ensemble a given weight matrix belongs to, read off the weights themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from freeness.laws import MarchenkoPastur
from freeness.network import Ensemble, Gaussian, Haar, Measured, ScaledIdentity

_SPREAD = {
    torch.float32: 1e-4,
    torch.float64: 1e-5,
    torch.bfloat16: 2e-2,
}  # float64 also holds matrices that were drawn in float32
_SMALLEST_ORTHOGONAL = 2  # one singular value is always equal to itself
_SMALLEST_GAUSSIAN = 8  # fewer singular values cannot tell a Gaussian matrix from another
_KURTOSIS = 6.0  # entries: uniform 1.8, normal 3, Laplace 6; a permutation of size N has N
_TRACY_WIDOM = 6.0  # scaled distance beyond the edge, exceeded by a Gaussian matrix once in about 1e6 draws
_LARGE, _LONG = 1e9, 4  # operations from which, and times the shorter side to which the longer one is added up
_EVEN = 6.0  # standard errors by which mean squares of rows may scatter more than those of independent entries
_ROWS, _FIRST = 4096, 8  # rows of a large matrix at a time, and those that tell what it is not


def recognise(weight: Float[Tensor, "rows columns"]) -> Ensemble:
    """The ensemble of a weight matrix (fan_out, fan_in), with its σ_w.

    Tried in this order; n, m are the smaller and the larger side:

    * :class:`ScaledIdentity`: s on the diagonal, 0 elsewhere, s > 0;
    * :class:`Haar`: all n singular values equal up to 1e-4 (float32) or 1e-5 (float64) and entries spread as a rotation
      spreads them (kurtosis at most 6, which refuses permutations); σ_w is the singular value;
    * :class:`Gaussian`: independent entries of whatever distribution (uniform and normal are the same to free
      probability): the squared singular values follow Marchenko–Pastur within a Kolmogorov–Smirnov distance of (3 + ½
      ln n)/n — eigenvalues are rigid, so the distance falls as 1/n and not as 1/√n —, none lies beyond the Tracy–Widom
      range of the edge, and the kurtosis of the entries is at most 6; σ_w = √(mean(W²)·fan_in);
    * :class:`Measured` otherwise, and where no test has power: one row or column, fewer than 8 singular values that
      differ, all zero.

    Of long matrices, as tables of tokens, the longer side is first added up in groups with random signs, to four times the
    shorter one: independent entries stay independent, and what has a large norm keeps it. The test then sees single values
    beyond 1.5 times the root of the longer side, in units of an entry; mean squares of rows and columns must be those of
    independent entries. Singular values of a long float32 matrix are roots of the eigenvalues of its Gram matrix in float64:
    within 2e-8 of the largest, which is less than the rounding of its entries.

    Sources: Marchenko–Pastur (1967); edge scale of Johnstone, Ann. Statist. 29 (2001); sums with random signs: Charikar, Chen,
    Farach-Colton, Theor. Comput. Sci. 312 (2004).

    Example:
        >>> recognise(torch.eye(4, dtype=torch.float64))
        ScaledIdentity(sigma_w=1.0)
    """
    tolerance = _SPREAD[weight.dtype]
    if _is_long(weight) and not _may_be_orthogonal(weight, tolerance):
        return _of_long(weight.detach().cpu())
    matrix = weight.detach().to("cpu", torch.float64)
    smaller = min(matrix.shape)
    sigma_w = math.sqrt(float(matrix.square().mean()) * matrix.shape[1])
    if sigma_w > 0 and smaller >= _SMALLEST_ORTHOGONAL:
        diagonal = float(matrix.diagonal().mean())
        if _is_identity(matrix, diagonal, tolerance):
            return ScaledIdentity(diagonal)
        scale = _orthogonal_scale(matrix, tolerance)
        if scale is not None and (smaller < _SMALLEST_GAUSSIAN or _kurtosis(matrix) <= _KURTOSIS):
            return Haar(scale)
    singular_values = torch.linalg.svdvals(matrix).numpy()
    if sigma_w > 0 and _is_gaussian(matrix.shape, _kurtosis(matrix), singular_values):
        return Gaussian(sigma_w)
    return Measured(sigma_w, singular_values)


def recognise_kernel(kernel: Tensor) -> Ensemble:
    """The ensemble of a convolution's weights (channels_out, channels_in, *taps), with its σ_w.

    Haar where they are delta-orthogonal: an orthogonal matrix in the centre tap and zeros elsewhere (Xiao et al. 2018). Gaussian
    where (channels_out, channels_in·taps) is recognised as that. Measured, with the singular values of that matrix, otherwise.

    Example:
        >>> kernel = torch.zeros(3, 3, 5, dtype=torch.float64)
        >>> kernel[:, :, 2] = torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        >>> recognise_kernel(kernel)
        Haar(sigma_w=1.0)
    """
    taps = tuple(kernel.shape[2:])
    centre = kernel.detach()[(slice(None), slice(None), *(size // 2 for size in taps))]
    if all(size % 2 for size in taps) and int(kernel.count_nonzero()) == int(centre.count_nonzero()):
        found = recognise(centre)
        if isinstance(found, Haar) or math.prod(taps) == 1:
            return found
    matrix = kernel.detach().flatten(1)
    found = recognise(matrix)
    if isinstance(found, (Gaussian, Measured)):
        return found
    return Measured(found.sigma_w, torch.linalg.svdvals(matrix.to("cpu", torch.float64)).numpy())


def _is_identity(matrix: Tensor, diagonal: float, tolerance: float) -> bool:
    if diagonal <= 0:
        return False
    if float((matrix.diagonal() - diagonal).abs().max()) > tolerance * diagonal:
        return False
    ideal = diagonal * torch.eye(*matrix.shape, dtype=matrix.dtype)
    return bool((matrix - ideal).abs().max() <= tolerance * diagonal)


def _orthogonal_scale(matrix: Tensor, tolerance: float) -> float | None:
    """σ if all singular values are σ(1 ± tolerance): WWᵀ (or WᵀW) is then nearly σ² times the identity."""
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    gram = short @ short.T
    square = float(gram.diagonal().mean())
    gram.diagonal().sub_(square)
    # the largest deviation of an eigenvalue lies between the largest entry and the Frobenius norm
    if float(gram.abs().max()) > 2 * tolerance * square:
        return None
    if (
        float(gram.norm()) > 2 * tolerance * square
        and float(torch.linalg.matrix_norm(gram, 2)) > 2 * tolerance * square
    ):
        return None
    return math.sqrt(square)


# --- long matrices, a part of their rows at a time ---------------------------------------------------------------


def _is_long(matrix: Tensor) -> bool:
    n, m = sorted(matrix.shape)
    return m > _LONG * n and float(n) * n * m > _LARGE


def _may_be_orthogonal(matrix: Tensor, tolerance: float) -> bool:
    """Whether the first rows of the shorter side are orthogonal, and equally long."""
    short = matrix.detach() if matrix.shape[0] <= matrix.shape[1] else matrix.detach().T
    some = short[:_FIRST].to("cpu", torch.float64)
    gram = some @ some.T
    square = float(gram.diagonal().mean())
    return float((gram - square * torch.eye(len(some), dtype=gram.dtype)).abs().max()) <= 2 * tolerance * square


def _of_long(matrix: Tensor) -> Ensemble:
    """Gaussian where the longer side, added up to a shorter one, says so; else what all singular values say."""
    rows = matrix if matrix.shape[0] > matrix.shape[1] else matrix.T
    (m, n), groups = rows.shape, _LONG * min(rows.shape)
    signs = torch.randint(0, 2, (m, 1), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    places, summed = torch.arange(m) % groups, torch.zeros(groups, n, dtype=torch.float64)
    by_row, by_column, fourth = torch.empty(m, dtype=torch.float64), torch.zeros(n, dtype=torch.float64), 0.0
    for at, part in _parts(rows):
        square = part.square()
        by_row[at], fourth = square.mean(1), fourth + float(square.square().sum())
        by_column += square.sum(0) / m
        summed.index_add_(0, places[at], part.mul_(signs[at]))
    mean = float(by_row.mean())
    sigma_w = math.sqrt(mean * matrix.shape[1])
    kurtosis = fourth / (m * n) / mean**2 if mean > 0 else math.inf
    summed /= torch.bincount(places, minlength=groups).sqrt()[:, None]
    even = _is_even(by_row, n, kurtosis) and _is_even(by_column, m, kurtosis)
    if even and _is_gaussian(summed.shape, kurtosis, torch.linalg.svdvals(summed).numpy()):
        return Gaussian(sigma_w)
    if matrix.dtype == torch.float64:
        values = torch.linalg.svdvals(matrix)
    else:
        gram = torch.zeros(n, n, dtype=torch.float64)
        for _, part in _parts(rows):
            gram.addmm_(part.T, part)
        values = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().flip(0)
    return (
        Gaussian(sigma_w) if _is_gaussian(matrix.shape, kurtosis, values.numpy()) else Measured(sigma_w, values.numpy())
    )


def _parts(rows: Tensor) -> Iterator[tuple[slice, Tensor]]:
    for start in range(0, len(rows), _ROWS):
        at = slice(start, start + _ROWS)
        yield at, rows[at].to(torch.float64, copy=True)


def _is_even(squares: Tensor, entries: int, kurtosis: float) -> bool:
    """Whether means of so many squares scatter as those of independent entries."""
    usual = (kurtosis - 1) / entries
    found = float(squares.var(correction=0) / squares.mean().square())
    return found <= usual * (1 + _EVEN * 2 / math.sqrt(len(squares)))


def _kurtosis(matrix: Tensor) -> float:
    square = matrix.square()
    return float(square.square().mean() / square.mean().square())


def _is_gaussian(shape: torch.Size, kurtosis: float, singular_values: np.ndarray) -> bool:
    n, m = sorted(shape)
    if n < _SMALLEST_GAUSSIAN or kurtosis > _KURTOSIS:
        return False
    squares = np.sort(singular_values**2)
    squares = squares / squares.mean()
    edge = (math.sqrt(m) + math.sqrt(n)) ** 2 / m
    edge_scale = (math.sqrt(m) + math.sqrt(n)) * (1 / math.sqrt(m) + 1 / math.sqrt(n)) ** (1 / 3) / m
    if squares[-1] > edge + _TRACY_WIDOM * edge_scale:
        return False
    levels = MarchenkoPastur(n / m).cdf(squares)
    steps = np.arange(n + 1) / n
    distance = max(np.max(levels - steps[:-1]), np.max(steps[1:] - levels))
    return bool(distance <= (3 + 0.5 * math.log(n)) / n)
