"""Near dynamical isometry by a small variance on the edge of chaos, and the normalised activation that makes it variance 1.

Source: Pennington, Schoenholz, Ganguli (2018); Murray, Abrol, Tanner (2021), who widen the linear region instead of shrinking
σ_b; theory.md §3.1 and §8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Float
from scipy.special import ndtr

from freeness.errors import InputError
from freeness.meanfield.phase import edge_of_chaos
from freeness.network import ActivationFunction, AffineImage, affine_image
from freeness.numerics import gaussian_nodes

_LOW, _HIGH, _POINTS = 1e-8, 1e2, 201  # variances among which the first with the wanted spread is bracketed
_AT_ONCE = 10


@dataclass(frozen=True)
class CriticalPoint:
    """σ_w and σ_b at which χ₁ = 1 at the fixed point ``q``, with ``delta``, the relative variance of φ'² there.

    ``stable``: whether lengths near q return to it.
    """

    q: float
    sigma_w: float
    sigma_b: float
    delta: float
    stable: bool


def isometric_point(function: ActivationFunction, activations: int, spread: float) -> CriticalPoint:
    """The point of the edge of chaos at which ``activations`` layers with Haar weights have σ_JJ² = ``spread``.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        activations: n, how many layers of φ; a chain of L weight matrices has L - 1.
        spread: σ_JJ² = n·δ, the relative variance of the spectrum of JJᵀ.

    Raises:
        InputError: no variance has it; the message says what is reachable.

    Example:
        >>> from freeness.network import activation
        >>> found = isometric_point(activation("hardtanh"), 100, 0.25)
        >>> round(found.q, 5), round(found.sigma_w, 5)
        (0.10935, 1.00125)
    """
    if isinstance(activations, bool) or activations != int(activations) or activations < 1:
        raise InputError(f"expected at least one activation layer, got {activations!r}; count the activations.")
    if not (np.isfinite(spread) and spread > 0):
        raise InputError(f"expected a spread σ_JJ² > 0, got {spread}; only a linear network has 0.")

    grid = np.geomspace(_LOW, _HIGH, _POINTS)
    spreads = np.empty(0)
    crossings = np.empty(0, dtype=int)
    while crossings.size == 0 and spreads.size < _POINTS:  # from small variances up to the first crossing
        at = grid[spreads.size : spreads.size + _AT_ONCE]
        spreads = np.append(spreads, activations * derivative_spread(function, at))
        crossings = np.flatnonzero((spreads[:-1] < spread) & (spreads[1:] >= spread))
    if crossings.size == 0:
        reached = "at least" if spreads[0] >= spread else "at most"
        extreme = spreads.min() if spreads[0] >= spread else spreads.max()
        raise InputError(
            f"expected a spread that {function.name} can have in {activations} layers, got {spread:g}, where it has {reached} "
            f"{extreme:.4g}: {_reason(spreads[0] >= spread)}."
        )

    def excess(log_q: float) -> float:
        return activations * float(derivative_spread(function, np.exp([log_q]))[0]) - spread

    low, high = np.log(grid[crossings[0] : crossings[0] + 2])
    q = float(np.exp(scipy.optimize.root_scalar(excess, bracket=(low, high), xtol=1e-14).root))
    return critical_point(function, q)


def critical_point(function: ActivationFunction, q: float) -> CriticalPoint:
    """The point of the edge of chaos at a variance."""
    edge = edge_of_chaos(function, [q])
    delta = float(derivative_spread(function, np.array([q]))[0])
    return CriticalPoint(q, float(edge.sigma_w[0]), float(edge.sigma_b[0]), delta, bool(edge.stable[0]))


def derivative_spread(
    function: ActivationFunction, q: Float[np.ndarray, " variances"]
) -> Float[np.ndarray, " variances"]:
    """δ = μ₂/μ₁² - 1, the relative variance of φ'² over the neurons, at each variance q > 0; ∞ where φ' is 0 everywhere.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q: variances, one-dimensional.

    Example:
        >>> from freeness.network import activation
        >>> derivative_spread(activation("relu"), np.array([0.5, 2.0])).tolist()
        [1.0, 1.0]
    """
    q = np.asarray(q, dtype=float)
    if function.slopes is not None:  # shares of the neurons on each piece
        levels = ndtr(np.array([-np.inf, *function.kinks, np.inf]) / np.sqrt(q)[:, None])
        moments = [np.diff(levels) @ np.array(function.slopes) ** power for power in (2, 4)]
    else:
        rows: list[tuple[np.ndarray, np.ndarray]] = []
        for value in q:
            nodes, weights = gaussian_nodes(float(value), function.kinks)
            squares = function.derivative(nodes) ** 2
            rows.append((weights @ squares, weights @ squares**2))
        moments = np.array(rows).reshape(-1, 2).T
    first, second = moments
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(first > 0, np.maximum(second / first**2 - 1, 0.0), np.inf)


def _reason(too_large: bool) -> str:
    if too_large:
        return (
            "its derivative is not constant near 0, so a smaller variance does not help; take one that is smooth there"
        )
    return "its derivative varies too little over the neurons; take a smaller spread"


def normalised(function: ActivationFunction, variance: float, gain: float) -> ActivationFunction:
    """φ_n(x) = φ(√v·g·x)/√v, a network in other units.

    With g = σ_w and v = q*/σ_w² of a critical point, weights of gain 1 and biases of deviation σ_b/√q* give the same network
    with variance 1 everywhere.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        variance: v > 0.
        gain: g > 0.

    Example:
        >>> from freeness.network import activation
        >>> normalised(activation("hardtanh"), 0.25, 1.0).kinks
        (-2.0, 2.0)
    """
    if not (np.isfinite([variance, gain]).all() and variance > 0 and gain > 0):
        raise InputError(
            f"expected a variance and a gain > 0, got {variance} and {gain}; take those of a critical point."
        )
    root = float(np.sqrt(variance))
    return affine_image(AffineImage(function, gain=root * float(gain), scale=1 / root), f"normalised {function.name}")
