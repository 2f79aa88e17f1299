"""Networks by the point where their signals settle: they do, and refuse a point that no biases reach."""

import numpy as np
import pytest

from freeness.errors import InputError
from freeness.meanfield import DenseSignal, derivative_law, signals
from freeness.network import activation
from freeness.spectra import SettledNetwork, jacobian_law


def test_signals_stay_where_they_settle_and_gradients_grow_as_said():
    asked = SettledNetwork("mlp", "tanh", "gaussian", 6, 64, 0.5, 0.9)
    found = [one.q for one in signals(asked.network, asked.qhat).layers if isinstance(one, DenseSignal)]
    assert found == pytest.approx([0.5] * 6, rel=1e-9)
    assert asked.gains[0] ** 2 * derivative_law(activation("tanh"), 0.5).mean == pytest.approx(0.9, rel=1e-12)


def test_the_law_of_settled_signals_is_that_of_the_network():
    asked = SettledNetwork("mlp", "hardtanh", "haar", 5, 64, 0.2, 1.0)
    own, whole = asked.law(fisher=False), jacobian_law(asked.network, qhat0=asked.qhat)
    assert (own.mean, own.hull[1]) == pytest.approx((whole.mean, whole.hull[1]), rel=1e-9)
    sample = asked.sample(np.random.default_rng(0))
    assert np.mean(sample**2) == pytest.approx(asked.qhat, rel=1e-12)


def test_a_growth_that_needs_negative_biases_is_refused():
    with pytest.raises(InputError, match="growth"):
        _ = SettledNetwork("mlp", "tanh", "gaussian", 3, 8, 0.5, 2.0).gains
