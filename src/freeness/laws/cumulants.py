"""Moments and free cumulants of a law, and its R- and S-transform on the real axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.laws.curve import Side
from freeness.laws.outside import real_inverse

if TYPE_CHECKING:
    from freeness.laws.law import Law

_RADIUS = 1.1  # of the moment contour over that of the support
_NEAREST = 1e-10  # of the support's size: so near to its end G is asked for
_LEAST = 256  # contour points; the truncation error is 1.1^-points


def free_cumulants(moments: ArrayLike) -> np.ndarray:
    """Free cumulants κ_1, …, κ_n from moments m_1, …, m_n, exactly: m_n = Σ_s κ_s Σ_{i_1+…+i_s = n-s} m_{i_1}…m_{i_s}.

    Example:
        >>> free_cumulants([0.0, 1.0, 0.0, 2.0, 0.0, 5.0])  # the semicircle law
        array([0., 1., 0., 0., 0., 0.])

    Source: Speicher (1994); Nica, Speicher (2006), lecture 11.
    """
    m = np.concatenate([[1.0], np.asarray(moments, dtype=float)])
    n = len(m) - 1
    powers = [np.eye(1, n + 1)[0], m.copy()]  # coefficients of M(z)^s with M(z) = Σ m_k z^k
    while len(powers) <= n:
        powers.append(np.convolve(powers[-1], m)[: n + 1])
    kappa = np.zeros(n + 1)
    for k in range(1, n + 1):
        kappa[k] = m[k] - sum(kappa[s] * powers[s][k - s] for s in range(1, k))
    return kappa[1:]


def free_moments(cumulants: ArrayLike) -> Float[np.ndarray, " order"]:
    """Moments m_1, …, m_n from free cumulants κ_1, …, κ_n: the same recursion the other way.

    Example:
        >>> free_moments([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])  # the semicircle law: Catalan numbers
        array([0., 1., 0., 2., 0., 5.])

    Source: Speicher (1994); Nica, Speicher (2006), lecture 11.
    """
    kappa = np.asarray(cumulants, dtype=float)
    m = np.zeros(len(kappa) + 1)
    m[0] = 1.0
    for n in range(1, len(kappa) + 1):
        power = np.zeros(n)
        power[0] = 1.0
        for s in range(1, n + 1):  # power holds the coefficients of M(z)^s up to z^{n-1}; those needed are known
            power = np.convolve(power, m[:n])[:n]
            m[n] += kappa[s - 1] * power[n - s]
    return m[1:]


def moments_on_circle(
    law: Law, order: int, radius: float | None = None, least: int = _LEAST
) -> Float[np.ndarray, " order"]:
    """m_1, …, m_order by the trapezoid rule on a circle close to the support; relative error about 1e-15·1.1^order.

    Args:
        law: with compact support.
        order: how many.
        radius: of the circle, 1.1 times that of the support when left out; at f times it the error is that of G times f^order.
        least: points on its upper half, whose error is f^(-2·least).
    """
    if radius is None:
        radius = _RADIUS * max(abs(law.hull[0]), abs(law.hull[1]))
    half = max(least, order)
    z = radius * np.exp(1j * np.pi * (np.arange(half) + 0.5) / half)
    weighted = z * law.cauchy(z)
    return np.array([np.mean((z**k * weighted).real) for k in range(1, order + 1)])


def transform_on_axis(law: Law, values: ArrayLike, quantity: Literal["g", "u"]) -> np.ndarray:
    """The real point z outside the hull with G(z) = g, or zG(z) - 1 = u; by the curve's real axis, or by G where it has none."""
    wanted = np.asarray(values, dtype=float)
    flat = wanted.ravel()
    found = np.full(flat.shape, np.nan)
    curve = law.curve
    sides: tuple[Side, Side] = (1, -1)
    for side in sides:
        here = (flat > 0) if side > 0 else (flat < 0)
        if here.any():
            parameters = real_inverse(curve, flat[here], side, quantity)
            with np.errstate(all="ignore"):
                point = curve.evaluate(parameters, 2)
            rising = point.margin > 0
            found[here] = np.where(rising, point.z.value, np.nan)
    for lost in np.flatnonzero(np.isnan(found)):
        found[lost] = _by_cauchy(law, flat[lost], quantity)
    if np.isnan(found).any():
        name = "R" if quantity == "g" else "S"
        raise InputError(
            f"expected arguments in the real domain of the {name}-transform, got {flat[np.isnan(found)][:3]}; it is the set of "
            f"values that {'G' if quantity == 'g' else 'zG - 1'} takes outside the support, without 0."
        )
    return found.reshape(wanted.shape)


def _by_cauchy(law: Law, value: float, quantity: Literal["g", "u"]) -> float:
    """The same of one value by roots of G in logarithms of distance and value; NaN where G does not take it."""
    from scipy.optimize import brentq  # loads much: not before it is asked for

    side = np.sign(value)
    low, high = law.hull
    end, scale = (high if side > 0 else low), max(high - low, abs(low), abs(high))

    def excess(log_distance: float) -> float:
        z = end + side * scale * np.exp(log_distance)
        g = float(np.real(law.cauchy(z)))
        return float(np.log(max(side * (g if quantity == "g" else z * g - 1), np.finfo(float).tiny) / abs(value)))

    if not np.isfinite(scale) or not 0 < abs(value) < np.inf:
        return np.nan
    near, far = np.log(_NEAREST), max(np.log(2 / abs(value)) - np.log(scale), 0.0) + 3.0
    if not excess(near) >= 0 or not excess(far) <= 0:
        return np.nan
    return float(end + side * scale * np.exp(brentq(excess, near, far, xtol=1e-14, rtol=1e-14)))
