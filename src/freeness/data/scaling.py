"""How images become inputs."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

from freeness.errors import InputError

Scaling = Literal["standardised", "unit_norm", "unit"]
_SMALLEST = 1e-9  # norm below which an image is of one grey level, or black


def scaled(images: Shaped[np.ndarray, " images *shape"], scaling: Scaling) -> Float[np.ndarray, "images features"]:
    """Images as inputs, each by itself: float64, shape (n, N₀).

    "standardised": mean 0 and mean square 1 over its own pixels, so that q̂₀ = ‖x⁰‖²/N₀ = 1, where the signals of theory.md §2
    start; "unit_norm": x/‖x‖; "unit": uint8 divided by 255. No statistics of the data set enter, so a subset and the whole agree.
    An image of one grey level is left at 0 by the first, a black one by the second.

    Args:
        images: (n, …), uint8 or floating point.
        scaling: its name.

    Raises:
        InputError: another name.

    Example:
        >>> scaled(np.array([[3, 4]], dtype=np.uint8), "unit_norm").round(12).tolist()
        [[0.6, 0.8]]
    """
    flat = images.reshape(len(images), -1)
    values = flat / 255.0 if flat.dtype == np.uint8 else flat.astype(np.float64)
    if scaling == "unit":
        return values
    if scaling == "standardised":
        values = values - values.mean(axis=1, keepdims=True)
        norm = np.sqrt(np.mean(values**2, axis=1, keepdims=True))
    elif scaling == "unit_norm":
        norm = np.linalg.norm(values, axis=1, keepdims=True)
    else:
        raise InputError(f'expected scaling "standardised", "unit_norm" or "unit", got {scaling!r}: pass one of them')
    return np.divide(values, norm, out=np.zeros_like(values), where=norm > _SMALLEST)
