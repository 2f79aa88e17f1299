"""Finite networks drawn and measured with plain numpy: the ground truth that predictions are tested against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.laws import Empirical
from freeness.meanfield import ActivationSignal, DenseSignal, NeuronSignals, Signals
from freeness.network import Dense, Gaussian, Network
from tests.orthogonal import haar


@dataclass(frozen=True)
class Sample:
    """One drawn network: realised signals and the eigenvalues of Θ and JJᵀ over the outputs."""

    signals: Signals
    fisher: np.ndarray
    jacobian: np.ndarray


def weight(layer: Dense, rng: np.random.Generator) -> np.ndarray:
    sigma = layer.weights.sigma_w
    if isinstance(layer.weights, Gaussian):
        return sigma / layer.fan_in**0.5 * rng.standard_normal((layer.fan_out, layer.fan_in))
    return sigma * haar(layer.fan_out, layer.fan_in, rng)


def draw(network: Network, qhat0: float, rng: np.random.Generator) -> Sample:
    """Draws weights and a Gaussian input of ‖x‖² = N₀·qhat0, and measures by the definitions, layer by layer."""
    x = rng.standard_normal(network.widths[0])
    x *= np.sqrt(qhat0 * x.size) / np.linalg.norm(x)
    found: list[DenseSignal | ActivationSignal] = []
    start, seen = x, []
    steps: list[tuple[np.ndarray, np.ndarray | None, float]] = []  # W, D after it, ‖x‖² (+1) before it
    for layer in network.layers:
        if isinstance(layer, Dense):
            matrix = weight(layer, rng)
            h = matrix @ x + layer.sigma_b * rng.standard_normal(layer.fan_out)
            steps.append((matrix, None, float(x @ x) + layer.bias))
            found.append(DenseSignal(layer.fan_in, float(x @ x), float(np.mean(h**2))))
            seen.append(h)
            x = h
        else:
            d = layer.function.derivative(x)
            steps[-1] = (steps[-1][0], d, steps[-1][2])
            found.append(ActivationSignal(float(np.mean(x**2)), Empirical(d**2)))
            x = layer.function.function(x)
    backward = np.eye(network.widths[-1])
    theta = np.zeros_like(backward)
    for matrix, d, norm in reversed(steps):
        backward = backward if d is None else backward * d
        theta += norm * backward @ backward.T
        backward = backward @ matrix
    jacobian = np.linalg.svd(backward, compute_uv=False) ** 2
    padded = np.zeros(network.widths[-1])
    padded[: jacobian.size] = jacobian
    signals = Signals(tuple(found), "realised", NeuronSignals(start, tuple(seen)))
    return Sample(signals, np.linalg.eigvalsh(theta), np.sort(padded))
