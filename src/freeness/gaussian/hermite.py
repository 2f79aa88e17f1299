"""Hermite coefficients of an activation: what of it is linear, and how its kernel depends on the correlation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.gaussian.activations import ActivationFunction
from freeness.numerics import gaussian_nodes


def hermite_coefficients(function: ActivationFunction, q: float, count: int) -> Float[np.ndarray, " count"]:
    """a_n = E φ(√q z) h_n(z) for n < count, with the orthonormal Hermite polynomials h_n: E φ(u)φ(v) = Σ a_n² cⁿ.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q: variance, > 0.
        count: how many, ≥ 1.

    Source: Mehler's formula; Daniely, Frostig, Singer (2016).

    Example:
        >>> from freeness.gaussian import activation
        >>> hermite_coefficients(activation("relu"), 1.0, 3).round(6).tolist()
        [0.398942, 0.5, 0.282095]
    """
    if count != int(count) or count < 1:
        raise InputError(f"expected a count ≥ 1, got {count}.")
    nodes, weights = gaussian_nodes(q, function.kinks)
    weighted = weights * function.function(nodes)
    if not function.kinks and nodes.size == _standard(1).shape[1]:  # then they are those of q = 1, times √q
        found = _standard(int(count)) @ weighted
    else:
        found = np.array([polynomial @ weighted for polynomial in hermite_polynomials(nodes / np.sqrt(q), int(count))])
    if not np.isfinite(found).all():
        raise InputError(
            f"expected an activation with finite Gaussian means, got NaN or infinity from {function.name}."
        )
    return found


def hermite_polynomials(z: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """The normalised Hermite polynomials at z, one after another."""
    before, now = np.zeros_like(z), np.ones_like(z)
    for n in range(count):
        yield now
        before, now = now, (z * now - np.sqrt(n) * before) / np.sqrt(n + 1)


@lru_cache(maxsize=8)
def _standard(count: int) -> np.ndarray:
    """Those at the nodes of variance 1, (count, nodes)."""
    return np.stack(list(hermite_polynomials(gaussian_nodes(1.0)[0], count)))


def nonlinear_energy(function: ActivationFunction, q: float) -> float:
    """1 - (a₀² + a₁²)/E φ²: the share of the signal's energy that no affine map of the pre-activation carries.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q: variance, > 0.

    Example:
        >>> from freeness.gaussian import activation
        >>> round(nonlinear_energy(activation("relu"), 1.0), 6)  # ½ - 1/2π - ¼ over ½
        0.18169
    """
    mean, linear = hermite_coefficients(function, q, 2)
    nodes, weights = gaussian_nodes(q, function.kinks)
    values = function.function(nodes) - mean - linear * nodes / np.sqrt(q)
    total = float(weights @ function.function(nodes) ** 2)
    return float(weights @ values**2) / total if total > 0 else 0.0
