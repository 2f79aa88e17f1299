"""Gaussian means of an activation and its derivatives at one variance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from freeness.errors import InputError
from freeness.gaussian.activations import ActivationFunction
from freeness.numerics import Estimate, gaussian_expectation


@dataclass(frozen=True)
class GaussianMoments:
    """For h ~ N(0, q): E φ, E φ², E φ', E φφ', E φ'² and E φφ'', in this order.

    Each with an estimate of its error. Jumps of φ' count in E φφ'' as what they are, multiples of φ(kink).
    """

    mean: Estimate
    second: Estimate
    slope: Estimate
    cross: Estimate
    squared_slope: Estimate
    curvature: Estimate


def gaussian_moments(function: ActivationFunction, q: float) -> GaussianMoments:
    """The means that mean-field theory of one layer is made of.

    E φφ'' = d/dq·E φ² - E φ'², where the derivative falls on the Gaussian (Price's theorem), so that φ'' is not needed.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q: variance, > 0.

    Example:
        >>> from freeness.gaussian import activation
        >>> found = gaussian_moments(activation("relu"), 1.0)
        >>> round(found.mean.value, 6), round(found.cross.value, 6), abs(found.curvature.value) < 1e-12
        (0.398942, 0.398942, True)
    """

    def expected(integrand: str) -> Estimate:
        return gaussian_expectation(partial(_INTEGRANDS[integrand], function), q, function.kinks)

    squared = expected("squared_slope")
    start = float(function.function(np.zeros(1))[0]) ** 2
    growth = gaussian_expectation(
        lambda h: (function.function(h) ** 2 - start) * (h**2 / q - 1) / (2 * q), q, function.kinks
    )
    curvature = Estimate(growth.value - squared.value, growth.error + squared.error)
    return GaussianMoments(
        expected("mean"), expected("second"), expected("slope"), expected("cross"), squared, curvature
    )


_INTEGRANDS: dict[str, Callable[[ActivationFunction, np.ndarray], np.ndarray]] = {
    "mean": lambda f, h: f.function(h),
    "second": lambda f, h: f.function(h) ** 2,
    "slope": lambda f, h: f.derivative(h),
    "cross": lambda f, h: f.function(h) * f.derivative(h),
    "squared_slope": lambda f, h: f.derivative(h) ** 2,
}


def slope_moment(function: ActivationFunction, q: float, k: int) -> Estimate:
    """μ_k = E φ'(√q ξ)^{2k}.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q: variance, > 0.
        k: ≥ 1.

    Example:
        >>> import math
        >>> from freeness.gaussian import activation
        >>> abs(slope_moment(activation("erf_unit"), 0.7, 3).value - (1 + 3 * math.pi * 0.7) ** -0.5) < 1e-14
        True
    """
    if isinstance(k, bool) or k != int(k) or k < 1:
        raise InputError(f"expected an order k ≥ 1, got {k!r}; μ_k is the mean of φ' to the power 2k.")
    return gaussian_expectation(lambda h: function.derivative(h) ** (2 * int(k)), q, function.kinks)


def second_moment(function: ActivationFunction, q: float) -> Estimate:
    """q̂ = E φ(√q ξ)².

    Example:
        >>> from freeness.gaussian import activation
        >>> round(second_moment(activation("relu"), 2.0).value, 12)
        1.0
    """
    return gaussian_expectation(lambda h: function.function(h) ** 2, q, function.kinks)


def second_moment_slope(function: ActivationFunction, q: float) -> float:
    """d/dq E φ(√q ξ)² = E (φ² - φ(0)²)(ξ² - 1)/(2q).

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q: variance, > 0.

    Example:
        >>> from freeness.gaussian import activation
        >>> round(second_moment_slope(activation("relu"), 2.0), 12)
        0.5
    """
    start = float(function.function(np.zeros(1))[0]) ** 2
    return gaussian_expectation(
        lambda h: (function.function(h) ** 2 - start) * (h**2 / q - 1) / (2 * q), q, function.kinks
    ).value


def squared_slope(function: ActivationFunction, q: float) -> float:
    """E φ'(√q ξ)²; φ'(0)², or the mean of both sides' squares, at q = 0.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q: variance, ≥ 0.

    Example:
        >>> from freeness.gaussian import activation
        >>> squared_slope(activation("relu"), 0.0), round(squared_slope(activation("relu"), 1.0), 12)
        (0.5, 0.5)
    """
    if q > 0:
        return gaussian_expectation(lambda h: function.derivative(h) ** 2, q, function.kinks).value
    sides = function.derivative(np.array([-1e-12, 1e-12]))
    return float(np.mean(sides**2))
