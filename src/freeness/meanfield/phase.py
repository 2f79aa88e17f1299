"""The phase diagram over (σ_w, σ_b) and its critical curve, the edge of chaos."""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Bool, Float

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction, second_moment, second_moment_slope, squared_slope
from freeness.numerics import CANCELLED, HUGE, gaussian_nodes
from freeness.shown import Plotted

_LOW, _HIGH, _POINTS = 1e-6, 1e4, 201  # of q, on which E φ² and E φ'² are tabulated
_HALVINGS = 50
_SMALL = 1e-300
_MARGINAL = 1e-9  # a slope of the length map beyond 1 by less is 1: every q is a fixed point of a critical ReLU network


@dataclass(frozen=True)
class EdgeOfChaos:
    """Points (σ_w, σ_b) at which χ₁ = 1 holds at the fixed point q, and whether q is a stable one."""

    q: Float[np.ndarray, " points"]
    sigma_w: Float[np.ndarray, " points"]
    sigma_b: Float[np.ndarray, " points"]
    stable: Bool[np.ndarray, " points"]


@dataclass(frozen=True)
class PhaseDiagram(Plotted):
    """χ₁ and q* on a grid, (len(sigma_b), len(sigma_w)); NaN where q diverges."""

    sigma_w: Float[np.ndarray, " columns"]
    sigma_b: Float[np.ndarray, " rows"]
    q: Float[np.ndarray, "rows columns"]
    chi1: Float[np.ndarray, "rows columns"]

    @property
    def depth_scale(self) -> Float[np.ndarray, "rows columns"]:
        """Layers over which squared gradients change by e, 1/|ln χ₁|: a network is trainable to some times that depth."""
        with np.errstate(divide="ignore"):
            return 1 / np.abs(np.log(self.chi1))


def edge_of_chaos(function: ActivationFunction, q: Sequence[float] | Float[np.ndarray, " variances"]) -> EdgeOfChaos:
    """The critical curve, by the variance q* on it: σ_w² = 1/E φ'², σ_b² = q* - σ_w² E φ².

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q: variances q* > 0; those at which σ_b² would be negative are left out.

    Raises:
        InputError: no point of the curve is left; the message says why.

    Source: Hayou, Doucet, Rousseau (2019) for the parametrisation; theory.md §2.

    Example:
        >>> from freeness.network import activation
        >>> edge = edge_of_chaos(activation("tanh"), [0.5])
        >>> (edge.sigma_w**2).round(4).tolist(), (edge.sigma_b**2).round(5).tolist()
        ([1.688], [0.03804])
    """
    values = np.atleast_1d(np.asarray(q, dtype=float))
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise InputError("expected variances q* > 0, got others; leave them out.")
    slopes = np.array([squared_slope(function, value) for value in values])
    moments = np.array([second_moment(function, value).value for value in values])
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = 1 / slopes
        biases = values - weights * moments
    biases = np.where(np.abs(biases) <= CANCELLED * values, 0.0, biases)
    kept = np.isfinite(weights) & (biases >= 0)
    if not kept.any():
        raise InputError(
            f"expected an edge of chaos of {function.name}, got σ_b² < 0 at every q*: at χ₁ = 1 it grows without "
            "biases, so no stable network of it is critical."
        )
    q_, w, b = values[kept], np.sqrt(weights[kept]), np.sqrt(biases[kept])
    growth = w**2 * np.array([second_moment_slope(function, value) for value in q_])
    return EdgeOfChaos(q_, w, b, growth <= 1 + _MARGINAL)


def phase_diagram(
    function: ActivationFunction,
    sigma_w: Sequence[float] | Float[np.ndarray, " columns"],
    sigma_b: Sequence[float] | Float[np.ndarray, " rows"],
    q0: float = 1.0,
) -> PhaseDiagram:
    """q* and χ₁ over a grid of (σ_w, σ_b), from a table of E φ² and E φ'² over q.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        sigma_w: σ_w > 0 of the columns.
        sigma_b: σ_b ≥ 0 of the rows.
        q0: the variance from which the fixed point is reached.

    Example:
        >>> from freeness.network import activation
        >>> found = phase_diagram(activation("tanh"), [0.9, 1.8], [0.1])
        >>> (found.chi1 > 1).tolist()
        [[False, True]]
    """
    w, b = np.asarray(sigma_w, dtype=float), np.asarray(sigma_b, dtype=float)
    if w.size == 0 or b.size == 0 or not ((w > 0).all() and (w < HUGE).all() and (b >= 0).all() and (b < HUGE).all()):
        raise InputError("expected grids of sigma_w > 0 and sigma_b ≥ 0 below 1e100, got others; correct the ranges.")
    moment, slope = _tables(function)
    weight, bias = w[None, :] ** 2, b[:, None] ** 2
    q = _reached(lambda v: weight * moment(v) + bias - v, float(q0), (b.size, w.size))
    vanished = q == 0
    chi1 = np.where(vanished, weight * squared_slope(function, 0.0), weight * slope(np.where(q > 0, q, 1.0)))
    return PhaseDiagram(w, b, q, np.where(np.isnan(q), np.nan, chi1))


def _reached(excess: Callable[[np.ndarray], np.ndarray], q0: float, shape: tuple[int, int]) -> np.ndarray:
    """The first zero of the excess q' - q from q0 upwards where it is positive, else downwards; 0 or NaN where there is none."""
    grid = np.unique(np.append(np.geomspace(_LOW, _HIGH, _POINTS), q0))
    values = np.stack([excess(np.full(shape, v)) for v in grid])
    start = int(np.searchsorted(grid, q0))
    still = np.abs(values[start]) <= _MARGINAL * q0
    up = values[start] > 0
    places = np.arange(grid.size)[:, None, None]
    above = np.where((values <= 0) & (places > start), places, grid.size).min(axis=0)
    below = np.where((values >= 0) & (places < start), places, -1).max(axis=0)
    found = np.where(up, above < grid.size, below >= 0) & ~still
    low = np.log(grid[np.where(found, np.where(up, above - 1, below), start)])
    high = np.log(grid[np.where(found, np.where(up, above, below + 1), start)])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        positive = excess(np.exp(middle)) > 0
        low, high = np.where(positive, middle, low), np.where(positive, high, middle)
    q = np.where(still, q0, np.exp((low + high) / 2))
    return np.where(found | still, q, np.where(up, np.nan, 0.0))


def _tables(
    function: ActivationFunction,
) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """E φ² and E φ'² as functions of q, by splines in log q; proportional to q, and constant, below the table."""
    grid = np.geomspace(_LOW, _HIGH, _POINTS)
    logs = np.log(grid)
    start = float(function.function(np.zeros(1))[0]) ** 2
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    for value in grid:
        nodes, weights = gaussian_nodes(value, function.kinks)
        rows.append((weights @ (function.function(nodes) ** 2) - start, weights @ function.derivative(nodes) ** 2))
    moments, slopes = np.array(rows).T
    if not (np.isfinite(moments).all() and np.isfinite(slopes).all()):
        raise InputError(
            f"expected finite Gaussian means of {function.name} up to variance {_HIGH:g}, got NaN or infinity; it grows too fast."
        )
    ratio, slope = scipy.interpolate.CubicSpline(logs, moments / grid), scipy.interpolate.CubicSpline(logs, slopes)

    def at(q: np.ndarray) -> np.ndarray:
        return np.clip(np.log(np.maximum(q, _SMALL)), logs[0], logs[-1])

    return lambda q: start + q * ratio(at(q)), lambda q: slope(at(q))
