"""E φ(u)φ(v) and E φ'(u)φ'(v) for jointly Gaussian u, v with variances q₁, q₂ and correlation c.

Closed forms for the error functions, the sine and the linear map; exact one-dimensional integrals for every piecewise-linear φ;
for smooth ones tensor quadrature in (u ± v)/2; for others with kinks one variable after the other, panels split at the kinks.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import ndtr

from freeness.errors import InputError
from freeness.gaussian.activations import ActivationFunction
from freeness.gaussian.closed_covariances import Between, bent_at_zero, prepared
from freeness.numerics import gaussian_nodes, legendre_rule

_ANGLES = 96  # Gauss–Legendre nodes of the integral over the correlation
_SMALL = 1e-300
_NOTHING = 1e-15
_RANGE = 9.0  # standard deviations; the Gaussian mass outside is 2e-19
_PANEL = 1.5  # widest panel in standard deviations
_ORDER = 14
_EVALUATIONS = 2e7  # of a two-dimensional integral at most: half a gigabyte
_REFINED = 6  # panels double from a quarter of the transition's width on


@dataclass(frozen=True)
class Covariance:
    """``value`` = E φ(u)φ(v), ``slope`` = E φ'(u)φ'(v), each with the shape of c."""

    value: Float[np.ndarray, "*correlations"]
    slope: Float[np.ndarray, "*correlations"]


def covariance(function: ActivationFunction, q1: float, q2: float, c: ArrayLike) -> Covariance:
    """E φ(u)φ(v) and E φ'(u)φ'(v).

    Args:
        function: φ with φ', as :func:`~freeness.activation` gives it.
        q1: variance of u, > 0.
        q2: variance of v, > 0.
        c: correlations in [-1, 1], any shape.

    Source: Williams (1997) for erf; Cho, Saul (2009) for ReLU; Poole et al. (2016).

    Example:
        >>> from freeness.gaussian import activation
        >>> found = covariance(activation("relu"), 1.0, 1.0, [0.0, 1.0])
        >>> found.value.round(12).tolist(), found.slope.round(12).tolist()
        ([0.159154943092, 0.5], [0.25, 0.5])
    """
    correlations = np.asarray(c, dtype=float)
    for q in (q1, q2):
        if not (np.isfinite(q) and q > 0):
            raise InputError(f"expected variances > 0, got {q1} and {q2}; the signal vanished or exploded.")
    if not (np.abs(correlations) <= 1 + 1e-12).all():
        raise InputError("expected correlations in [-1, 1], got some outside; divide covariances by √(q₁q₂).")
    flat = np.clip(correlations.ravel(), -1.0, 1.0)
    closed = closed_covariance(function, np.array(q1), np.array(q2), np.sqrt(q1 * q2) * flat)
    if closed is not None:
        value, slope = closed
    elif function.slopes is not None:
        value, slope = _piecewise_linear(function, q1, q2, flat)
    else:
        one = _kinked if function.kinks else _smooth
        value, slope = np.array([one(function, q1, q2, correlation) for correlation in flat]).reshape(-1, 2).T
    if not (np.isfinite(value).all() and np.isfinite(slope).all()):
        raise InputError(
            f"expected finite Gaussian means of {function.name} at variances {q1:g} and {q2:g}, got NaN or infinity; it grows "
            "too fast or returns NaN."
        )
    return Covariance(value.reshape(correlations.shape), slope.reshape(correlations.shape))


def closed_covariance(
    function: ActivationFunction,
    q1: Float[np.ndarray, "*#pairs"],
    q2: Float[np.ndarray, "*#pairs"],
    q12: Float[np.ndarray, "*#pairs"],
) -> tuple[Float[np.ndarray, "*#pairs"], Float[np.ndarray, "*#pairs"]] | None:
    """E φφ and E φ'φ' in closed form, or None where the activation has none.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q1: variances of u; all three of shapes that broadcast.
        q2: variances of v, > 0.
        q12: E uv, at most √(q₁q₂) in size.

    Example:
        >>> from freeness.gaussian import activation
        >>> value, slope = closed_covariance(activation("sin"), np.array(1.0), np.array(1.0), np.array(0.0))
        >>> float(value)
        0.0
    """
    between = closed_between(function, q1, q2)
    return None if between is None else between(q12)


def closed_between(function: ActivationFunction, q1: np.ndarray, q2: np.ndarray) -> Between | None:
    """:func:`closed_covariance` as a function of q₁₂ alone, for covariances that change while variances stay."""
    if function.covariance is not None:
        return prepared(function.covariance, q1, q2)
    if function.homogeneous:
        assert function.slopes is not None
        return bent_at_zero(function.slopes[0], function.slopes[-1]).at(q1, q2)
    return None


def has_closed_covariance(function: ActivationFunction) -> bool:
    """Whether :func:`closed_covariance` knows the activation.

    Example:
        >>> from freeness.gaussian import activation
        >>> has_closed_covariance(activation("relu")), has_closed_covariance(activation("tanh"))
        (True, False)
    """
    return function.covariance is not None or function.homogeneous


def _piecewise_linear(
    function: ActivationFunction, q1: float, q2: float, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By Price's theorem: ∂/∂q₁₂ of E φφ is E φ'φ', of that Σ JᵢJₖ p(kᵢ, kₖ), with the jumps J of φ' and the density p of u, v.

    With c = sin θ, p·dc/dθ has no singularity, so both are integrals over θ from 0, where u and v are independent.
    """
    assert function.slopes is not None
    first = _means(function, q1)
    means = [first, first if q1 == q2 else _means(function, q2)]
    top = np.arcsin(c)
    nodes, weights = legendre_rule(_ANGLES)
    theta = top[:, None] * (1 + nodes) / 2
    density = np.zeros_like(theta)
    kinks, jumps = np.array(function.kinks), np.diff(function.slopes)
    sine, square = np.sin(theta), np.maximum(np.cos(theta) ** 2, _SMALL)
    for k, j in zip(kinks / np.sqrt(q1), jumps, strict=True):
        for m, i in zip(kinks / np.sqrt(q2), jumps, strict=True):
            near = 1 + np.sign(k * m) * sine if k * k == m * m else None
            exponent = k * k / near if near is not None else (k * k + m * m - 2 * k * m * sine) / (2 * square)
            density += i * j * np.exp(-exponent) / (2 * np.pi)
    measure = weights * top[:, None] / 2
    root = np.sqrt(q1 * q2)
    gained = (measure * density).sum(axis=1)
    slope = means[0][1] * means[1][1] + gained
    gap = c[:, None] - sine
    value = means[0][0] * means[1][0] + root * (c * means[0][1] * means[1][1] + (measure * density * gap).sum(axis=1))
    return value, slope


def _means(function: ActivationFunction, q: float) -> tuple[float, float]:
    """E φ and E φ' at variance q, exactly.

    φ is φ(0), a multiple of h, and J(h - k)₊ for each kink, mirrored where k ≤ 0. Each has the mean J√q(p(a) - a·P(ξ > a)) with
    a = |k|/√q, and E φ' follows from the masses of the pieces.
    """
    assert function.slopes is not None
    kinks, slopes = np.array(function.kinks) / np.sqrt(q), np.array(function.slopes)
    away = np.abs(kinks)
    bends = np.exp(-(away**2) / 2) / np.sqrt(2 * np.pi) - away * ndtr(-away)
    mean = function.function(np.zeros(1))[0] + np.sqrt(q) * (np.diff(slopes) @ bends)
    return float(mean), float(slopes @ np.diff(ndtr(np.concatenate([[-np.inf], kinks, [np.inf]]))))


def _smooth(function: ActivationFunction, q1: float, q2: float, c: float) -> tuple[float, float]:
    """Tensor quadrature in a, b with u = √q₁(αa + βb), v = √q₂(αa - βb), α² = (1 + c)/2, β² = (1 - c)/2."""
    alpha, beta = np.sqrt((1 + c) / 2), np.sqrt((1 - c) / 2)
    a, weights_a = _scaled_nodes(max(q1, q2), alpha)
    b, weights_b = _scaled_nodes(max(q1, q2), beta)
    if a.size * b.size > _EVALUATIONS:
        raise InputError(
            f"expected variances at which {function.name} is integrated over two variables, got {q1:.4g} and {q2:.4g}, which ask "
            f"for {a.size * b.size:.2g} values; scale the inputs or take a smaller sigma_w."
        )
    u = np.sqrt(q1) * (alpha * a[:, None] + beta * b)
    v = np.sqrt(q2) * (alpha * a[:, None] - beta * b)
    value = weights_a @ (function.function(u) * function.function(v)) @ weights_b
    return float(value), float(weights_a @ (function.derivative(u) * function.derivative(v)) @ weights_b)


def _scaled_nodes(q: float, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of a standard Gaussian variable that is multiplied by √q·share inside φ; one if that is 0."""
    variance = q * share**2
    if variance < _NOTHING:
        return np.zeros(1), np.ones(1)
    nodes, weights = gaussian_nodes(variance)
    return nodes / np.sqrt(variance), weights


def _kinked(function: ActivationFunction, q1: float, q2: float, c: float) -> tuple[float, float]:
    """u = √q₁ξ, v = √q₂(cξ + sη): panels in η end where v meets a kink, in ξ where u does and, refined, where the mean turns."""
    kinks = np.array(function.kinks)
    s = np.sqrt((1 - c) * (1 + c))
    if s < _NOTHING:
        nodes, weights = gaussian_nodes(1.0, [*kinks / np.sqrt(q1), *kinks * np.sign(c) / np.sqrt(q2)])
        u, v = np.sqrt(q1) * nodes, np.sqrt(q2) * np.sign(c) * nodes
        value = weights @ (function.function(u) * function.function(v))
        return float(value), float(weights @ (function.derivative(u) * function.derivative(v)))
    turns = kinks / (c * np.sqrt(q2)) if abs(c) > _NOTHING else np.zeros(0)
    around = np.concatenate([[0.0], 2.0 ** np.arange(-2, _REFINED)]) * s / max(abs(c), _NOTHING)
    breaks = [*kinks / np.sqrt(q1), *(turns[:, None] + around).ravel(), *(turns[:, None] - around).ravel()]
    xi, outer = _split_nodes(max(q1, q2), np.array(breaks)[None])
    eta, inner = _split_nodes(max(q1, q2) * s**2, (kinks / np.sqrt(q2) - c * xi[0][:, None]) / s)
    u, v = np.sqrt(q1) * xi[0], np.sqrt(q2) * (c * xi[0][:, None] + s * eta)
    value = outer[0] @ (function.function(u) * (inner * function.function(v)).sum(axis=1))
    return float(value), float(outer[0] @ (function.derivative(u) * (inner * function.derivative(v)).sum(axis=1)))


def _split_nodes(variance: float, breaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (rows, n) of a standard Gaussian, multiplied by √variance in φ; panels are split at each row's breaks."""
    panels = int(np.ceil(2 * _RANGE / min(_PANEL, 1.0 / np.sqrt(max(variance, _NOTHING)))))
    base = np.linspace(-_RANGE, _RANGE, panels + 1)
    rows = np.concatenate([np.tile(base, (len(breaks), 1)), np.clip(breaks, -_RANGE, _RANGE)], axis=1)
    rows.sort(axis=1)
    half = np.diff(rows, axis=1)[:, :, None] / 2
    nodes, weights = legendre_rule(_ORDER)
    found = (rows[:, :-1, None] + half * (1 + nodes)).reshape(len(breaks), -1)
    measure = (half * weights).reshape(len(breaks), -1)
    return found, measure * np.exp(-(found**2) / 2) / np.sqrt(2 * np.pi)
