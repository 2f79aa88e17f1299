"""E φ(u)φ(v) and E φ'(u)φ'(v) for many pairs (u, v) at once, prepared for the variances that occur in a layer.

Three ways, the first that applies: a closed form; at equal variances a series in the angle; a Hermite series, whose remainder
is bounded. Pairs that none of them covers, and few pairs with kinks, are integrated one by one.
"""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from jaxtyping import Float
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.gaussian.activations import ActivationFunction
from freeness.gaussian.closed_covariances import Between
from freeness.gaussian.covariances import closed_between, closed_covariance, covariance, has_closed_covariance
from freeness.gaussian.hermite import hermite_coefficients
from freeness.gaussian.moments import second_moment, squared_slope

Transfer = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

_EQUAL = 1e-12  # relative spread of the variances up to which they count as equal
_SAME = 2e-15  # distance of |c| from 1 that is rounding
_DEGREES = (64, 128, 256)  # of the Chebyshev series in the angle
_TAIL = 1e-11  # its last coefficients, relative to the first, must be this small
_KNOWN = 1e-9  # of the longest series
_KNOTS = 4097  # of the spline by which the series is evaluated: its error is 1e-13
_ORDERS = (32, 64, 128, 256, 512, 1024)  # of the Hermite series
_PIECE = 16_384  # pairs that are summed at once
_REMAINDER = 1e-9  # of it, relative to E φ² and to E φ'²
_MANY = 100_000  # pairs from which the angle's series, which takes seconds to make, pays
_FEW = 64  # pairs with kinks that are integrated faster than a series is made
_OCTAVE = 1.5  # of variances between which is interpolated
_POINTS = 16  # Chebyshev points of each: the error is 2·9.9⁻¹⁶, as everything is analytic in q at Re q > 0
_PAIRS = 50_000  # integrated one by one at most, about five minutes


def transfer(function: ActivationFunction, variances: Float[np.ndarray, "*variances"], pairs: int) -> Transfer:
    """The map (q₁, q₂, q₁₂) → (E φφ, E φ'φ'), arrays that broadcast, for variances among ``variances``.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        variances: all that will occur.
        pairs: how many will be asked for; more than 50,000 are refused where each takes an integral of its own.

    Raises:
        InputError: too many pairs of unequal variance for an activation without a fast way.

    Source: Williams (1997) and Cho, Saul (2009) for closed forms; Mehler's formula for the series in c.

    Example:
        >>> from freeness.gaussian import activation
        >>> q = np.array([0.5, 2.0])
        >>> value, slope = transfer(activation("tanh"), q, 1)(q[:1], q[1:], np.array([0.3]))
        >>> value.round(6).tolist()
        [0.105121]
    """
    if has_closed_covariance(function):
        return lambda q1, q2, q12: closed_transfer(function, q1, q2)(q12)
    if pairs <= _FEW:
        few: Transfer | None = None if function.kinks else _by_hermite(function, np.unique(variances))
        inner = few or _one_by_one(function, pairs)
    else:
        equal = np.ptp(variances) <= _EQUAL * variances.max()
        equal = equal and (bool(function.kinks) or pairs > _MANY)  # a smooth function's Hermite series is made at once
        series = _by_angle(function, float(variances.mean())) if equal else None
        weighed = int(pairs * max(1.0, variances.max()))  # an integral's cost grows with the variance
        inner = series or _by_hermite(function, np.unique(variances)) or _one_by_one(function, weighed)

    return lambda q1, q2, q12: inner(q1, q2, _certain(q1, q2)(q12))


def closed_transfer(
    function: ActivationFunction, q1: Float[np.ndarray, "*#pairs"], q2: Float[np.ndarray, "*#pairs"]
) -> Between:
    """The map q₁₂ → (E φφ, E φ'φ') of an activation with a closed form.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q1: variances of u, which stay for all covariances that the map is asked for.
        q2: variances of v.
    """
    between, certain = closed_between(function, q1, q2), _certain(q1, q2)
    assert between is not None
    return lambda q12: between(certain(q12))


def _certain(q1: np.ndarray, q2: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """q₁₂ with |c| ≤ 1, and c = ±1 where only rounding keeps it from that: √(1 - c) would make 1e-8 of 1e-16."""
    root = np.sqrt(q1 * q2)
    bound = (1 - _SAME) * root

    def certain(q12: np.ndarray) -> np.ndarray:
        found = q12.copy()
        np.copyto(found, np.copysign(root, q12), where=np.abs(q12) >= bound)  # quicker than copysign's own where
        return found

    return certain


def at_one(
    function: ActivationFunction, q: Float[np.ndarray, "*variances"]
) -> tuple[Float[np.ndarray, "*variances"], Float[np.ndarray, "*variances"]]:
    """E φ² and E φ'² at every variance of an array.

    Example:
        >>> from freeness.gaussian import activation
        >>> at_one(activation("relu"), np.array([2.0]))
        (array([1.]), array([0.5]))
    """
    closed = closed_covariance(function, q, q, q)
    if closed is not None:
        return closed
    unique, place = np.unique(q, return_inverse=True)
    value, slope = _for_each(unique, lambda v: (second_moment(function, v).value, squared_slope(function, v))).T
    return value[place].reshape(q.shape), slope[place].reshape(q.shape)


def _for_each(variances: np.ndarray, at: Callable[[float], ArrayLike]) -> np.ndarray:
    """A row for each of ascending variances; where many lie close together, by interpolation between few."""
    places = np.floor(np.log(variances / variances[0]) / np.log(_OCTAVE))
    rows: list[np.ndarray] = []
    for place in np.unique(places):
        some = variances[places == place]
        if len(some) <= _POINTS:
            rows += [np.asarray(at(float(v))) for v in some]
            continue
        middle, half = (some[-1] + some[0]) / 2, (some[-1] - some[0]) / 2
        points = chebyshev.chebpts1(_POINTS)
        known = np.array([at(float(middle + half * point)) for point in points])
        series = np.linalg.solve(chebyshev.chebvander(points, _POINTS - 1), known)
        rows += list(chebyshev.chebvander((some - middle) / half, _POINTS - 1) @ series)
    return np.array(rows)


def _by_angle(function: ActivationFunction, q: float) -> Transfer | None:
    """Both as functions of the angle arccos c: a Chebyshev series, read through a spline. None if it falls too slowly."""
    knots = np.linspace(-1.0, 1.0, _KNOTS)
    series = _series(function, q)
    if series is None:
        return None
    both = scipy.interpolate.CubicSpline(
        np.pi * (1 + knots) / 2, np.stack([chebyshev.chebval(knots, s) for s in series], axis=1)
    )

    def through(q1: np.ndarray, q2: np.ndarray, q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        angle = np.arccos(np.clip(q12 / np.sqrt(q1 * q2), -1.0, 1.0))
        found = both(angle)  # one search for both
        return found[..., 0], found[..., 1]

    return through


def _series(function: ActivationFunction, q: float) -> list[np.ndarray] | None:
    """Chebyshev coefficients of both over the angle, of the lowest degree at which they have fallen to nothing."""
    series: list[np.ndarray] = []
    for degree in _DEGREES:
        nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
        at = covariance(function, q, q, np.cos(np.pi * (1 + nodes) / 2))
        series = [_coefficients(values) for values in (at.value, at.slope)]
        if all(np.abs(s[-4:]).max() <= _TAIL * np.abs(s).max() for s in series):
            return series
    tail = max(np.abs(s[-4:]).max() / np.abs(s).max() for s in series)
    return series if tail <= _KNOWN else None


def _coefficients(values: np.ndarray) -> np.ndarray:
    """Chebyshev coefficients from values at the zeros of T_{n+1}."""
    count = len(values)
    angles = np.pi * (np.arange(count) + 0.5) / count
    series = 2 / count * np.cos(np.arange(count)[:, None] * angles) @ values
    series[0] /= 2
    return series


def _by_hermite(function: ActivationFunction, variances: np.ndarray) -> Transfer | None:
    """E φφ = Σ aₙ(q₁)aₙ(q₂)cⁿ and its derivative in q₁₂; None unless what is left out is nothing.

    By Cauchy and Schwarz the remainder is at most the larger of E φ² - Σ aₙ² at both variances, likewise for φ'.
    """
    for order in _ORDERS:
        table = _for_each(variances, lambda q, count=order + 1: hermite_coefficients(function, q, count))
        values, slopes = at_one(function, variances)
        counts = np.arange(order + 1)
        left = values - (table[:, :-1] ** 2).sum(axis=1)
        left_slope = slopes - (counts * table**2).sum(axis=1) / variances
        if (left <= _REMAINDER * values).all() and (left_slope <= _REMAINDER * slopes).all():
            return lambda q1, q2, q12: _mehler(variances, table, q1, q2, q12)
    return None


def _mehler(
    variances: np.ndarray, table: np.ndarray, q1: np.ndarray, q2: np.ndarray, q12: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both sums by Horner's rule, in pieces that fit a cache; slope = Σ n aₙ(q₁)aₙ(q₂)cⁿ⁻¹/√(q₁q₂)."""
    root = np.sqrt(q1 * q2)
    c = q12 / root
    coefficients = np.ascontiguousarray(table.T)
    left = np.broadcast_to(_nearest(variances, q1), (len(c), *q1.shape[1:]))
    right = np.broadcast_to(_nearest(variances, q2), (len(c) if len(q2) > 1 else 1, *q2.shape[1:]))
    value, slope = np.zeros_like(c), np.zeros_like(c)
    height = max(1, _PIECE // max(c[0].size, 1))
    for first in range(0, len(c), height):
        rows = slice(first, first + height)
        at, one, two = c[rows], left[rows], right[rows] if len(right) > 1 else right
        total, rate = value[rows], slope[rows]
        for n in range(len(coefficients) - 1, -1, -1):
            product = coefficients[n][one] * coefficients[n][two]
            total *= at
            total += product
            if n:
                rate *= at
                product *= n
                rate += product
    return value, slope / root


def _nearest(variances: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Index of each q among the sorted variances."""
    place = np.clip(np.searchsorted(variances, q), 1, len(variances) - 1)
    return np.where(q - variances[place - 1] < variances[place] - q, place - 1, place)


def _one_by_one(function: ActivationFunction, pairs: int) -> Transfer:
    if pairs > _PAIRS:
        raise InputError(
            f"expected inputs of equal, moderate norm for {function.name}, got {pairs} pairs to integrate "
            "one by one; scale the inputs to one norm, or take a smooth activation."
        )

    def each(q1: np.ndarray, q2: np.ndarray, q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        one, two, product = np.broadcast_arrays(q1, q2, q12)
        found = np.empty((2, product.size))
        for k, (a, b, ab) in enumerate(zip(one.ravel(), two.ravel(), product.ravel(), strict=True)):
            at = covariance(function, float(a), float(b), float(np.clip(ab / np.sqrt(a * b), -1.0, 1.0)))
            found[:, k] = at.value, at.slope
        return found[0].reshape(product.shape), found[1].reshape(product.shape)

    return each
