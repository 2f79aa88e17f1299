"""Predictions: a law together with its top, its assumptions and the error to expect at finite width."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Num

from freeness.errors import FreenessError
from freeness.laws import Law
from freeness.meanfield import Signals
from freeness.network import Gaussian, Haar, Measured, Network, TokenMixing
from freeness.operators import GraphLaw, HeadsPart, WiredEquation, WiredLaw
from freeness.spectra.backward import Question, law_asked
from freeness.spectra.graph import CHANNELS, NEURONS, NetworkGraph, NeuronSignals, network_graph
from freeness.spectra.graph_builder import Parametrisation
from freeness.spectra.graph_spectrum import graph_law
from freeness.spectra.mixing import mixes_tokens
from freeness.spectra.outlying import outliers
from freeness.spectra.records import UNSEEN, Prediction, TopEigenvalue

_Singles = tuple[tuple[float, ...], tuple[str, ...]]  # eigenvalues outside the law, and where they were not looked for
_METHOD = "deterministic equivalent of the network's graph"
_NEGLIGIBLE = 1e-6
_WEIGHTS = {
    Haar: "weights are Haar-distributed (semi-)orthogonal matrices",
    Gaussian: "weights have independent entries of equal variance",
    Measured: "weights with measured singular values, assumed bi-invariant (their singular vectors are random)",
}


def predict_jacobian(
    network: Network,
    qhat0: float = 1.0,
    *,
    realised: Signals | NeuronSignals | None = None,
    samples: Num[np.ndarray, "samples features *positions"] | None = None,
) -> Prediction:
    """:func:`jacobian_law` as a prediction.

    Example:
        >>> from freeness.network import mlp
        >>> predict_jacobian(mlp(4, 100, "relu", sigma_w=2**0.5)).edge.kind
        'edge'
    """
    return _predicted(Question(network, qhat0, realised, samples, None))


def predict_fisher(
    network: Network,
    qhat0: float = 1.0,
    *,
    realised: Signals | NeuronSignals | None = None,
    samples: Num[np.ndarray, "samples features *positions"] | None = None,
    parametrisation: Parametrisation = "standard",
) -> Prediction:
    """:func:`fisher_law` as a prediction.

    Example:
        >>> from freeness.network import mlp
        >>> predict_fisher(mlp(4, 100, "hardtanh"), qhat0=0.1).edge.kind
        'atom'
    """
    return _predicted(Question(network, qhat0, realised, samples, parametrisation))


def _predicted(question: Question) -> Prediction:
    network, fisher = question.network, question.fisher is not None
    match question.way:
        case "diagonal":
            return _of_neurons(question)
        case "chain":
            found = question.chain
            law = law_asked(question._replace(realised=found))
            method = "Fisher recursion as moves of one curve" if fisher else "S-transforms multiplied layer by layer"
            return _prediction(law, network, found, method, _singles(network, question.qhat0, found, question.fisher))
        case "graph":
            equation, realised = question.graph_or_wires(), question.realised is not None
            if isinstance(equation, NetworkGraph):
                return _of_graph(network, equation, realised)
            return _of_wires(network, equation, realised)


def _singles(network: Network, qhat0: float, found: Signals, fisher: Parametrisation | None) -> _Singles:
    """Of a chain, looked for in its graph, by the neurons of its signals or by some that are drawn."""
    if found.source == "realised" and found.neurons is None:
        return (), (f"{UNSEEN} without the signals of every neuron",)
    return _outside(lambda: network_graph(network, qhat0, realised=found.neurons, fisher=fisher or False), None)


def _outside(graph_of: Callable[[], NetworkGraph], law: GraphLaw | None) -> _Singles:
    """A law that is known already is not lost where they cannot be looked for."""
    try:
        graph = graph_of()
        return outliers(graph, law), (() if graph.unseen is None else (f"{UNSEEN} {graph.unseen}",))
    except FreenessError as error:
        return (), (f"{UNSEEN} here: {error}",)


def _prediction(law: Law, network: Network, found: Signals, method: str, singles: _Singles) -> Prediction:
    outputs = network.dense[-1].fan_out
    width = min(network.widths[1:-1] or (outputs,))
    error = _mean_error(law, outputs, None if found.source == "realised" else (network.depth, width))
    variance = law.variance * few_outputs_factor(network)
    values, notes = singles
    assumptions = (*_assumptions(network, found), *notes)
    return Prediction(law, top_eigenvalue(law), assumptions, method, error, variance, values, outputs)


def _of_neurons(question: Question) -> Prediction:
    network, realised, law = question.network, question.realised, law_asked(question)
    seen = "one forward pass of this network" if realised is not None else "a Gaussian input"
    assumptions = (f"weights are multiples of the identity; every neuron by itself, signals of {seen}",)
    scatter = np.sqrt(law.variance / network.dense[0].fan_in) / law.mean if realised is None and law.mean > 0 else 0.0
    method = "exact diagonal of an identity-initialised network"
    outputs = network.dense[-1].fan_out
    return Prediction(law, top_eigenvalue(law), assumptions, method, float(scatter), law.variance, outputs=outputs)


def _of_graph(network: Network, graph: NetworkGraph, realised: bool) -> Prediction:
    law = graph_law(graph)
    kinds = {type(layer.weights) for layer in network.weights}
    weights = tuple(text for kind, text in _WEIGHTS.items() if kind in kinds)
    seen = "signals of every neuron taken from one forward pass of this network"
    most = f"{NEURONS} neurons a layer" if graph.plain is not None else f"{CHANNELS} channels a layer"
    drawn = f"signals of at most {most} drawn from the mean field (wide layers)"
    assumptions = (
        *weights,
        "weights are independent of the neurons' derivatives, which may be correlated over depth (wide layers)",
        seen if realised else drawn,
    )
    if mixes_tokens(network):
        assumptions += (
            "weights over tokens and over channels are free from one another, though they commute: an approximation (2–4 % of "
            "the Cauchy transform; the upper end may lie 25 % low)",
        )
    values, notes = _outside(lambda: graph, law)
    assumptions += notes
    error = _mean_error(law, graph.outputs, None if realised else _size(network))
    return Prediction(law, top_eigenvalue(law), assumptions, _METHOD, error, law.variance, values, graph.outputs)


def _of_wires(network: Network, equation: WiredEquation, realised: bool) -> Prediction:
    law = WiredLaw(equation)
    edge = top_eigenvalue(law)
    seen = "one forward pass of this network" if realised else "a forward pass with fresh weights in every layer"
    assumptions = (
        _WEIGHTS[Gaussian],
        f"what lies between weights over channels (derivatives, softmax and token weights, norms) is given, from {seen}",
        "weights are free from these maps (wide layers, few positions)",
        f"{UNSEEN} in networks followed wire by wire",
        *_spread_directions(equation),
        *_of_gradients(network, equation),
        *_of_channels(network),
    )
    error = _mean_error(law, equation.outputs, None if realised else _size(network))
    return Prediction(law, edge, assumptions, _METHOD, error, law.variance, outputs=equation.outputs)


def _size(network: Network) -> tuple[int, int]:
    """Depth and least width."""
    return network.depth, min(layer.sizes[1] for layer in network.weights)


def _mean_error(law: Law, outputs: int, drawn: tuple[int, int] | None) -> float:
    """Relative error of the law's mean for one network; ``drawn``: depth and width where signals are of the mean field.

    τ over C outputs of a Haar-rotated matrix scatters with variance 2·Var(law)/C² about the law's mean; a mean field also misses
    the random walk of q, which grows like √(L/N).
    """
    scatter = np.sqrt(2 * law.variance) / (outputs * law.mean)
    wander = np.sqrt(drawn[0] / drawn[1]) if drawn is not None else 0.0
    return float(np.hypot(scatter, wander))


def _of_gradients(network: Network, equation: WiredEquation) -> tuple[str, ...]:
    """What Θ takes of gradients of weights over tokens."""
    fisher = any(matrix.accumulated is not None for matrix in equation.matrices)
    if not (fisher and mixes_tokens(network)):
        return ()
    return ("gradients of weights over tokens point in random directions over channels",)


def _of_channels(network: Network) -> tuple[str, ...]:
    """How far one Mixer of so many channels is from the limit: .3 to 1 over channels, in 10 that were drawn of 24 to 96."""
    if not mixes_tokens(network):
        return ()
    channels = min(layer.sizes[1] for layer in network.weights if not isinstance(layer, TokenMixing))
    return (f"the distribution function of one network of {channels} channels is off by up to {1 / channels:.2g}",)


def _spread_directions(equation: WiredEquation) -> tuple[str, ...]:
    """What was left out of the softmax derivative, if anything."""
    lost = max((part.lost for part in equation.parts if isinstance(part, HeadsPart)), default=0.0)
    if lost < _NEGLIGIBLE:
        return ()
    return (f"{lost:.1%} of the softmax derivative's squares are spread over all directions of a head",)


def few_outputs_factor(network: Network) -> float:
    """Mean variance of the C eigenvalues of one real network over that of the limit law.

    The last layer shows C random directions of an N×N matrix. A traceless H with τ(H²) = 1 has, in a Haar-random real basis,
    Var H_11 = d = 2/(N+2), Var H_12 = N/((N-1)(N+2)) and Cov(H_11, H_22) = -d/(N-1) (from Σ H_ii = 0 and Σ H_ij² = N), so
    the C×C corner has mean within-variance d + (C-1)·Var H_12 - d/C + (C-1)d/(C(N-1)), to be compared with C/N in the limit.
    Independent entries give 1 + 1/C - 2/C². Derived for this project; tested by simulation.

    Example:
        >>> from freeness.network import mlp
        >>> round(few_outputs_factor(mlp(2, [100, 100, 10])), 3), few_outputs_factor(mlp(2, 100))
        (1.07, 1.0)
    """
    last = network.dense[-1]
    c, n = last.fan_out, last.fan_in
    if c == 1:
        return 0.0
    if n == 1 or (isinstance(last.weights, Haar) and c > n):
        return 1.0
    if not isinstance(last.weights, Haar):
        return 1 + 1 / c - 2 / c**2
    diagonal = 2 / (n + 2)
    within = diagonal * (1 - 1 / c) + (c - 1) * n / ((n - 1) * (n + 2)) + (c - 1) * diagonal / (c * (n - 1))
    return within * n / c


def top_eigenvalue(law: Law) -> TopEigenvalue:
    """The right end of the support, and whether an atom sits there."""
    value = law.upper_end
    mass = sum(atom.mass for atom in law.atoms if atom.position == value)
    return TopEigenvalue(float(value), "atom" if mass > 0 else "edge", float(mass))


def _assumptions(network: Network, found: Signals) -> tuple[str, ...]:
    kinds = {type(layer.weights) for layer in network.dense}
    weights = tuple(text for kind, text in _WEIGHTS.items() if kind in kinds)
    signal = {
        "mean-field": "pre-activations are Gaussian (wide layers, mean field)",
        "realised": "signals and φ'(h)² taken from one forward pass of this network",
    }[found.source]
    freeness = "weights and activation derivatives of different layers are asymptotically free (wide layers)"
    return (*weights, freeness, signal)
