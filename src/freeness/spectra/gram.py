"""Weight matrices as factors: the law of their Gram matrix, and what they do to a law."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from freeness.errors import InputError
from freeness.laws import Empirical, Law, MarchenkoPastur, PointMass, Projection
from freeness.moves import free_product, resize, scale
from freeness.network import Gaussian, Haar, Measured, ScaledIdentity


@singledispatch
def gram_law(weights: object, fan_in: int, fan_out: int) -> Law:
    """Law of WᵀW in fan_in dimensions. Register a function here for a new, bi-invariant weight ensemble."""
    raise InputError(f"expected a known weight ensemble, got {weights!r}; register gram_law for it.")


@gram_law.register
def _(weights: Haar, fan_in: int, fan_out: int) -> Law:
    variance = weights.sigma_w**2
    return PointMass(variance) if fan_out >= fan_in else Projection(fan_out / fan_in, variance)


@gram_law.register
def _(weights: Gaussian, fan_in: int, fan_out: int) -> Law:
    return scale(MarchenkoPastur(fan_in / fan_out), weights.sigma_w**2 * fan_out / fan_in)


@gram_law.register
def _(weights: Measured, fan_in: int, fan_out: int) -> Law:
    squares = np.sort(weights.singular_values)[::-1] ** 2
    if not squares.any():
        raise InputError(
            "expected weights other than 0, got a zero matrix, behind which the spectrum is trivial; initialise it."
        )
    padded = np.zeros(fan_in)
    padded[: squares.size] = squares
    return Empirical(padded)


@gram_law.register
def _(weights: ScaledIdentity, fan_in: int, fan_out: int) -> Law:
    raise InputError(
        "expected weights that are free of the activations, got an identity matrix; D's at different depths are then "
        "correlated, so measure the spectrum instead."
    )


def weight_spread(weights: object, fan_in: int, fan_out: int) -> float:
    """Relative variance of the squared singular values of W, over the smaller of its two sides (-s₁ of theory.md §0).

    Example:
        >>> from freeness.network import Gaussian, Haar
        >>> weight_spread(Haar(2.0), 50, 100), round(weight_spread(Gaussian(1.0), 50, 100), 12)
        (0.0, 0.5)
    """
    if isinstance(weights, ScaledIdentity):
        return 0.0
    if isinstance(weights, Measured) and not weights.singular_values.any():
        return 0.0
    law = gram_law(weights, fan_in, fan_out)
    second = law.variance / law.mean**2 + 1
    return second * min(fan_in, fan_out) / fan_in - 1


def sandwich(law: Law, weights: object, fan_in: int, fan_out: int) -> Law:
    """Law of W X Wᵀ in fan_out dimensions, for X in fan_in dimensions free from the bi-invariant W (theory.md §1)."""
    return resize(free_product(law, gram_law(weights, fan_in, fan_out)), fan_in / fan_out)
