"""The variance map: how the size of the signal goes from layer to layer."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from freeness.errors import InputError
from freeness.gaussian import derivative_law, second_moment
from freeness.meanfield.signals import ActivationSignal, DenseSignal, Signals
from freeness.network import Activation, Dense, Gaussian, Haar, Measured, Network, ScaledIdentity


@singledispatch
def variance_gain(weights: object, fan_in: int, fan_out: int) -> float:
    """E‖Wx‖²/fan_out over ‖x‖²/fan_in: the factor from q̂ to q. Register a function here for a new ensemble."""
    raise InputError(f"expected a known weight ensemble, got {weights!r}; register variance_gain for it.")


@variance_gain.register
def _(weights: Gaussian, fan_in: int, fan_out: int) -> float:
    return weights.sigma_w**2


@variance_gain.register
def _(weights: Measured, fan_in: int, fan_out: int) -> float:
    return weights.sigma_w**2


@variance_gain.register(Haar)
@variance_gain.register(ScaledIdentity)
def _(weights: Haar | ScaledIdentity, fan_in: int, fan_out: int) -> float:
    """‖Qx‖ = ‖x‖ where Q expands, so the mean square falls by fan_in/fan_out (theory.md §0)."""
    return weights.sigma_w**2 * min(1.0, fan_in / fan_out)


def signals(network: Network, qhat0: float = 1.0) -> Signals:
    """Mean-field signals of an architecture: q, q̂ and the law of D² at every layer.

    Args:
        network: the record of the network.
        qhat0: ‖x⁰‖²/N_0 of the input.

    Assumes wide layers, so that pre-activations are Gaussian (Poole et al. 2016). One finite network wanders from this by
    O(√(L/N)); use realised signals for it.

    Example:
        >>> from freeness.network import mlp
        >>> [round(s.q, 6) for s in signals(mlp(3, 100, "relu", "gaussian", sigma_w=2**0.5)).layers]
        [2.0, 2.0, 2.0, 2.0, 2.0]
    """
    if not (np.isfinite(qhat0) and qhat0 > 0):
        raise InputError(f"expected qhat0 = ‖x⁰‖²/N_0 > 0, got {qhat0}; the input must not vanish.")
    qhat, q = float(qhat0), float(qhat0)
    found: list[DenseSignal | ActivationSignal] = []
    for layer in network.chain():
        if isinstance(layer, Dense):
            q = variance_gain(layer.weights, layer.fan_in, layer.fan_out) * qhat + layer.sigma_b**2
            found.append(DenseSignal(layer.fan_in, qhat * layer.fan_in, q))
            qhat = q
        else:
            found.append(_activation_signal(layer, q))
            qhat = q = second_moment(layer.function, q).value
    return Signals(tuple(found), "mean-field")


def _activation_signal(layer: Activation, q: float) -> ActivationSignal:
    return ActivationSignal(q, derivative_law(layer.function, q))
