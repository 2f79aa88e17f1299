"""Fully connected networks with few outputs on a batch, drawn and differentiated by hand: ground truth for batches."""

from __future__ import annotations

import numpy as np

from freeness.network import Dense
from tests.spectra.simulation import weight


def draw_batch(network, inputs, rng):
    """Outputs (n, C) and the Gram matrix (n·C, n·C) of the gradients of all weights and trained biases, samples first."""
    x = np.asarray(inputs, float)
    steps, outputs = [], x
    for layer in network.layers:
        if isinstance(layer, Dense):
            matrix = weight(layer, rng)
            steps.append([matrix, None, outputs @ outputs.T + float(layer.bias)])
            outputs = outputs @ matrix.T + layer.sigma_b * rng.standard_normal(layer.fan_out)
        else:
            steps[-1][1] = layer.function.derivative(outputs)
            outputs = layer.function.function(outputs)
    n, c = outputs.shape
    backward = np.broadcast_to(np.eye(c), (n, c, c))  # d outputs/d what the layer writes, sample by sample
    gram = np.zeros((n, c, n, c))
    for matrix, derivative, inner in reversed(steps):
        backward = backward if derivative is None else backward * derivative[:, None, :]
        flat = backward.reshape(n * c, -1)
        gram += (flat @ flat.T).reshape(n, c, n, c) * inner[:, None, :, None]
        backward = backward @ matrix
    return outputs, gram.reshape(n * c, n * c)
