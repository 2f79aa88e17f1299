"""Networks with skip connections as graphs of random matrices: exact in the D of every neuron, whatever they are correlated with.

The signal of one forward pass (realised, or drawn neuron by neuron from the mean field) is followed through the layers; nodes
are the places between weight matrices, a residual layer links its ends by skip·D, and every matrix stands between the
derivatives around it (theory.md §3.4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtri

from freeness.errors import InputError
from freeness.laws import Atom, Law
from freeness.meanfield import variance_gain
from freeness.network import (
    Activation,
    Dense,
    Dropout,
    Ensemble,
    Gaussian,
    Haar,
    Layer,
    Network,
    Normalisation,
    Residual,
    described,
)
from freeness.operators import GraphEquation, GraphLaw, RandomMatrix, Segment

_SAMPLE = 160  # neurons of the widest layer in the sampled matrix that says where the support is, about
_SMALL = 1e-9  # relative size of eigenvalues of it that are 0
_LIGHTEST = 1e-5  # atom at 0 that is told


@dataclass(frozen=True, eq=False)
class NeuronSignals:
    """One forward pass, neuron by neuron: the input and the outputs of every weight layer, in the order of ``Network.walk``."""

    inputs: np.ndarray
    preactivations: tuple[np.ndarray, ...]


@dataclass(eq=False)
class _Node:
    """K and where the signal comes from besides matrices: a parent by a diagonal link."""

    accumulated: np.ndarray
    parent: int | None = None
    link: np.ndarray | None = None


@dataclass(eq=False)
class _Matrix:
    source: int
    target: int
    d_source: np.ndarray
    d_target: np.ndarray
    ensemble: Ensemble
    written: MatrixPass


@dataclass(frozen=True, eq=False)
class MatrixPass:
    """What the forward pass says of one matrix: W·``inputs`` = ``outputs``, biases taken off by their share of the variance."""

    inputs: np.ndarray
    outputs: np.ndarray


@dataclass(frozen=True, eq=False)
class _Signal:
    """``value`` x of every neuron, ``slope`` dx/dh by the h of ``node`` (None: nothing accumulated so far)."""

    node: int | None
    value: np.ndarray
    slope: np.ndarray


_Source = Callable[[Dense, np.ndarray], np.ndarray]


@dataclass(eq=False)
class _Builder:
    """Nodes and matrices met so far; ``fisher``: weights accumulate ‖x‖² at what they write, else the input accumulates 1."""

    source: _Source
    fisher: bool
    rng: np.random.Generator
    share: float
    nodes: list[_Node] = field(default_factory=list)
    matrices: list[_Matrix] = field(default_factory=list)

    def through(self, layers: Sequence[object], signal: _Signal) -> _Signal:
        for layer in layers:
            signal = self._step(layer, signal)
        return signal

    def _step(self, layer: object, signal: _Signal) -> _Signal:
        x, d = signal.value, signal.slope
        match layer:
            case Dense():
                return self._dense(layer, signal)
            case Activation():
                return _Signal(signal.node, layer.function.function(x), d * layer.function.derivative(x))
            case Normalisation(kind="layer" | "rms"):
                centre = x.mean() if layer.kind == "layer" else 0.0
                size = np.sqrt(((x - centre) ** 2).mean() + layer.epsilon)
                return _Signal(signal.node, (x - centre) / size, d / size)
            case Dropout():
                kept = (self.rng.random(x.size) >= layer.rate) / (1 - layer.rate)
                return _Signal(signal.node, x * kept, d * kept)
            case Residual():
                return self._residual(layer, signal)
        raise InputError(
            f"expected layers that the graph of one sample covers, got {described(layer)}; measure its spectrum instead."
        )

    def _dense(self, layer: Dense, signal: _Signal) -> _Signal:
        x = signal.value
        if x.size != layer.fan_in:
            raise InputError(
                f"expected {layer.fan_in} neurons before {described(layer)}, got {x.size}; correct the widths."
            )
        if not isinstance(layer.weights, (Gaussian, Haar)):
            raise InputError(
                f"expected Gaussian or Haar weights in {described(layer)}, got {type(layer.weights).__name__}; the graph of "
                "random matrices covers no others."
            )
        h = np.asarray(self.source(layer, x), dtype=float)
        if h.shape != (layer.fan_out,) or not np.isfinite(h).all():
            raise InputError(
                f"expected {layer.fan_out} finite outputs of {described(layer)}, got shape {h.shape}; take the signals of this "
                "very network."
            )
        written = float(x @ x) / self.share + layer.bias if self.fisher else 0.0
        self.nodes.append(_Node(np.full(layer.fan_out, written)))
        here = len(self.nodes) - 1
        if signal.node is not None:
            share = max(0.0, 1 - layer.sigma_b**2 / float((h**2).mean())) if h.any() else 0.0
            ones, passed = np.ones(layer.fan_out), MatrixPass(x, share * h)
            self.matrices.append(_Matrix(signal.node, here, signal.slope, ones, layer.weights, passed))
        return _Signal(here, h, np.ones(layer.fan_out))

    def _residual(self, layer: Residual, signal: _Signal) -> _Signal:
        """The branch's last node becomes the one where both meet."""
        before = len(self.nodes)
        inner = self.through(layer.branch, signal)
        if inner.value.shape != signal.value.shape:
            raise InputError(
                f"expected a branch of {described(layer)} that keeps the width, got {inner.value.size} for {signal.value.size}; "
                "correct it."
            )
        here = inner.node
        if here is None or here < before or self.nodes[here].parent is not None:
            raise InputError(
                f"expected a branch that ends behind a weight layer of its own, got {described(layer)} with a nested sum at its "
                "end; measure its spectrum instead."
            )
        outer = layer.scale * inner.slope
        node = self.nodes[here]
        node.accumulated = outer**2 * node.accumulated
        for matrix in self.matrices:
            if matrix.target == here:
                matrix.d_target = outer * matrix.d_target
        if signal.node is not None:
            node.parent, node.link = signal.node, layer.skip * signal.slope
        value = layer.skip * signal.value + layer.scale * inner.value
        return _Signal(here, value, np.ones(value.size))

    def closed(self, signal: _Signal) -> None:
        """A last node behind activations at the end of the network."""
        if signal.node is not None and not (signal.slope == 1).all():
            self.nodes.append(_Node(np.zeros(signal.value.size), signal.node, signal.slope))


def narrowed(network: Network, width: int) -> tuple[Network, float]:
    """The same network with at most ``width`` neurons a layer, all widths in proportion, and its share of the neurons.

    Example:
        >>> from freeness.network import mlp
        >>> network, share = narrowed(mlp(2, [2000, 1000, 10]), 400)
        >>> network.widths, share
        ((400, 200, 2), 0.2)
    """
    widest = max(max(layer.fan_in, layer.fan_out) for layer in network.dense)
    share = min(1.0, width / widest)

    def changed(layer: Layer) -> Layer:
        if isinstance(layer, Dense):
            return replace(
                layer, fan_in=max(1, round(share * layer.fan_in)), fan_out=max(1, round(share * layer.fan_out))
            )
        return replace(layer, branch=tuple(map(changed, layer.branch))) if isinstance(layer, Residual) else layer

    return (network, 1.0) if share == 1 else (Network(tuple(map(changed, network.layers))), share)


@dataclass(frozen=True, eq=False)
class NetworkGraph:
    """Segments of linked nodes and the random matrices between them; the last node of the last segment is the output.

    ``passes``: of each matrix. ``output``: the signal there.
    """

    segments: tuple[Segment, ...]
    matrices: tuple[RandomMatrix, ...]
    passes: tuple[MatrixPass, ...]
    signals: NeuronSignals
    output: np.ndarray


def network_graph(
    network: Network,
    qhat0: float = 1.0,
    *,
    realised: NeuronSignals | None = None,
    fisher: bool = False,
    rng: np.random.Generator | None = None,
    share: float = 1.0,
) -> NetworkGraph:
    """The graph whose law is that of JJᵀ, or of Θ = J_θJ_θᵀ.

    Args:
        network: weights, activations, layer and RMS normalisation, dropout, residual layers.
        qhat0: ‖x⁰‖²/N_0; not used with ``realised``.
        realised: signals of one forward pass of this network; drawn from the mean field when left out.
        fisher: Θ instead of JJᵀ.
        rng: for drawing; the same neurons every time when left out.
        share: of the neurons of a wider network that these are, so that ‖x‖² is taken 1/share times.

    Example:
        >>> from freeness.network import resnet
        >>> graph = network_graph(resnet(3, 50))
        >>> len(graph.segments), graph.segments[0].links.shape, len(graph.matrices)
        (1, (3, 50), 3)
    """
    generator = rng or np.random.default_rng(0)
    seen: list[np.ndarray] = []
    given = iter(realised.preactivations) if realised is not None else None

    def source(layer: Dense, x: np.ndarray) -> np.ndarray:
        h = next(given, np.empty(0)) if given is not None else _drawn(layer, x, generator)
        seen.append(h)
        return h

    first = next(iter(network.dense), None)
    if first is None:
        raise InputError("expected a network with a weight layer, got none; it has no spectrum.")
    x = _input(first.fan_in, qhat0, generator) if realised is None else np.asarray(realised.inputs, dtype=float).ravel()
    builder = _Builder(source, fisher, generator, share)
    if not fisher:
        builder.nodes.append(_Node(np.ones(x.size)))
    end = builder.through(network.layers, _Signal(None if fisher else 0, x, np.ones(x.size)))
    builder.closed(end)
    segments, places = _segments(builder.nodes, len(builder.nodes) - 1)
    kept = [m for m in builder.matrices if m.source in places and m.target in places]
    matrices = tuple(
        RandomMatrix(
            places[m.source],
            places[m.target],
            m.d_source,
            m.d_target,
            m.ensemble.sigma_w**2,
            "haar" if isinstance(m.ensemble, Haar) else "gaussian",
        )
        for m in kept
    )
    return NetworkGraph(segments, matrices, tuple(m.written for m in kept), NeuronSignals(x, tuple(seen)), end.value)


def _input(width: int, qhat0: float, rng: np.random.Generator) -> np.ndarray:
    if not (np.isfinite(qhat0) and qhat0 > 0):
        raise InputError(f"expected qhat0 = ‖x⁰‖²/N_0 > 0, got {qhat0}; the input must not vanish.")
    return np.sqrt(qhat0) * stratified(width, rng)


def _drawn(layer: Dense, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Outputs of a wide layer: Gaussian with the variance that x makes."""
    gain = variance_gain(layer.weights, layer.fan_in, layer.fan_out)
    return np.sqrt(gain * (x @ x) / x.size + layer.sigma_b**2) * stratified(layer.fan_out, rng)


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


def _segments(nodes: list[_Node], end: int) -> tuple[tuple[Segment, ...], dict[int, tuple[int, int]]]:
    """Nodes by chains of links, that with the output last, and where each node went."""
    following: dict[int, int] = {}
    for index, node in enumerate(nodes):
        if node.parent is None:
            continue
        if node.parent in following:
            raise InputError(
                "expected one sum at a time in the graph, got two that start at the same place; this way covers no others."
            )
        following[node.parent] = index
    chains: list[list[int]] = []
    for index, node in enumerate(nodes):
        if node.parent is None:
            chain = [index]
            while chain[-1] in following:
                chain.append(following[chain[-1]])
            chains.append(chain)
    chains.sort(key=lambda chain: end in chain)
    places = {index: (s, position) for s, chain in enumerate(chains) for position, index in enumerate(chain)}
    segments = []
    for chain in chains:
        links = [nodes[index].link for index in chain[1:]]
        accumulated = np.stack([nodes[index].accumulated for index in chain])
        stacked = np.stack([link for link in links if link is not None]) if links else accumulated[:0]
        segments.append(Segment(accumulated, stacked))
    return tuple(segments), places


def graph_law(graph: NetworkGraph) -> Law:
    """The law of a graph, by its equations; a sampled matrix of about 160 neurons says where to look for the support.

    Example:
        >>> from freeness.network import Branch, resnet
        >>> law = graph_law(network_graph(resnet(2, 40, Branch("tanh", scale=0.5))))
        >>> 1.0 < law.mean < 1.5
        True
    """
    values = sampled_eigenvalues(graph, np.random.default_rng(1))
    top = float(values[-1])
    if not (np.isfinite(top) and top > 0):
        raise InputError(
            f"expected a spectrum of finite positive size, got {top}; the signal or the gradient vanished."
        )
    positive = values[values > _SMALL * top]
    law = GraphLaw(GraphEquation(graph.segments, graph.matrices, top), (float(positive[0]), top))
    if positive.size == values.size:
        return law
    height = _SMALL * top
    mass = float(np.real(1j * height * law.cauchy(1j * height)))
    return law.with_atoms((Atom(0.0, mass),)) if mass > _LIGHTEST else law


def sampled_eigenvalues(graph: NetworkGraph, rng: np.random.Generator, neurons: int = _SAMPLE) -> np.ndarray:
    """Eigenvalues, ascending, of one matrix of the graph on a random part of the neurons."""
    share = min(1.0, neurons / max(segment.accumulated.shape[1] for segment in graph.segments))
    chosen = [
        np.sort(rng.choice(n, max(2, round(share * n)) if n > 1 else 1, replace=False))
        for n in (segment.accumulated.shape[1] for segment in graph.segments)
    ]
    factors: dict[tuple[int, int], np.ndarray] = {}

    def factor(place: tuple[int, int]) -> np.ndarray:
        """B with X = BBᵀ at a place, over all noise that enters before it."""
        if place in factors:
            return factors[place]
        segment, node = graph.segments[place[0]], place[1]
        kept = chosen[place[0]]
        own = np.sqrt(segment.accumulated[node, kept])
        parts = [np.diag(own)] if own.any() else []
        sums: list[np.ndarray] = []
        if node > 0:
            sums.append(segment.links[node - 1, kept][:, None] * factor((place[0], node - 1)))
        sums += [
            m.d_target[kept][:, None]
            * _sampled(m, kept.size, len(chosen[m.source[0]]), rng)
            @ (m.d_source[chosen[m.source[0]]][:, None] * factor(m.source))
            for m in graph.matrices
            if m.target == place
        ]
        width = max((part.shape[1] for part in sums), default=0)
        total = np.zeros((kept.size, width))
        for part in sums:  # columns are noise in the order in which it entered, so shorter ones are earlier
            total[:, : part.shape[1]] += part
        factors[place] = np.concatenate([total, *parts], axis=1)
        return factors[place]

    last = len(graph.segments) - 1
    b = factor((last, len(graph.segments[last].accumulated) - 1))
    return np.linalg.eigvalsh(b @ b.T)


def _sampled(matrix: RandomMatrix, rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    gaussian = rng.standard_normal((rows, columns))
    if matrix.kind == "gaussian":
        return np.sqrt(matrix.square / columns) * gaussian
    q, r = np.linalg.qr(gaussian if rows >= columns else gaussian.T)
    q = q * np.sign(np.diag(r))
    return np.sqrt(matrix.square) * (q if rows >= columns else q.T)
