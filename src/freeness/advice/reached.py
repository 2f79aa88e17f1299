"""Which spreads of the Jacobian the critical networks of an activation can have, and what limits them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from freeness.errors import InputError, is_size
from freeness.meanfield import derivative_spread, second_moment, squared_slope
from freeness.network import ActivationFunction

_GRID = (1e-8, 1e2, 81)  # variances among which the reach is looked for
_BOUNDARY = 1e-12  # σ_b²/q below 0 by less is rounding
_VANISHING = 1e-5  # δ at the smallest variance that counts as 0


class Reach(NamedTuple):
    """The range of σ_JJ² that networks of this kind can have, and what limits it on either side."""

    low: float
    high: float
    reason: str


def reach(function: ActivationFunction, depth: int, weights: Literal["haar", "gaussian"] = "haar") -> Reach:
    """The σ_JJ² that critical networks of an activation can have at a depth, at variances from 1e-8 to 100.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        depth: L weight matrices, ≥ 2.
        weights: ensemble; Gaussian adds L.

    Example:
        >>> from freeness.network import activation
        >>> reach(activation("relu"), 11)[:2]
        (10.0, 10.0)
    """
    if not is_size(depth):
        raise InputError(
            f"expected a depth that is a whole number ≥ 1, got {depth!r}; give the number of weight matrices."
        )
    more = depth if weights == "gaussian" else 0
    if depth == 1:
        return Reach(float(more), float(more), "one weight matrix has no activation")
    q, spreads = reachable(function, depth - 1)
    if q.size == 0:
        return Reach(float("nan"), float("nan"), f"{function.name} has no edge of chaos: σ_b² would be negative")
    low, high = float(spreads.min()), float(spreads.max())
    if is_homogeneous(function):
        reason = "δ is the same at every variance, for φ is linear on either side of 0"
    elif low / (depth - 1) < _VANISHING:
        reason = "low: none, δ vanishes with q as φ is smooth at 0; high: δ at q = 100"
    else:
        reason = "low: φ' is not constant near 0, so δ does not vanish with q; high: δ at large q"
    if more:
        reason += f"; Gaussian weights add {depth}"
    return Reach(low + more, high + more, reason)


def reachable(function: ActivationFunction, activations: int) -> tuple[np.ndarray, np.ndarray]:
    """Variances from 1e-8 to 100 at which a critical network exists, and nδ of its n activations there.

    Example:
        >>> from freeness.network import activation
        >>> reachable(activation("softplus"), 10)[0].size  # biases would have to be imaginary
        0
    """
    grid = np.geomspace(*_GRID)
    slopes = np.array([squared_slope(function, float(value)) for value in grid])
    moments = np.array([second_moment(function, float(value)).value for value in grid])
    with np.errstate(divide="ignore", invalid="ignore"):
        biases = 1 - moments / (slopes * grid)
    kept = np.isfinite(biases) & (biases >= -_BOUNDARY)
    return grid[kept], activations * derivative_spread(function, grid[kept])


def is_homogeneous(function: ActivationFunction) -> bool:
    """Whether φ is linear on either side of 0, so that δ is the same at every variance.

    Example:
        >>> from freeness.network import activation
        >>> is_homogeneous(activation("leaky_relu")), is_homogeneous(activation("hardtanh"))
        (True, False)
    """
    return function.homogeneous
