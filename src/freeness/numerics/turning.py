"""Pairs of entries turned by angles."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Inexact, Num


def turned_pairs(
    x: Num[np.ndarray, "*rows width"], angles: Float[np.ndarray, "*_ pairs"]
) -> Inexact[np.ndarray, "*_ width"]:
    """Entries f and f + F of x (…, P, d) turned by angles (P, F); those behind 2F stay.

    Example:
        >>> turned_pairs(np.array([[1.0, 0.0, 5.0]]), np.array([[np.pi / 2]])).round(12).tolist()
        [[0.0, 1.0, 5.0]]
    """
    pairs = angles.shape[-1]
    first, second, rest = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.concatenate([cosine * first - sine * second, sine * first + cosine * second, rest], axis=-1)
