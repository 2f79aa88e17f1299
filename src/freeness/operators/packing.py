"""Symmetric matrices as vectors of their entries i ≤ j, and what acts on them as matrices."""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.sparse import coo_array, csr_array, eye_array, kron


def symmetric(matrices: np.ndarray) -> np.ndarray:
    """Symmetric part of matrices (…, P, P).

    Example:
        >>> symmetric(np.array([[0.0, 2.0], [0.0, 0.0]]))
        array([[0., 1.],
               [1., 0.]])
    """
    return (matrices + matrices.swapaxes(-1, -2)) / 2


@cache
def _upper(size: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(size)


@cache
def doubled(size: int) -> np.ndarray:
    """How often each entry i ≤ j occurs in a symmetric matrix.

    Example:
        >>> doubled(2)
        array([1., 2., 1.])
    """
    rows, columns = _upper(size)
    return np.where(rows == columns, 1.0, 2.0)


def packed(matrices: np.ndarray) -> np.ndarray:
    """Entries i ≤ j of symmetric matrices: (m, P, P) to (m, P(P+1)/2).

    Example:
        >>> packed(np.array([[[1, 2], [2, 3]]]))
        array([[1, 2, 3]])
    """
    return matrices[:, *_upper(matrices.shape[-1])]


def unpacked(vectors: np.ndarray, size: int) -> np.ndarray:
    """Symmetric matrices (m, P, P) of their entries i ≤ j (m, P(P+1)/2).

    Example:
        >>> unpacked(np.array([[1, 2, 3]]), 2)
        array([[[1, 2],
                [2, 3]]])
    """
    found = np.empty((len(vectors), size, size), vectors.dtype)
    rows, columns = _upper(size)
    found[:, rows, columns] = found[:, columns, rows] = vectors
    return found


def superoperator(h: np.ndarray) -> np.ndarray:
    """X ↦ mean over channels of H X Hᵀ on packed matrices, from H (…, N, P', P): (…, P'(P'+1)/2, P(P+1)/2).

    Example:
        >>> superoperator(np.array([[[2.0]]]))
        array([[4.]])
    """
    *lead, channels, out, into = h.shape
    flat = h.reshape(*lead, channels, out * into)
    pairs = (flat.swapaxes(-1, -2) @ flat / channels).reshape(
        *lead, out, into, out, into
    )  # [p, q, r, s]: mean H_pq H_rs
    (p, r), (q, s) = _upper(out), _upper(into)
    straight = pairs[..., p[:, None], q[None], r[:, None], s[None]]
    crossed = pairs[..., p[:, None], s[None], r[:, None], q[None]]
    return np.where(q == s, straight, straight + crossed)


def two_sided(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """X ↦ symmetric part of left·X·right on packed matrices, for left, right (m, P, P).

    Example:
        >>> two_sided(np.array([[[2.0]]]), np.array([[[3.0]]]))
        array([[[6.]]])
    """
    size = left.shape[-1]
    (p, r), (q, s) = _upper(size), _upper(size)
    p, r = p[:, None], r[:, None]

    def product(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
        return left[:, a, b] * right[:, c, d]

    straight = product(p, q, s, r) + product(r, q, s, p)
    crossed = product(p, s, q, r) + product(r, s, q, p)
    return np.where(q == s, straight, straight + crossed) / 2


def sharing(taps: np.ndarray) -> csr_array:
    """X ↦ Σ_τ T_τ X T_τᵀ on packed matrices, from T (taps, P', P), most of whose entries are 0.

    Example:
        >>> sharing(np.array([[[2.0]], [[1.0]]])).toarray()
        array([[5.]])
    """
    _, out, into = taps.shape
    rows, columns = _upper(into)
    number = np.arange(rows.size)
    places = np.concatenate([rows * into + columns, columns * into + rows])
    apart = np.concatenate([np.ones(rows.size), rows != columns])  # a diagonal entry is there once
    filled = coo_array((apart, (places, np.tile(number, 2))), shape=(into**2, rows.size)).tocsr()
    chosen = csr_array(eye_array(out**2, format="csr"))[np.ravel_multi_index(_upper(out), (out, out))]
    found = csr_array((chosen.shape[0], rows.size))
    for tap in taps:
        sparse = csr_array(tap)
        found = found + chosen @ csr_array(kron(sparse, sparse, format="csr")) @ filled
    return csr_array(found)
