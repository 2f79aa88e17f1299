"""How far means over n neurons of φ(h)² and φ'(h)² lie from their expectations, and how these follow h and one another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from freeness.gaussian.activations import ActivationFunction, Elementwise
from freeness.numerics import gaussian_nodes

_ORDERS = 48  # of the Hermite series; what is left out is told to c⁴⁸
_ANGLES = 513  # between which is interpolated
_TERMS, _TURNS = 64, 1025  # of what slopes know of values, likewise: to 1e-6


class _Itself:
    """A function as a key that equals itself alone: some of users and of torch have no hash, and names are not enough."""

    def __init__(self, of: Elementwise) -> None:
        self.of = of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.of is other.of

    def __hash__(self) -> int:
        return id(self.of)


@dataclass(frozen=True, eq=False)
class BendNoise:
    """Of h ~ N(0, q): gain d ln E φ²/d ln q, turn d ln E φ'²/d ln q, and covariances by the correlation c of two entries.

    ``values``: Cov(φ², φ²)/(E φ²)² without its second order, 2·gain²·c², which is what the size of h does. ``slopes``:
    Cov(φ'², φ'²)/(E φ'²)², of which 2·turn²·c² is that. ``lean``: of both the part in c, which is what the mean of h does.
    """

    gain: float
    turn: float
    lean: tuple[float, float]
    angles: Float[np.ndarray, " angles"]
    values: Float[np.ndarray, " angles"]
    slopes: Float[np.ndarray, " angles"]

    @property
    def excess(self) -> float:
        """Var φ²/(E φ²)² of one entry."""
        return float(self.values[0]) + 2 * self.gain**2

    def of_values(self, cosine: np.ndarray) -> np.ndarray:
        """Their covariance at every correlation."""
        return np.interp(np.arccos(np.clip(cosine, -1.0, 1.0)), self.angles, self.values)

    def of_slopes(self, cosine: np.ndarray) -> np.ndarray:
        """Their covariance at every correlation."""
        return np.interp(np.arccos(np.clip(cosine, -1.0, 1.0)), self.angles, self.slopes)


def bend_noise(function: ActivationFunction, q: float) -> BendNoise:
    """Of one activation.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q: variance of h, > 0.

    Source: Mehler's formula, of which the second order is Stein's: Cov(f, h²)/q = 2 d E f/d ln q.

    Example:
        >>> from freeness.gaussian import activation
        >>> found = bend_noise(activation("relu"), 1.0)
        >>> round(found.gain, 6), round(found.excess, 6), round(float(found.slopes[0]), 6)
        (1.0, 5.0, 1.0)
    """
    return _bend_noise(_Itself(function.function), _Itself(function.derivative), function.kinks, q)


@lru_cache(maxsize=64)
def _bend_noise(function: _Itself, derivative: _Itself, kinks: tuple[float, ...], q: float) -> BendNoise:
    h, weights = gaussian_nodes(q, kinks)
    series = np.stack([function.of(h) ** 2, derivative.of(h) ** 2])
    series = series / np.maximum(series @ weights, np.finfo(float).tiny)[:, None]
    z, angles = h / np.sqrt(q), np.linspace(0, np.pi, _ANGLES)
    before, polynomial, cosine = np.ones_like(z), z, np.cos(angles)
    total, power, left_out, rates = np.zeros((2, _ANGLES)), cosine.copy(), series**2 @ weights - 1.0, np.zeros(2)
    lean = ((series * z) @ weights) ** 2
    for n in range(1, _ORDERS):
        found = series * polynomial @ weights
        left_out = left_out - found**2
        if n == 2:
            rates = found / 2**0.5
        total += np.multiply.outer(found**2, power)
        power = power * cosine
        before, polynomial = polynomial, (z * polynomial - np.sqrt(n) * before) / np.sqrt(n + 1)
    total += np.multiply.outer(np.maximum(left_out, 0.0), power)
    gain, turn = rates.tolist()
    values, slopes = total[0] - 2 * gain**2 * cosine**2, total[1]
    return BendNoise(gain, turn, tuple(lean.tolist()), _kept(angles), _kept(values), _kept(slopes))


def slope_dependence(
    function: ActivationFunction, q: float
) -> tuple[Float[np.ndarray, " angles"], Float[np.ndarray, " angles"]]:
    """Angles, 0 to π, and E φ'φφ'φ - E φ'φ'·E φφ between Gaussians at such an angle, over E φ².

    Args:
        function: φ.
        q: variance of its input, > 0.

    Source: Mehler's formula.
    """
    return _slope_dependence(_Itself(function.function), _Itself(function.derivative), function.kinks, q)


@lru_cache(maxsize=64)
def _slope_dependence(
    function: _Itself, derivative: _Itself, kinks: tuple[float, ...], q: float
) -> tuple[Float[np.ndarray, " angles"], Float[np.ndarray, " angles"]]:
    h, weights = gaussian_nodes(q, kinks)
    value, slope = function.of(h), derivative.of(h)
    series, z, turns = np.stack([value * slope, value, slope]), h / np.sqrt(q), np.linspace(0, np.pi, _TURNS)
    polynomial, before, left_out = np.ones_like(z), np.zeros_like(z), series**2 @ weights
    total, power = np.zeros((3, _TURNS)), np.ones(_TURNS)
    for n in range(_TERMS):
        squares = (series * polynomial @ weights) ** 2
        total, left_out = total + np.multiply.outer(squares, power), left_out - squares
        power = power * np.cos(turns)
        before, polynomial = polynomial, (z * polynomial - np.sqrt(n) * before) / np.sqrt(n + 1)
    both, values, slopes = total + np.multiply.outer(np.maximum(left_out, 0.0), power)
    return _kept(turns), _kept((both - values * slopes) / max(float(value**2 @ weights), np.finfo(float).tiny))


def _kept(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False  # others get the same one
    return array
