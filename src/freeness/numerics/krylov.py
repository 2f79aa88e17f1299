"""Linear equations by products alone: GMRES, for matrices that are too large to be formed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Inexact

_LOST = 1e-14  # relative size of what is left of a new direction that is rounding


def solved_by_products(
    product: Callable[[Inexact[np.ndarray, " unknowns"]], Inexact[np.ndarray, " unknowns"]],
    right: Inexact[np.ndarray, " unknowns"],
    tolerance: float,
    most: int,
) -> Inexact[np.ndarray, " unknowns"]:
    """x with |Ax - right| ≤ tolerance·|right| by GMRES without restarts, NaN where ``most`` products do not reach it.

    Args:
        product: x ↦ Ax, (k,) to (k,).
        right: (k,), in units in which all entries matter alike.
        tolerance: relative, of the residual.
        most: products at most; as many vectors are kept.

    Source: Saad, Schultz, SIAM J. Sci. Stat. Comput. 7 (1986) 856. Not scipy's ``gmres``, which takes one product more for the
    residual and orthogonalises once: a product is what costs here, and residuals of 1e-13 are asked for.

    Example:
        >>> solved_by_products(lambda x: np.array([2.0, 4.0]) * x, np.array([2.0, 2.0]), 1e-12, 5)
        array([1. , 0.5])
    """
    size = float(np.linalg.norm(right))
    if size == 0.0:
        return np.zeros_like(right)
    if not np.isfinite(size):
        return np.full_like(right, np.nan)
    most = min(most, right.size)
    basis = np.empty((most + 1, right.size), right.dtype)
    basis[0] = right / size
    matrix = np.zeros((most + 1, most), right.dtype)
    for step in range(most):
        new = product(basis[step])
        whole = np.linalg.norm(new)
        if not np.isfinite(whole):
            break
        for _ in range(2):  # twice is enough
            parts = basis[: step + 1].conj() @ new
            new = new - parts @ basis[: step + 1]
            matrix[: step + 1, step] += parts
        left = float(np.linalg.norm(new))
        ended = left <= _LOST * whole
        matrix[step + 1, step] = 0.0 if ended else left
        small, wanted = matrix[: step + 2, : step + 1], np.zeros(step + 2, right.dtype)
        wanted[0] = size
        shares = np.linalg.lstsq(small, wanted, rcond=None)[0]
        if np.linalg.norm(small @ shares - wanted) <= tolerance * size:
            return shares @ basis[: step + 1]
        if ended:
            break
        basis[step + 1] = new / left
    return np.full_like(right, np.nan)
