"""Activations of the user's own: derivatives and kinks found, against those of the table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import InputError
from freeness.gaussian import activation, activation_names, covariance, custom_activation
from freeness.gaussian.bends import bend_noise, slope_dependence
from freeness.meanfield import edge_of_chaos


@pytest.mark.parametrize("name", activation_names())
def test_derivative_and_kinks_of_the_table_are_found(name):
    exact = activation(name)
    found = custom_activation(exact.function)
    x = np.linspace(-9.0, 9.0, 996) + 1e-4  # off the kinks, where φ' is a convention
    np.testing.assert_allclose(found.derivative(x), exact.derivative(x), atol=2e-9)
    jumps = [kink for kink in exact.kinks if abs(np.diff(exact.derivative(kink + np.array([-1e-9, 1e-9])))[0]) > 1e-6]
    np.testing.assert_allclose(found.kinks, jumps, atol=1e-9)


@settings(max_examples=5)
@given(st.floats(-5.0, 5.0), st.floats(-2.0, 2.0), st.floats(0.1, 2.0))
def test_a_kink_anywhere_is_found(place, left, bend):
    found = custom_activation(lambda x: np.sin(x) + left * x + bend * np.maximum(x - place, 0.0))
    assert found.kinks == pytest.approx((place,), abs=1e-8)


def test_it_serves_the_theory():
    mine = custom_activation(lambda x: np.clip(x, -1.0, 1.0))
    exact = activation("hardtanh")
    assert edge_of_chaos(mine, [0.5]).sigma_w[0] == pytest.approx(edge_of_chaos(exact, [0.5]).sigma_w[0], rel=1e-9)
    for c in (-0.5, 0.9):
        assert float(covariance(mine, 1.0, 2.0, c).value) == pytest.approx(
            float(covariance(exact, 1.0, 2.0, c).value), rel=1e-9
        )


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.sum(), "elementwise"),
        (lambda x: x / np.linalg.norm(x), "elementwise"),
        (lambda x: np.where(x > 1, np.nan, x), "finite"),
        (lambda x: np.log(x), "finite"),
        (lambda x: x + 1j, "finite"),
        (lambda x: x.reshape(-1)[:3], "elementwise"),
    ],
)
def test_what_is_no_activation_is_refused(function, message):
    with pytest.raises(InputError, match=message), np.errstate(all="ignore"):
        custom_activation(function)


def test_given_kinks_and_derivatives_are_taken():
    found = custom_activation(np.abs, np.sign, kinks=[0.0], name="abs")
    assert found.name == "abs" and found.kinks == (0.0,) and found.derivative(np.array([-2.0])) == [-1.0]
    with pytest.raises(InputError, match="finite kinks"):
        custom_activation(np.abs, kinks=[np.inf])


def test_activations_of_one_name_keep_their_numbers_apart():
    """Gains d ln E φ²/d ln q of h³ (3) and of sin h (2q e^(-2q)/(1 - e^(-2q))), in one process."""
    sine, cube = custom_activation(np.sin), custom_activation(lambda x: x**3)
    assert bend_noise(sine, 1.0).gain == pytest.approx(2 * np.exp(-2) / (1 - np.exp(-2)), rel=1e-6)
    assert bend_noise(cube, 1.0).gain == pytest.approx(3.0, rel=1e-6)
    assert bend_noise(cube, 1.0) is bend_noise(cube, 1.0)
    assert slope_dependence(cube, 1.0)[1][0] != pytest.approx(slope_dependence(sine, 1.0)[1][0], rel=0.1)


class Unhashable:
    """A function with equality of its own, as calls that a trace read have."""

    __hash__ = None

    def __call__(self, x):
        return x**3


def test_functions_without_a_hash_are_taken():
    assert bend_noise(custom_activation(Unhashable()), 1.0).gain == pytest.approx(3.0, rel=1e-6)
