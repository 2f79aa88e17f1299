"""Squared gradients of every layer from one forward pass: its given maps, and channel weights as random matrices.

Nothing is differentiated. What the forward pass fixed (softmax weights with their derivative, φ', norms, choices) is taken as it
is, so no width has to be large but that of the channels which random weights sum over.

Source: theory.md §11, §12 (this project's derivation, checked by simulation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Num
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.meanfield import NeuronSignals, pairs_of_batch
from freeness.network import Gaussian, Measured, Network, Node, Operation, Weights
from freeness.operators import PortMatrix, returned
from freeness.spectra.wired_network import wired_equation

_ALIKE = 1e-10  # relative eigenvalues of signals at several positions that are rounding


class RealisedGradient(NamedTuple):
    """Of the node ``name``: sums of squares of the gradients of its entries, ``weights``, and of a bias at its end, ``shift``.

    ``scatter``: relative amount by which one draw of the channel weights behind it departs from that.
    """

    name: str
    weights: float
    shift: float
    scatter: float


def realised_gradients(
    network: Network,
    realised: NeuronSignals | None = None,
    *,
    samples: Num[np.ndarray, "samples features *positions"] | None = None,
    cotangent: ArrayLike | None = None,
    batch: int | None = None,
) -> tuple[RealisedGradient, ...]:
    """How large gradients are in every layer, in the mean over channel weights around the given maps of one forward pass.

    Of a weight that several layers share each of them counts by itself, and what their gradients have in common is left out.

    Args:
        network: the record, from a builder such as :func:`~freeness.network.mlp`, or of a trace.
        realised: signals of the pass; drawn neuron by neuron from ``samples`` where None.
        samples: inputs (n, N₀) or (n, channels, *positions).
        cotangent: ∂ℓ/∂f (n, outputs, *positions). When left out, gradients are those of all outputs, one after the other, so
            that they add up to the trace of the Fisher matrix.
        batch: how many samples those of the pass stand for; themselves, where None.

    Raises:
        InputError: an operation that the wires do not cover, or a cotangent of another shape.

    Example:
        >>> from freeness.network import mlp
        >>> found = realised_gradients(mlp(1, 50, "linear", "gaussian"), samples=np.ones((1, 50)))
        >>> [round(place.weights) for place in found]
        [2500]
    """
    apart = Network([replace(node, shares="") for node in network.nodes])
    equation = wired_equation(_of_random_vectors(apart), samples=samples, realised=realised, fisher="standard")
    part, port = equation.end
    positions = equation.parts[part].sizes[port]
    channels = equation.outputs // positions
    gamma = channels * np.eye(positions) if cotangent is None else _gram(cotangent, channels, positions)
    given = realised.inputs if realised is not None else samples
    count = len(given) if given is not None and np.ndim(given) > 1 else 1
    trained: dict[str, float] = {}
    shift: dict[str, float] = {}
    spread: dict[str, float] = {}
    own: dict[str, float] = {}
    for place in returned(equation, gamma):
        trained[place.layer] = trained.get(place.layer, 0.0) + _of_batch(place.trained, count, batch)
        if place.gamma is not None:
            shift[place.layer] = shift.get(place.layer, 0.0) + _of_batch(place.gamma, count, batch)
            spread[place.layer] = max(spread.get(place.layer, 0.0), place.spread)
            own[place.layer] = max(own.get(place.layer, 0.0), place.own)
    last = network.nodes[-1]
    own[last.name] = 0.0  # its gradient is given
    if cotangent is not None and realised is not None and equation.matrices[-1].layer == last.name:
        spread[last.name] = (
            spread.get(last.name, 0.0) + _led(equation.matrices[-1], realised.preactivations[-1], cotangent) ** 2
        )
    scatter = _scatters(network, spread, own)
    return tuple(
        _gradient(node, trained[node.name], shift.get(node.name, 0.0), scatter[node.name])
        for node in network.nodes
        if node.name in trained
    )


def _of_random_vectors(network: Network) -> Network:
    """Weights of given singular values by their mean square: second moments know no more of them."""
    nodes = [replace(node, operation=_gaussian(node.operation)) for node in network.nodes]
    return Network(nodes)


def _gaussian(operation: Operation) -> Operation:
    if not (isinstance(operation, Weights) and isinstance(operation.weights, Measured)):
        return operation
    found: Operation = replace(cast(Any, operation), weights=Gaussian(operation.weights.sigma_w))
    return found


def _of_batch(products: np.ndarray, count: int, batch: int | None) -> float:
    """The sum over all positions (P, P) of the samples, or over those of a batch that some samples stand for."""
    places = len(products) // count
    if batch is None or batch == count or places * count != len(products):
        return float(products.sum())
    return pairs_of_batch(products.reshape(count, places, count, places).sum(axis=(1, 3)), batch)


def _led(matrix: PortMatrix, outputs: np.ndarray, cotangent: ArrayLike) -> float:
    """By which share the gradient behind the last weights departs from that of weights that do not know it.

    A loss gradient g follows the outputs f = Wx, so that XᵀWᵀG = FᵀG is no longer small: of Wᵀg the part along the signals x of P
    positions is X(XᵀX)⁻¹FᵀG, where weights drawn anew put P/C of all there.
    """
    if matrix.accumulated is None or matrix.taps.shape[1:] != matrix.accumulated.shape or len(matrix.taps) > 1:
        return 0.0
    seen, asked = (_flat(each, matrix.channels[1]) for each in (outputs, cotangent))
    every = matrix.square * float((asked**2).sum())
    if seen.shape != asked.shape or len(matrix.accumulated) != seen.shape[1] or not every > 0:
        return 0.0
    crossed = seen.T @ asked
    known = float((crossed * np.linalg.lstsq(matrix.accumulated, crossed, rcond=_ALIKE)[0]).sum())
    return abs(known / every - min(len(crossed) / matrix.channels[0], 1.0))


def _flat(array: ArrayLike, channels: int) -> np.ndarray:
    """(C, P) of (n, C, *positions), or of one vector."""
    given = np.asarray(array, dtype=float)
    return given[:, None] if given.ndim == 1 else np.moveaxis(given, 1, 0).reshape(channels, -1)


def _scatters(network: Network, spread: Mapping[str, float], own: Mapping[str, float]) -> dict[str, float]:
    """Of every node's gradient: its own, and what the weights between it and the end add, along the way that adds most."""
    after = {node.name: 0.0 for node in network.nodes}
    for node in reversed(network.nodes):
        passed = after[node.name] + spread.get(node.name, 0.0)
        for name in node.inputs:
            if name in after:
                after[name] = max(after[name], passed)
    return {name: (variance + own.get(name, 0.0)) ** 0.5 for name, variance in after.items()}


def _gradient(node: Node, trained: float, shift: float, scatter: float) -> RealisedGradient:
    """A node's own part, its bias apart."""
    biased = isinstance(node.operation, Weights) and bool(node.operation.bias)
    return RealisedGradient(node.name, trained - biased * shift, shift, scatter)


def _gram(cotangent: ArrayLike, channels: int, positions: int) -> np.ndarray:
    """Γ (P, P) over the positions of all samples."""
    given = np.asarray(cotangent, dtype=float)
    if given.ndim < 2 or given.shape[1] != channels or given.size != channels * positions:
        raise InputError(
            f"expected a cotangent (samples, {channels}, *positions) of {channels * positions} entries, got shape {given.shape}; "
            "take the gradient of the loss in the outputs."
        )
    flat = _flat(given, channels)
    return flat.T @ flat
