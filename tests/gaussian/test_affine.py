"""An activation between two affine maps: values, slopes, kinks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeness import InputError
from freeness.gaussian import AffineImage, activation, affine_image


@given(
    st.sampled_from(["tanh", "hardtanh", "leaky_relu", "gelu", "shifted_relu"]), st.floats(0.1, 10.0), st.floats(-3, 3),
    st.floats(-3, 3), st.floats(0.1, 10.0),
)  # fmt: skip
def test_values_slopes_and_kinks_are_those_of_the_composition(name, gain, shift, offset, scale):
    inner = activation(name)
    made = affine_image(AffineImage(inner, gain, shift, offset, scale), "mine")
    x = np.linspace(-3, 3, 61) + 1e-3
    np.testing.assert_allclose(made.function(x), scale * (inner.function(gain * x + shift) + offset))
    quotient = (made.function(x + 1e-6) - made.function(x - 1e-6)) / 2e-6
    away = np.ones(x.size, dtype=bool)
    for kink in made.kinks:
        away &= np.abs(x - kink) > 1e-5
    np.testing.assert_allclose(made.derivative(x)[away], quotient[away], rtol=1e-4, atol=1e-4 * scale)
    assert made.kinks == pytest.approx([(kink - shift) / gain for kink in inner.kinks])
    if inner.slopes is not None:
        assert made.slopes == pytest.approx([scale * gain * slope for slope in inner.slopes])
    assert made.name == "mine"


@pytest.mark.parametrize("numbers", [{"gain": 0.0}, {"gain": -1.0}, {"scale": 0.0}, {"shift": float("nan")}])
def test_numbers_that_make_no_activation_are_refused(numbers):
    with pytest.raises(InputError, match="gain > 0"):
        affine_image(AffineImage(activation("tanh"), **numbers))
