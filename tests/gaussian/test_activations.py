"""The table of activations: small signals, kinks, refused parameters."""

import numpy as np
import pytest

from freeness import InputError, mlp
from freeness.gaussian import activation, activation_names
from freeness.meanfield import signals

PIECEWISE = [
    ("relu", {}, lambda x: np.maximum(x, 0)),
    ("leaky_relu", {"negative_slope": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x)),
    ("relu6", {}, lambda x: np.clip(x, 0, 6)),
    ("hardtanh", {}, lambda x: np.clip(x, -1, 1)),
    ("hardtanh", {"min_val": -3.0, "max_val": 0.5}, lambda x: np.clip(x, -3, 0.5)),
    ("hardtanh", {"min_val": 0.0, "max_val": 2.0}, lambda x: np.clip(x, 0, 2)),
    ("hardtanh", {"min_val": 1.0, "max_val": 2.0}, lambda x: np.clip(x, 1, 2)),
    ("hardtanh", {"min_val": -2.0, "max_val": -1.0}, lambda x: np.clip(x, -2, -1)),
    ("shifted_relu", {}, lambda x: np.maximum(x, -1)),
    ("shifted_relu", {"shift": -0.5}, lambda x: np.maximum(x, 0.5)),
]


@pytest.mark.parametrize(("name", "parameters", "truth"), PIECEWISE)
def test_piecewise_linear_functions_are_right_everywhere(name, parameters, truth):
    function = activation(name, **parameters)
    x = np.concatenate([np.linspace(-8, 8, 1601), function.kinks])
    np.testing.assert_allclose(function.function(x), truth(x), rtol=0, atol=1e-15)
    inside = x[np.min(np.abs(x[:, None] - np.array(function.kinks)), axis=1) > 1e-3]
    slopes = (truth(inside + 1e-6) - truth(inside - 1e-6)) / 2e-6
    np.testing.assert_allclose(function.derivative(inside), slopes, atol=1e-8)


@pytest.mark.parametrize("size", [1e-20, 1e-150, 1e-300, 5e-324])
def test_small_signals_are_kept_exactly(size):
    x = np.array([-size, 0.0, size])
    assert activation("hardtanh").function(x).tolist() == x.tolist()
    assert activation("relu").function(x).tolist() == [0.0, 0.0, size]
    assert activation("leaky_relu", negative_slope=0.5).function(x)[0] == -0.5 * size


@pytest.mark.parametrize("q0", [1e-12, 1e-40, 1e-300])
def test_a_critical_network_hands_small_signals_on(q0):
    found = signals(mlp(10, 100, "hardtanh"), q0)
    assert found.layers[-1].q / q0 == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        (None, {}),
        (["relu"], {}),
        ("swish", {}),
        ("leaky_relu", {"negative_slope": float("nan")}),
        ("leaky_relu", {"negative_slope": float("inf")}),
        ("leaky_relu", {"negative_slope": "0.1"}),
        ("leaky_relu", {"negative_slope": True}),
        ("leaky_relu", {"slope": 0.1}),
        ("elu", {"alpha": 1j}),
        ("softplus", {"beta": 0.0}),
        ("hardtanh", {"min_val": 1.0}),
    ],
)
def test_impossible_activations_are_one_sentence(name, parameters):
    with pytest.raises(InputError, match=r"expected .*(got|than 0)") as caught:
        activation(name, **parameters)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", activation_names())
def test_derivatives_of_the_table_are_derivatives(name):
    function = activation(name)
    x = np.linspace(-7.3, 7.3, 211)
    x = x[np.all([np.abs(x - kink) > 1e-3 for kink in function.kinks] or [x == x], axis=0)]
    step = 1e-5
    numeric = (function.function(x + step) - function.function(x - step)) / (2 * step)
    assert np.allclose(function.derivative(x), numeric, atol=1e-8)


def test_an_unknown_activation_is_named_with_the_known_ones():
    with pytest.raises(InputError, match=r"hardtanh.*got 'swishy'"):
        mlp(2, 10, "swishy")
    with pytest.raises(InputError, match="parameters that relu knows"):
        activation("relu", slope=2.0)
