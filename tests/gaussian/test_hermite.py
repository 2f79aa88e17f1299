"""Hermite coefficients: Mehler's formula against covariances, closed forms."""

from math import factorial, pi

import numpy as np
import pytest

from freeness import InputError
from freeness.gaussian import (
    activation,
    activation_names,
    covariance,
    hermite_coefficients,
    nonlinear_energy,
    second_moment,
)


@pytest.mark.parametrize("name", activation_names())
def test_mehler_series_is_the_covariance(name):
    """E φ(u)φ(v) = Σ a_n² cⁿ, at |c| ≤ ½ within 2⁻⁶⁰."""
    function = activation(name)
    coefficients = hermite_coefficients(function, 1.7, 60)
    for c in (-0.5, 0.3, 0.5):
        series = coefficients**2 @ c ** np.arange(60)
        assert series == pytest.approx(float(covariance(function, 1.7, 1.7, c).value), rel=1e-11, abs=1e-13)


def test_sine_in_closed_form():
    """sin(√q z) has a_n = e^{-q/2} q^{n/2}/√n! (-1)^{(n-1)/2} at odd n."""
    q = 0.8
    found = hermite_coefficients(activation("sin"), q, 8)
    exact = [
        np.exp(-q / 2) * q ** (n / 2) / np.sqrt(factorial(n)) * (-1) ** ((n - 1) // 2) if n % 2 else 0 for n in range(8)
    ]
    np.testing.assert_allclose(found, exact, atol=1e-14)


def test_nonlinear_energy():
    assert nonlinear_energy(activation("linear"), 2.0) == pytest.approx(0.0, abs=1e-14)
    assert nonlinear_energy(activation("relu"), 3.0) == pytest.approx((0.25 - 1 / (2 * pi)) / 0.5, abs=1e-13)
    function = activation("tanh")
    a0, a1 = hermite_coefficients(function, 0.5, 2)
    assert nonlinear_energy(function, 0.5) == pytest.approx(
        1 - (a0**2 + a1**2) / second_moment(function, 0.5).value, abs=1e-13
    )


def test_bad_counts_are_refused():
    with pytest.raises(InputError, match="count"):
        hermite_coefficients(activation("tanh"), 1.0, 0)
    with pytest.raises(InputError, match="variance"):
        hermite_coefficients(activation("tanh"), 0.0, 3)
