"""Signals and gradients at every place of a wide network: mean squares forward, squared gradients back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.meanfield.samples import SampleMoments
from freeness.meanfield.walk import Compiled, compiled, reads
from freeness.network import INPUT, Network, Normalisation, Pairs, Stream, backward, trained


class Gradient(NamedTuple):
    """Behind one node, or at the input, in the mean over samples.

    ``signal``: mean square of the entries. ``gradient``: Σ (∂ℓ/∂x)² over all entries, where at the output it is 1.
    ``weights``: Σ (∂ℓ/∂W)² over the node's own weights, ``biases``: over its biases, of one sample's ℓ; 0 where it has none.
    ``likeness``: mean cosine of two positions' signals, NaN where they are not followed in pairs. ``scatter``: the largest
    relative standard error of the signals up to here, where they are means over draws (attention).
    """

    name: str
    signal: float
    gradient: float
    weights: float = 0.0
    biases: float = 0.0
    likeness: float = np.nan
    scatter: float = 0.0


def gradients(
    network: Network, qhat0: float = 1.0, *, inputs: ArrayLike | None = None, cotangent: ArrayLike | None = None
) -> tuple[Gradient, ...]:
    """How large signals are at the input and behind every node, and how large the gradients of what stands behind the output.

    The gradient at the output has independent entries, or is ``cotangent``. Going back, weights give ‖Wᵀg‖² its mean; where a
    signal is read in several places the parts that come back add up, for the weights between make them uncorrelated. Covered is
    every operation with rules for second moments (:mod:`freeness.network.operations`), attention among them, by seeded draws of
    its softmax weights.

    Args:
        network: the record.
        qhat0: ‖x‖²/N₀ of the input; not used with ``inputs``.
        inputs: (n, N₀), (n, channels, *positions), or tokens; needed where positions count.
        cotangent: ∂ℓ/∂f, (n, outputs, *positions), that of a loss, say.

    Raises:
        InputError: an operation that theory does not cover, or bad inputs.

    Assumes wide layers, and forward and backward weights that are independent (Schoenholz et al. 2017).

    Example:
        >>> from freeness.network import Branch, resnet
        >>> [round(place.gradient, 6) for place in gradients(resnet(2, 50, Branch("relu", scale=1.0)))][:1]
        [2.25]
    """
    prepared = _prepared(network, qhat0, inputs)
    streams = prepared.streams
    back = {network.nodes[-1].name: _unit(prepared.end) if cotangent is None else _given(prepared.end, cotangent)}
    own: dict[str, tuple[float, float]] = {}
    for node in reversed(network.nodes):
        signals, gradient = tuple(streams[name] for name in reads(node)), back[node.name]
        found = trained(node.operation, signals, gradient)
        own[node.name] = (0.0, 0.0) if found is None else (float(found.weights.mean()), float(found.biases.mean()))
        parts = backward(node.operation, signals, streams[node.name], gradient)
        for name, part in zip(node.inputs, parts, strict=True):
            back[name] = back[name] + part if name in back else part
    return tuple(
        Gradient(
            name,
            float(streams[name].variance.mean()),
            _total(streams[name], back[name]),
            *own.get(name, (0.0, 0.0)),
            _likeness(streams[name]),
            streams[name].scatter,
        )
        for name in (INPUT, *(node.name for node in network.nodes))
    )


def fisher_trace(network: Network, inputs: ArrayLike) -> float:
    """tr J_θᵀJ_θ of one sample, in the mean over ``inputs``: Σ over outputs f_k and parameters of (∂f_k/∂θ)².

    Every output entry, at every position, has its own unit cotangent. Parameters are those of weights, trained biases and trained
    tensors beside the signal, in the standard parametrisation; scales and shifts of normalisations are not counted.

    Args:
        network: the record; it ends in a layer of known width.
        inputs: as for :func:`gradients`.

    Raises:
        InputError: an operation that theory does not cover, or bad inputs.

    Source: Karakida, Akaho, Amari (2019).

    Example:
        >>> from freeness.network import mlp
        >>> round(fisher_trace(mlp(3, 50, "linear", "gaussian"), np.ones((1, 50))), 6)
        7500.0
    """
    places = gradients(network, inputs=inputs)
    end = _prepared(network, 1.0, inputs).end
    if end.features is None:
        raise InputError("expected a network that ends in a layer of known width, got none; end it by weights.")
    outputs = end.features * end.variance[0].size
    return outputs * sum(place.weights + place.biases for place in places)


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


def _given(stream: Stream, cotangent: ArrayLike) -> np.ndarray:
    """Γ of a cotangent that is known."""
    known = np.asarray(cotangent, dtype=float)
    wanted = (len(stream.second), stream.features or -1, *stream.variance.shape[1:])
    if known.ndim != len(wanted) or any(
        have != want for have, want in zip(known.shape, wanted, strict=True) if want > 0
    ):
        raise InputError(f"expected a cotangent of the outputs' shape {wanted}, got {known.shape}; correct it.")
    if not stream.across:
        return (known**2).sum(axis=1)
    flat = known.reshape(*known.shape[:2], -1)
    return (flat.transpose(0, 2, 1) @ flat).reshape(stream.second.shape)


def _likeness(stream: Stream) -> float:
    """Mean cosine of the signals of two positions."""
    count = int(np.prod(stream.variance.shape[1:]))
    if not stream.across or count < 2:
        return np.nan
    size = np.sqrt(np.maximum(stream.variance.reshape(-1, count), np.finfo(float).tiny))
    cosines = stream.second.reshape(-1, count, count) / (size[:, :, None] * size[:, None])
    return float((cosines.sum() - np.trace(cosines, axis1=1, axis2=2).sum()) / (len(size) * count * (count - 1)))


def _total(stream: Stream, gradient: np.ndarray) -> float:
    """Over positions, in the mean over samples."""
    return float(stream._replace(second=gradient).variance.reshape(len(gradient), -1).sum(axis=1).mean())
