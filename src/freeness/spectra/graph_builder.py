"""From the operations of a network to nodes, links and random matrices, along one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Literal

import numpy as np

from freeness.errors import InputError
from freeness.network import (
    INPUT,
    Gaussian,
    GivenMap,
    Haar,
    Measured,
    Network,
    Operation,
    Pass,
    Weights,
    check_plain,
    described,
    given,
    over_samples,
    pattern,
    variance_gain,
)

Parametrisation = Literal["standard", "ntk"]
Source = Callable[[Weights, tuple[int, ...], np.ndarray], np.ndarray]


class Branching(InputError):
    """Signals that meet in other ways than graphs of chains have; JJᵀ of Gaussian weights is known all the same."""


@dataclass(frozen=True, eq=False)
class Aside:
    """What a normalisation over the neurons adds to a diagonal slope: ``left``·``right``ᵀ, (C, k) and (C', k)."""

    left: np.ndarray
    right: np.ndarray


@dataclass(eq=False)
class GraphNode:
    """K (1 or C, Q, Q), channels of the network there, and a parent by a link (C, Q, Q')."""

    accumulated: np.ndarray
    channels: int
    parent: int | None = None
    link: np.ndarray | None = None
    aside: Aside | None = None


@dataclass(eq=False)
class PlacedMatrix:
    """A matrix between two nodes, by their numbers; see :class:`~freeness.operators.SharedMatrix`."""

    source: int
    target: int
    read: np.ndarray
    write: np.ndarray | None
    taps: np.ndarray
    square: float
    squares: np.ndarray | None
    kind: Literal["gaussian", "haar", "measured"]
    written: MatrixPass


@dataclass(frozen=True, eq=False)
class MatrixPass:
    """What the forward pass says of one matrix: W·``inputs`` is ``outputs`` (C, Q) but for biases, ``share`` of their square.

    ``aside``: of the slope in front of the matrix.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    share: float
    aside: Aside | None = None


@dataclass(frozen=True, eq=False)
class NeuronSignal:
    """x of every drawn channel (C, n, *positions); ``slope`` dx/dh (C, Q, Q') by the h of ``node``; how many channels there are.

    ``flat``: positions count as channels from here on. ``aside``: what is added to the slope, of one sample without positions.
    """

    node: int | None
    value: np.ndarray
    slope: np.ndarray
    channels: int
    flat: bool = False
    aside: Aside | None = None

    @property
    def matrix(self) -> np.ndarray:
        """x as (C, Q)."""
        return self.value.reshape(len(self.value), -1)


@dataclass(eq=False)
class GraphBuilder:
    """Nodes, matrices and outputs of weight layers met so far.

    ``fisher``: weights accumulate the Gram matrix of what they read, in a parametrisation. ``unseen``: where single eigenvalues
    cannot be looked for. ``joined``: nodes that became part of another. ``waiting``: signals that are read further on. ``end``:
    node of the output. ``own``: as of :class:`~freeness.meanfield.NeuronSignals`. ``here``: the operation that is met now.
    """

    source: Source
    fisher: Parametrisation | None
    rng: np.random.Generator
    nodes: list[GraphNode] = field(default_factory=list[GraphNode])
    matrices: list[PlacedMatrix] = field(default_factory=list[PlacedMatrix])
    seen: list[np.ndarray] = field(default_factory=list[np.ndarray])
    unseen: str | None = None
    joined: set[int] = field(default_factory=set[int])
    waiting: tuple[NeuronSignal, ...] = ()
    end: int = -1
    own: Mapping[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    here: str = INPUT

    def through(self, network: Network, signal: NeuronSignal) -> NeuronSignal:
        """The signal at the output of a network."""
        known = {INPUT: signal}
        last = {name: index for index, node in enumerate(network.nodes) for name in node.inputs}
        for index, node in enumerate(network.nodes):
            check_plain(node)
            signals = tuple(known[name] for name in node.inputs)
            for name in {name for name in node.inputs if last[name] == index}:
                del known[name]
            self.waiting, self.here = tuple(known.values()), node.name
            known[node.name] = self._step(node.operation, signals)
        return known[network.nodes[-1].name]

    def _step(self, operation: Operation, signals: tuple[NeuronSignal, ...]) -> NeuronSignal:
        """Weights are random matrices, everything else is a given map."""
        if isinstance(operation, Weights):
            return self._weights(operation, signals[0])
        self._check_alike(operation, signals)
        at = Pass(signals[0].flat, self.rng, self.own.get(self.here))
        found = given(operation, tuple(signal.value for signal in signals), at)
        passed = [_mapped(signal, map_, found) for signal, map_ in zip(signals, found.maps, strict=True)]
        return passed[0] if len(passed) == 1 else self._joined(operation, passed)

    def _check_alike(self, operation: Operation, signals: tuple[NeuronSignal, ...]) -> None:
        """The same channels, and as many that are drawn."""
        first = signals[0]
        for other in signals[1:]:
            if other.channels != first.channels or other.flat != first.flat:
                raise InputError(
                    f"expected signals of the same channels into {described(operation)}, got {first.channels} × "
                    f"{first.value.shape[2:]} and {other.channels} × {other.value.shape[2:]}; correct them."
                )
            if len(other.value) != len(first.value):
                raise InputError(
                    f"expected as many drawn channels on all sides of {described(operation)}, got {len(first.value)} and "
                    f"{len(other.value)}; give realised signals."
                )

    def _weights(self, layer: Weights, signal: NeuronSignal) -> NeuronSignal:
        if not isinstance(layer.weights, (Gaussian, Haar, Measured)):
            raise InputError(
                f"expected Gaussian, Haar or measured weights in {described(layer)}, got {type(layer.weights).__name__}; the "
                "graph of random matrices covers no others."
            )
        taps, shape = _taps(layer, signal)
        fan_out = layer.sizes[1]
        x = signal.matrix
        gram = signal.channels / len(x) * x.T @ x
        moments = np.sum([tap @ gram @ tap.T for tap in taps], axis=0) / (signal.channels * len(taps))
        gain = variance_gain(layer.weights, signal.channels, fan_out)
        h = self.source(layer, shape, gain * moments + layer.sigma_b**2)
        self.seen.append(h)
        if h.shape[1:] != shape or len(h) > fan_out or not np.isfinite(h).all():
            raise InputError(
                f"expected {fan_out} finite outputs of {described(layer)} for samples and positions {shape}, got shape "
                f"{h.shape}; take the signals of this very network."
            )
        count = len(moments)
        written = np.zeros((count, count))
        if self.fisher is not None:
            written = gradients_gram(layer, _taps(layer, signal, trained=True)[0], gram, self.fisher)
        self.nodes.append(GraphNode(written[None], fan_out))
        here = len(self.nodes) - 1
        if signal.node is not None:
            self.matrices.append(placed(layer, signal, here, taps, h))
        return NeuronSignal(here, h, np.broadcast_to(np.eye(count), (len(h), count, count)), fan_out)

    def _joined(self, operation: Operation, signals: list[NeuronSignal]) -> NeuronSignal:
        """Signals that meet: of one node they add their slopes; nodes that only this reads become the one where all meet."""
        by_node: dict[int, NeuronSignal] = {}
        for one in signals:
            if one.node is not None:
                by_node[one.node] = _added(by_node[one.node], one) if one.node in by_node else one
        first = signals[0]
        if len(by_node) < 2:
            return next(iter(by_node.values()), first)
        here = self._met(operation, by_node)
        count = first.value[0].size
        slope = np.broadcast_to(np.eye(count), (len(first.value), count, count))
        return NeuronSignal(here, first.value, slope, first.channels, first.flat)

    def _met(self, layer: Operation, by_node: dict[int, NeuronSignal]) -> int:
        """The node where what comes from several meets."""
        own = [number for number in by_node if self._only_here(number)]
        others = [number for number in by_node if number not in own]
        if len(others) > 1:
            raise Branching(
                f"expected branches that end behind weights of their own beside one other signal, got {described(layer)} of a "
                "nested sum or of signals that others read; measure its spectrum instead."
            )
        here = max(own)
        parts: list[np.ndarray] = []
        reached = [(matrix, by_node[matrix.target].slope) for matrix in self.matrices if matrix.target in own]
        for matrix, slope in reached:
            matrix.target, matrix.write = here, slope if matrix.write is None else slope @ matrix.write
        for number in own:
            slope = by_node[number].slope
            parts.append(slope @ self.nodes[number].accumulated @ slope.transpose(0, 2, 1))
            if by_node[number].aside is not None:
                self.unseen = "behind a normalisation at the end of a branch"
        self.joined |= set(own) - {here}
        node = self.nodes[here]
        node.accumulated = reduce(np.add, parts)
        for number in others:
            node.parent, node.link, node.aside = number, by_node[number].slope, by_node[number].aside
        return here

    def _only_here(self, number: int) -> bool:
        """Whether a node has no link to it, and nobody reads it but the operation at hand."""
        return (
            self.nodes[number].parent is None
            and all(matrix.source != number for matrix in self.matrices)
            and all(node.parent != number for node in self.nodes)
            and all(signal.node != number for signal in self.waiting)
        )

    def closed(self, signal: NeuronSignal) -> None:
        """A last node behind what follows the last weights."""
        self.end = len(self.nodes) - 1 if signal.node is None else signal.node
        count = signal.slope.shape[1]
        if signal.node is not None and not (signal.slope.shape[2] == count and (signal.slope == np.eye(count)).all()):
            nothing = np.zeros((1, count, count))
            self.nodes.append(GraphNode(nothing, signal.channels, signal.node, signal.slope, signal.aside))
            self.end = len(self.nodes) - 1


def _mapped(signal: NeuronSignal, map_: np.ndarray, found: GivenMap) -> NeuronSignal:
    """A signal behind a given map; ``found`` says what all maps of its operation make together."""
    flat = signal.flat or found.flat
    if map_.ndim == 3:
        return NeuronSignal(signal.node, found.value, map_ @ signal.slope, signal.channels, flat)
    aside = signal.aside
    if aside is not None:
        aside = Aside(map_[:, :1] * aside.left, aside.right)
    passed = NeuronSignal(signal.node, found.value, map_[:, :, None] * signal.slope, signal.channels, flat, aside)
    return passed if found.lost is None else replace(passed, aside=_projected(found.lost, passed))


def _projected(lost: np.ndarray, signal: NeuronSignal) -> Aside:
    """(1 - QQᵀ) in front of a slope."""
    slope = signal.slope[:, :, 0]
    if signal.aside is None:
        return Aside(-lost, slope * lost)
    left, right = signal.aside.left, signal.aside.right
    return Aside(np.hstack([left, -lost]), np.hstack([right, slope * lost + right @ (left.T @ lost)]))


def _added(one: NeuronSignal, other: NeuronSignal) -> NeuronSignal:
    """Of the same node."""
    known = [signal.aside for signal in (one, other) if signal.aside is not None]
    aside = Aside(np.hstack([a.left for a in known]), np.hstack([a.right for a in known])) if known else None
    return replace(one, slope=one.slope + other.slope, aside=aside)


def placed(layer: Weights, signal: NeuronSignal, here: int, taps: np.ndarray, h: np.ndarray) -> PlacedMatrix:
    """The matrix of a layer with outputs h, from the node of the signal to the node ``here``; ``taps`` (taps, Q_out, Q_in).

    Example:
        >>> from freeness.network import Dense, Gaussian
        >>> signal = NeuronSignal(0, np.ones((3, 1)), np.ones((3, 1, 1)), 3)
        >>> placed(Dense(3, 3, Gaussian(2.0)), signal, 1, np.ones((1, 1, 1)), np.ones((3, 1))).square
        4.0
    """
    assert signal.node is not None
    share = max(0.0, 1 - layer.sigma_b**2 / float((h**2).mean())) if h.any() else 0.0
    passed = MatrixPass(signal.matrix, h.reshape(len(h), -1), share, signal.aside)
    square, every = layer.weights.sigma_w**2, np.eye(taps.shape[1])[None]
    match layer.weights:
        case Haar():
            return PlacedMatrix(signal.node, here, taps[0] @ signal.slope, None, every, square, None, "haar", passed)
        case Measured(singular_values=values):
            if taps.shape != (1, 1, 1):
                raise InputError(
                    f"expected Gaussian or Haar weights in {described(layer)} with several positions or samples, got measured "
                    "ones; measure its spectrum instead."
                )
            return PlacedMatrix(signal.node, here, signal.slope, None, taps, square, values**2, "measured", passed)
        case _:
            return PlacedMatrix(
                signal.node, here, signal.slope, None, taps, square / len(taps), None, "gaussian", passed
            )


def gradients_gram(layer: Weights, taps: np.ndarray, gram: np.ndarray, parametrisation: Parametrisation) -> np.ndarray:
    """Gram matrix (Q, Q) of the gradients of a layer's weights and bias; NTK: W = σ_w ω/√(its inputs), b = σ_b β.

    Args:
        layer: the record, whose type chooses the rule.
        taps: (taps, Q, Q') of all weights that are trained.
        gram: of what it reads, summed over channels (Q', Q').
        parametrisation: of the weights.

    Example:
        >>> from freeness.network import Dense, Gaussian
        >>> gradients_gram(Dense(3, 3, Gaussian(2.0)), np.ones((1, 1, 1)), np.full((1, 1), 6.0), "ntk")
        array([[8.]])
    """
    found = np.sum([tap @ gram @ tap.T for tap in taps], axis=0)
    if parametrisation == "standard":
        return found + float(layer.bias)
    inputs = layer.sizes[0] if isinstance(layer.weights, Haar) else layer.entries
    return layer.weights.sigma_w**2 / inputs * found + layer.bias * layer.sigma_b**2


def _taps(layer: Weights, signal: NeuronSignal, trained: bool = False) -> tuple[np.ndarray, tuple[int, ...]]:
    """T_τ (taps, Q_out, Q_in) of the weights, or of all that are ``trained``; samples and positions behind."""
    taps, shape = taps_over(layer, signal.value, (signal.channels, signal.flat), trained)
    if len(taps) > 1 and isinstance(layer.weights, Haar) and not trained:
        raise InputError(
            f"expected Gaussian weights in {described(layer)} behind flattening, got Haar ones, which mix the positions of all "
            "channels; pool before it or measure."
        )
    return taps, shape


def taps_over(
    layer: Weights, x: np.ndarray, read: tuple[int, bool], trained: bool
) -> tuple[np.ndarray, tuple[int, ...]]:
    """T_τ (taps, Q_out, Q_in) of weights on signals x (neurons, samples, *positions); samples and positions behind.

    Args:
        layer: the record, whose type chooses the rule.
        x: what it reads, or some of its channels.
        read: how many channels there are, and whether they are read with all positions as one vector.
        trained: of all weights that are trained.

    Example:
        >>> from freeness.network import Dense, Gaussian
        >>> taps_over(Dense(3, 2, Gaussian(1.0)), np.ones((3, 2)), (3, False), False)[1]
        (2,)
    """
    (channels, flat), samples, shape = read, x.shape[1], x.shape[2:]
    inputs = channels * (int(np.prod(shape)) if flat else 1)
    if layer.sizes[0] != inputs:
        raise InputError(
            f"expected {layer.sizes[0]} inputs of {described(layer)}, got {inputs} at positions {shape}; correct the "
            "channels, or flatten before it."
        )
    found = pattern(layer, shape, flat, trained)
    return over_samples(found.taps, samples), (samples, *found.shape)
