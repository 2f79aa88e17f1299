"""The variance map: how the size of the signal goes from layer to layer."""

from __future__ import annotations

from freeness.gaussian import derivative_law, second_moment
from freeness.meanfield.signal_records import ActivationSignal, DenseSignal, Signals, check_norm
from freeness.network import Dense, Network, variance_gain


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
    check_norm(qhat0)
    qhat, q = float(qhat0), float(qhat0)
    found: list[DenseSignal | ActivationSignal] = []
    for layer in network.chain():
        if isinstance(layer, Dense):
            q = variance_gain(layer.weights, layer.fan_in, layer.fan_out) * qhat + layer.sigma_b**2
            found.append(DenseSignal(layer.fan_in, qhat * layer.fan_in, q))
            qhat = q
        else:
            found.append(ActivationSignal(q, derivative_law(layer.function, q)))
            qhat = q = second_moment(layer.function, q).value
    return Signals(tuple(found), "mean-field")
