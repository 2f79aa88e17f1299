"""The spectra of one drawn network, layer by layer, without a framework: what predictions are laid beside.

Every layer is the triple (its output f(x), its Jacobian B, the dual Θ = J_θJ_θᵀ of its own parameters). Layers in a row
compose: x ↦ g(f(x)) has the Jacobian C·B and the dual C·Θ_f·Cᵀ + Θ_g.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch

import numpy as np

from freeness.errors import InputError
from freeness.laws.sampling import haar_orthogonal
from freeness.network import Activation, Convolution, Dense, Ensemble, Gaussian, Haar, Layer, Network, Residual

State = tuple[np.ndarray, np.ndarray, np.ndarray]


def drawn_spectrum(network: Network, x: np.ndarray, rng: np.random.Generator, *, fisher: bool) -> np.ndarray:
    """Eigenvalues of JJᵀ, or of Θ, of one network that is drawn from its ensembles, at one input; ascending.

    Args:
        network: of fully connected layers, circular convolutions of stride 1 in one dimension, activations and residuals.
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
    _, jacobian, dual = _composed(network.layers, np.asarray(x, dtype=float), rng)
    return np.linalg.eigvalsh(dual if fisher else jacobian @ jacobian.T)


def _composed(layers: Iterable[Layer], x: np.ndarray, rng: np.random.Generator) -> State:
    jacobian, dual = np.eye(x.size), np.zeros((x.size, x.size))
    for layer in layers:
        x, following, own = _drawn(layer, x, rng)
        diagonal = following.ndim == 1  # of an activation
        jacobian = following[:, None] * jacobian if diagonal else following @ jacobian
        dual = following[:, None] * dual * following if diagonal else following @ dual @ following.T
        dual = dual + own
    return x, jacobian, dual


@singledispatch
def _drawn(layer: Layer, x: np.ndarray, rng: np.random.Generator) -> State:
    """Output, Jacobian (its diagonal where it is one) and own dual of one layer."""
    raise InputError(
        f"expected dense layers, circular convolutions, activations and residuals to draw, got {type(layer).__name__}; leave it "
        "out, or measure a model of it by freeness analyze."
    )


@_drawn.register
def _(layer: Dense, x: np.ndarray, rng: np.random.Generator) -> State:
    weights = _matrix(layer.weights, layer.fan_out, layer.fan_in, rng)
    biases = layer.sigma_b * rng.standard_normal(layer.fan_out)
    return weights @ x + biases, weights, (x @ x + layer.bias) * np.eye(layer.fan_out)


@_drawn.register
def _(layer: Activation, x: np.ndarray, rng: np.random.Generator) -> State:
    return layer.function.function(x), layer.function.derivative(x).ravel(), np.zeros(())


@_drawn.register
def _(layer: Residual, x: np.ndarray, rng: np.random.Generator) -> State:
    value, jacobian, dual = _composed(layer.branch, x, rng)
    return (
        layer.skip * x + layer.scale * value,
        layer.skip * np.eye(x.size) + layer.scale * jacobian,
        layer.scale**2 * dual,
    )


@_drawn.register
def _(layer: Convolution, x: np.ndarray, rng: np.random.Generator) -> State:
    """Channels are the slow index of the flattened signal, positions the quick one; a tap is a shift of the circle."""
    if len(layer.kernel) != 1 or layer.padding != "circular" or layer.stride != 1:
        raise InputError(
            "expected a circular convolution of stride 1 in one dimension, got another; measure a model of it."
        )
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
    return value, jacobian, np.kron(np.eye(layer.channels_out), gram)


def _matrix(weights: Ensemble, rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    if isinstance(weights, Gaussian):
        return weights.sigma_w / np.sqrt(columns) * rng.standard_normal((rows, columns))
    if isinstance(weights, Haar):
        return weights.sigma_w * haar_orthogonal(max(rows, columns), rng)[:rows, :columns]
    raise InputError(f"expected Gaussian or Haar weights to draw, got {type(weights).__name__}; choose one of these.")
