"""Laws of the input–output Jacobian and of the one-sample Fisher dual of a feed-forward chain.

Of a chain both are one fold over the layers (theory.md §3): a weight matrix takes the law of H to that of W H Wᵀ, an
activation to that of D H D; the Fisher dual adds ‖x‖² (+1 for a trained bias) at every weight layer. Networks with skip
connections, normalisation or dropout are taken as graphs of random matrices (:mod:`freeness.spectra.graph`), identity-initialised
chains neuron by neuron (:mod:`freeness.spectra.diagonal`).

Sources: Pennington, Schoenholz, Ganguli (2017) for JJᵀ; Hayase, Karakida (AISTATS 2021) for the Fisher recursion; freeness
of the factors: Collins, Hayase (2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

import numpy as np

from freeness.calculus import free_power, free_product, resize, scale, shift
from freeness.errors import InputError
from freeness.laws import Empirical, FussCatalan, Law, MarchenkoPastur, PointMass, Projection
from freeness.laws.curve import CauchyCurve
from freeness.laws.curve_law import CurveLaw
from freeness.meanfield import ActivationSignal, DenseSignal, Signals, signals
from freeness.network import Activation, Dense, Gaussian, Haar, Measured, Network, ScaledIdentity
from freeness.spectra.diagonal import diagonal_law, is_diagonal
from freeness.spectra.graph import NetworkGraph, NeuronSignals, network_graph
from freeness.spectra.graph_builder import Parametrisation
from freeness.spectra.graph_spectrum import graph_law

_SETTLED = 1e-14  # relative difference of two variances that is rounding


@singledispatch
def gram_law(weights: object, fan_in: int, fan_out: int) -> Law:
    """Law of WᵀW in fan_in dimensions. Register a function here for a new, bi-invariant weight ensemble."""
    raise InputError(f"expected a known weight ensemble, got {weights!r}; register gram_law for it.")


@gram_law.register
def _(weights: Haar, fan_in: int, fan_out: int) -> Law:
    variance = weights.sigma_w**2
    return PointMass(variance) if fan_out >= fan_in else Projection(fan_out / fan_in, variance)


@gram_law.register
def _(weights: Gaussian, fan_in: int, fan_out: int) -> Law:
    return scale(MarchenkoPastur(fan_in / fan_out), weights.sigma_w**2 * fan_out / fan_in)


@gram_law.register
def _(weights: Measured, fan_in: int, fan_out: int) -> Law:
    squares = np.sort(weights.singular_values)[::-1] ** 2
    if not squares.any():
        raise InputError(
            "expected weights other than 0, got a zero matrix, behind which the spectrum is trivial; initialise it."
        )
    padded = np.zeros(fan_in)
    padded[: squares.size] = squares
    return Empirical(padded)


@gram_law.register
def _(weights: ScaledIdentity, fan_in: int, fan_out: int) -> Law:
    raise InputError(
        "expected weights that are free of the activations, got an identity matrix; D's at different depths are then "
        "correlated, so measure the spectrum instead."
    )


def weight_spread(weights: object, fan_in: int, fan_out: int) -> float:
    """Relative variance of the squared singular values of W, over the smaller of its two sides (-s₁ of theory.md §0).

    Example:
        >>> from freeness.network import Gaussian, Haar
        >>> weight_spread(Haar(2.0), 50, 100), round(weight_spread(Gaussian(1.0), 50, 100), 12)
        (0.0, 0.5)
    """
    if isinstance(weights, ScaledIdentity):
        return 0.0
    if isinstance(weights, Measured) and not weights.singular_values.any():
        return 0.0
    law = gram_law(weights, fan_in, fan_out)
    second = law.variance / law.mean**2 + 1
    return second * min(fan_in, fan_out) / fan_in - 1


def sandwich(law: Law, weights: object, fan_in: int, fan_out: int) -> Law:
    """Law of W X Wᵀ in fan_out dimensions, for X in fan_in dimensions free from the bi-invariant W (theory.md §1)."""
    return resize(free_product(law, gram_law(weights, fan_in, fan_out)), fan_in / fan_out)


def is_chain(network: Network, realised: Signals | NeuronSignals | None) -> bool:
    """Whether the moves of one curve cover the network, given what is known of its signals."""
    plain = all(isinstance(layer, (Dense, Activation)) for layer in network.layers)
    return plain and not isinstance(realised, NeuronSignals)


def graph_of(
    network: Network,
    qhat0: float,
    realised: Signals | NeuronSignals | None,
    samples: np.ndarray | None,
    fisher: Parametrisation | None,
) -> NetworkGraph:
    """The graph of a network, with the neurons of one forward pass or some drawn from the mean field."""
    if isinstance(realised, Signals):
        raise InputError(
            "expected signals neuron by neuron (NeuronSignals) of a network that is no chain, got laws of D²; D's of different "
            "layers are correlated there."
        )
    return network_graph(network, qhat0, samples=samples, realised=realised, fisher=fisher or False)


def jacobian_law(
    network: Network,
    qhat0: float = 1.0,
    *,
    realised: Signals | NeuronSignals | None = None,
    samples: np.ndarray | None = None,
) -> Law:
    """Law of JJᵀ, J = ∂f/∂x⁰, normalised over the outputs.

    Args:
        network: the record of the network.
        qhat0: ‖x⁰‖²/N_0; not used with ``realised``.
        realised: signals of one forward pass instead of the mean field; neuron by neuron, they are taken as a graph.
        samples: inputs (n, N₀) or (n, channels, *positions) instead of one of norm ``qhat0``: convolutions need them, several
            samples are taken together, n·outputs eigenvalues; as a graph.

    Example:
        >>> from freeness.network import mlp
        >>> jacobian_law(mlp(5, 100, "hardtanh"), qhat0=0.1).hull[1] <= 4.0
        True
    """
    if samples is None and is_diagonal(network) and not isinstance(realised, Signals):
        return diagonal_law(network, qhat0, realised=realised)
    if samples is not None or not is_chain(network, realised):
        return graph_law(graph_of(network, qhat0, realised, samples, None))
    assert not isinstance(realised, NeuronSignals)
    law: Law = PointMass(1.0)
    waiting: dict[int, list[Law]] = {}  # factors that commute, equal ones together
    gaussian: list[float] = []  # variances of the square Gaussian matrices among them
    for layer, signal in layers_and_signals(network, realised or signals(network, qhat0)):
        if isinstance(signal, ActivationSignal):
            factor = signal.derivative_law
        else:
            assert isinstance(layer, Dense)
            if isinstance(layer.weights, Gaussian) and layer.fan_in == layer.fan_out:
                gaussian.append(layer.weights.sigma_w**2)
                continue
            factor = gram_law(layer.weights, layer.fan_in, layer.fan_out)
        waiting.setdefault(id(factor), []).append(factor)
        if isinstance(layer, Dense) and layer.fan_in != layer.fan_out:
            law = resize(_times(law, waiting, gaussian), layer.fan_in / layer.fan_out)
            waiting, gaussian = {}, []
    return _times(law, waiting, gaussian)


def _times(law: Law, factors: dict[int, list[Law]], gaussian: list[float]) -> Law:
    """The law ⊠ all the factors: square Gaussian matrices as one law, the most frequent factor as a power of one unknown."""
    groups = sorted(factors.values(), key=len, reverse=True)
    if gaussian:
        groups.append([scale(FussCatalan(len(gaussian)), float(np.prod(gaussian)))])
    if (
        not groups
        or len(groups[0]) == 1
        or isinstance(law, CurveLaw)
        or not isinstance(groups[0][0].curve, CauchyCurve)
    ):
        return free_product(law, *(factor for equal in groups for factor in equal))
    power = free_power(groups[0][0], len(groups[0]), "product")
    return free_product(law, power, *(factor for equal in groups[1:] for factor in equal))


def fisher_law(
    network: Network,
    qhat0: float = 1.0,
    *,
    realised: Signals | NeuronSignals | None = None,
    samples: np.ndarray | None = None,
    parametrisation: Parametrisation = "standard",
) -> Law:
    """Law of Θ = J_θJ_θᵀ for one sample (no 1/N, no loss factor); its non-zero eigenvalues are those of the Fisher.

    Θ_1 = ‖x⁰‖²·1, Θ_{l+1} = ‖x^l‖²·1 + W_{l+1} D_l Θ_l D_l W_{l+1}ᵀ, with 1 added to ‖x‖² where a bias is trained.

    Args:
        network: the record of the network.
        qhat0: ‖x⁰‖²/N_0; not used with ``realised``.
        realised: signals of one forward pass instead of the mean field; neuron by neuron, they are taken as a graph.
        samples: inputs (n, N₀) or (n, channels, *positions) instead of one of norm ``qhat0``: convolutions need them, several
            samples are taken together, n·outputs eigenvalues; as a graph.
        parametrisation: ``"ntk"``: of ω and β with W = σ_w ω/√fan_in and b = σ_b β: σ_w²q̂ for ‖x‖², σ_b² for 1.

    Example:
        >>> from freeness.network import mlp
        >>> round(fisher_law(mlp(3, 100, "linear"), qhat0=1.0).mean, 9)
        300.0
    """
    if samples is None and is_diagonal(network) and not isinstance(realised, Signals) and parametrisation == "standard":
        return diagonal_law(network, qhat0, realised=realised, fisher=True)
    if samples is not None or not is_chain(network, realised):
        return graph_law(graph_of(network, qhat0, realised, samples, parametrisation))
    assert not isinstance(realised, NeuronSignals)
    law: Law | None = None
    for layer, signal in layers_and_signals(network, realised or signals(network, qhat0)):
        if isinstance(layer, Dense) and isinstance(signal, DenseSignal):
            norm = _gradients(layer, signal, parametrisation)
            passed = None if law is None else sandwich(law, layer.weights, layer.fan_in, layer.fan_out)
            law = PointMass(norm) if passed is None else shift(passed, norm)
        elif law is not None and isinstance(signal, ActivationSignal):
            law = free_product(law, signal.derivative_law)
    if law is None:
        raise InputError("expected a network with at least one weight matrix, got none; nothing is trained in it.")
    return law


def _gradients(layer: Dense, signal: DenseSignal, parametrisation: Parametrisation) -> float:
    """Squared norm of what an output's gradient by its row of weights, and its bias, multiplies."""
    if parametrisation == "standard":
        return signal.squared_norm + layer.bias
    if parametrisation == "ntk":
        return layer.weights.sigma_w**2 * signal.squared_norm / layer.fan_in + layer.bias * layer.sigma_b**2
    raise InputError(f"expected parametrisation 'standard' or 'ntk', got {parametrisation!r}; choose one.")


def layers_and_signals(
    network: Network, found: Signals
) -> Iterator[tuple[Dense, DenseSignal] | tuple[Activation, ActivationSignal]]:
    """Each layer of a chain with its signal; mean-field signals of equal layers are one object.

    Raises:
        InputError: the signals are of another network, or an activation passes nothing.
    """
    if len(found.layers) != len(network.layers):
        raise InputError(
            f"expected one signal for each of the {len(network.layers)} layers, got {len(found.layers)}; "
            "compute the signals from this very network."
        )
    shared: list[tuple[object, ActivationSignal]] = []  # the last signal of each activation function
    for layer, signal in zip(network.layers, found.layers, strict=True):
        if isinstance(layer, Dense) and isinstance(signal, DenseSignal) and layer.fan_in == signal.fan_in:
            yield layer, signal
        elif isinstance(layer, Activation) and isinstance(signal, ActivationSignal):
            if signal.derivative_law.mean == 0:
                raise InputError(
                    "expected an activation with φ' ≠ 0 somewhere, got D² = 0: all its neurons are saturated."
                )
            yield layer, (_last_alike(shared, layer, signal) if found.source == "mean-field" else signal)
        else:
            raise InputError(
                f"expected a signal of {layer!r}, got {signal!r}; compute the signals from this very network."
            )


def _last_alike(
    shared: list[tuple[object, ActivationSignal]], layer: Activation, signal: ActivationSignal
) -> ActivationSignal:
    """The signal of an earlier layer of the same function and variance, so that both have one law, or this one."""
    for index, (function, earlier) in enumerate(shared):
        if function is layer.function:
            if abs(earlier.q - signal.q) <= _SETTLED * signal.q:
                return earlier
            shared[index] = (function, signal)
            return signal
    shared.append((layer.function, signal))
    return signal
