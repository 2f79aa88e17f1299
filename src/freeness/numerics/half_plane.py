"""Logarithms whose branch suits functions that stay in one closed half-plane."""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex, Inexact


def upper_log(z: Inexact[np.ndarray, "*points"]) -> Complex[np.ndarray, "*points"]:
    """log z with argument in (-π/2, 3π/2): continuous on the closed upper half-plane, whatever the sign of a rounding error.

    Example:
        >>> upper_log(np.array([-1.0 - 1e-17j])).imag
        array([3.14159265])
    """
    return np.log(-1j * z) + 0.5j * np.pi


def lower_log(z: Inexact[np.ndarray, "*points"]) -> Complex[np.ndarray, "*points"]:
    """log z with argument in (-3π/2, π/2): continuous on the closed lower half-plane.

    Example:
        >>> lower_log(np.array([-1.0 + 1e-17j])).imag
        array([-3.14159265])
    """
    return np.log(1j * z) - 0.5j * np.pi
