"""How long kinks and derivative of a function take that no table knows: less than a tenth of a second."""

import numpy as np
import pytest

from freeness.gaussian import custom_activation, find_kinks

FUNCTIONS = {
    "snake": lambda x: x + np.sin(x) ** 2,
    "sine of 30x": lambda x: np.sin(30 * x),
    "bent sine of 100x": lambda x: np.sin(100 * x) + 0.1 * np.abs(x - 0.5),
    "clipped": lambda x: np.clip(x, -1e-3, 1e-3),
    "hundred pieces": lambda x: np.interp(x, np.linspace(-4, 4, 101), np.tanh(np.linspace(-4, 4, 101))),
    "steps": lambda x: np.round(10 * x) / 10,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_kinks_and_derivative_cost_less_than_a_tenth_of_a_second(benchmark, name):
    x = np.linspace(-9.0, 9.0, 4001)
    slopes = benchmark(lambda: custom_activation(FUNCTIONS[name]).derivative(x))
    benchmark.extra_info["kinks"] = len(find_kinks(FUNCTIONS[name]))
    assert slopes.shape == x.shape
    assert benchmark.stats["min"] < 0.1
