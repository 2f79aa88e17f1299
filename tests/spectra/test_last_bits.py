"""What a law says must not hang on the last bits of a processor's elementwise functions."""

import numpy as np
import pytest

from freeness import jacobian_law, mlp


def test_the_ends_of_a_wide_spectrum_stay_where_they_are_when_last_bits_change():
    """Behind the hard edge at 0 all digits of 1 + u are rounding: points there, at 1e24, must not pass for the lower end."""
    rng = np.random.default_rng(0)
    for _ in range(2):
        sigma_w, qhat0 = 2.0 + 4.4e-16 * rng.integers(-60, 60), 0.1 * (1 + 2.2e-16 * rng.integers(-20, 20))
        low, high = jacobian_law(mlp(12, 100, "tanh", "haar", sigma_w=sigma_w), qhat0).hull
        assert 0 <= low < 1e-60
        assert high == pytest.approx(10724.93335, rel=1e-9)
