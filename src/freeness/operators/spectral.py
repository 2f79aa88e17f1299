"""Functions of small matrices, batched: eigenvectors and divided differences.

A holomorphic function acts on T = V diag(t) V⁻¹ as V diag(f(t)) V⁻¹, and its derivative in the direction E is
V (f[tᵢ, tⱼ] ∘ V⁻¹EV) V⁻¹ with the divided differences f[tᵢ, tⱼ].

Source: Daleckii, Krein (1965); Higham, Functions of Matrices (2008), §3.2.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what scipy returns here are not known to it.

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from scipy.linalg import get_lapack_funcs

_ONE_BY_ONE = 16  # rows from which LAPACK's inverse by factors takes half of what numpy's solution takes
_CONFLUENT = 1e-5  # arguments nearer than this, relatively: the mean derivative instead of the quotient


def eigen(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues (m, r), eigenvectors as columns (m, r, r) and their inverse, of matrices (m, r, r)."""
    size = t.shape[-1]
    if size == 1:
        one = np.ones_like(t)
        return t[:, :, 0], one, one
    if size == 2:
        values, vectors = _eigen_of_pairs(t)
        inverse = np.empty_like(vectors)
        inverse[:, 0, 0], inverse[:, 1, 1] = vectors[:, 1, 1], vectors[:, 0, 0]
        inverse[:, 0, 1], inverse[:, 1, 0] = -vectors[:, 0, 1], -vectors[:, 1, 0]
        determinant = vectors[:, 0, 0] * vectors[:, 1, 1] - vectors[:, 0, 1] * vectors[:, 1, 0]
        return values, vectors, inverse / determinant[:, None, None]
    finite = np.asarray(np.isfinite(t).all(axis=(1, 2)))
    values, vectors = np.linalg.eig(np.where(finite[:, None, None], t, np.eye(size)))
    return np.where(finite[:, None], values, np.nan), vectors, inverted(vectors)


def eigenvalues(t: np.ndarray) -> np.ndarray:
    """Eigenvalues (m, r), NaN of a matrix that is not finite. LAPACK fails at some that are a multiple of 1 but for rounding."""
    finite = np.asarray(np.isfinite(t).all(axis=(1, 2)))
    try:
        return np.where(finite[:, None], np.linalg.eigvals(np.where(finite[:, None, None], t, 0.0)), np.nan)
    except np.linalg.LinAlgError:
        multiple = np.einsum("mii->m", t)[:, None] / t.shape[-1]
        return multiple + np.linalg.eigvals(
            np.where(finite[:, None, None], t - multiple[:, :, None] * np.eye(t.shape[-1]), 0.0)
        )


def inverted(matrices: np.ndarray) -> np.ndarray:
    """Inverses (m, r, r), NaN for those that are singular or not finite."""
    size = matrices.shape[-1]
    if size < _ONE_BY_ONE:
        return solved(matrices, np.broadcast_to(np.eye(size, dtype=matrices.dtype), matrices.shape))
    routines: Any = get_lapack_funcs(("getrf", "getri"), (matrices,))
    factored, of_factors = routines
    found = np.full(matrices.shape, np.nan, matrices.dtype)
    for own, into in zip(matrices, found, strict=True):
        factors, pivots, singular = factored(own.T)
        if not singular:
            into[...] = of_factors(factors, pivots, overwrite_lu=True)[0].T
    return found


def solved(matrices: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions of (m, k, k) x = (m, k, l), NaN where the matrix is singular or anything is not finite."""
    with suppress(np.linalg.LinAlgError):
        if np.isfinite(matrices.sum()) and np.isfinite(right.sum()):
            return np.linalg.solve(matrices, right)
    good = np.isfinite(matrices).all(axis=(1, 2)) & np.isfinite(right).all(axis=(1, 2))
    found = np.full(right.shape, np.nan, dtype=np.result_type(matrices, right))
    try:
        found[good] = np.linalg.solve(matrices[good], right[good])
    except np.linalg.LinAlgError:  # of one of them; which one, numpy does not say
        for i in np.flatnonzero(good):
            with suppress(np.linalg.LinAlgError):
                found[i] = np.linalg.solve(matrices[i], right[i])
    return found


def _eigen_of_pairs(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 2×2 case in closed form; the larger of two equivalent eigenvectors is taken, so that none cancels."""
    a, b, c, d = t[:, 0, 0], t[:, 0, 1], t[:, 1, 0], t[:, 1, 1]
    middle, half = (a + d) / 2, (a - d) / 2
    root = np.sqrt(half**2 + b * c)
    values = np.stack([middle + root, middle - root], axis=1)
    vectors = np.empty_like(t)
    for k, sign in enumerate((1.0, -1.0)):
        shifted = sign * root - half  # the eigenvalue minus a; half + sign·root is the eigenvalue minus d
        other = half + sign * root
        first = np.abs(b) + np.abs(shifted) >= np.abs(c) + np.abs(other)
        x, y = np.where(first, b, other), np.where(first, shifted, c)
        norm = np.sqrt(np.abs(x) ** 2 + np.abs(y) ** 2)
        lone = norm == 0  # a multiple of the identity
        x, y = np.where(lone, 1.0 - k, x), np.where(lone, float(k), y)
        norm = np.where(lone, 1.0, norm)
        vectors[:, 0, k], vectors[:, 1, k] = x / norm, y / norm
    return values, vectors


def divided_differences(t: np.ndarray, values: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """f[tᵢ, tⱼ] (m, r, r) from f and f' at t (m, r)."""
    if t.shape[1] == 1:
        return slopes[:, :, None]
    gap = t[:, :, None] - t[:, None, :]
    size = np.abs(t)
    near = np.abs(gap) <= _CONFLUENT * (size[:, :, None] + size[:, None, :])
    quotient = (values[:, :, None] - values[:, None, :]) / np.where(near, 1.0, gap)
    return np.where(near, (slopes[:, :, None] + slopes[:, None, :]) / 2, quotient)
