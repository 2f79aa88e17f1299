"""The spectra of one drawn network, operation by operation, without a framework: what predictions are laid beside.

Forward every operation says its output, the Jacobian of that by each of its inputs, and the Gram matrix G of the gradients of its
own parameters. Backward C = ∂f/∂x is added up over the readers of x; JJᵀ is CCᵀ at the input, and Θ = J_θJ_θᵀ the sum of C·G·Cᵀ.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from freeness.errors import InputError
from freeness.laws.sampling import haar_orthogonal
from freeness.network import INPUT, Activation, Convolution, Dense, Ensemble, Gaussian, Haar, Network, Operation, Sum

Drawn = tuple[np.ndarray, tuple[np.ndarray, ...], np.ndarray | None]


def drawn_spectrum(network: Network, x: np.ndarray, rng: np.random.Generator, *, fisher: bool) -> np.ndarray:
    """Eigenvalues of JJᵀ, or of Θ, of one network that is drawn from its ensembles, at one input; ascending.

    Args:
        network: of fully connected layers, circular convolutions of stride 1 in one dimension, activations and sums.
        x: the input, (N_0,) or (channels, positions).
        rng: a numpy Generator.
        fisher: Θ in place of JJᵀ.

    Raises:
        InputError: a layer of another kind.

    Example:
        >>> from freeness.network import mlp
        >>> rng = np.random.default_rng(0)
        >>> drawn_spectrum(mlp(3, 4, "linear"), np.ones(4), rng, fisher=True).round(9).tolist()
        [12.0, 12.0, 12.0, 12.0]
    """
    values, found = {INPUT: np.asarray(x, dtype=float)}, []
    for node in network.nodes:
        value, jacobians, own = _drawn(node.operation, tuple(values[name] for name in node.inputs), rng)
        values[node.name] = value
        found.append((node, jacobians, own))
    size = values[network.nodes[-1].name].size
    backward = {network.nodes[-1].name: np.eye(size)}
    dual = np.zeros((size, size))
    for node, jacobians, own in reversed(found):
        cotangent = backward.pop(node.name)
        if own is not None:
            dual += cotangent @ own @ cotangent.T
        for name, jacobian in zip(node.inputs, jacobians, strict=True):
            passed = cotangent * jacobian if jacobian.ndim == 1 else cotangent @ jacobian
            backward[name] = backward[name] + passed if name in backward else passed
    return np.linalg.eigvalsh(dual if fisher else backward[INPUT] @ backward[INPUT].T)


@singledispatch
def _drawn(layer: Operation, inputs: tuple[np.ndarray, ...], rng: np.random.Generator) -> Drawn:
    """Output, Jacobian by each input (its diagonal where it is one), and G where there are parameters."""
    raise InputError(
        f"expected dense layers, circular convolutions, activations and sums to draw, got {type(layer).__name__}; leave it out, "
        "or measure a model of it by freeness analyze."
    )


@_drawn.register
def _(layer: Dense, inputs: tuple[np.ndarray, ...], rng: np.random.Generator) -> Drawn:
    (x,) = inputs
    weights = _matrix(layer.weights, layer.fan_out, layer.fan_in, rng)
    biases = layer.sigma_b * rng.standard_normal(layer.fan_out)
    return weights @ x + biases, (weights,), (x @ x + layer.bias) * np.eye(layer.fan_out)


@_drawn.register
def _(layer: Activation, inputs: tuple[np.ndarray, ...], rng: np.random.Generator) -> Drawn:
    (x,) = inputs
    return layer.function.function(x), (layer.function.derivative(x).ravel(),), None


@_drawn.register
def _(layer: Sum, inputs: tuple[np.ndarray, ...], rng: np.random.Generator) -> Drawn:
    value = np.sum([scale * x for scale, x in zip(layer.scales, inputs, strict=True)], axis=0)
    return value, tuple(np.full(value.size, scale) for scale in layer.scales), None


@_drawn.register
def _(layer: Convolution, inputs: tuple[np.ndarray, ...], rng: np.random.Generator) -> Drawn:
    """Channels are the slow index of the flattened signal, positions the quick one; a tap is a shift of the circle."""
    if len(layer.kernel) != 1 or layer.padding != "circular" or layer.stride != 1:
        raise InputError(
            "expected a circular convolution of stride 1 in one dimension, got another; measure a model of it."
        )
    (x,) = inputs
    taps, positions = layer.kernel[0], x.shape[-1]
    jacobian = np.zeros((layer.channels_out * positions, layer.channels_in * positions))
    gram = np.full((positions, positions), float(layer.bias))
    for tap in range(taps):
        if isinstance(layer.weights, Haar):
            centre = _matrix(layer.weights, layer.channels_out, layer.channels_in, rng) if tap == taps // 2 else None
            weights = np.zeros((layer.channels_out, layer.channels_in)) if centre is None else centre
        else:
            weights = _matrix(layer.weights, layer.channels_out, layer.channels_in, rng) / np.sqrt(taps)
        shift = np.roll(np.eye(positions), tap - taps // 2, axis=1)
        jacobian += np.kron(weights, shift)
        seen = x @ shift.T
        gram += seen.T @ seen
    biases = layer.sigma_b * rng.standard_normal(layer.channels_out)
    value = (jacobian @ x.ravel()).reshape(layer.channels_out, positions) + biases[:, None]
    return value, (jacobian,), np.kron(np.eye(layer.channels_out), gram)


def _matrix(weights: Ensemble, rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    if isinstance(weights, Gaussian):
        return weights.sigma_w / np.sqrt(columns) * rng.standard_normal((rows, columns))
    if isinstance(weights, Haar):
        return weights.sigma_w * haar_orthogonal(max(rows, columns), rng)[:rows, :columns]
    raise InputError(f"expected Gaussian or Haar weights to draw, got {type(weights).__name__}; choose one of these.")
