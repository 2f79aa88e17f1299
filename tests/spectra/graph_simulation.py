"""Networks with skips and normalisation drawn and differentiated by numpy, matrix by matrix: ground truth for graphs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.network import Activation, Dense, Normalisation, Residual
from freeness.spectra.graph import NeuronSignals
from tests.spectra.simulation import weight


@dataclass(frozen=True)
class GraphSample:
    """One drawn network: its signals, and the eigenvalues of JJᵀ and Θ."""

    signals: NeuronSignals
    jacobian: np.ndarray
    fisher: np.ndarray


def draw_graph(network, inputs, rng):
    seen = []
    _, jacobian, theta = _through(network.layers, np.asarray(inputs, float), seen, rng)
    return GraphSample(
        NeuronSignals(np.asarray(inputs, float), tuple(seen)),
        np.linalg.eigvalsh(jacobian @ jacobian.T),
        np.linalg.eigvalsh(theta),
    )


def _through(layers, x, seen, rng):
    """x behind the layers, their Jacobian, and the tangent kernel of their own weights."""
    jacobian, theta = np.eye(x.size), np.zeros((x.size, x.size))
    for layer in layers:
        x, step, own = _layer(layer, x, seen, rng)
        jacobian, theta = step @ jacobian, step @ theta @ step.T + own
    return x, jacobian, theta


def _layer(layer, x, seen, rng):
    match layer:
        case Dense():
            matrix = weight(layer, rng)
            h = matrix @ x + layer.sigma_b * rng.standard_normal(layer.fan_out)
            seen.append(h)
            return h, matrix, (x @ x + layer.bias) * np.eye(layer.fan_out)
        case Activation():
            return layer.function.function(x), np.diag(layer.function.derivative(x)), np.zeros((x.size, x.size))
        case Normalisation():
            n = x.size
            centred = x - x.mean() if layer.kind == "layer" else x
            size = np.sqrt((centred**2).mean() + layer.epsilon)
            step = np.eye(n) - (1 / n if layer.kind == "layer" else 0.0)
            step = (step - np.outer(centred, centred) / (n * size**2)) / size
            return centred / size, step, np.zeros((n, n))
        case Residual():
            inner, step, own = _through(layer.branch, x, seen, rng)
            return (
                layer.skip * x + layer.scale * inner,
                layer.skip * np.eye(x.size) + layer.scale * step,
                layer.scale**2 * own,
            )
    raise AssertionError(layer)
