"""Where the forward signal of a deep network settles: q*, c*, and how fast.

Source: Poole et al. (2016); Schoenholz et al. (2017), §3 for the depth scales.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction, covariance, squared_slope
from freeness.meanfield.length_map import LengthMap

_STEPS = 400  # of the map before it is taken to creep
_HUGE = 1e12  # a variance beyond this diverges
_TINY = 1e-12  # one below this vanishes
_SETTLED = 1e-13
_CRITICAL = 1e-6  # |χ₁ - 1| up to which a point counts as critical
_INSIDE = 1e-9  # the correlation map is looked at up to this distance from c = 1


@dataclass(frozen=True)
class FixedPoint:
    """Where pre-activations settle with depth.

    ``q``: variance q*. ``chi_q``: slope of the length map there. ``chi1``: χ₁ = σ_w² E φ'², growth of squared gradients a layer.
    ``c``: stable correlation c* of two inputs. ``chi_c``: slope of the correlation map there. ``xi_q``, ``xi_c``: layers over
    which differences of q and of c fall by e (∞ at criticality). ``phase``: ordered (χ₁ < 1), critical or chaotic.
    """

    q: float
    chi_q: float
    chi1: float
    c: float
    chi_c: float
    phase: Literal["ordered", "critical", "chaotic"]

    @property
    def xi_q(self) -> float:
        """-1/ln χ_q."""
        return depth_scale(self.chi_q)

    @property
    def xi_c(self) -> float:
        """-1/ln χ_{c*}."""
        return depth_scale(self.chi_c)

    @property
    def trainable_depth(self) -> float:
        """6·ξ_c: about the deepest networks that train from here (Schoenholz et al. 2017, who saw it, and did not derive it)."""
        return 6 * self.xi_c


def depth_scale(slope: float) -> float:
    """-1/ln|slope|: layers over which a difference falls by e; ∞ where it does not fall.

    Example:
        >>> round(depth_scale(0.5), 4), depth_scale(1.0)
        (1.4427, inf)
    """
    size = abs(slope)
    return float("inf") if size >= 1 else 0.0 if size == 0 else float(-1 / np.log(size))


def fixed_point(function: ActivationFunction, sigma_w: float, sigma_b: float = 0.0, q0: float = 1.0) -> FixedPoint:
    """The fixed point that the signal of a deep network reaches from q0.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        sigma_w: σ_w > 0.
        sigma_b: σ_b ≥ 0.
        q0: variance of the first pre-activations, > 0.

    Raises:
        InputError: q diverges, so there is none.

    Example:
        >>> from freeness.network import activation
        >>> found = fixed_point(activation("tanh"), 1.687984**0.5, 0.038036**0.5)
        >>> round(found.q, 3), round(found.chi1, 4)
        (0.5, 1.0)
    """
    length_map = LengthMap(function, sigma_w, sigma_b)
    if not (np.isfinite(q0) and q0 > 0):
        raise InputError(f"expected q0 > 0, got {q0}; the input must not vanish.")
    q = _settled_variance(length_map, q0)
    if q <= _TINY:
        chi1 = sigma_w**2 * squared_slope(function, 0.0)
        return FixedPoint(0.0, chi1, chi1, 1.0, chi1, _phase(chi1))
    chi1 = length_map.gain(q)
    c = _settled_correlation(length_map, q, chi1)
    chi_c = chi1 if c == 1 else sigma_w**2 * float(covariance(function, q, q, c).slope)
    return FixedPoint(q, length_map.slope(q), chi1, c, chi_c, _phase(chi1))


def _phase(chi1: float) -> Literal["ordered", "critical", "chaotic"]:
    if abs(chi1 - 1) <= _CRITICAL:
        return "critical"
    return "ordered" if chi1 < 1 else "chaotic"


def _settled_variance(length_map: LengthMap, q0: float) -> float:
    """q* by iteration, then by a bracketed root between the last two iterates and beyond."""
    q = q0
    for _ in range(_STEPS):
        following = length_map(q)
        if not following < _HUGE:
            raise InputError(
                f"expected the variance of {length_map.function.name} to settle, got {following:.3g} and growing at sigma_w = "
                f"{length_map.sigma_w:g}; take a smaller sigma_w."
            )
        if following <= _TINY or abs(following - q) <= _SETTLED * q:
            return following
        q = following
    step = length_map(q) - q
    far = q
    for _ in range(_STEPS):  # along the direction of the creep until the map turns back
        far = far * 1.5 if step > 0 else far / 1.5
        if far > _HUGE:
            raise InputError(
                f"expected the variance of {length_map.function.name} to settle, got one that creeps beyond {_HUGE:g} at "
                f"sigma_w = {length_map.sigma_w:g}; take a smaller sigma_w."
            )
        if far < _TINY:
            return 0.0
        if (length_map(far) - far) * step <= 0:
            return _root(lambda v: length_map(v) - v, min(q, far), max(q, far))
    return far


def _settled_correlation(length_map: LengthMap, q: float, chi1: float) -> float:
    """c*: 1 unless that is unstable, else the root of the correlation map in [0, 1)."""
    if chi1 <= 1 + _CRITICAL:
        return 1.0

    def excess(c: float) -> float:
        value = float(covariance(length_map.function, q, q, c).value)
        return (length_map.sigma_w**2 * value + length_map.sigma_b**2) / q - c

    low, high = 0.0, 1 - _INSIDE
    if excess(low) <= _SETTLED:
        return 0.0
    return _root(excess, low, high) if excess(high) < 0 else 1.0


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(
        scipy.optimize.root_scalar(function, bracket=(low, high), method="brentq", xtol=1e-15, rtol=4e-15).root
    )
