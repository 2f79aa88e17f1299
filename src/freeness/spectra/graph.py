"""Networks as graphs of random matrices: exact in the D of every neuron, whatever they are correlated with.

The signal of one forward pass (realised, or drawn neuron by neuron from the mean field) is followed through the layers; nodes
are the places between weight matrices, a residual layer links its ends by skip·D, and every matrix stands between the
derivatives around it (theory.md §3.4). A convolution acts alike at each position, any weight alike on each sample, so the
positions of all samples of a channel are taken together: derivatives, links and sums are matrices over them, which are plain
numbers in a fully connected network with one sample.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Num
from scipy.special import ndtri

from freeness.errors import InputError
from freeness.meanfield import NeuronSignals, check_norm
from freeness.network import Dense, Embedding, Network, TokenMixing, Weights, described
from freeness.operators import BlockSegment, RandomMatrix, Segment, SharedMatrix
from freeness.spectra.graph_builder import (
    Aside,
    Branching,
    GraphBuilder,
    GraphNode,
    MatrixPass,
    NeuronSignal,
    Parametrisation,
    Source,
)
from freeness.spectra.mixing import MixingBuilder, mixes_tokens

NEURONS = 400  # of a layer at most that are drawn from the mean field, one in each part of equal mass
CHANNELS = 128  # of a layer with positions at most that are drawn
_INDEFINITE = 1e-12  # relative size of negative eigenvalues of a covariance that are rounding


@dataclass(frozen=True, eq=False)
class NetworkGraph:
    """Segments of linked nodes and the random matrices between them; the last node of the last segment is the output.

    ``passes``: of each matrix. ``asides``: what normalisations add to the links to nodes, by place. ``unseen``: where single
    eigenvalues outside the law cannot be looked for, None if they can.
    """

    segments: tuple[BlockSegment, ...]
    matrices: tuple[SharedMatrix, ...]
    passes: tuple[MatrixPass, ...]
    signals: NeuronSignals
    asides: tuple[tuple[tuple[int, int], Aside], ...]
    unseen: str | None

    @property
    def outputs(self) -> int:
        """Rows of the matrix whose law it is: channels × positions × samples at the output."""
        last = self.segments[-1]
        return last.channels * last.accumulated[-1].shape[-1]

    @cached_property
    def plain(self) -> tuple[tuple[Segment, ...], tuple[RandomMatrix, ...]] | None:
        """The same with numbers in the place of matrices over positions, where there is one position everywhere."""
        sizes = {k.shape[-1] for segment in self.segments for k in segment.accumulated}
        if sizes | {len(m.taps) for m in self.matrices} != {1}:
            return None
        counts = [
            max(array.shape[0] for array in (*segment.accumulated, *segment.links, *self._maps(index)))
            for index, segment in enumerate(self.segments)
        ]
        segments = tuple(
            Segment(
                np.stack([_numbers(k, count) for k in segment.accumulated]),
                np.array([_numbers(link, count) for link in segment.links]).reshape(-1, count),
                segment.channels,
            )
            for segment, count in zip(self.segments, counts, strict=True)
        )
        matrices = tuple(
            RandomMatrix(
                m.source,
                m.target,
                _numbers(m.read, counts[m.source[0]]),
                _numbers(m.write, counts[m.target[0]]),
                m.square,
                m.kind,
                m.squares,
            )
            for m in self.matrices
        )
        return segments, matrices

    def _maps(self, index: int) -> list[np.ndarray]:
        """What stands around the weights at a segment."""
        ends = [(m.source, m.read) for m in self.matrices] + [(m.target, m.write) for m in self.matrices]
        return [d for place, d in ends if place[0] == index and d is not None]


def _numbers(matrices: np.ndarray | None, count: int) -> np.ndarray:
    """Channels' 1×1 matrices as numbers (count,), 1 for None."""
    return np.broadcast_to(1.0 if matrices is None else matrices[:, 0, 0], count)


def network_graph(
    network: Network,
    qhat0: float = 1.0,
    *,
    samples: Num[np.ndarray, "samples features *positions"] | None = None,
    realised: NeuronSignals | None = None,
    fisher: bool | Parametrisation = False,
    rng: np.random.Generator | None = None,
) -> NetworkGraph:
    """The graph whose law is that of JJᵀ, or of Θ = J_θJ_θᵀ, over all outputs of all samples together.

    Args:
        network: weights, activations, normalisation (batch: the samples at hand), dropout, pooling, flattening, residual layers.
        qhat0: ‖x⁰‖²/N_0 of one random input; not used with ``samples`` or ``realised``.
        samples: inputs (n, N₀) or (n, channels, *positions), behind which the signal is drawn from the mean field: at most 400
            neurons a layer, or 128 channels with positions.
        realised: signals of one forward pass of this network instead.
        fisher: Θ instead of JJᵀ, in standard parametrisation (True) or in another.
        rng: for drawing; the same neurons every time when left out.

    Example:
        >>> from freeness.network import cnn, mlp, resnet
        >>> graph = network_graph(resnet(3, 50))
        >>> len(graph.segments), len(graph.segments[0].links), len(graph.matrices)
        (1, 3, 3)
        >>> convolutional = cnn(mlp(3, 20, "tanh", "gaussian"), kernel=(3,))
        >>> graph = network_graph(convolutional, samples=np.ones((1, 20, 5)), fisher=True)
        >>> len(graph.segments), graph.segments[0].accumulated[0].shape, graph.outputs
        (3, (1, 5, 5), 100)
    """
    generator = rng or np.random.default_rng(0)
    if not fisher and any(isinstance(layer, Embedding) for layer in network.weights):
        raise InputError(
            "expected inputs that can be differentiated, got tokens before an Embedding; take fisher=True."
        )
    x, channels = inputs_of(network, qhat0, samples, realised, generator)
    given = iter(realised.preactivations) if realised is not None else None

    mixing = mixes_tokens(network)

    def source(layer: Weights, shape: tuple[int, ...], covariance: np.ndarray) -> np.ndarray:
        fan_out = layer.sizes[1]
        if given is None and mixing:
            return drawn(fan_out, covariance, generator)
        if given is None:
            h = drawn(min(fan_out, NEURONS if len(covariance) == 1 else CHANNELS), covariance, generator)
            return h.reshape(len(h), *shape)
        h = by_channel(next(given, np.empty(0)))
        if mixing:
            h = h[:, 0].T if isinstance(layer, TokenMixing) else h[:, 0]
        if len(h) != fan_out:
            raise InputError(
                f"expected {fan_out} finite outputs of {described(layer)}, got {len(h)}; take the signals of this very "
                "network."
            )
        return h

    builder = (MixingBuilder if mixing else GraphBuilder)(source, _parametrisation(fisher), generator)
    builder.own = {} if realised is None else realised.own
    builder.closed(_walked(builder, network, x, channels))
    return _assembled(builder, realised or _signals(x, builder.seen))


def forward_pass(network: Network, given: NeuronSignals, source: Source, rng: np.random.Generator) -> NeuronSignals:
    """The signals of a network on the inputs of ``given``, where ``source`` says what every weight layer puts out.

    Args:
        network: as of :func:`network_graph`.
        given: of which the inputs are used.
        source: layer, (samples, *positions) and covariance of its outputs (Q, Q) ↦ outputs (C, samples, *positions).
        rng: for dropout.

    Example:
        >>> from freeness.network import mlp
        >>> ones = NeuronSignals(np.ones(4), ())
        >>> forward_pass(mlp(2, 4), ones, lambda layer, shape, q: np.ones((4, *shape)), np.random.default_rng(0)).inputs
        array([1., 1., 1., 1.])
    """
    x, channels = inputs_of(network, 1.0, None, given, rng)
    builder = (MixingBuilder if mixes_tokens(network) else GraphBuilder)(source, None, rng)
    builder.own = given.own
    _walked(builder, network, x, channels)
    return _signals(x, builder.seen)


def _walked(builder: GraphBuilder, network: Network, x: np.ndarray, channels: int) -> NeuronSignal:
    """The signal at the end of the network; JJᵀ accumulates 1 at the input."""
    if isinstance(builder, MixingBuilder):
        return builder.through(network, builder.start(network, x))
    count, jacobian = x[0].size, builder.fisher is None
    if jacobian:
        builder.nodes.append(GraphNode(np.eye(count)[None], channels))
    start = NeuronSignal(0 if jacobian else None, x, np.broadcast_to(np.eye(count), (len(x), count, count)), channels)
    return builder.through(network, start)


def _signals(x: np.ndarray, seen: Sequence[np.ndarray]) -> NeuronSignals:
    plain = x.shape[1:] == (1,)
    arrays = [array[:, 0] if plain else array.swapaxes(0, 1) for array in (x, *seen)]
    return NeuronSignals(arrays[0], tuple(arrays[1:]))


def _parametrisation(fisher: object) -> Parametrisation | None:
    if fisher is False or fisher is True:
        return "standard" if fisher else None
    if fisher not in ("standard", "ntk"):
        raise InputError(f"expected fisher False, True, 'standard' or 'ntk', got {fisher!r}; choose one.")
    return "standard" if fisher == "standard" else "ntk"


def by_channel(array: np.ndarray) -> np.ndarray:
    """(channels, samples, *positions) of one vector, or of (samples, channels, *positions).

    Example:
        >>> by_channel(np.ones((2, 3, 4))).shape
        (3, 2, 4)
    """
    given = np.asarray(array, dtype=float)
    return given[:, None] if given.ndim == 1 else given.swapaxes(0, 1)


def inputs_of(
    network: Network,
    qhat0: float,
    samples: Num[np.ndarray, "samples features *positions"] | None,
    realised: NeuronSignals | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """x⁰ (channels, samples, *positions), and how many channels it stands for.

    Args:
        network: whose input it is.
        qhat0: ‖x⁰‖²/N_0 of a random vector, where nothing else is given.
        samples: inputs (n, N₀) or (n, channels, *positions).
        realised: signals with their inputs.
        rng: for the random vector.

    Example:
        >>> from freeness.network import mlp
        >>> inputs_of(mlp(2, 4), 2.0, None, None, np.random.default_rng(0))[0].shape
        (4, 1)
    """
    first = next(iter(network.weights), None)
    if first is None:
        raise InputError("expected a network with a weight layer, got none; it has no spectrum.")
    given = samples if realised is None else realised.inputs
    if network.table is not None and given is not None:
        given = network.table.one_hot(given)
    if given is not None:
        x = np.asarray(given, dtype=float)
        if x.ndim < (1 if realised is not None else 2) or x.size == 0 or not np.isfinite(x).all():
            raise InputError(
                f"expected finite samples (n, N₀) or (n, channels, *positions), got shape {x.shape}; correct them."
            )
        x = by_channel(x)
        return x, len(x)
    if not isinstance(first, Dense):
        raise InputError(
            f"expected samples (n, channels, *positions) before {described(first)}, got none; the theory needs to know "
            "how an input's positions are correlated."
        )
    check_norm(qhat0)
    return np.sqrt(qhat0) * stratified(min(first.fan_in, NEURONS), rng)[:, None], first.fan_in


def stratified(count: int, rng: np.random.Generator) -> np.ndarray:
    """Normal quantiles in random order, of variance 1: one neuron in each 1/count of the mass.

    Example:
        >>> float((stratified(50, np.random.default_rng(0)) ** 2).mean().round(12))
        1.0
    """
    quantiles = ndtri((np.arange(count) + 0.5) / count)
    size = np.sqrt((quantiles**2).mean())
    return rng.permutation(quantiles) / size if size > 0 else np.ones(count)


def chained(
    parents: Sequence[int | None], end: int, joined: Collection[int] = ()
) -> tuple[list[list[int]], dict[int, tuple[int, int]]]:
    """Nodes by chains of links, that with the node ``end`` last, and where each node went.

    Args:
        parents: from which node a link comes, for each node; at most one link leaves a node.
        end: the output.
        joined: nodes that are left out, for they became part of others.

    Example:
        >>> chained([None, 0, None], 1)
        ([[2], [0, 1]], {2: (0, 0), 0: (1, 0), 1: (1, 1)})
    """
    following: dict[int, int] = {}
    for index, parent in enumerate(parents):
        if parent is None:
            continue
        if parent in following:
            raise Branching(
                "expected one sum at a time in the graph, got two that start at the same place; this way covers no others."
            )
        following[parent] = index
    chains: list[list[int]] = []
    for index, parent in enumerate(parents):
        if parent is None and index not in joined:
            chain = [index]
            while chain[-1] in following:
                chain.append(following[chain[-1]])
            chains.append(chain)
    chains.sort(key=lambda chain: end in chain)
    return chains, {index: (s, position) for s, chain in enumerate(chains) for position, index in enumerate(chain)}


def drawn(channels: int, covariance: np.ndarray, rng: np.random.Generator, *, exact: bool | None = None) -> np.ndarray:
    """Gaussian channels of a covariance (Q, Q), (channels, Q); ``exact``: their own is that, up to too few channels.

    Args:
        channels: how many.
        covariance: symmetric, without negative eigenvalues.
        rng: numpy's, from which all numbers are drawn: the same seed, the same result.
        exact: False: independent draws. None: exact, and one channel in each part of equal mass where Q = 1.

    Example:
        >>> x = drawn(50, np.diag([1.0, 4.0]), np.random.default_rng(0), exact=True)
        >>> np.allclose(x.T @ x / 50, np.diag([1.0, 4.0]), rtol=0, atol=1e-12)
        True
    """
    one = len(covariance) == 1
    values, basis = (covariance[0], np.ones((1, 1))) if one else np.linalg.eigh(covariance)
    if values[0] < -_INDEFINITE * max(values[-1], 0.0) * len(values):
        raise InputError("expected a covariance of the signal without negative eigenvalues, got one; check the inputs.")
    if one and exact is None:
        return np.sqrt(covariance[0, 0]) * stratified(channels, rng)[:, None]
    normal = rng.standard_normal((channels, len(covariance)))
    if exact is not False and channels >= 2 * len(covariance):
        q, r = np.linalg.qr(normal)
        normal = np.sqrt(channels) * q * np.sign(np.diag(r))
    return normal * np.sqrt(np.maximum(values, 0.0)) @ basis.T


def _assembled(builder: GraphBuilder, signals: NeuronSignals) -> NetworkGraph:
    nodes = builder.nodes
    chains, places = chained([node.parent for node in nodes], builder.end, builder.joined)
    segments: list[BlockSegment] = []
    for chain in chains:
        links = tuple(link for index in chain[1:] if (link := nodes[index].link) is not None)
        segments.append(BlockSegment(tuple(nodes[i].accumulated for i in chain), links, nodes[chain[0]].channels))
    kept = [m for m in builder.matrices if m.source in places and m.target in places]
    matrices = tuple(
        SharedMatrix(places[m.source], places[m.target], m.read, m.write, m.taps, m.square, m.kind, m.squares)
        for m in kept
    )
    asides = tuple((places[i], node.aside) for i, node in enumerate(nodes) if node.aside is not None and i in places)
    unseen = builder.unseen
    if any(k.shape[-1] > 1 for segment in segments for k in segment.accumulated):
        unseen = "with positions or several samples"
    return NetworkGraph(tuple(segments), matrices, tuple(m.written for m in kept), signals, asides, unseen)
