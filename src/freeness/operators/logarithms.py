"""log det(1 - κβ) of symmetric matrices in the lower half-plane, without eigenvalues.

With β⁻¹ - κ in the upper half-plane every pivot of its elimination is there as well, for Schur complements of such matrices are
such. So each pivot's logarithm has an imaginary part between 0 and π, and

    log det(1 - κβ) = Σ log pivots(β⁻¹ - κ) - Σ log pivots(β⁻¹)

is continuous in κ from 0 on: the sum of principal logarithms of the eigenvalues, none of which is negative. Where β is nearly
singular, the pencil [[-β, 1], [1, -κ]] is eliminated instead, position by position, in eight times the time. No rows are
exchanged; the growth is bounded as for matrices whose real and imaginary parts are definite.

Source: Higham, Accuracy and Stability of Numerical Algorithms (2002), §10.4, for the growth; the branch is this project's.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

import numpy as np
from jaxtyping import Inexact

from freeness.operators.spectral import inverted

_CONDITION = 1e4  # of β, whose square is lost of the digits
_NOTHING = 1e-200j  # in the place of a pivot that is 0


def logarithm(
    kappa: Inexact[np.ndarray, "*#lead size size"], beta: Inexact[np.ndarray, "*#lead size size"]
) -> Inexact[np.ndarray, "*both"]:
    """log det(1 - κβ) of stacked matrices, whose leading axes are broadcast.

    Args:
        kappa: symmetric, of imaginary part ≤ 0.
        beta: symmetric, of imaginary part ≤ 0 as well.

    Example:
        >>> kappa, beta = -1j * np.diag([2.0, 3.0]), -1j * np.eye(2)
        >>> bool(np.isclose(logarithm(kappa, beta), np.log(3 * 4)))
        True
    """
    size, lead = beta.shape[-1], beta.shape[:-2]
    flat = beta.reshape(-1, size, size)
    inverse = inverted(flat)
    good = np.abs(flat).max(axis=(1, 2)) * np.abs(inverse).max(axis=(1, 2)) < _CONDITION
    if good.all():
        inverse = inverse.reshape(beta.shape)
        return _of_pivots(inverse - kappa) - _of_pivots(inverse)
    both = np.broadcast_shapes(kappa.shape, beta.shape)
    which = np.broadcast_to(good.reshape(lead), both[:-2])
    kappa, beta = np.broadcast_to(kappa, both), np.broadcast_to(beta, both)
    found = np.empty(both[:-2], complex)
    found[~which] = _of_pencils(kappa[~which], beta[~which])
    if good.any():
        inverse = np.broadcast_to(inverse.reshape(beta.shape if lead == both[:-2] else (*lead, size, size)), both)[
            which
        ]
        found[which] = _of_pivots(inverse - kappa[which]) - _of_pivots(inverse)
    return found


def _upper_logarithm(pivot: np.ndarray) -> np.ndarray:
    """With its cut on the negative imaginary axis, farthest from the upper half-plane, less iπ/2."""
    return np.log(-1j * pivot)


def _last(matrices: np.ndarray) -> np.ndarray:
    """(…, P, P) as (P, P, m)."""
    size = matrices.shape[-1]
    return np.ascontiguousarray(np.moveaxis(matrices.reshape(-1, size, size), 0, -1))


def _of_pivots(matrices: np.ndarray) -> np.ndarray:
    """Σ log of the pivots, less iπ/2 each."""
    rest = _last(matrices)
    found = np.zeros(rest.shape[-1], complex)
    for _ in range(len(rest)):
        pivot, row = rest[0, 0], rest[0, 1:]
        found += _upper_logarithm(pivot)
        rest = rest[1:, 1:] - (row / pivot)[:, None] * row[None]
    return found.reshape(matrices.shape[:-2])


def _of_pencils(kappa: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """log det(1 - κβ) of (m, P, P) by pairs of pivots of [[-β, 1], [1, -κ]]."""
    asked, given = -_last(beta), -_last(kappa)
    across = np.zeros_like(asked) + np.eye(len(asked))[:, :, None]
    found = np.zeros(asked.shape[-1], complex)
    for _ in range(len(asked)):
        one, both, other = asked[0, 0], across[0, 0], given[0, 0]
        first = np.where(one == 0, _NOTHING, one)
        found += _upper_logarithm(first) + _upper_logarithm(other - both * (both / first))
        determinant = one * other - both * both
        to_asked, to_given = np.stack([asked[0, 1:], across[1:, 0]]), np.stack([across[0, 1:], given[0, 1:]])
        by_asked, by_given = (
            np.stack([other * u - both * v, one * v - both * u]) / determinant for u, v in (to_asked, to_given)
        )
        asked = asked[1:, 1:] - (by_asked[:, :, None] * to_asked[:, None]).sum(axis=0)
        across = across[1:, 1:] - (by_asked[:, :, None] * to_given[:, None]).sum(axis=0)
        given = given[1:, 1:] - (by_given[:, :, None] * to_given[:, None]).sum(axis=0)
    return found
