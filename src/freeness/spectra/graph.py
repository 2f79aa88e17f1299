"""Networks as graphs of random matrices: exact in the D of every neuron, whatever they are correlated with.

The signal of one forward pass (realised, or drawn neuron by neuron from the mean field) is followed through the layers; nodes
are the places between weight matrices, a residual layer links its ends by skip·D, and every matrix stands between the
derivatives around it (theory.md §3.4). A convolution acts alike at each position, any weight alike on each sample, so the
positions of all samples of a channel are taken together: derivatives, links and sums are matrices over them, which are plain
numbers in a fully connected network with one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import ndtri

from freeness.errors import InputError
from freeness.meanfield import pooled, variance_gain, windows
from freeness.network import (
    Activation,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    Gaussian,
    Haar,
    Network,
    Normalisation,
    Pooling,
    Residual,
    described,
)
from freeness.operators import BlockSegment, RandomMatrix, Segment, SharedMatrix

NEURONS = 400  # of a layer at most that are drawn from the mean field, one in each part of equal mass
CHANNELS = 128  # of a layer with positions at most that are drawn
_INDEFINITE = 1e-12  # relative size of negative eigenvalues of a covariance that are rounding

_Weights = Dense | Convolution
_Source = Callable[[_Weights, tuple[int, ...], np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class NeuronSignals:
    """One forward pass, neuron by neuron: the input and the outputs of every weight layer, in the order of ``Network.walk``.

    Each array is (N,), or (samples, channels, *positions).
    """

    inputs: np.ndarray
    preactivations: tuple[np.ndarray, ...]


@dataclass(eq=False)
class _Node:
    """K (1 or C, Q, Q), channels of the network there, and a parent by a link (C, Q, Q')."""

    accumulated: np.ndarray
    channels: int
    parent: int | None = None
    link: np.ndarray | None = None


@dataclass(eq=False)
class _Matrix:
    source: int
    target: int
    read: np.ndarray
    write: np.ndarray | None
    taps: np.ndarray
    square: float
    kind: Literal["gaussian", "haar"]
    written: MatrixPass


@dataclass(frozen=True, eq=False)
class MatrixPass:
    """What the forward pass says of one matrix: W·``inputs`` = ``outputs`` (C, Q), biases taken off by their variance's share."""

    inputs: np.ndarray
    outputs: np.ndarray


@dataclass(frozen=True, eq=False)
class _Signal:
    """x of every drawn channel (C, n, *positions); ``slope`` dx/dh (C, Q, Q') by the h of ``node``; how many channels there are.

    ``flat``: positions count as channels from here on.
    """

    node: int | None
    value: np.ndarray
    slope: np.ndarray
    channels: int
    flat: bool = False

    @property
    def matrix(self) -> np.ndarray:
        """x as (C, Q)."""
        return self.value.reshape(len(self.value), -1)


@dataclass(eq=False)
class _Builder:
    """Nodes and matrices met so far; ``fisher``: weights accumulate the Gram matrix of what they read."""

    source: _Source
    fisher: bool
    rng: np.random.Generator
    nodes: list[_Node] = field(default_factory=list)
    matrices: list[_Matrix] = field(default_factory=list)

    def through(self, layers: Sequence[object], signal: _Signal) -> _Signal:
        for layer in layers:
            signal = self._step(layer, signal)
        return signal

    def _step(self, layer: object, signal: _Signal) -> _Signal:
        x = signal.value
        match layer:
            case Dense() | Convolution():
                return self._weights(layer, signal)
            case Activation():
                return _scaled(signal, layer.function.function(x), layer.function.derivative(x))
            case Normalisation(kind="layer" | "rms"):
                axes = (0, *range(2, x.ndim)) if layer.positions or signal.flat else (0,)
                centre = x.mean(axis=axes, keepdims=True) if layer.kind == "layer" else 0.0
                size = np.sqrt(((x - centre) ** 2).mean(axis=axes, keepdims=True) + layer.epsilon)
                return _scaled(signal, (x - centre) / size, np.broadcast_to(1 / size, x.shape))
            case Dropout():
                kept = (self.rng.random(x.shape) >= layer.rate) / (1 - layer.rate)
                return _scaled(signal, x * kept, kept)
            case Pooling():
                samples, shape = x.shape[1], x.shape[2:]
                count = int(np.prod(shape))
                average = pooled(np.eye(count).reshape(count, *shape), layer, 1, 1).reshape(count, -1).T
                value = pooled(x, layer, 2, 1)
                slope = np.kron(np.eye(samples), average) @ signal.slope
                return _Signal(signal.node, value, slope, signal.channels, signal.flat)
            case Flatten():
                return _Signal(signal.node, x, signal.slope, signal.channels, True)
            case Residual():
                return self._residual(layer, signal)
        raise InputError(
            f"expected layers that the graph of random matrices covers, got {described(layer)}; measure its spectrum instead."
        )

    def _weights(self, layer: _Weights, signal: _Signal) -> _Signal:
        if not isinstance(layer.weights, (Gaussian, Haar)):
            raise InputError(
                f"expected Gaussian or Haar weights in {described(layer)}, got {type(layer.weights).__name__}; the graph of "
                "random matrices covers no others."
            )
        taps, shape, fan_out = _taps(layer, signal)
        trained, _, _ = _taps(layer, signal, trained=True)
        x = signal.matrix
        gram = signal.channels / len(x) * x.T @ x
        moments = np.sum([tap @ gram @ tap.T for tap in taps], axis=0) / (signal.channels * len(taps))
        gain = variance_gain(layer.weights, signal.channels, fan_out)
        h = self.source(layer, shape, gain * moments + layer.sigma_b**2)
        if h.shape[1:] != shape or len(h) > fan_out or not np.isfinite(h).all():
            raise InputError(
                f"expected {fan_out} finite outputs of {described(layer)} for samples and positions {shape}, got shape "
                f"{h.shape}; take the signals of this very network."
            )
        count = len(moments)
        written = np.zeros((count, count))
        if self.fisher:
            written = np.sum([tap @ gram @ tap.T for tap in trained], axis=0) + float(layer.bias)
        self.nodes.append(_Node(written[None], fan_out))
        here = len(self.nodes) - 1
        if signal.node is not None:
            haar = isinstance(layer.weights, Haar)
            read = taps[0] @ signal.slope if haar else signal.slope
            pattern = np.eye(count)[None] if haar else taps
            square = layer.weights.sigma_w**2 / (1 if haar else len(taps))
            kind = "haar" if haar else "gaussian"
            share = max(0.0, 1 - layer.sigma_b**2 / float((h**2).mean())) if h.any() else 0.0
            passed = MatrixPass(x, share * h.reshape(len(h), -1))
            self.matrices.append(_Matrix(signal.node, here, read, None, pattern, square, kind, passed))
        return _Signal(here, h, np.broadcast_to(np.eye(count), (len(h), count, count)), fan_out)

    def _residual(self, layer: Residual, signal: _Signal) -> _Signal:
        """The branch's last node becomes the one where both meet."""
        before = len(self.nodes)
        inner = self.through(layer.branch, signal)
        if inner.value.shape[1:] != signal.value.shape[1:] or inner.channels != signal.channels:
            raise InputError(
                f"expected a branch of {described(layer)} that keeps channels and positions, got {inner.channels} × "
                f"{inner.value.shape[2:]} for {signal.channels} × {signal.value.shape[2:]}; correct it."
            )
        here = inner.node
        if here is None or here < before or self.nodes[here].parent is not None:
            raise InputError(
                f"expected a branch that ends behind a weight layer of its own, got {described(layer)} with a nested sum at its "
                "end; measure its spectrum instead."
            )
        if len(inner.value) != len(signal.value):
            raise InputError(
                f"expected as many drawn channels on both sides of {described(layer)}, got {len(signal.value)} and "
                f"{len(inner.value)}; give realised signals."
            )
        outer = layer.scale * inner.slope
        node = self.nodes[here]
        node.accumulated = outer @ node.accumulated @ outer.transpose(0, 2, 1)
        for matrix in self.matrices:
            if matrix.target == here:
                matrix.write = outer if matrix.write is None else outer @ matrix.write
        if signal.node is not None:
            node.parent, node.link = signal.node, layer.skip * signal.slope
        value = layer.skip * signal.value + layer.scale * inner.value
        count = outer.shape[1]
        return _Signal(here, value, np.broadcast_to(np.eye(count), (len(value), count, count)), signal.channels)

    def closed(self, signal: _Signal) -> None:
        """A last node behind what follows the last weights."""
        count = signal.slope.shape[1]
        if signal.node is not None and not (signal.slope.shape[2] == count and (signal.slope == np.eye(count)).all()):
            self.nodes.append(_Node(np.zeros((1, count, count)), signal.channels, signal.node, signal.slope))


def _scaled(signal: _Signal, value: np.ndarray, derivative: np.ndarray) -> _Signal:
    slope = derivative.reshape(len(derivative), -1)[:, :, None] * signal.slope
    return _Signal(signal.node, value, slope, signal.channels, signal.flat)


def _taps(layer: _Weights, signal: _Signal, trained: bool = False) -> tuple[np.ndarray, tuple[int, ...], int]:
    """T_τ (taps, Q_out, Q_in) of the weights, or of all that are ``trained``; samples and positions, and channels behind."""
    samples, shape = signal.value.shape[1], signal.value.shape[2:]
    count = int(np.prod(shape))
    every = np.eye(samples)
    if isinstance(layer, Convolution):
        _expect(layer, layer.channels_in, signal.channels)
        seen = layer if not trained else Convolution(1, 1, layer.kernel, Gaussian(1.0), layer.padding, layer.stride)
        each = list(windows(np.eye(count).reshape(count, *shape), seen, 1, 1))
        taps = np.stack([np.kron(every, window.reshape(count, -1).T) for window in each])
        return taps, (samples, *each[0].shape[1:]), layer.channels_out
    if count > 1 and not signal.flat:
        raise InputError(f"expected one position before {described(layer)}, got {shape}; flatten or pool before it.")
    _expect(layer, layer.fan_in, signal.channels * count)
    if count > 1 and isinstance(layer.weights, Haar):
        raise InputError(
            f"expected Gaussian weights in {described(layer)} behind flattening, got Haar ones, which mix the positions of all "
            "channels; pool before it or measure."
        )
    taps = np.stack([np.kron(every, np.eye(count)[p : p + 1]) for p in range(count)])
    return taps, (samples,), layer.fan_out


def _expect(layer: _Weights, wanted: int, found: int) -> None:
    if wanted != found:
        raise InputError(f"expected {wanted} inputs of {described(layer)}, got {found}; correct the channels.")


@dataclass(frozen=True, eq=False)
class NetworkGraph:
    """Segments of linked nodes and the random matrices between them; the last node of the last segment is the output.

    ``passes``: of each matrix. ``output``: the signal there, (C, Q).
    """

    segments: tuple[BlockSegment, ...]
    matrices: tuple[SharedMatrix, ...]
    passes: tuple[MatrixPass, ...]
    signals: NeuronSignals
    output: np.ndarray

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
    samples: np.ndarray | None = None,
    realised: NeuronSignals | None = None,
    fisher: bool = False,
    rng: np.random.Generator | None = None,
) -> NetworkGraph:
    """The graph whose law is that of JJᵀ, or of Θ = J_θJ_θᵀ, over all outputs of all samples together.

    Args:
        network: weights, activations, layer and RMS normalisation, dropout, pooling, flattening, residual layers.
        qhat0: ‖x⁰‖²/N_0 of one random input; not used with ``samples`` or ``realised``.
        samples: inputs (n, N₀) or (n, channels, *positions), behind which the signal is drawn from the mean field: at most 400
            neurons a layer, or 128 channels with positions.
        realised: signals of one forward pass of this network instead.
        fisher: Θ instead of JJᵀ.
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
    x, channels = _inputs(network, qhat0, samples, realised, generator)
    seen: list[np.ndarray] = []
    given = iter(realised.preactivations) if realised is not None else None

    def source(layer: _Weights, shape: tuple[int, ...], covariance: np.ndarray) -> np.ndarray:
        fan_out = layer.channels_out if isinstance(layer, Convolution) else layer.fan_out
        if given is None:
            drawn = _drawn(min(fan_out, NEURONS if len(covariance) == 1 else CHANNELS), covariance, generator)
            h = drawn.reshape(len(drawn), *shape)
        else:
            h = _by_channel(next(given, np.empty(0)))
            if len(h) != fan_out:
                raise InputError(
                    f"expected {fan_out} finite outputs of {described(layer)}, got {len(h)}; take the signals of this very "
                    "network."
                )
        seen.append(h)
        return h

    builder = _Builder(source, fisher, generator)
    count = x[0].size
    if not fisher:
        builder.nodes.append(_Node(np.eye(count)[None], channels))
    start = _Signal(None if fisher else 0, x, np.broadcast_to(np.eye(count), (len(x), count, count)), channels)
    end = builder.through(network.layers, start)
    builder.closed(end)
    plain = x.shape[1:] == (1,)
    arrays = [array[:, 0] if plain else array.swapaxes(0, 1) for array in (x, *seen)]
    signals = NeuronSignals(arrays[0], tuple(arrays[1:]))
    return _assembled(builder, realised or signals, end.matrix)


def _by_channel(array: np.ndarray) -> np.ndarray:
    """(channels, samples, *positions) of one vector, or of (samples, channels, *positions)."""
    given = np.asarray(array, dtype=float)
    return given[:, None] if given.ndim == 1 else given.swapaxes(0, 1)


def _inputs(
    network: Network,
    qhat0: float,
    samples: np.ndarray | None,
    realised: NeuronSignals | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """x⁰ (channels, samples, *positions), and how many channels it stands for."""
    first = next((layer for layer in network.walk() if isinstance(layer, (Dense, Convolution))), None)
    if first is None:
        raise InputError("expected a network with a weight layer, got none; it has no spectrum.")
    given = samples if realised is None else realised.inputs
    if given is not None:
        x = np.asarray(given, dtype=float)
        if x.ndim < (1 if realised is not None else 2) or x.size == 0 or not np.isfinite(x).all():
            raise InputError(
                f"expected finite samples (n, N₀) or (n, channels, *positions), got shape {x.shape}; correct them."
            )
        x = _by_channel(x)
        return x, len(x)
    if isinstance(first, Convolution):
        raise InputError(
            f"expected samples (n, channels, *positions) before {described(first)}, got none; the theory of convolutions needs "
            "to know how an input's positions are correlated."
        )
    if not (np.isfinite(qhat0) and qhat0 > 0):
        raise InputError(f"expected qhat0 = ‖x⁰‖²/N_0 > 0, got {qhat0}; the input must not vanish.")
    return np.sqrt(qhat0) * stratified(min(first.fan_in, NEURONS), rng)[:, None], first.fan_in


def stratified(count: int, rng: np.random.Generator) -> np.ndarray:
    """Normal quantiles in random order, of variance 1: one neuron in each 1/count of the mass.

    Args:
        count: how many.
        rng: for the order.

    Example:
        >>> float((stratified(50, np.random.default_rng(0)) ** 2).mean().round(12))
        1.0
    """
    quantiles = ndtri((np.arange(count) + 0.5) / count)
    size = np.sqrt((quantiles**2).mean())
    return rng.permutation(quantiles) / size if size > 0 else np.ones(count)


def chained(parents: Sequence[int | None], end: int) -> tuple[list[list[int]], dict[int, tuple[int, int]]]:
    """Nodes by chains of links, that with the node ``end`` last, and where each node went.

    Args:
        parents: from which node a link comes, for each node; at most one link leaves a node.
        end: the output.

    Example:
        >>> chained([None, 0, None], 1)
        ([[2], [0, 1]], {2: (0, 0), 0: (1, 0), 1: (1, 1)})
    """
    following: dict[int, int] = {}
    for index, parent in enumerate(parents):
        if parent is None:
            continue
        if parent in following:
            raise InputError(
                "expected one sum at a time in the graph, got two that start at the same place; this way covers no others."
            )
        following[parent] = index
    chains: list[list[int]] = []
    for index, parent in enumerate(parents):
        if parent is None:
            chain = [index]
            while chain[-1] in following:
                chain.append(following[chain[-1]])
            chains.append(chain)
    chains.sort(key=lambda chain: end in chain)
    return chains, {index: (s, position) for s, chain in enumerate(chains) for position, index in enumerate(chain)}


def _drawn(channels: int, covariance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian channels with exactly this covariance where there are enough of them, (channels, Q)."""
    values, basis = np.linalg.eigh(covariance)
    if values[0] < -_INDEFINITE * max(values[-1], 0.0) * len(values):
        raise InputError("expected a covariance of the signal without negative eigenvalues, got one; check the inputs.")
    if len(covariance) == 1:
        return np.sqrt(covariance[0, 0]) * stratified(channels, rng)[:, None]
    normal = rng.standard_normal((channels, len(covariance)))
    if channels >= 2 * len(covariance):
        q, r = np.linalg.qr(normal)
        normal = np.sqrt(channels) * q * np.sign(np.diag(r))
    return normal * np.sqrt(np.maximum(values, 0.0)) @ basis.T


def _assembled(builder: _Builder, signals: NeuronSignals, output: np.ndarray) -> NetworkGraph:
    nodes = builder.nodes
    chains, places = chained([node.parent for node in nodes], len(nodes) - 1)
    segments = []
    for chain in chains:
        links = tuple(link for index in chain[1:] if (link := nodes[index].link) is not None)
        segments.append(BlockSegment(tuple(nodes[i].accumulated for i in chain), links, nodes[chain[0]].channels))
    kept = [m for m in builder.matrices if m.source in places and m.target in places]
    matrices = tuple(
        SharedMatrix(places[m.source], places[m.target], m.read, m.write, m.taps, m.square, m.kind) for m in kept
    )
    return NetworkGraph(tuple(segments), matrices, tuple(m.written for m in kept), signals, output)
