"""The variance map against closed forms, the table of theory.md §2, and wide simulated networks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

from freeness import InputError, activation, mlp, signals
from freeness.meanfield import DenseSignal, derivative_law, second_moment
from freeness.network import activation_names
from tests.spectra.simulation import draw

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
def test_derivatives_of_the_table_are_derivatives(name):
    function = activation(name)
    x = np.linspace(-7.3, 7.3, 211)
    x = x[np.all([np.abs(x - kink) > 1e-3 for kink in function.kinks] or [x == x], axis=0)]
    step = 1e-5
    numeric = (function.function(x + step) - function.function(x - step)) / (2 * step)
    assert np.allclose(function.derivative(x), numeric, atol=1e-8)


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


@pytest.mark.parametrize(("weights", "widths"), [("haar", [600, 900, 500, 800]), ("gaussian", [900, 600, 900, 700])])
def test_signals_of_a_drawn_network_follow_the_mean_field(weights, widths):
    net = mlp(3, widths, "tanh", weights, sigma_w=1.3, sigma_b=0.3)
    predicted = signals(net, qhat0=0.8)
    seen = [draw(net, 0.8, np.random.default_rng(seed)).signals for seed in range(8)]
    for index, expected in enumerate(predicted.layers):
        values = np.array([sample.layers[index].q for sample in seen])
        assert abs(values.mean() - expected.q) < 5 * (2 / (600 * 8)) ** 0.5 * expected.q
        if isinstance(expected, DenseSignal):
            norms = np.array([sample.layers[index].squared_norm for sample in seen])
            assert norms.mean() == pytest.approx(expected.squared_norm, rel=5 * (2 / (600 * 8)) ** 0.5)


@pytest.mark.parametrize("qhat0", [0.0, -1.0, np.nan])
def test_an_input_without_signal_is_refused(qhat0):
    with pytest.raises(InputError, match="qhat0"):
        signals(mlp(2, 10), qhat0)


def test_an_unknown_activation_is_named_with_the_known_ones():
    with pytest.raises(InputError, match=r"hardtanh.*got 'swishy'"):
        mlp(2, 10, "swishy")
    with pytest.raises(InputError, match="parameters that relu knows"):
        activation("relu", slope=2.0)
