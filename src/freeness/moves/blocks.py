"""Laws of matrices on a tensor product of which one leg is changed by a linear map, such as a partial transpose."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np
from jaxtyping import Inexact

from freeness.errors import InputError, is_size
from freeness.laws import Law, PointMass, Semicircle, require_laws
from freeness.moves.operations import free_power, free_sum, scale, shift

_EQUAL = 1e-9  # relative difference of eigenvalues, or of entries, that are one


def partial_transpose(law: Law, blocks: int | None = None) -> Law:
    """The law of a unitarily invariant matrix on two legs after it is transposed on the second, of dimension ``blocks``.

    X in M_d ⊗ M_n has the limit law ``law`` as d grows. Its partial transpose has the free cumulants κ_p·n^{-p}(n(n+1)/2 +
    (-1)^p n(n-1)/2); as n grows as well, only mean and variance are left: a shifted semicircle.

    Args:
        law: of X, for instance MarchenkoPastur(c) of a complex Wishart matrix.
        blocks: n; None if both dimensions grow.

    Source: Aubrun (2012) for Wishart matrices of which both dimensions grow. Banica, Nechita (2013) for a fixed n, where
        a Wishart matrix gives a free difference of free Poisson laws. Arizmendi, Nechita, Vargas (2016) for any law.

    Example:
        >>> from freeness.laws import MarchenkoPastur
        >>> law = partial_transpose(MarchenkoPastur(0.25))
        >>> law.mean, law.variance, law.hull
        (1.0, 0.25, (0.0, 2.0))
    """
    require_laws(law)
    if blocks is None:
        return shift(Semicircle(law.variance), law.mean) if law.variance else PointMass(law.mean)
    n = _size(blocks)
    return _free_powers(law, [(1 / n, n * (n + 1) // 2), (-1 / n, n * (n - 1) // 2)])


def block_modified(
    law: Law, change: Callable[[Inexact[np.ndarray, "size size"]], Inexact[np.ndarray, "size size"]], size: int
) -> Law:
    """The law of (id ⊗ φ)(X) for a unitarily invariant X in M_d ⊗ M_n as d grows, φ a linear map of n×n matrices.

    The free cumulants are κ_p·n^{-p} Σ_i ρ_i^p·m_i, where ρ_i are the eigenvalues, with multiplicities m_i, of the Choi matrix
    Σ E_ij ⊗ φ(E_ij). Of a Wishart matrix that is a compound free Poisson law. It asks that every eigenprojection has a multiple
    of 1 as its partial trace over the first leg. So it is for transposition, traces, the diagonal, and mixtures of these with
    the identity.

    Args:
        law: of X, for instance MarchenkoPastur(c) of a complex Wishart matrix.
        change: φ; linear, and hermitian matrices stay hermitian.
        size: n ≥ 1, rows of a block.

    Raises:
        InputError: φ is not such a map.

    Source: Banica, Nechita, Block-modified Wishart matrices and free Poisson laws (2015); Arizmendi, Nechita, Vargas, On the
        asymptotic distribution of block-modified random matrices (2016), arXiv 1508.05732.

    Example:
        >>> from freeness.laws import MarchenkoPastur
        >>> reduced = block_modified(MarchenkoPastur(0.5), lambda a: np.trace(a) * np.eye(2), 2)
        >>> reduced.mean, reduced.variance  # of Tr_2 W ⊗ 1
        (2.0, 0.5)
    """
    require_laws(law)
    n = _size(size)
    if not callable(change):
        raise InputError(f"expected a map of {n}×{n} matrices, got {change!r}; write for instance lambda a: a.T.")
    choi = _choi(change, n)
    values, vectors = np.linalg.eigh(choi)
    scale_of_all = max(np.abs(values).max(), np.finfo(float).tiny)
    groups = np.split(np.arange(n * n), np.flatnonzero(np.diff(values) > _EQUAL * scale_of_all) + 1)
    powers: list[tuple[float, int]] = []
    for group in groups:
        value = float(values[group].mean())
        if abs(value) <= _EQUAL * scale_of_all:
            continue
        tensor = vectors[:, group].reshape(n, n, group.size)
        partial = np.einsum("iak,ibk->ab", tensor, tensor.conj())
        if np.abs(partial - np.trace(partial) / n * np.eye(n)).max() > _EQUAL:
            raise InputError(
                "expected a map whose Choi matrix has eigenprojections with partial trace c·1, got one without; the law of such "
                "blocks is that of a matrix-valued equation, so draw them."
            )
        powers.append((value / n, group.size))
    return _free_powers(law, powers) if powers else PointMass(0.0)


def _size(size: int) -> int:
    if not is_size(size):
        raise InputError(f"expected a size of blocks 1, 2, 3, …, got {size!r}; correct it.")
    return int(size)


def _choi(change: Callable[[np.ndarray], np.ndarray], n: int) -> np.ndarray:
    """Σ E_ij ⊗ φ(E_ij), hermitian for a map that keeps hermitian matrices; φ is tried on one matrix more."""
    units = np.eye(n * n).reshape(n, n, n, n)
    images = [[np.asarray(change(units[i, j])) for j in range(n)] for i in range(n)]
    if any(image.shape != (n, n) for row in images for image in row):
        raise InputError(f"expected a map of {n}×{n} matrices, got one that gives another shape; pass their size.")
    choi = np.block(images)
    tried = np.arange(1.0, n * n + 1).reshape(n, n) ** 0.5
    linear = np.einsum("ij,ijab->ab", tried, np.array(images))
    size = max(np.abs(choi).max(), np.finfo(float).tiny)
    if (
        np.abs(change(tried) - linear).max() > _EQUAL * n**2 * size
        or np.abs(choi - choi.conj().T).max() > _EQUAL * size
    ):
        raise InputError(
            "expected a linear map that keeps hermitian matrices hermitian, got another; write for instance lambda a: a.T."
        )
    return choi


def _free_powers(law: Law, powers: list[tuple[float, int]]) -> Law:
    """⊞ of free powers of multiples of a law."""
    parts = [scale(law, factor) for factor, exponent in powers if exponent]
    exponents = [exponent for _, exponent in powers if exponent]
    return reduce(free_sum, [free_power(part, float(s)) for part, s in zip(parts, exponents, strict=True)])
