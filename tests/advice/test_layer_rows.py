"""The per-layer table against gradients of a drawn network."""

import numpy as np
import pytest

from freeness.advice import phase_of
from freeness.advice.chain_rows import layer_rows
from freeness.meanfield import ActivationSignal
from freeness.network import Activation, Dense, Gaussian, Haar, Network, activation
from tests.spectra.simulation import draw, weight


@pytest.mark.parametrize("ensemble", [Gaussian, Haar])
def test_chi_is_what_squared_gradients_are_multiplied_by_on_the_way_back(ensemble):
    """Uneven widths and gains, a small first and a large last one: ‖δ^l‖² of 20 passes, within 4 standard errors."""
    widths, gains = (300, 500, 250, 400, 60), (0.2, 1.4, 0.8, 3.0)
    layers = []
    for into, out, gain in zip(widths[:-1], widths[1:], gains, strict=True):
        layers += [Dense(into, out, ensemble(gain)), Activation(activation("tanh"))]
    network = Network(tuple(layers[:-1]))
    rng = np.random.default_rng(0)
    signals = draw(network, 1.0, rng).signals
    neurons = iter(signals.neurons.preactivations)
    rows = layer_rows(network, signals)
    slopes = [row.activation and 1 - np.tanh(next(neurons)) ** 2 for row in rows]
    ratios = []
    for _ in range(20):
        delta, squares = rng.standard_normal(widths[-1]), []
        for layer, d in zip(reversed(network.dense), [None, *reversed(slopes[:-1])], strict=True):
            delta = delta if d is None else d * delta
            squares.append(delta @ delta)
            delta = weight(layer, rng).T @ delta
        ratios.append(np.array(squares[1:]) / np.array(squares[:-1]))
    ratios = np.array(ratios)[:, ::-1]
    error = ratios.std(axis=0, ddof=1) / 20**0.5
    chis = np.array([row.chi for row in rows[:-1]])
    assert (np.abs(ratios.mean(axis=0) - chis) <= 4 * error).all() and (error < 0.06 * chis).all()
    assert phase_of(rows)[1] == pytest.approx(np.log(chis).sum()) and rows[-1].chi is None
    assert isinstance(signals.layers[1], ActivationSignal) and rows[0].delta == signals.layers[1].delta
