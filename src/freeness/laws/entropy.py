"""Free entropy."""

from __future__ import annotations

import numpy as np

from freeness.laws.law import Law
from freeness.laws.support import require_apart

_NODES = 400


def free_entropy(law: Law) -> float:
    """χ(μ) = ∬ log|x - y| dμ dμ + 3/4 + log(2π)/2; -∞ where there is an atom.

    The inner integral is the real part of the potential on the curve. The outer one runs over each band in the angle of
    x = middle + half·cos θ, which makes square-root ends smooth.

    Example:
        >>> from freeness.laws import Semicircle
        >>> bool(abs(free_entropy(Semicircle(1.0)) - np.log(2 * np.pi * np.e) / 2) < 1e-9)  # the largest at variance 1
        True

    Source: Voiculescu (1993).
    """
    if law.atoms:
        return -np.inf
    angle = np.pi * (np.arange(_NODES) + 0.5) / _NODES
    total = 0.0
    require_apart(law)
    for low, high in law.bands:
        half = (high - low) / 2
        x = (low + high) / 2 + half * np.cos(angle)
        weight = half * np.sin(angle) * np.pi / _NODES
        total += float(np.sum(weight * law.density(x) * law.log_potential(x)))
    return total + 0.75 + float(np.log(2 * np.pi)) / 2
