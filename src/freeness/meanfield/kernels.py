"""NNGP and tangent kernels of wide networks on a data set, (n, n).

Σ¹ = σ_w² XXᵀ/N₀ + σ_b², Σˡ⁺¹ = σ_w² E φ(u)φ(v) + σ_b² with (u, v) of covariance Σˡ, and Θ¹ = Σ¹,
Θˡ⁺¹ = Σˡ⁺¹ + σ_w² E φ'(u)φ'(v)·Θˡ entry by entry. ``depth`` counts weight matrices, so depth 1 is the linear kernel.

Source: Neal (1996); Lee et al. (2018) for Σ; Jacot, Gabriel, Hongler (2018) for Θ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

from freeness.errors import InputError
from freeness.meanfield.covariance import closed_covariance, covariance
from freeness.meanfield.length_map import LengthMap
from freeness.network import ActivationFunction

_EQUAL = 1e-12  # relative spread of the norms up to which they count as equal
_DEGREES = (64, 128, 256)  # of the Chebyshev series in the angle
_TAIL = 1e-11  # its last coefficients, relative to the first, must be this small
_KNOTS = 4097  # of the spline by which the series is evaluated: its error is 1e-13
_PAIRS = 50_000  # pairs × layers that are integrated one by one at most, about five minutes
_NEGATIVE = 1e-10  # relative size of a negative eigenvalue that is rounding


@dataclass(frozen=True)
class Kernels:
    """``nngp`` Σ and ``ntk`` Θ, (n, n), of networks with ``depth`` weight matrices; ``lowest``: the least eigenvalue of Σ."""

    nngp: np.ndarray
    ntk: np.ndarray
    depth: int
    lowest: float


def kernels(
    inputs: ArrayLike, function: ActivationFunction, depth: int, sigma_w: float, sigma_b: float = 0.0
) -> Kernels:
    """Σ and Θ of fully connected networks in the limit of wide layers, in the parametrisation of Jacot et al. (NTK).

    Costs O(n² depth). Activations with closed forms (ReLU family with its kink at 0, erf, sin, linear) take any inputs; others
    take inputs of equal norm, at which everything is a function of one angle; for unequal norms each pair is integrated, some
    milliseconds a pair and layer.

    Args:
        inputs: (n, N₀).
        function: φ.
        depth: weight matrices, ≥ 1.
        sigma_w: σ_w > 0.
        sigma_b: σ_b ≥ 0.

    Raises:
        InputError: bad inputs, a kernel that overflows, or too many pairs of unequal norm.

    Example:
        >>> from freeness.network import activation
        >>> found = kernels(np.eye(2) * 2**0.5, activation("relu"), 2, 2**0.5)
        >>> found.nngp.round(6).tolist()
        [[2.0, 0.63662], [0.63662, 2.0]]
    """
    points = _checked(inputs)
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise InputError(f"expected a depth ≥ 1, got {depth!r}; it counts weight matrices.")
    weight, bias = LengthMap(function, sigma_w, sigma_b).sigma_w ** 2, sigma_b**2
    sigma = weight * (points @ points.T) / points.shape[1] + bias
    theta = sigma.copy()
    for layer in range(1, depth):
        value, slope = _pairwise(function, sigma, depth - layer)
        sigma = weight * value + bias
        theta = sigma + weight * slope * theta
        if not np.isfinite(theta).all():
            raise InputError(
                f"expected finite kernels, got overflow in layer {layer + 1}; the network is chaotic or diverges, so take fewer "
                "layers or a smaller sigma_w."
            )
    return Kernels(sigma, theta, depth, _lowest(sigma))


def _checked(inputs: ArrayLike) -> np.ndarray:
    points = np.asarray(inputs)
    if points.ndim != 2 or points.size == 0 or points.dtype.kind not in "fiu" or not np.isfinite(points).all():
        raise InputError(
            f"expected finite inputs of shape (n, N₀), got {points.dtype} of shape {points.shape}; flatten images."
        )
    if not (np.abs(points).max(axis=1) > 0).all():
        raise InputError("expected inputs that are not 0, got one that is; its signal has no direction.")
    return points.astype(float)


def _lowest(kernel: np.ndarray) -> float:
    """The least eigenvalue, checked to be no more negative than rounding makes it."""
    values = np.linalg.eigvalsh(kernel)
    if values[0] < -_NEGATIVE * values[-1]:
        raise InputError(
            f"expected a positive semi-definite kernel, got the eigenvalue {values[0]:.3g}; check the activation's derivative."
        )
    return float(values[0])


def _pairwise(function: ActivationFunction, sigma: np.ndarray, layers: int) -> tuple[np.ndarray, np.ndarray]:
    """E φφ and E φ'φ' for every pair of a covariance matrix."""
    q = np.diag(sigma)
    closed = closed_covariance(function, q[:, None], q[None, :], sigma)
    if closed is not None:
        return closed
    rows, columns = np.triu_indices(len(q))
    if np.ptp(q) <= _EQUAL * q.max():
        c = np.where(rows == columns, 1.0, sigma[rows, columns] / q.mean())  # √(1 - c) would turn rounding into 1e-8
        found = _by_angle(function, float(q.mean()), c)
    else:
        if rows.size * layers > _PAIRS:
            raise InputError(
                f"expected inputs of equal norm for {function.name}, got {rows.size} pairs of unequal norm in {layers} layers, "
                "which would be integrated one by one; scale the inputs to one norm, or take an activation with a closed form."
            )
        found = _one_by_one(function, q, sigma, (rows, columns))
    both = np.empty((2, *sigma.shape))
    for k in range(2):
        both[k][rows, columns] = both[k][columns, rows] = found[k]
    return both[0], both[1]


def _by_angle(function: ActivationFunction, q: float, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as functions of the angle arccos c, in which they are smooth: a Chebyshev series, read through a spline."""
    angle = np.arccos(np.clip(c, -1.0, 1.0))
    series = _series(function, q)
    knots = np.linspace(-1.0, 1.0, _KNOTS)
    value, slope = (CubicSpline(np.pi * (1 + knots) / 2, chebyshev.chebval(knots, s))(angle) for s in series)
    return value, slope


def _series(function: ActivationFunction, q: float) -> list[np.ndarray]:
    """Chebyshev coefficients of both over the angle, of the lowest degree at which they have fallen to nothing."""
    series: list[np.ndarray] = []
    for degree in _DEGREES:
        nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
        at = covariance(function, q, q, np.cos(np.pi * (1 + nodes) / 2))
        series = [_coefficients(values) for values in (at.value, at.slope)]
        if all(np.abs(s[-4:]).max() <= _TAIL * np.abs(s).max() for s in series):
            break
    return series


def _coefficients(values: np.ndarray) -> np.ndarray:
    """Chebyshev coefficients from values at the zeros of T_{n+1}."""
    count = len(values)
    angles = np.pi * (np.arange(count) + 0.5) / count
    series = 2 / count * np.cos(np.arange(count)[:, None] * angles) @ values
    series[0] /= 2
    return series


def _one_by_one(
    function: ActivationFunction, q: np.ndarray, sigma: np.ndarray, pairs: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    found = np.empty((2, pairs[0].size))
    for k, (i, j) in enumerate(zip(*pairs, strict=True)):
        c = 1.0 if i == j else float(np.clip(sigma[i, j] / np.sqrt(q[i] * q[j]), -1.0, 1.0))
        at = covariance(function, float(q[i]), float(q[j]), c)
        found[:, k] = at.value, at.slope
    return found[0], found[1]
