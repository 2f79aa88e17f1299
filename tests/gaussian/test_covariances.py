"""E φφ and E φ'φ': closed forms, two integrals against each other, Monte Carlo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import InputError
from freeness.gaussian import (
    ActivationFunction,
    activation,
    activation_names,
    covariance,
    second_moment,
    squared_slope,
    stretched,
)
from freeness.gaussian.covariances import _kinked, _piecewise_linear, _smooth

C = np.array([-1.0, -0.99, -0.3, 0.0, 0.5, 0.9, 0.999, 1.0])
variances = st.floats(0.05, 6.0)
correlations = st.floats(-0.999, 0.999)


def test_relu_is_the_arc_cosine_kernel():
    """Cho, Saul (2009): (√(1-c²) + (π - arccos c)c)/2π and (π - arccos c)/2π."""
    found = covariance(activation("relu"), 1.0, 4.0, C)
    angle = np.pi - np.arccos(C)
    np.testing.assert_allclose(found.value, 2 * (np.sqrt(1 - C**2) + angle * C) / (2 * np.pi), atol=1e-14)
    np.testing.assert_allclose(found.slope, angle / (2 * np.pi), atol=1e-14)


def test_hardtanh_at_equal_arguments():
    """At c = 1 both are one-dimensional: E φ² = … and E φ'² = P(|h| < 1)."""
    function = activation("hardtanh")
    found = covariance(function, 0.7, 0.7, [1.0, -1.0])
    assert found.value[0] == pytest.approx(second_moment(function, 0.7).value, abs=1e-14)
    assert found.value[1] == pytest.approx(-found.value[0], abs=1e-14)
    assert found.slope[0] == pytest.approx(squared_slope(function, 0.7), abs=1e-14)


@pytest.mark.parametrize("name", ["erf", "erf_unit", "sin"])
def test_closed_forms_are_the_integral(name):
    function = activation(name)
    found = covariance(function, 0.6, 1.9, C)
    for i, c in enumerate(C):
        assert (found.value[i], found.slope[i]) == pytest.approx(_smooth(function, 0.6, 1.9, c), abs=1e-13)


@settings(max_examples=15)
@given(st.sampled_from(["relu", "hardtanh", "leaky_relu", "relu6", "shifted_relu"]), variances, variances, correlations)
def test_piecewise_linear_formula_is_the_split_integral(name, q1, q2, c):
    """Price's theorem integrated over the correlation, against one variable after the other with panels split at kinks."""
    function = activation(name)
    value, slope = _piecewise_linear(function, q1, q2, np.array([c]))
    assert (value[0], slope[0]) == pytest.approx(_kinked(function, q1, q2, c), abs=1e-12)


@settings(max_examples=10)
@given(
    st.sampled_from(["tanh", "gelu", "silu", "softplus", "sigmoid", "gelu_tanh"]), variances, variances, correlations
)
def test_two_quadratures_agree_on_smooth_activations(name, q1, q2, c):
    function = activation(name)
    assert _smooth(function, q1, q2, c) == pytest.approx(_kinked(function, q1, q2, c), abs=1e-11)


@pytest.mark.parametrize("name", activation_names())
def test_slope_is_the_derivative_in_the_covariance(name):
    """Price's theorem: ∂ E φφ/∂q₁₂ = E φ'φ'."""
    function = activation(name)
    c, h = np.array([-0.6, 0.2, 0.8]), 1e-5
    upper, lower = covariance(function, 1.3, 0.8, c + h), covariance(function, 1.3, 0.8, c - h)
    slope = (upper.value - lower.value) / (2 * h * np.sqrt(1.3 * 0.8))
    np.testing.assert_allclose(covariance(function, 1.3, 0.8, c).slope, slope, atol=1e-8)


@pytest.mark.parametrize("name", ["tanh", "gelu", "elu", "softsign", "hardtanh"])
def test_monte_carlo_is_within_4_standard_errors(name):
    function, q1, q2, c = activation(name), 1.5, 0.7, 0.6
    rng = np.random.default_rng(0)
    sums = np.zeros((2, 2))
    for _ in range(4):
        a, b = rng.standard_normal((2, 1_000_000))
        u, v = np.sqrt(q1) * a, np.sqrt(q2) * (c * a + np.sqrt(1 - c**2) * b)
        for i, sample in enumerate(
            (function.function(u) * function.function(v), function.derivative(u) * function.derivative(v))
        ):
            sums[i] += sample.mean() / 4, (sample**2).mean() / 4
    found = covariance(function, q1, q2, c)
    errors = np.sqrt((sums[:, 1] - sums[:, 0] ** 2) / 4e6)
    assert abs(sums[0, 0] - found.value) < 4 * errors[0]
    assert abs(sums[1, 0] - found.slope) < 4 * errors[1]


@pytest.mark.parametrize(
    ("q1", "c", "message"), [(0.0, 0.5, "variances"), (np.nan, 0.5, "variances"), (1.0, 1.5, "correlations")]
)
def test_bad_arguments_are_refused(q1, c, message):
    with pytest.raises(InputError, match=message):
        covariance(activation("tanh"), q1, 1.0, c)


def test_activations_that_are_not_integrable_are_refused():
    explosive = ActivationFunction("cubed exponential", lambda x: np.exp(x**4), lambda x: np.exp(x**4))
    with pytest.raises(InputError, match="grows too fast"), np.errstate(all="ignore"):
        covariance(explosive, 1.0, 1.0, 0.5)


@given(variances, variances, correlations, st.sampled_from([3.0, -0.5]))
@settings(max_examples=8)
def test_activations_of_a_multiple_have_the_means_of_an_integral(q1, q2, c, factor):
    found = stretched(activation("sin"), factor)
    assert found is not None
    exact = covariance(found, q1, q2, c)
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = np.outer(weights, weights) / (2 * np.pi)
    u, v = np.sqrt(q1) * nodes[:, None], np.sqrt(q2) * (c * nodes[:, None] + np.sqrt(1 - c**2) * nodes)
    np.testing.assert_allclose(exact.value, (weights * np.sin(factor * u) * np.sin(factor * v)).sum(), atol=1e-9)
    slope = factor**2 * np.cos(factor * u) * np.cos(factor * v)
    np.testing.assert_allclose(exact.slope, (weights * slope).sum(), atol=1e-8)


def test_a_multiple_of_what_has_no_closed_means_has_none():
    assert stretched(activation("tanh"), 2.0) is None and stretched(activation("relu"), 2.0) is None
