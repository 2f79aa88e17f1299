"""The variance map against wide simulated networks."""

import numpy as np
import pytest

from freeness import InputError, mlp, signals
from freeness.meanfield import DenseSignal
from tests.spectra.simulation import draw


@pytest.mark.parametrize(("weights", "widths"), [("haar", [300, 450, 250, 400]), ("gaussian", [450, 300, 450, 350])])
def test_signals_of_a_drawn_network_follow_the_mean_field(weights, widths):
    net = mlp(3, widths, "tanh", weights, sigma_w=1.3, sigma_b=0.3)
    predicted = signals(net, qhat0=0.8)
    seen = [draw(net, 0.8, np.random.default_rng(seed)).signals for seed in range(8)]
    for index, expected in enumerate(predicted.layers):
        values = np.array([sample.layers[index].q for sample in seen])
        assert abs(values.mean() - expected.q) < 5 * (2 / (300 * 8)) ** 0.5 * expected.q
        if isinstance(expected, DenseSignal):
            norms = np.array([sample.layers[index].squared_norm for sample in seen])
            assert norms.mean() == pytest.approx(expected.squared_norm, rel=5 * (2 / (300 * 8)) ** 0.5)


@pytest.mark.parametrize("qhat0", [0.0, -1.0, np.nan])
def test_an_input_without_signal_is_refused(qhat0):
    with pytest.raises(InputError, match="qhat0"):
        signals(mlp(2, 10), qhat0)
