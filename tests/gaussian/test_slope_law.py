"""The law of φ'² and the mean square of φ against closed forms, published numbers and drawn samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

from freeness.gaussian import activation, activation_names, derivative_law, second_moment

CRITICAL = [  # φ, q*, σ_w², σ_b²
    ("tanh", 0.1, 1.17757, 0.00083), ("tanh", 0.5, 1.68798, 0.03804), ("tanh", 1.0, 2.1533, 0.15096),
    ("tanh", 2.0, 2.86116, 0.51226), ("hardtanh", 0.1, 1.00157, 0.00013), ("hardtanh", 0.2, 1.02601, 0.00405),
    ("hardtanh", 0.5, 1.18666, 0.05964), ("hardtanh", 1.0, 1.46479, 0.24408),
]  # fmt: skip


@pytest.mark.parametrize(("name", "q", "weight_variance", "bias_variance"), CRITICAL)
def test_edge_of_chaos_has_the_published_numbers(name, q, weight_variance, bias_variance):
    function = activation(name)
    found = 1 / derivative_law(function, q).mean
    assert found == pytest.approx(weight_variance, abs=5.1e-6 if weight_variance < 2 else 1.1e-5)
    assert q - found * second_moment(function, q).value == pytest.approx(bias_variance, abs=1.5e-5)


@given(st.floats(0.01, 20.0))
def test_erf_unit_has_its_closed_form(q):
    expected = 2 / np.pi * np.arcsin(np.pi / 2 * q / (1 + np.pi * q / 2))
    assert second_moment(activation("erf_unit"), q).value == pytest.approx(expected, rel=1e-12)
    law = derivative_law(activation("erf_unit"), q)
    assert law.moment(1) == pytest.approx((1 + np.pi * q) ** -0.5, rel=1e-12)
    assert law.moment(2) == pytest.approx((1 + 2 * np.pi * q) ** -0.5, rel=1e-12)


@given(st.floats(0.01, 20.0))
def test_hard_tanh_derivative_is_a_projection_of_the_known_trace(q):
    law = derivative_law(activation("hardtanh"), q)
    assert law.atoms[-1].mass == pytest.approx(erf(1 / np.sqrt(2 * q)), rel=1e-12)


@pytest.mark.parametrize("name", activation_names())
def test_gaussian_means_of_the_table_against_monte_carlo(name):
    function, q = activation(name), 1.7
    sample = np.sqrt(q) * np.random.default_rng(3).standard_normal(400_000)
    for exact, values in (
        (second_moment(function, q).value, function.function(sample) ** 2),
        (derivative_law(function, q).moment(1), function.derivative(sample) ** 2),
        (derivative_law(function, q).moment(2), function.derivative(sample) ** 4),
    ):
        error = values.std() / len(values) ** 0.5
        assert abs(values.mean() - exact) <= 4 * error + 1e-14
