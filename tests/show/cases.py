"""Hand-made analyses: a network simulated with numpy beside the laws that theory predicts for it."""

from __future__ import annotations

from functools import cache

import numpy as np

import freeness as fr
from freeness.advice.analysis import Analysis, Comparison, LayerRow, Verdict
from freeness.advice.layer_table import LayerTable
from freeness.laws.distance import wasserstein
from freeness.meanfield import ActivationSignal, DenseSignal
from freeness.network import Dense, Haar
from freeness.training import Rate
from tests.orthogonal import haar


def simulate(network: fr.Network, qhat0: float, seed: int) -> tuple[fr.Signals, np.ndarray, np.ndarray]:
    """One random network: its realised signals, the eigenvalues of JJᵀ and those of Θ."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(network.widths[0])
    x *= np.sqrt(qhat0 * x.size / (x @ x))
    jacobian, gram, found = np.eye(x.size), np.zeros((x.size, x.size)), []
    for layer in network.layers:
        if isinstance(layer, Dense):
            weights = _weights(layer, generator)
            squared_norm = float(x @ x)
            x = weights @ x + layer.sigma_b * generator.standard_normal(layer.fan_out)
            found.append(DenseSignal(layer.fan_in, squared_norm, float(np.mean(x**2))))
            jacobian = weights @ jacobian
            gram = weights @ gram @ weights.T + (squared_norm + layer.bias) * np.eye(layer.fan_out)
        else:
            slope = layer.function.derivative(x)
            found.append(ActivationSignal(float(np.mean(x**2)), fr.Empirical(slope**2)))
            x, jacobian, gram = layer.function.function(x), slope[:, None] * jacobian, slope[:, None] * gram * slope
    squares = np.linalg.svd(jacobian, compute_uv=False) ** 2
    squares = np.concatenate([np.zeros(jacobian.shape[0] - squares.size), np.sort(squares)])
    return fr.Signals(tuple(found), "realised"), squares, np.linalg.eigvalsh(gram)


def _weights(layer: Dense, generator: np.random.Generator) -> np.ndarray:
    shape = (layer.fan_out, layer.fan_in)
    if not isinstance(layer.weights, Haar):
        return layer.weights.sigma_w / np.sqrt(layer.fan_in) * generator.standard_normal(shape)
    return layer.weights.sigma_w * haar(*shape, generator)


def compare(predicted: fr.Prediction, eigenvalues: np.ndarray, method: str = "exact") -> Comparison:
    """A comparison as the torch room makes it."""
    measured = fr.Measurement(eigenvalues, fr.Empirical(eigenvalues), method, 0.01)
    return Comparison(predicted, measured, wasserstein(predicted.law, eigenvalues))


def analysis_of(network: fr.Network, qhat0: float, seed: int = 0, title: str = "a network") -> Analysis:
    """An analysis of one simulated network, with realised signals."""
    found, squares, gram = simulate(network, qhat0, seed)
    top = float(gram[-1])
    return Analysis(
        title=title,
        layers=LayerTable(),
        chain=tuple(_rows(network, found)),
        jacobian=compare(fr.predict_jacobian(network, realised=found), squares, "singular values of J"),
        fisher=compare(fr.predict_fisher(network, realised=found), gram, "dual Gram matrix"),
        learning_rate=Rate(
            recommended=0.7 / top, bound=2 / top, sharpness=top, theory_bound=2.1 / top, batch=64,
            reason="Start well below 2/λ.", loss="half_squared_error", optimizer="sgd",
            details=(f"Gradient descent stops contracting above 2/λ = {2 / top:.3g}.",),
        ),
        verdict=Verdict(
            "critical", True, ("The network is critical.", "It is isometric."), ("Keep this initialisation.",), (), "isometric"
        ),
        uncovered=(),
        parameters=sum(layer.fan_in * layer.fan_out for layer in network.dense),
        data="Gaussian noise",
        sample=0,
        seed=seed,
        dtype="float64",
    )  # fmt: skip


def _rows(network: fr.Network, found: fr.Signals):
    for index, (layer, signal) in enumerate(zip(network.layers, found.layers, strict=True)):
        if not isinstance(layer, Dense) or not isinstance(signal, DenseSignal):
            continue
        following = found.layers[index + 1] if index + 1 < len(found.layers) else None
        named = network.layers[index + 1] if index + 1 < len(found.layers) else None
        active = isinstance(following, ActivationSignal)
        yield LayerRow(
            index=index // 2 + 1,
            name=layer.name,
            fan_in=layer.fan_in,
            fan_out=layer.fan_out,
            weights=type(layer.weights).__name__,
            sigma_w=layer.weights.sigma_w,
            sigma_b=layer.sigma_b,
            qhat=signal.qhat,
            q=signal.q,
            activation=named.function.name if active else None,
            chi=layer.weights.sigma_w**2 * following.mu1 if active else None,
            delta=following.delta if active else None,
            atoms=tuple(a for a in following.derivative_law.atoms if a.mass >= 0.01) if active else (),
        )


HARDTANH = {"activation": "hardtanh", "weights": "haar", "sigma_w": 1.02601**0.5, "sigma_b": 0.00405**0.5}


@cache
def hardtanh(width: int = 120, depth: int = 10, outputs: int | None = None, seed: int = 0) -> Analysis:
    """Critical hard-tanh Haar at q* = .2: few atoms, one of them at the top."""
    network = fr.mlp(depth, [width] * depth + [outputs or width], **HARDTANH)
    return analysis_of(network, 0.191, seed, f"hard-tanh, {depth} layers of width {width}, {outputs or width} outputs")


@cache
def relu(width: int = 120, depth: int = 20, seed: int = 0) -> Analysis:
    """Critical ReLU: a long tail and an atom at zero in JJᵀ."""
    network = fr.mlp(depth, width, "relu", "gaussian", sigma_w=2**0.5)
    return analysis_of(network, 1.0, seed, f"ReLU, {depth} layers of width {width}")


@cache
def tanh(width: int = 120, depth: int = 5, seed: int = 0) -> Analysis:
    """Gaussian tanh: no atoms."""
    network = fr.mlp(depth, width, "tanh", "gaussian", sigma_w=1.68798**0.5, sigma_b=0.03804**0.5)
    return analysis_of(network, 0.5, seed, f"tanh, Gaussian weights, {depth} layers of width {width}")
