"""The free (compound) Poisson law."""

from __future__ import annotations

import numpy as np

from freeness.errors import InputError
from freeness.laws import Law, MarchenkoPastur, PointMass, require_laws, truncated
from freeness.moves.operations import free_difference, free_product, mirror, resize


def free_poisson(rate: float, jumps: Law | None = None) -> Law:
    """The free Poisson law of the given rate and jump law ν: R(g) = rate·∫ t/(1 - tg) dν(t), κ_n = rate·m_n(ν).

    It is the limit law of Σ_i t_i v_i v_iᵀ = GᵀTG/n for rate·n random directions v_i of jump t_i. Sample covariances
    of population ν are that, n samples a dimension times 1/rate. Jumps of both signs split into a free difference.

    Args:
        rate: mean number of summands a dimension, > 0.
        jumps: the law of the jumps; all equal to 1 when left out, which is ``rate`` times Marchenko–Pastur of ratio 1/rate.

    Example:
        >>> law = free_poisson(2.0)
        >>> law.mean, law.variance
        (2.0, 2.0)

    Source: Speicher (1990); Nica, Speicher, Lectures on the Combinatorics of Free Probability (2006), lecture 12.
    """
    if not (np.isfinite(rate) and rate > 0):
        raise InputError(f"expected a rate > 0, got {rate}.")
    law = PointMass(1.0) if jumps is None else jumps
    require_laws(law)
    low, high = law.hull
    if low >= 0:
        return resize(free_product(law, MarchenkoPastur(rate)), rate)
    if high <= 0:
        return mirror(free_poisson(rate, mirror(law)))
    positive = 1 - float(law.cdf(0.0))
    negative = 1 - positive - sum(mass for x, mass in law.atoms if x == 0)
    up, down = truncated(law, np.nextafter(0.0, 1.0), high), truncated(law, low, np.nextafter(0.0, -1.0))
    return free_difference(free_poisson(rate * positive, up), free_poisson(rate * negative, mirror(down)))
