"""Networks with skips and normalisation drawn and differentiated by numpy, matrix by matrix: ground truth for graphs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from freeness.network import Activation, Dense, Normalisation, Product, Sum
from freeness.spectra.graph import NeuronSignals
from tests.spectra.simulation import weight
from tests.spectra.wires import followed


@dataclass(frozen=True)
class GraphSample:
    """One drawn network: its signals, and the eigenvalues of JJᵀ and Θ."""

    signals: NeuronSignals
    jacobian: np.ndarray
    fisher: np.ndarray


def draw_graph(network, inputs, rng):
    seen = []
    _, jacobian, theta = followed(network, np.asarray(inputs, float), lambda *given: _layer(*given, seen=seen, rng=rng))
    return GraphSample(
        NeuronSignals(np.asarray(inputs, float), tuple(seen)),
        np.linalg.eigvalsh(jacobian @ jacobian.T),
        np.linalg.eigvalsh(theta),
    )


def _layer(layer, x, *others, seen, rng):
    match layer:
        case Dense():
            matrix = weight(layer, rng)
            h = matrix @ x + layer.sigma_b * rng.standard_normal(layer.fan_out)
            seen.append(h)
            return h, (matrix,), (x @ x + layer.bias) * np.eye(layer.fan_out)
        case Activation():
            return layer.function.function(x), (np.diag(layer.function.derivative(x)),), None
        case Normalisation():
            n = x.size
            centred = x - x.mean() if layer.kind == "layer" else x
            size = np.sqrt((centred**2).mean() + layer.epsilon)
            step = np.eye(n) - (1 / n if layer.kind == "layer" else 0.0)
            step = (step - np.outer(centred, centred) / (n * size**2)) / size
            return centred / size, (step,), None
        case Sum():
            value = sum(scale * one for scale, one in zip(layer.scales, (x, *others), strict=True))
            return value, tuple(scale * np.eye(x.size) for scale in layer.scales), None
        case Product():
            rest = [math.prod((x, *others)[:k] + (x, *others)[k + 1 :]) for k in range(1 + len(others))]
            return math.prod((x, *others)), tuple(np.diag(one) for one in rest), None
    raise AssertionError(layer)
