"""Gaussian means against closed forms and sampled ones."""

import numpy as np
import pytest
from scipy.special import erf

from freeness import InputError
from freeness.gaussian import activation, activation_names, gaussian_moments, slope_moment


@pytest.mark.parametrize("q", [0.05, 0.8, 6.0])
def test_hard_tanh_against_closed_forms(q):
    """μ_k = P(|h| < 1) = erf(1/√(2q)); E φφ' = 0; E φφ'' = -2 p(1) by the jumps of φ' at ±1."""
    found, inside = gaussian_moments(activation("hardtanh"), q), erf(1 / np.sqrt(2 * q))
    density = np.exp(-1 / (2 * q)) / np.sqrt(2 * np.pi * q)
    second = q * (inside - 2 * density) + 1 - inside
    for k in (1, 2, 5):
        assert slope_moment(activation("hardtanh"), q, k).value == pytest.approx(inside, rel=1e-13)
    values = [found.mean, found.second, found.slope, found.cross, found.squared_slope, found.curvature]
    expected = [0.0, second, inside, 0.0, inside, -2 * density]
    for value, exact in zip(values, expected, strict=True):
        assert value.value == pytest.approx(exact, abs=1e-13)
        assert abs(value.value - exact) <= value.error + 1e-13


@pytest.mark.parametrize("pairs_drawn", [800_000, pytest.param(2_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", activation_names())
def test_against_a_sample(name, pairs_drawn):
    """Antithetic pairs; E φφ'' by a difference quotient of E φ² in q on the same sample."""
    function = activation(name)
    half = np.random.default_rng(8).standard_normal(pairs_drawn)
    h = np.sqrt(1.7) * np.concatenate([half, -half])
    found = gaussian_moments(function, 1.7)
    value, slope = function.function(h), function.derivative(h)
    samples = {
        "mean": value,
        "second": value**2,
        "slope": slope,
        "cross": value * slope,
        "squared_slope": slope**2,
        "curvature": value**2 * (h**2 / 1.7 - 1) / 3.4 - slope**2,
    }
    for field, sample in samples.items():
        pairs = sample.reshape(2, -1).mean(axis=0)
        error = pairs.std() / np.sqrt(pairs.size)
        assert abs(pairs.mean() - getattr(found, field).value) <= 4.5 * error + 1e-12


def test_orders_are_checked():
    with pytest.raises(InputError, match="order"):
        slope_moment(activation("tanh"), 1.0, 0)
