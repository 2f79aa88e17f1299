"""What the entries of the table say of themselves: limits of φ', homogeneity, parameters; entries of one's own."""

import inspect

import numpy as np
import pytest

from freeness import InputError
from freeness.gaussian import (
    ActivationFunction,
    activation,
    activation_names,
    activations,
    closed_covariance,
    covariance,
    entries,
    tabulated,
)

FAR = np.array([-1e9, 1e9])  # x/(1 + |x|) comes to its limit as 1/x²
SCALES = (0.3, 1.0, 7.0)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_tails_are_the_limits_of_the_derivative(entry):
    function = activation(entry.name)
    if function.tails is None:
        steps = np.diff(function.derivative(np.linspace(1e3, 1e3 + 7, 50)))
        assert np.abs(steps).max() > 0.1  # it goes on turning
    else:
        np.testing.assert_allclose(function.derivative(FAR), function.tails, atol=1e-15)


@pytest.mark.parametrize("name", activation_names())
def test_homogeneous_functions_commute_with_positive_factors(name):
    function, x = activation(name), np.linspace(-3.0, 3.0, 41)
    commutes = all(np.allclose(function.function(c * x), c * function.function(x), rtol=1e-14) for c in SCALES)
    assert function.homogeneous == commutes


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_parameter_has_a_default_that_the_record_does_not_repeat(entry):
    defaults = {key: value.default for key, value in inspect.signature(entry.make).parameters.items()}
    plain, full = activation(entry.name), activation(entry.name, **defaults)
    assert plain.parameters == () and dict(full.parameters) == defaults
    x = np.linspace(-8.0, 8.0, 161)
    np.testing.assert_array_equal(plain.function(x), full.function(x))
    assert (plain.kinks, plain.slopes, plain.tails, plain.torch) == (full.kinks, full.slopes, full.tails, full.torch)
    assert entry.make.__doc__


def test_an_entry_of_ones_own_is_an_activation_with_its_closed_covariance(monkeypatch):
    monkeypatch.setattr(activations, "_TABLE", dict(activations._TABLE))

    @tabulated()
    def example_cosine(rate: float = 1.0) -> ActivationFunction:
        """cos(rate·x)."""

        def closed(q1, q2, q12):
            up, down = (np.exp(sign * rate**2 * q12 - rate**2 * (q1 + q2) / 2) / 2 for sign in (1, -1))
            return up + down, rate**2 * (up - down)

        return ActivationFunction("", lambda x: np.cos(rate * x), lambda x: -rate * np.sin(rate * x), covariance=closed)

    mine = activation("example_cosine", rate=0.7)
    assert (mine.name, mine.parameters, mine.torch) == ("example_cosine", (("rate", 0.7),), None)
    assert "example_cosine" in activation_names()
    integrated = ActivationFunction("integrated", mine.function, mine.derivative)
    for c in (-0.6, 0.2, 1.0):
        exact, numeric = covariance(mine, 0.8, 1.7, c), covariance(integrated, 0.8, 1.7, c)
        assert float(exact.value) == pytest.approx(float(numeric.value), rel=1e-12)
        assert float(exact.slope) == pytest.approx(float(numeric.slope), rel=1e-12)
    with pytest.raises(InputError, match="does not have, got 'example_cosine'"):
        tabulated()(example_cosine)
    with pytest.raises(InputError, match="parameters that example_cosine knows"):
        activation("example_cosine", speed=1.0)


@pytest.mark.parametrize("name", [entry.name for entry in entries() if activation(entry.name).covariance])
def test_closed_covariances_of_the_table_are_the_integrals(name):
    exact = activation(name)
    integrated = ActivationFunction("integrated", exact.function, exact.derivative)
    for q1, q2, c in [(0.5, 0.5, 1.0), (0.3, 2.0, -0.4), (1.7, 1.1, 0.8)]:
        found = closed_covariance(exact, np.array(q1), np.array(q2), np.array(c * np.sqrt(q1 * q2)))
        assert found is not None
        numeric = covariance(integrated, q1, q2, c)
        np.testing.assert_allclose([*map(float, found)], [float(numeric.value), float(numeric.slope)], rtol=1e-12)
