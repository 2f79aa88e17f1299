"""Jets against finite differences."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from freeness.numerics.jet import Jet


def formula(x):
    return (2.0 * x * x - 1.0 / x + 3.0) / (x + 0.5) - (1.0 - x) * x + (-x) * 0.25


@given(st.floats(0.3, 3.0), st.floats(-2.0, 2.0))
def test_the_change_is_the_derivative(real, imaginary):
    t = complex(real, imaginary)
    jet = formula(Jet(np.array([t]), np.array([[1.0 + 0j]])))
    step = 1e-5
    numeric = (formula(t + step) - formula(t - step)) / (2 * step)
    assert np.isclose(jet.value[0], formula(t), rtol=1e-14)
    assert np.isclose(jet.change[0, 0], numeric, rtol=1e-6, atol=1e-6)
