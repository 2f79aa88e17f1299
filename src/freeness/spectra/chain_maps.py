"""The list of maps by which a chain takes the moments of its signals forward: what its moves are for what comes back.

With K = E x·x'/N of two inputs, or of one and itself: weights take K to gain·K + σ_b², an activation to E φ(u)φ(v) over
Gaussians of variance q and covariance K.

Source: Poole et al. (2016); theory.md §2.
"""

from __future__ import annotations

from dataclasses import dataclass

from freeness.meanfield import DenseSignal, Signals, variance_gain
from freeness.network import Activation, ActivationFunction, Dense, Network


@dataclass(frozen=True)
class Mixing:
    """Weights and biases: K ← gain·K + added, with added = σ_b². Of one input q̂ becomes q."""

    gain: float
    added: float
    qhat: float
    q: float


@dataclass(frozen=True)
class Bending:
    """An activation at variance q: K ← E φ(u)φ(v)."""

    function: ActivationFunction
    q: float


def maps_of(network: Network, found: Signals) -> tuple[Mixing | Bending, ...]:
    """One map a layer of a chain.

    Example:
        >>> from freeness.meanfield import signals
        >>> from freeness.network import mlp
        >>> net = mlp(2, 100, "relu", "gaussian", sigma_w=2**0.5)
        >>> [type(step).__name__ for step in maps_of(net, signals(net))]
        ['Mixing', 'Bending', 'Mixing']
    """
    maps: list[Mixing | Bending] = []
    for layer, signal in zip(network.chain(), found.layers, strict=True):
        if isinstance(layer, Dense) and isinstance(signal, DenseSignal):
            gain = variance_gain(layer.weights, layer.fan_in, layer.fan_out)
            maps.append(Mixing(gain, layer.sigma_b**2, signal.qhat, signal.q))
        elif isinstance(layer, Activation):
            maps.append(Bending(layer.function, signal.q))
    return tuple(maps)
