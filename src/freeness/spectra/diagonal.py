"""Identity-initialised chains: nothing mixes, so JJᵀ and the Fisher dual are diagonal and known neuron by neuron.

Freeness fails there (the D's of all layers belong to the same neuron), and is not needed: with W_l = s_l·1 the entry of neuron i
is ∏ s_l²φ'(h_i^l)², of the dual Σ_l (‖x^{l-1}‖² + [bias]) ∏_{k>l} s_k²φ'(h_i^{k-1})².

Source: theory.md §4.
"""

from __future__ import annotations

import numpy as np

from freeness.errors import InputError
from freeness.laws import Empirical, Law
from freeness.network import Activation, Network, ScaledIdentity
from freeness.spectra.graph import NeuronSignals, stratified


def is_diagonal(network: Network) -> bool:
    """Whether the network is a chain of square multiples of the identity and activations.

    Example:
        >>> from freeness.network import mlp
        >>> is_diagonal(mlp(3, 10, "tanh", "identity")), is_diagonal(mlp(3, 10, "tanh"))
        (True, False)
    """
    square = all(isinstance(d.weights, ScaledIdentity) and d.fan_in == d.fan_out for d in network.dense)
    return square and network.is_chain and network.depth > 0


def diagonal_law(
    network: Network, qhat0: float = 1.0, *, realised: NeuronSignals | None = None, fisher: bool = False
) -> Law:
    """The law of JJᵀ or of Θ of such a network, exact for the input.

    Args:
        network: see :func:`is_diagonal`.
        qhat0: ‖x⁰‖²/N_0 of a Gaussian input; not used with ``realised``.
        realised: the input, and the outputs of every weight layer, of one forward pass.
        fisher: Θ instead of JJᵀ.

    Raises:
        InputError: signals of another network, or an input without a norm.

    Example:
        >>> from freeness.network import mlp
        >>> round(diagonal_law(mlp(3, 10, "linear", "identity", sigma_w=2.0)).mean, 9)  # 2⁶
        64.0
    """
    rng = np.random.default_rng(0)
    width = network.dense[0].fan_in
    if realised is None and not (np.isfinite(qhat0) and qhat0 > 0):
        raise InputError(f"expected qhat0 = ‖x⁰‖²/N_0 > 0, got {qhat0}; the input must not vanish.")
    x = np.sqrt(qhat0) * stratified(width, rng) if realised is None else np.asarray(realised.inputs, float).ravel()
    given = None if realised is None else iter(realised.preactivations)
    squares, theta = np.ones(width), np.zeros(width)
    for layer in network.chain():
        if isinstance(layer, Activation):
            slopes = layer.function.derivative(x) ** 2
            squares, theta, x = squares * slopes, theta * slopes, layer.function.function(x)
            continue
        gain = layer.weights.sigma_w
        if given is None:
            h = gain * x + layer.sigma_b * (stratified(width, rng) if layer.sigma_b else 0.0)
        else:
            h = np.asarray(next(given, np.empty(0)), float)
        if x.shape != (width,) or h.shape != (width,) or not (np.isfinite(h).all() and np.isfinite(x).all()):
            raise InputError(
                f"expected finite signals of {width} neurons, got {x.size} and {h.size}; take those of this very network."
            )
        squares, theta, x = gain**2 * squares, gain**2 * theta + float(x @ x) + layer.bias, h
    return Empirical(theta if fisher else squares)
