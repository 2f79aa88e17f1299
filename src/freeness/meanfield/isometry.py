"""Near dynamical isometry by a small variance on the edge of chaos, and the normalised activation that makes it variance 1.

Source: Pennington, Schoenholz, Ganguli (2018); Murray, Abrol, Tanner (2021), who widen the linear region instead of shrinking
σ_b; theory.md §3.1 and §8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import root_scalar

from freeness.errors import InputError
from freeness.meanfield.moments import slope_moment
from freeness.meanfield.phase import edge_of_chaos
from freeness.network import ActivationFunction

_LOW, _HIGH, _POINTS = 1e-8, 1e2, 201  # variances among which the first with the wanted spread is bracketed


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
        function: φ.
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

    def excess(log_q: float) -> float:
        return activations * _delta(function, float(np.exp(log_q))) - spread

    grid = np.linspace(np.log(_LOW), np.log(_HIGH), _POINTS)
    values = np.array([excess(v) for v in grid])
    crossings = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    if crossings.size == 0:
        reached = "at least" if values[0] >= 0 else "at most"
        extreme = (values.min() if values[0] >= 0 else values.max()) + spread
        raise InputError(
            f"expected a spread that {function.name} can have in {activations} layers, got {spread:g}, where it has {reached} "
            f"{extreme:.4g}: {_reason(function, values[0] >= 0)}."
        )
    first = crossings[0]
    root = root_scalar(excess, bracket=(grid[first], grid[first + 1]), xtol=1e-14).root
    q = float(np.exp(root))
    edge = edge_of_chaos(function, [q])
    return CriticalPoint(q, float(edge.sigma_w[0]), float(edge.sigma_b[0]), _delta(function, q), bool(edge.stable[0]))


def _delta(function: ActivationFunction, q: float) -> float:
    """δ = μ₂/μ₁² - 1."""
    first, second = (slope_moment(function, q, k).value for k in (1, 2))
    return second / first**2 - 1 if first > 0 else float("inf")


def _reason(function: ActivationFunction, too_large: bool) -> str:
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
        function: φ.
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
    root = np.sqrt(variance)
    inner = root * gain
    slopes = None if function.slopes is None else tuple(float(gain * slope) for slope in function.slopes)
    return ActivationFunction(
        f"normalised {function.name}",
        lambda x: function.function(inner * x) / root,
        lambda x: gain * function.derivative(inner * x),
        tuple(float(kink / inner) for kink in function.kinks),
        slopes,
    )
