"""Rectangular matrices as corners of square ones: information plus noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.expressions.elements import Circular, Given
from freeness.expressions.expression import free_variables
from freeness.laws import Law
from freeness.moves import resize


def information_plus_noise(matrix: ArrayLike, variance: float) -> Law:
    """The law of (A + Z)(A + Z)* for a given A (p, n) and independent centred entries of Z with E|Z_ij|² = variance/n.

    With n ≥ p, let s be the singular values of A, and P the projection on p of n dimensions. Then it is that of D + PC in the
    corner P, with D = diag(s, 0) and C circular, free from D and P. For unitaries on both sides change neither Z nor the
    spectrum.

    Args:
        matrix: A, what is known.
        variance: of the noise, times n.

    Raises:
        InputError: A is no finite matrix, or the variance is not positive.

    Source: Dozier, Silverstein (2007).

    Example:
        >>> round(float(information_plus_noise(np.diag([1.0, 2.0]), 1.0).mean), 9)  # (1 + 4)/2 + 1
        3.5
    """
    known = np.asarray(matrix)
    if known.ndim != 2 or known.dtype.kind not in "fiuc" or known.size == 0 or not np.isfinite(known).all():
        raise InputError(f"expected a finite matrix (p, n), got shape {known.shape}; pass zeros for what is unknown.")
    rows, columns = known.shape
    size = max(rows, columns)
    values, inside = np.zeros(size), np.zeros(size)
    values[: min(rows, columns)] = np.linalg.svd(known, compute_uv=False)
    inside[: min(rows, columns)] = 1.0
    d, p, c = free_variables(Given(values), Given(inside), Circular(variance * size / columns), names="D P C")
    return resize((d + p * c).singular_law(), size / rows)
