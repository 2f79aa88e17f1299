"""Gaussian expectations against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from freeness.errors import InputError
from freeness.numerics.quadrature import gaussian_expectation

variances = st.floats(1e-4, 1e3)


@given(variances, st.integers(0, 6))
def test_even_moments_of_a_gaussian(variance, k):
    expected = variance**k * math.prod(range(1, 2 * k, 2))
    found = gaussian_expectation(lambda h: h ** (2 * k), variance)
    assert abs(found.value - expected) <= 1e-12 * expected


@given(variances, st.floats(-5, 5))
def test_a_jump_inside_costs_no_accuracy_if_it_is_declared(variance, kink):
    found = gaussian_expectation(lambda h: (h > kink).astype(float), variance, (kink,))
    assert abs(found.value - ndtr(-kink / np.sqrt(variance))) < 1e-13


@given(st.floats(0.01, 50.0))
def test_the_error_estimate_covers_an_undeclared_kink(variance):
    found = gaussian_expectation(lambda h: np.abs(h - 0.3), variance)
    a = 0.3 / np.sqrt(variance)
    expected = np.sqrt(variance) * (2 * np.exp(-(a**2) / 2) / np.sqrt(2 * np.pi) + a * (2 * ndtr(a) - 1))
    assert abs(found.value - expected) <= 10 * found.error


@pytest.mark.parametrize("variance", [0.0, -1.0, np.nan, np.inf])
def test_a_variance_that_is_none_is_refused(variance):
    with pytest.raises(InputError, match="variance"):
        gaussian_expectation(np.square, variance)


def test_an_integrand_that_grows_too_fast_is_refused():
    with pytest.raises(InputError, match="finite Gaussian mean"), np.errstate(over="ignore", invalid="ignore"):
        gaussian_expectation(lambda h: np.exp(np.exp(np.abs(h))), 100.0)
