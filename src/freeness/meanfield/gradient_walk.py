"""Signals and gradients at every place of a wide network: mean squares forward, squared gradients back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.meanfield.drawn_channels import (
    DrawnPlace,
    LargeError,
    bends_channels,
    drawn_places,
    normalises_batches,
    shapes_behind,
)
from freeness.meanfield.samples import SampleMoments
from freeness.meanfield.signal_records import check_norm
from freeness.meanfield.walk import Compiled, compiled, reads
from freeness.network import (
    INPUT,
    Network,
    Node,
    Pairs,
    Stream,
    Weights,
    backward,
    backward_pairs,
    each_pair,
    known_by_weights,
    trained,
)

_COUPLED = 8192  # entries of a batch: half a gigabyte for the pairs behind one node


class Gradient(NamedTuple):
    """Behind one node, or at the input, in the mean over samples.

    ``signal``: mean square of the entries. ``gradient``: Σ (∂ℓ/∂x)² over all entries, where at the output it is 1.
    ``weights``: Σ (∂ℓ/∂W)² over the node's own weights, ``biases``: over its biases, of one sample's ℓ; 0 where it has none.
    ``likeness``: mean cosine of two positions' signals, NaN where they are not followed in pairs. ``scatter``: of means over
    draws the relative standard error, of the gradient here (batch normalisation) or the largest of the signals up to here
    (attention). ``scales``, ``shifts``: Σ (∂ℓ/∂γ)² of a scale of every channel at this place, and of a shift, as norms have.
    Scales are NaN in front of an activation, where gradients depend on the signal, unless channels are drawn.
    """

    name: str
    signal: float
    gradient: float
    weights: float = 0.0
    biases: float = 0.0
    likeness: float = np.nan
    scatter: float = 0.0
    scales: float = np.nan
    shifts: float = 0.0


def gradients(
    network: Network, qhat0: float = 1.0, *, inputs: ArrayLike | None = None, cotangent: ArrayLike | None = None
) -> tuple[Gradient, ...]:
    """How large signals are at the input and behind every node, and how large the gradients of what stands behind the output.

    The gradient at the output has independent entries, or is ``cotangent``. Going back, weights give ‖Wᵀg‖² its mean; where a
    signal is read in several places the parts that come back add up, for the weights between make them uncorrelated. Covered is
    every operation with rules for second moments (:mod:`freeness.network.operations`), attention among them, by seeded draws of
    its softmax weights. Where statistics of a batch couple its samples, channels are drawn and followed one by one
    (:mod:`freeness.meanfield.drawn_channels`).

    Args:
        network: the record, from a builder such as :func:`~freeness.network.mlp`, or of a trace.
        qhat0: ‖x‖²/N₀ of the input; not used with ``inputs``.
        inputs: (n, N₀), (n, channels, *positions), or tokens; needed where positions count.
        cotangent: ∂ℓ/∂f, (n, outputs, *positions), that of a loss, say.

    Raises:
        InputError: an operation that theory does not cover, or bad inputs.

    Assumes wide layers, and forward and backward weights that are independent (Schoenholz et al. 2017). Norms divide by lengths
    of the widths at hand (:mod:`freeness.meanfield.length_noises`), and so scatters what differs between positions
    (:mod:`freeness.meanfield.gram_noises`).

    Example:
        >>> from freeness.network import Branch, resnet
        >>> [round(place.gradient, 6) for place in gradients(resnet(2, 50, Branch("relu", scale=1.0)))][:1]
        [2.25]
    """
    drawn = None if inputs is None else _drawn(network, inputs, cotangent)
    if drawn is not None:
        return drawn
    way = _Way.of(network, qhat0, inputs)
    streams = way.prepared.streams
    back = {network.nodes[-1].name: way.unit() if cotangent is None else way.given(cotangent)}
    free = {network.nodes[-1].name: way.prepared.all_free(back[network.nodes[-1].name])}
    own: dict[str, tuple[float, float]] = {}
    beyond: dict[str, np.ndarray] = {}  # what derivatives add that depend on one another along a skip connection
    alone: dict[str, np.ndarray] = {}  # what gradients of weights alone know of it
    for node in reversed(network.nodes):
        own[node.name] = way.trained(node, back[node.name] + alone.get(node.name, 0.0))
        chosen = way.prepared.choice(node)
        behind = back[node.name] + beyond.get(node.name, 0.0)
        parts = way.back(node, behind) if chosen is None else way.through(chosen, back[chosen.name])
        parts, freed = way.prepared.of_widths(node, behind, parts, free[node.name])
        for name, share in way.prepared.dependent(node):
            beyond[name] = beyond.get(name, 0.0) + share * parts[0]
        for name, part, loose in zip(node.inputs, parts, freed, strict=True):
            back[name] = back[name] + part if name in back else part
            free[name] = free[name] + loose if name in free else loose
        for name, part in way.alone(node, parts, alone):
            alone[name] = alone.get(name, 0.0) + part
    bent = bent_signals(network)
    return tuple(
        Gradient(
            name,
            float(streams[name].variance.mean()),
            way.total(name, back[name]),
            *own.get(name, (0.0, 0.0)),
            _likeness(streams[name]),
            streams[name].scatter,
            np.nan if name in bent else way.beside(back[name], way.second(name)),
            way.beside(back[name], 1.0),
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
    return _outputs(network, inputs) * sum(place.weights + place.biases for place in places)


def bent_signals(network: Network) -> set[str]:
    """Of which an activation takes the entries: what comes back has its derivative, which depends on them.

    Elsewhere g and x are independent neuron by neuron, so gradients Σ_p g x of scales have the squares Σ Γ∘Q over channels.
    """
    return {name for node in network.nodes if node.operation.bends for name in node.inputs}


def _outputs(network: Network, inputs: ArrayLike) -> int:
    """Entries of the output of one sample."""
    shapes = shapes_behind(network, SampleMoments(inputs, network).points) if normalises_batches(network) else None
    if shapes is not None:
        channels, _, *positions = shapes[network.nodes[-1].name]
        return channels * int(np.prod(positions))
    end = _Way.of(network, 1.0, inputs).prepared.end
    if end.features is None:
        raise InputError("expected a network that ends in a layer of known width, got none; end it by weights.")
    return end.features * int(end.variance[0].size)


def _drawn(network: Network, inputs: ArrayLike, cotangent: ArrayLike | None) -> tuple[Gradient, ...] | None:
    """By channels that are drawn, where operations couple a batch, or channels depend on themselves; these of each sample."""
    batch = normalises_batches(network)
    if not (batch or bends_channels(network)):
        return None
    points = SampleMoments(inputs, network).points
    given = None if cotangent is None else np.asarray(cotangent, dtype=float)
    parts = [slice(None)] if batch or given is None else [slice(k, k + 1) for k in range(len(points))]
    runs: list[dict[str, DrawnPlace] | None] = []
    with suppress(*() if batch else (LargeError,)):
        runs += [drawn_places(network, points[part], None if given is None else given[part]) for part in parts]
    known = [run for run in runs if run is not None]
    if not known:
        return None
    found: list[Gradient] = []
    for name in known[0]:
        mean = DrawnPlace(*np.mean([run[name][:-1] for run in known], axis=0).tolist())
        error = mean.error / len(known) ** 0.5
        found.append(Gradient(name, *mean[:5], error, mean.scales, mean.shifts))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Way:
    """Back through a network: sample by sample, or between all of a batch that its statistics couple."""

    prepared: Compiled
    coupled: bool

    @staticmethod
    def of(network: Network, qhat0: float, inputs: ArrayLike | None) -> _Way:
        """Forward."""
        batch = normalises_batches(network)
        if inputs is not None:
            samples = SampleMoments(inputs, network)
            count = samples.count * samples.positions
            if batch and count > _COUPLED:
                raise InputError(
                    f"expected at most {_COUPLED} entries, samples times positions, where batch normalisation couples them, got "
                    f"{count}; give fewer or smaller inputs."
                )
            whole = samples.pairs(slice(0, samples.count)) if batch else None
            return _Way(compiled(network, samples.stream(), whole, finite=not batch), batch)
        check_norm(qhat0)
        pairs = Pairs(qhat0 * np.eye(2), np.zeros((2, 2)), slice(0, 2))
        stream = Stream(np.full(2, float(qhat0)), np.ones(2), None, True, alike=True)
        return _Way(compiled(network, stream, pairs if batch else None), False)

    def unit(self) -> np.ndarray:
        """Independent entries over samples and positions, the squares of each sample's adding to 1."""
        end = self.prepared.end
        shape = end.variance.shape[1:]
        count = int(np.prod(shape))
        one = ((np.eye(count) if end.across else np.ones(count)) / count).reshape(end.second.shape[1:])
        return (
            np.multiply.outer(np.eye(len(end.second)), one) if self.coupled else np.broadcast_to(one, end.second.shape)
        )

    def given(self, cotangent: ArrayLike) -> np.ndarray:
        """Γ of a cotangent that is known."""
        known, end = np.asarray(cotangent, dtype=float), self.prepared.end
        wanted = (len(end.second), end.features or -1, *end.variance.shape[1:])
        if known.ndim != len(wanted) or any(
            have != want for have, want in zip(known.shape, wanted, strict=True) if want > 0
        ):
            raise InputError(f"expected a cotangent of the outputs' shape {wanted}, got {known.shape}; correct it.")
        flat = known.reshape(*known.shape[:2], -1)
        if self.coupled:
            pairs = np.einsum("acp,bcq->abpq" if end.across else "acp,bcp->abp", flat, flat, optimize=True)
            return pairs.reshape(len(flat), len(flat), *end.second.shape[1:])
        square = flat.transpose(0, 2, 1) @ flat if end.across else (flat**2).sum(axis=1)
        return square.reshape(end.second.shape)

    def back(self, node: Node, gradient: np.ndarray, behind: Stream | None = None) -> tuple[np.ndarray, ...]:
        """In front of a node."""
        streams, end = self._streams(node), self.prepared.streams[node.name] if behind is None else behind
        if not self.coupled:
            return backward(node.operation, streams, end, gradient)
        step = self.prepared.steps[self.prepared.nodes.index(node)]
        return backward_pairs(node.operation, self._pairs(node), streams, end, step, gradient)

    def alone(
        self, node: Node, parts: tuple[np.ndarray, ...], behind: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """What weights alone know in front of a node: that of keys, up to the weights they are outputs of."""
        grams = tuple(self.second(name) for name in node.inputs)
        for number, part in known_by_weights(node.operation, grams, parts).items():
            yield node.inputs[number], part
        if node.name in behind and not isinstance(node.operation, Weights):
            yield from zip(node.inputs, self.back(node, behind[node.name]), strict=True)

    def through(self, node: Node, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
        """In front of the activation that a node chooses from."""
        return self.back(node, gradient, self.prepared.through(node))

    def trained(self, node: Node, gradient: np.ndarray) -> tuple[float, float]:
        """Of a node's weights and biases, for one sample."""
        streams, samples = self._streams(node), len(gradient)
        if self.coupled:
            streams, gradient = each_pair(streams, self._pairs(node)), gradient.reshape(-1, *gradient.shape[2:])
        found = trained(node.operation, streams, gradient)
        return (
            (0.0, 0.0) if found is None else (float(found.weights.sum() / samples), float(found.biases.sum() / samples))
        )

    def second(self, name: str) -> np.ndarray:
        """Second moments, of the shape of Γ."""
        return self._whole(name).value if self.coupled else self.prepared.streams[name].second

    def beside(self, gradient: np.ndarray, second: np.ndarray | float) -> float:
        """Σ Γ∘Q, for one sample."""
        return float((gradient * second).sum() / len(gradient))

    def total(self, name: str, gradient: np.ndarray) -> float:
        """Over positions, in the mean over samples."""
        own = np.arange(len(gradient))
        alone = gradient[own, own] if self.coupled else gradient
        stream = self.prepared.streams[name]
        return float(stream._replace(second=alone).variance.reshape(len(own), -1).sum(axis=1).mean())

    def _streams(self, node: Node) -> tuple[Stream, ...]:
        return tuple(self.prepared.streams[name] for name in reads(node))

    def _pairs(self, node: Node) -> tuple[Pairs, ...]:
        return tuple(self._whole(name) for name in reads(node))

    def _whole(self, name: str) -> Pairs:
        found = self.prepared.wholes[name]
        assert found is not None
        return found


def _likeness(stream: Stream) -> float:
    """Mean cosine of the signals of two positions."""
    count = int(np.prod(stream.variance.shape[1:]))
    if not stream.across or count < 2:
        return np.nan
    size = np.sqrt(np.maximum(stream.variance.reshape(-1, count), np.finfo(float).tiny))
    cosines = stream.second.reshape(-1, count, count) / (size[:, :, None] * size[:, None])
    return float((cosines.sum() - np.trace(cosines, axis1=1, axis2=2).sum()) / (len(size) * count * (count - 1)))
