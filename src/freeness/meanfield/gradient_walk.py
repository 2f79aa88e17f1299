"""Signals and gradients at every place of a wide network: mean squares forward, squared gradients back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.meanfield.samples import SampleMoments
from freeness.meanfield.walk import Compiled, compiled
from freeness.network import INPUT, Network, Normalisation, Pairs, Stream, backward


class Gradient(NamedTuple):
    """Behind one node, or at the input, in the mean over samples.

    ``signal``: mean square of the entries. ``gradient``: Σ (∂ℓ/∂x)² over all entries, where at the output it is 1.
    """

    name: str
    signal: float
    gradient: float


def gradients(network: Network, qhat0: float = 1.0, *, inputs: ArrayLike | None = None) -> tuple[Gradient, ...]:
    """How large signals are at the input and behind every node, and how large the gradient of what stands behind the output.

    The gradient at the output has independent entries. Going back, weights give ‖Wᵀg‖² its mean; where a signal is read in
    several places the parts that come back add up, for the weights between make them uncorrelated.

    Args:
        network: the record.
        qhat0: ‖x‖²/N₀ of the input; not used with ``inputs``.
        inputs: (n, N₀), (n, channels, *positions), or tokens; needed where positions count.

    Raises:
        InputError: an operation that theory does not cover, or bad inputs.

    Assumes wide layers, and forward and backward weights that are independent (Schoenholz et al. 2017).

    Example:
        >>> from freeness.network import Branch, resnet
        >>> [round(place.gradient, 6) for place in gradients(resnet(2, 50, Branch("relu", scale=1.0)))][:1]
        [2.25]
    """
    prepared = _prepared(network, qhat0, inputs)
    back = {network.nodes[-1].name: _unit(prepared.end)}
    for node in reversed(network.nodes):
        given = tuple(prepared.streams[name] for name in node.inputs)
        parts = backward(node.operation, given, prepared.streams[node.name], back[node.name])
        for name, part in zip(node.inputs, parts, strict=True):
            back[name] = back[name] + part if name in back else part
    return tuple(
        Gradient(name, float(prepared.streams[name].variance.mean()), _total(prepared.streams[name], back[name]))
        for name in (INPUT, *(node.name for node in network.nodes))
    )


def _prepared(network: Network, qhat0: float, inputs: ArrayLike | None) -> Compiled:
    batch = any(isinstance(layer, Normalisation) and layer.kind == "batch" for layer in network.walk())
    if inputs is not None:
        samples = SampleMoments(inputs, network)
        return compiled(network, samples.stream(), samples.pairs(slice(0, len(samples.points))) if batch else None)
    if not (np.isfinite(qhat0) and qhat0 > 0):
        raise InputError(f"expected qhat0 = ‖x⁰‖²/N_0 > 0, got {qhat0}; the input must not vanish.")
    pairs = Pairs(qhat0 * np.eye(2), np.zeros((2, 2)), slice(0, 2))
    stream = Stream(np.full(2, float(qhat0)), np.ones(2), None, True, alike=True)
    return compiled(network, stream, pairs if batch else None)


def _unit(stream: Stream) -> np.ndarray:
    """Independent entries over the positions, their squares adding to 1."""
    shape = stream.variance.shape[1:]
    count = int(np.prod(shape))
    one = (np.eye(count) if stream.across else np.ones(count)) / count
    return np.broadcast_to(one.reshape(stream.second.shape[1:]), stream.second.shape)


def _total(stream: Stream, gradient: np.ndarray) -> float:
    """Over positions, in the mean over samples."""
    return float(stream._replace(second=gradient).variance.reshape(len(gradient), -1).sum(axis=1).mean())
