"""Capacity against optimisation by hand, dense samples of the law, and the numbers of theory.md §9."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from freeness import Empirical, InputError, MarchenkoPastur, PointMass, Projection, Semicircle, jacobian_law, mlp, scale
from freeness.advice import equal_power_capacity, water_filling_capacity
from freeness.meanfield import isometric_point
from freeness.network import activation
from freeness.spectra import bernoulli_jacobian_limit, smooth_jacobian_limit

SPECTRA = st.lists(st.floats(0.0, 10.0), min_size=1, max_size=8).filter(lambda values: max(values) > 1e-3)


def test_the_numbers_of_the_theory():
    """§9: ratio to the isometric log(1 + s); low signal-to-noise gains from spread, high loses."""
    for law, low, high in ((smooth_jacobian_limit(0.08), 1.19, 0.986), (bernoulli_jacobian_limit(0.33), 1.32, 0.92)):
        ratios = [water_filling_capacity(law, s) / np.log1p(s) for s in (0.1, 10.0)]
        assert ratios == pytest.approx([low, high], abs=0.0065)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "spread", "low", "high"), [("tanh", 0.08, 1.19, 0.986), ("hardtanh", 0.33, 1.32, 0.92)]
)
def test_real_depths_have_the_numbers_of_the_theory(name, spread, low, high):
    point = isometric_point(activation(name), 100, spread)
    net = mlp(101, 50, name, sigma_w=point.sigma_w, sigma_b=point.sigma_b)
    law = jacobian_law(net, (point.q - point.sigma_b**2) / point.sigma_w**2)
    law = scale(law, 1 / law.mean)
    ratios = [water_filling_capacity(law, s) / np.log1p(s) for s in (0.1, 10.0)]
    assert ratios == pytest.approx([low, high], abs=0.0065)


@settings(max_examples=15)
@given(SPECTRA, st.floats(0.05, 50.0))
def test_water_filling_is_the_optimum(values, snr):
    """Powers as a softmax, optimised numerically from two starts."""
    eigenvalues = np.array(values)
    count = eigenvalues.size

    def loss(logits):
        power = np.exp(logits - logits.max())
        power *= count / power.sum()
        return -np.log1p(snr * power * eigenvalues).mean()

    starts = (np.zeros(count), 3 * eigenvalues / eigenvalues.max())
    best = -min(minimize(loss, start, method="BFGS", options={"gtol": 1e-9}).fun for start in starts)
    found = water_filling_capacity(values, snr)
    assert found >= best - 1e-9
    assert found == pytest.approx(best, rel=2e-3, abs=1e-6)


@given(SPECTRA, st.floats(0.01, 100.0))
def test_equal_power_is_below_both_the_isometry_and_the_optimum(values, snr):
    equal = equal_power_capacity(values, snr)
    assert equal <= np.log1p(snr * np.mean(values)) + 1e-12
    assert equal <= water_filling_capacity(values, snr) + 1e-12
    assert equal_power_capacity(Empirical(values), snr) == pytest.approx(equal, rel=1e-10)
    assert water_filling_capacity(Empirical(values), snr) == pytest.approx(
        water_filling_capacity(values, snr), rel=1e-9
    )


@pytest.mark.parametrize("snr", [0.1, 1.0, 30.0])
def test_laws_are_the_limit_of_their_quantiles(snr):
    net = mlp(6, 100, "hardtanh", sigma_w=1.02, sigma_b=0.1)  # atoms beside a continuous part
    for law in (MarchenkoPastur(0.5), MarchenkoPastur(2.0), smooth_jacobian_limit(0.5), jacobian_law(net, 0.3)):
        sample = law.quantile((np.arange(4000) + 0.5) / 4000)
        assert equal_power_capacity(law, snr) == pytest.approx(equal_power_capacity(sample, snr), rel=2e-3)
        assert water_filling_capacity(law, snr) == pytest.approx(water_filling_capacity(sample, snr), rel=2e-3)


def test_closed_forms():
    """A point mass has log(1 + sλ) both ways; of a projection the transmitter finds the half that passes."""
    assert equal_power_capacity(PointMass(2.0), 3.0) == pytest.approx(np.log(7))
    assert water_filling_capacity(PointMass(2.0), 3.0) == pytest.approx(np.log(7))
    assert equal_power_capacity(Projection(0.5), 3.0) == pytest.approx(np.log(4) / 2)
    assert water_filling_capacity(Projection(0.5), 3.0) == pytest.approx(np.log(7) / 2)
    # Marchenko–Pastur of ratio 1 (Verdú, Shamai 1999)
    s = 2.0
    f = (np.sqrt(4 * s + 1) - 1) ** 2 / 4
    assert equal_power_capacity(MarchenkoPastur(1.0), s) == pytest.approx(2 * np.log1p(s - f) - f / s)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: equal_power_capacity([1.0], 0.0), "ratio > 0"),
        (lambda: equal_power_capacity([1.0, -0.5], 1.0), "≥ 0"),
        (lambda: equal_power_capacity([], 1.0), "finite eigenvalues"),
        (lambda: equal_power_capacity(Semicircle(), 1.0), "reaches down to -2"),
        (lambda: water_filling_capacity([0.0, 0.0], 1.0), "nothing passes"),
        (lambda: water_filling_capacity(PointMass(0.0), 1.0), "nothing passes"),
        (lambda: water_filling_capacity("abc", 1.0), "finite eigenvalues"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()
