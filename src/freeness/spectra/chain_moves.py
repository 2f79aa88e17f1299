"""The list of moves of a chain, from which its laws, their ends, moments and atoms are read (theory.md §3).

A weight matrix takes the law of H to that of W H Wᵀ, an activation to that of D H D; the Fisher dual adds ‖x‖² (+1 for a trained
bias) at every weight layer. Where nothing mixes neurons, D is a diagonal factor, and the list is read entry by entry.

Sources: Pennington, Schoenholz, Ganguli (2017) for JJᵀ; Hayase, Karakida (AISTATS 2021) for the Fisher recursion; freeness
of the factors: Collins, Hayase (2023).
"""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from freeness.errors import InputError
from freeness.meanfield import ActivationSignal, DenseSignal, Signals
from freeness.moves import Entries, Move, MoveList, Resize, Scale, Shift, times
from freeness.network import Activation, Dense, Network, ScaledIdentity
from freeness.spectra.gram import gram_law
from freeness.spectra.graph_builder import Parametrisation

_SETTLED = 1e-14  # relative difference of two variances that is rounding


def moves_of(
    network: Network,
    found: Signals,
    of: Literal["jacobian", "fisher"] = "fisher",
    parametrisation: Parametrisation = "standard",
) -> MoveList:
    """The moves by which a chain makes the law of JJᵀ from 1, or that of Θ from the first ‖x‖².

    Args:
        network: a chain of weight layers and activations.
        found: its signals, one a layer, as of :func:`~freeness.meanfield.signals`.
        of: "jacobian" (JJᵀ) or "fisher" (Θ).
        parametrisation: of Θ; ``"ntk"``: of ω and β with W = σ_w ω/√fan_in and b = σ_b β: σ_w²q̂ for ‖x‖², σ_b² for 1.

    Raises:
        InputError: the network is no chain, the signals are of another one, or its weights are multiples of the identity.

    Example:
        >>> from freeness.meanfield import signals
        >>> from freeness.network import mlp
        >>> net = mlp(2, 100, "relu", sigma_w=2**0.5)
        >>> found = moves_of(net, signals(net), "jacobian").moves
        >>> [type(move).__name__ for move in found]
        ['Scale', 'Multiply', 'Scale']
    """
    network.chain()  # refuses other networks
    if not isinstance(found, Signals):
        raise InputError(f"expected Signals of one forward pass, got {type(found).__name__}; pass laws of D².")
    apart = all(isinstance(signal, DenseSignal) or signal.squares is not None for signal in found.layers)
    start = 1.0 if of == "jacobian" else None
    moves: list[Move] = []
    known: dict[int, tuple[Move, ...]] = {}  # layers of one law share its factors
    for layer, signal in layers_and_signals(network, found):
        if isinstance(layer, Dense) and isinstance(signal, DenseSignal):
            if start is not None:
                moves += _weights(layer, apart)
                moves += [Resize(layer.fan_in / layer.fan_out)] if layer.fan_in != layer.fan_out else []
            if of == "fisher":
                norm = _gradients(layer, signal, parametrisation)
                moves += [] if start is None else [Shift(norm)]
                start = norm if start is None else start
        elif start is not None and isinstance(signal, ActivationSignal):
            law = signal.derivative_law
            moves += known.setdefault(id(law), times(law)) if signal.squares is None else (Entries(signal.squares),)
    if start is None:
        raise InputError("expected a network with at least one weight matrix, got none; nothing is trained in it.")
    return MoveList(start, tuple(moves))


def _weights(layer: Dense, apart: bool) -> tuple[Move, ...]:
    """Multiples of the identity only scale, where all signals are known neuron by neuron; other weights are free."""
    if apart and isinstance(layer.weights, ScaledIdentity) and layer.fan_in == layer.fan_out:
        return (Scale(layer.weights.sigma_w**2),)
    return times(gram_law(layer.weights, layer.fan_in, layer.fan_out))


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
            if signal.squares is None and signal.derivative_law.mean == 0:
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
