"""Kinks and slopes of functions that are drawn, with known kinks and derivatives: smooth, bent, clipped, with jumps, rounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from freeness.gaussian import activation, activation_names, custom_activation, find_kinks
from freeness.gaussian.kinks import LEAST

NEAREST = 1e-4  # between two drawn kinks
places = st.lists(st.floats(-9.9, 9.9), min_size=1, max_size=12, unique_by=lambda place: round(place / NEAREST))
sizes = st.floats(1e-4, 3.0).flatmap(lambda size: st.sampled_from([size, -size]))


def apart(kinks: list[float]) -> list[float]:
    """Ascending, without those that are too near to the one before."""
    ordered = sorted(kinks)
    return [k for i, k in enumerate(ordered) if i == 0 or k - ordered[i - 1] > NEAREST]


SMOOTH = {  # φ and φ' of a frequency or steepness
    "sine": (lambda x, r: np.sin(r * x), lambda x, r: r * np.cos(r * x)),
    "steep tanh": (lambda x, r: np.tanh(r * x) / r, lambda x, r: 1 / np.cosh(np.minimum(np.abs(r * x), 300)) ** 2),
    "snake": (lambda x, r: x + np.sin(r * x) ** 2 / r, lambda x, r: 1 + np.sin(2 * r * x)),
    "gaussian": (lambda x, r: np.exp(-r * x**2), lambda x, r: -2 * r * x * np.exp(-r * x**2)),
    "power": (lambda x, r: x**3 / 50 - r * x, lambda x, r: 3 * x**2 / 50 - r),
    "exponential": (lambda x, r: np.exp(x / 2) * np.cos(r * x), None),
}


@pytest.mark.parametrize("name", SMOOTH)
@given(st.floats(0.05, 30.0))
def test_smooth_functions_have_no_kinks(name, rate):
    function, _ = SMOOTH[name]
    assert find_kinks(lambda x: function(x, rate)) == ()


@pytest.mark.parametrize("name", [name for name, (_, slope) in SMOOTH.items() if slope])
@given(st.floats(0.05, 10.0))
def test_slopes_of_smooth_functions_are_their_derivatives(name, rate):
    function, slope = SMOOTH[name]
    found = custom_activation(lambda x: function(x, rate))
    x = np.linspace(-9.5, 9.5, 401)
    values, exact = np.abs(function(x, rate)).max(), slope(x, rate)
    np.testing.assert_allclose(found.derivative(x), exact, rtol=0, atol=1e-11 * (1 + values + np.abs(exact).max()))


@given(places, st.data())
def test_random_kinks_on_a_smooth_function_are_found_with_their_slopes(kinks, data):
    kinks = apart(kinks)
    jumps = np.array(data.draw(st.lists(sizes, min_size=len(kinks), max_size=len(kinks))))
    rate = data.draw(st.floats(0.1, 5.0))

    def function(x):
        return np.sin(rate * x) + (jumps * np.maximum(x[..., None] - kinks, 0.0)).sum(axis=-1)

    found = custom_activation(function)
    assert len(found.kinks) == len(kinks)
    x = np.linspace(-10.0, 10.0, 201)
    size = float(np.abs(function(x)).max()) + float(np.abs(jumps).sum())
    np.testing.assert_allclose(found.kinks, kinks, rtol=0, atol=2e-13 * size * (1 + 1 / np.abs(jumps).min()))
    away = x[np.abs(x[:, None] - kinks).min(axis=1) > 1e-3]
    exact = rate * np.cos(rate * away) + (jumps * (away[:, None] > kinks)).sum(axis=-1)
    np.testing.assert_allclose(found.derivative(away), exact, rtol=0, atol=1e-9 * (1 + size))


@given(st.floats(-9.0, 9.0), st.floats(-4.5, 0.9).map(lambda power: 10.0**power), st.floats(-6.0, 6.0))
def test_clipped_functions_bend_at_both_ends_however_near_these_are(middle, width, power):
    low, high = max(middle - width / 2, -9.99), min(middle + width / 2, 9.99)
    found = find_kinks(lambda x: 10.0**power * np.clip(x, low, high))
    np.testing.assert_allclose(found, (low, high), rtol=0, atol=1e-11)


@given(st.floats(-9.0, 9.0), st.floats(-5.5, 0.0), st.floats(0.2, 3.0))
def test_tiny_kinks_are_seen_down_to_what_is_promised(place, power, rate):
    jump = 10.0**power * rate  # over slopes up to the rate
    (found,) = find_kinks(lambda x: np.sin(rate * x) + jump * np.maximum(x - place, 0.0))
    assert found == pytest.approx(place, abs=2e-13 * (1 + 20 * rate) / jump)


@given(st.floats(-9.0, 9.0), st.floats(0.2, 3.0))
def test_kinks_below_what_is_promised_are_not_reported(place, rate):
    place = round(place / np.pi * rate) * np.pi / rate  # where the slope is largest
    assert find_kinks(lambda x: np.sin(rate * x) + LEAST / 20 * rate * np.maximum(x - place, 0.0)) == ()


@given(places, st.data())
def test_jumps_of_the_function_are_found(edges, data):
    edges = apart(edges)
    jumps = np.array(data.draw(st.lists(sizes, min_size=len(edges), max_size=len(edges))))
    found = find_kinks(lambda x: np.tanh(x) + (jumps * (x[..., None] > edges)).sum(axis=-1))
    np.testing.assert_allclose(found, edges, rtol=0, atol=1e-12)


@given(st.floats(-3.0, 3.0), st.sampled_from([2.0, 2.5, 3.0]))
def test_jumps_of_the_second_derivative_are_no_kinks(place, power):
    assert find_kinks(lambda x: np.sign(x - place) * np.abs(x - place) ** power) == ()


@pytest.mark.parametrize(
    ("function", "kinks"),
    [
        (np.round, tuple(np.arange(-9.5, 10.0))),
        (lambda x: np.round(4 * x) / 4, tuple(np.arange(-9.875, 10.0, 0.25))),
        (lambda x: np.round(1000 * x) / 1000, ()),  # rough
        (
            lambda x: np.interp(x, np.linspace(-4, 4, 65), np.tanh(np.linspace(-4, 4, 65) + 0.3)),
            tuple(np.linspace(-4, 4, 65)),
        ),
        (lambda x: np.where(np.abs(x) > 0.5, x, 0.0), (-0.5, 0.5)),
        (lambda x: np.sqrt(np.abs(x)), (0.0,)),
        (lambda x: np.sin(x) / x, ()),  # not a number at 0
        (lambda x: np.log(x), ()),  # nor below it
        (lambda x: np.sin(1000 * x), ()),
        (lambda x: x * (1 + special.erf(x / np.sqrt(2))) / 2, ()),  # 1 + erf loses digits on the left
        (lambda x: np.zeros_like(x), ()),
    ],
)
def test_functions_at_the_limits(function, kinks):
    np.testing.assert_allclose(find_kinks(function), kinks, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("bend", "kinks"), [(np.tanh, ()), (lambda x: np.clip(x, -1, 1), (-1.0, 1.0)), (np.abs, (0.0,))]
)
def test_single_precision_inside_makes_no_kinks_of_its_own(bend, kinks):
    found = find_kinks(lambda x: bend(x.astype(np.float32)).astype(float))
    np.testing.assert_allclose(found, kinks, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", activation_names())
def test_kinks_of_the_table_are_those_of_its_functions(name):
    function = activation(name)
    jumps = [k for k in function.kinks if abs(np.diff(function.derivative(k + np.array([-1e-9, 1e-9])))[0]) > 1e-6]
    np.testing.assert_allclose(find_kinks(function.function), jumps, rtol=0, atol=1e-12)
