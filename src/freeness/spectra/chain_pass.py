"""One forward pass through a chain, neuron by neuron, as the signals that its moves are made of."""

from __future__ import annotations

import numpy as np

from freeness.errors import InputError
from freeness.laws import Empirical
from freeness.meanfield import ActivationSignal, DenseSignal, NeuronSignals, Signals, check_norm
from freeness.network import Activation, Network, ScaledIdentity
from freeness.spectra.graph import stratified


def is_diagonal(network: Network) -> bool:
    """Whether the network is a chain of square multiples of the identity and activations.

    Example:
        >>> from freeness.network import mlp
        >>> is_diagonal(mlp(3, 10, "tanh", "identity")), is_diagonal(mlp(3, 10, "tanh"))
        (True, False)
    """
    square = all(isinstance(d.weights, ScaledIdentity) and d.fan_in == d.fan_out for d in network.dense)
    return square and network.is_chain and network.depth > 0


def chain_signals(network: Network, neurons: NeuronSignals) -> Signals:
    """Norms and laws of D² of one forward pass through a chain, for the moves of one curve.

    Where nothing mixes neurons, D² is also kept neuron by neuron.

    Example:
        >>> from freeness.network import mlp
        >>> net = mlp(2, 2, "relu", "identity")
        >>> found = chain_signals(net, NeuronSignals(np.array([2.0, -1.0]), (np.array([2.0, -1.0]), np.array([2.0, 0.0]))))
        >>> found.layers[1].squares
        array([1., 0.])
    """
    x, outputs = np.asarray(neurons.inputs, dtype=float).ravel(), iter(neurons.preactivations)
    apart = is_diagonal(network)
    found: list[DenseSignal | ActivationSignal] = []
    for layer in network.chain():
        q = float(np.mean(x**2))
        if isinstance(layer, Activation):
            squares = layer.function.derivative(x) ** 2
            found.append(ActivationSignal(q, Empirical(squares), squares if apart else None))
            x = layer.function.function(x)
        else:
            h = np.asarray(next(outputs, np.empty(0)), dtype=float).ravel()
            if (x.size, h.size) != (layer.fan_in, layer.fan_out) or not (np.isfinite(h).all() and np.isfinite(x).all()):
                raise InputError(
                    f"expected finite signals of {layer.fan_in} and {layer.fan_out} neurons, got {x.size} and {h.size}; take "
                    "those of this very network."
                )
            found.append(DenseSignal(layer.fan_in, float(x @ x), float(np.mean(h**2))))
            x = h
    return Signals(tuple(found), "realised", neurons)


def diagonal_pass(network: Network, qhat0: float) -> NeuronSignals:
    """A Gaussian input, and biases where there are some, through a network in which nothing mixes neurons (:func:`is_diagonal`).

    Example:
        >>> from freeness.network import mlp
        >>> found = diagonal_pass(mlp(2, 10, "linear", "identity", sigma_w=2.0), 1.0)
        >>> bool(np.allclose(found.preactivations[1], 4 * found.inputs))
        True
    """
    check_norm(qhat0)
    rng = np.random.default_rng(0)
    inputs = x = np.sqrt(qhat0) * stratified(network.dense[0].fan_in, rng)
    found: list[np.ndarray] = []
    for layer in network.chain():
        if isinstance(layer, Activation):
            x = layer.function.function(x)
        else:
            x = layer.weights.sigma_w * x + layer.sigma_b * (stratified(x.size, rng) if layer.sigma_b else 0.0)
            found.append(x)
    return NeuronSignals(inputs, tuple(found))
