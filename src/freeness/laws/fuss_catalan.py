"""The Fuss–Catalan laws."""

# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike
from scipy.special import expit

from freeness.errors import InputError
from freeness.laws.cauchy_law import TransformLaw
from freeness.laws.curve import ClosedCurve, SpectralCurve, Transform
from freeness.laws.curve_law import CurveLaw
from freeness.laws.law import Atom, Boundary, levels_of, real_points
from freeness.numerics import Jet, Number, lower_log, plain

_SLACK = 1e-6  # relative width beyond a sector that is rounding
_RANGE = (-40.0, 745.0)  # logit of the angle: from the edge to the smallest double


@dataclass(frozen=True)
class FussCatalan(TransformLaw):
    """MP(1)^{⊠order}: squared singular values of a product of ``order`` square Gaussian matrices; S(u) = (1+u)^{-order}.

    With s = order and 0 < φ < π/(s+1): x = sin^{s+1}((s+1)φ)/(sin φ sin^s(sφ)), 1 + u = e^{-iφ} sin((s+1)φ)/sin(sφ).
    Moments binom((s+1)k, k)/(sk+1), edge (s+1)^{s+1}/s^s, density ~ x^{-s/(s+1)} at 0. The angle is solved for in log x,
    on a logit scale, so that no digits are lost at either end; the rest is closed.
    Source: Banica, Belinschi, Capitaine, Collins (2011); Forrester, Liu (2015) for the angle.

    Args:
        order: real, > 0.

    Example:
        >>> FussCatalan(2).moment(3)
        12.0
    """

    order: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.order) and self.order > 0):
            raise InputError(f"expected an order > 0, got {self.order}; order 0 is PointMass(1.0).")

    @property
    def curve(self) -> SpectralCurve:
        return ClosedCurve(self)

    @property
    def mean(self) -> float:
        return 1.0

    @property
    def variance(self) -> float:
        return float(self.order)

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return ()

    @property
    def hull(self) -> tuple[float, float]:
        s = self.order
        return 0.0, float((s + 1) * np.exp(s * np.log1p(1 / s)))

    def moment(self, order: int) -> float:
        if order < 0:
            return super().moment(order)
        factors = ((self.order + 1) * order - np.arange(max(order - 1, 0))) / np.arange(2, order + 1)
        return float(np.prod(factors))

    def moments(self, order: int) -> Float[np.ndarray, " order"]:
        return np.array([self.moment(k) for k in range(1, order + 1)])

    def moment_inverse(self, u: Number) -> Number:
        """(1 + u)^{order+1}; 1 + u has an argument in [-π/(order+1), 0], and is positive on the real axis outside the support.

        NaN elsewhere: there the power winds around 0, and solutions would belong to another sheet.
        """
        return _power(u + 1.0, self.order + 1)

    def cauchy_of_u(self, u: Number) -> Number:
        """u/(1 + u)^order."""
        return u * _power(u + 1.0, -self.order)

    def potential_of_u(self, u: Inexact[np.ndarray, "*points"] | Jet) -> Inexact[np.ndarray, "*points"]:
        """∫ (1+u) d log z along z = (1+u)^{s+1}/u."""
        return self.order * plain(u) - lower_log(plain(u))

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        return self._solved.cauchy(z)

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """(G, G') and (u, u'), solved for on the curve; NaN where that does not converge, and at real z inside the support."""
        (g, dg), (u, du) = self._solved.transforms(z)
        if np.iscomplexobj(z):
            return (g, dg), (u, du)
        outside = (z < 0) | (z > self.hull[1])
        g, dg, u, du = (np.where(outside, np.real(part), np.nan) for part in (g, dg, u, du))
        return (g, dg), (u, du)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """∫ log(z - x) dμ, in the same way."""
        return self._solved.potential(z)

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        inside = (x > 0) & (x < self.hull[1])
        g, potential = np.full(x.shape, np.nan, complex), np.full(x.shape, np.nan, complex)
        error, converged = np.zeros(x.shape), inside.copy()
        phi, modulus = self._angle(x[inside])[::2]
        direction = modulus * np.exp(-1j * phi)
        g[inside], error[inside] = direction / x[inside], 1e-15 * modulus / x[inside]
        size = np.sin(phi) / np.sin(self.order * phi)
        potential[inside] = self.order * (direction - 1) - np.log(size) + 1j * (self.order + 1) * phi
        dark = ~inside & (x != 0)
        if dark.any():
            far = self._solved.boundary(x[dark])
            g[dark], potential[dark], error[dark], converged[dark] = far.g, far.potential, far.error, far.converged
        return Boundary(g, potential, error, converged)

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        points = real_points(x)
        value = np.where(points <= 0, 0.0, 1.0)
        inside = (points > 0) & (points < self.hull[1])
        value[inside] = self._below(*self._angle(points[inside]))
        return value

    def quantile(self, p: ArrayLike, *, tolerance: float = 0.0) -> Float[np.ndarray, "*points"]:
        levels = levels_of(p)
        inner = np.clip(levels, 1e-300, 1 - 1e-16)
        logit = self._root(lambda v, level: np.log(self._below(*self._at(v))) - level, np.log(inner))
        x = np.exp(self._log_x(logit))
        return np.where(levels <= 0, 0.0, np.where(levels >= 1, self.hull[1], x))

    def _below(self, phi: np.ndarray, theta: np.ndarray, modulus: np.ndarray) -> np.ndarray:
        return np.clip(((self.order + 1) * theta + self.order * modulus * np.sin(phi)) / np.pi, 1e-320, 1.0)

    def _angle(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._at(self._root(lambda v, level: self._log_x(v) - level, np.log(x)))

    def _root(self, function: Callable[[np.ndarray, np.ndarray], np.ndarray], level: np.ndarray) -> np.ndarray:
        from scipy.optimize import elementwise  # loads much: not before it is asked for

        ends = np.full(level.shape, _RANGE[0]), np.full(level.shape, _RANGE[1])
        return np.asarray(
            elementwise.find_root(function, ends, args=(level,), tolerances={"xatol": 2e-16, "xrtol": 4.5e-16}).x
        )

    def _at(self, logit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """φ, π/(s+1) - φ and |1 + u|."""
        top = np.pi / (self.order + 1)
        phi, theta = top * expit(logit), top * expit(-logit)
        return phi, theta, np.sin((self.order + 1) * np.minimum(phi, theta)) / np.sin(self.order * phi)

    def _log_x(self, logit: np.ndarray) -> np.ndarray:
        phi, _, modulus = self._at(logit)
        s = self.order
        return (s + 1) * np.log(np.maximum(modulus, 1e-323)) - np.log(np.sin(phi)) + np.log(np.sin(s * phi))

    @property
    def _solved(self) -> CurveLaw:
        return CurveLaw(self.curve, self.variance, (), 0.0)


def _power(base: Number, exponent: float) -> Number:
    if isinstance(base, Jet):
        value = _power(base.value, exponent)
        return base.apply(value, exponent * value / base.value)
    if np.iscomplexobj(base):
        power = exponent * lower_log(base)
        return np.where(np.abs(np.imag(power)) <= np.pi * (1 + _SLACK), np.exp(power), np.nan)
    with np.errstate(divide="ignore"):
        return np.where(base > 0, np.abs(base) ** exponent, np.nan)
