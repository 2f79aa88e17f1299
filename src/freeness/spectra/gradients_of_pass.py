"""Squared gradients of every layer from one forward pass: its given maps, and channel weights as random matrices.

Nothing is differentiated. What the forward pass fixed (softmax weights with their derivative, φ', norms, choices) is taken as it
is, so no width has to be large but that of the channels which random weights sum over.

Source: theory.md §11, §12 (this project's derivation, checked by simulation).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Num
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.meanfield import NeuronSignals
from freeness.network import Network, Node, Weights
from freeness.operators import returned
from freeness.spectra.wired_network import wired_equation


class RealisedGradient(NamedTuple):
    """Of the node ``name``: sums of squares of the gradients of its entries, ``weights``, and of a bias at its end, ``shift``."""

    name: str
    weights: float
    shift: float


def realised_gradients(
    network: Network,
    realised: NeuronSignals | None = None,
    *,
    samples: Num[np.ndarray, "samples features *positions"] | None = None,
    cotangent: ArrayLike | None = None,
) -> tuple[RealisedGradient, ...]:
    """How large gradients are in every layer, in the mean over channel weights around the given maps of one forward pass.

    Args:
        network: the record, from a builder such as :func:`~freeness.network.mlp`, or of a trace.
        realised: signals of the pass; drawn neuron by neuron from ``samples`` where None.
        samples: inputs (n, N₀) or (n, channels, *positions).
        cotangent: ∂ℓ/∂f (n, outputs, *positions). When left out, gradients are those of all outputs, one after the other, so
            that they add up to the trace of the Fisher matrix.

    Raises:
        InputError: an operation that the wires do not cover, or a cotangent of another shape.

    Example:
        >>> from freeness.network import mlp
        >>> found = realised_gradients(mlp(1, 50, "linear", "gaussian"), samples=np.ones((1, 50)))
        >>> [round(place.weights) for place in found]
        [2500]
    """
    equation = wired_equation(network, samples=samples, realised=realised, fisher="standard")
    part, port = equation.end
    positions = equation.parts[part].sizes[port]
    channels = equation.outputs // positions
    gamma = channels * np.eye(positions) if cotangent is None else _gram(cotangent, channels, positions)
    trained: dict[str, float] = {}
    shift: dict[str, float] = {}
    for place in returned(equation, gamma):
        trained[place.layer] = trained.get(place.layer, 0.0) + place.trained
        if place.gamma is not None:
            shift[place.layer] = shift.get(place.layer, 0.0) + float(place.gamma.sum())
    return tuple(
        _gradient(node, trained[node.name], shift.get(node.name, 0.0)) for node in network.nodes if node.name in trained
    )


def _gradient(node: Node, trained: float, shift: float) -> RealisedGradient:
    """A node's own part, its bias apart."""
    biased = isinstance(node.operation, Weights) and bool(node.operation.bias)
    return RealisedGradient(node.name, trained - biased * shift, shift)


def _gram(cotangent: ArrayLike, channels: int, positions: int) -> np.ndarray:
    """Γ (P, P) over the positions of all samples."""
    given = np.asarray(cotangent, dtype=float)
    if given.ndim < 2 or given.shape[1] != channels or given.size != channels * positions:
        raise InputError(
            f"expected a cotangent (samples, {channels}, *positions) of {channels * positions} entries, got shape {given.shape}; "
            "take the gradient of the loss in the outputs."
        )
    flat = np.moveaxis(given, 1, 0).reshape(channels, positions)
    return flat.T @ flat
