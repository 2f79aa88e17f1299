"""Predictions: a law together with its top, its assumptions and the error to expect at finite width."""

from __future__ import annotations

import numpy as np

from freeness.laws import Law
from freeness.meanfield import Signals, signals
from freeness.network import Haar, Measured, Network
from freeness.network.ensembles import Gaussian
from freeness.spectra.backward import fisher_law, jacobian_law
from freeness.spectra.records import Prediction, TopEigenvalue


def predict_jacobian(network: Network, qhat0: float = 1.0, *, realised: Signals | None = None) -> Prediction:
    """:func:`jacobian_law` as a prediction.

    Example:
        >>> from freeness.network import mlp
        >>> predict_jacobian(mlp(4, 100, "relu", sigma_w=2**0.5)).edge.kind
        'edge'
    """
    found = realised or signals(network, qhat0)
    return _prediction(jacobian_law(network, realised=found), network, found, "S-transforms multiplied layer by layer")


def predict_fisher(network: Network, qhat0: float = 1.0, *, realised: Signals | None = None) -> Prediction:
    """:func:`fisher_law` as a prediction.

    Example:
        >>> from freeness.network import mlp
        >>> predict_fisher(mlp(4, 100, "hardtanh"), qhat0=0.1).edge.kind
        'atom'
    """
    found = realised or signals(network, qhat0)
    return _prediction(fisher_law(network, realised=found), network, found, "Fisher recursion as moves of one curve")


def _prediction(law: Law, network: Network, found: Signals, method: str) -> Prediction:
    outputs = network.dense[-1].fan_out
    # τ over C outputs of a Haar-rotated matrix scatters with variance 2·Var(law)/C² about the law's mean; a mean field
    # also misses the random walk of q, which grows like √(L/N)
    scatter = np.sqrt(2 * law.variance) / (outputs * law.mean)
    wander = np.sqrt(network.depth / min(network.widths[1:-1] or (outputs,))) if found.source == "mean-field" else 0.0
    return Prediction(law, top_eigenvalue(law), _assumptions(network, found), method, float(np.hypot(scatter, wander)))


def top_eigenvalue(law: Law) -> TopEigenvalue:
    """The right end of the support, and whether an atom sits there."""
    value = law.hull[1]
    mass = sum(atom.mass for atom in law.atoms if atom.position == value)
    return TopEigenvalue(float(value), "atom" if mass > 0 else "edge", float(mass))


def _assumptions(network: Network, found: Signals) -> tuple[str, ...]:
    kinds = {type(layer.weights) for layer in network.dense}
    texts = {
        Haar: "weights are Haar-distributed (semi-)orthogonal matrices",
        Gaussian: "weights have independent entries of equal variance",
        Measured: "weights with measured singular values, assumed bi-invariant (their singular vectors are random)",
    }
    weights = tuple(text for kind, text in texts.items() if kind in kinds)
    signal = {
        "mean-field": "pre-activations are Gaussian (wide layers, mean field)",
        "realised": "signals and φ'(h)² taken from one forward pass of this network",
    }[found.source]
    freeness = "weights and activation derivatives of different layers are asymptotically free (wide layers)"
    return (*weights, freeness, signal)
