"""From the operations of a network to nodes, links and random matrices, along one forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Literal

import numpy as np

from freeness.errors import InputError
from freeness.meanfield import pooled, variance_gain, windows
from freeness.network import (
    INPUT,
    Activation,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    Gaussian,
    Haar,
    Measured,
    Network,
    Normalisation,
    Operation,
    Pooling,
    Sum,
    TokenMixing,
    check_plain,
    described,
)

Parametrisation = Literal["standard", "ntk"]
Weights = Dense | Convolution
Source = Callable[[Weights | TokenMixing, tuple[int, ...], np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Aside:
    """What a normalisation over the neurons adds to a diagonal slope: ``left``·``right``ᵀ, (C, k) and (C', k)."""

    left: np.ndarray
    right: np.ndarray


@dataclass(eq=False)
class Node:
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
class Signal:
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
class Builder:
    """Nodes, matrices and outputs of weight layers met so far.

    ``fisher``: weights accumulate the Gram matrix of what they read, in a parametrisation. ``unseen``: where single eigenvalues
    cannot be looked for. ``joined``: nodes that became part of another. ``waiting``: signals that are read further on. ``end``:
    node of the output.
    """

    source: Source
    fisher: Parametrisation | None
    rng: np.random.Generator
    nodes: list[Node] = field(default_factory=list)
    matrices: list[PlacedMatrix] = field(default_factory=list)
    seen: list[np.ndarray] = field(default_factory=list)
    unseen: str | None = None
    joined: set[int] = field(default_factory=set)
    waiting: tuple[Signal, ...] = ()
    end: int = -1

    def through(self, network: Network, signal: Signal) -> Signal:
        """The signal at the output of a network.

        Args:
            network: the record.
            signal: at its input.
        """
        known = {INPUT: signal}
        last = {name: index for index, node in enumerate(network.nodes) for name in node.inputs}
        for index, node in enumerate(network.nodes):
            check_plain(node)
            given = tuple(known[name] for name in node.inputs)
            for name in {name for name in node.inputs if last[name] == index}:
                del known[name]
            self.waiting = tuple(known.values())
            if isinstance(node.operation, Sum):
                known[node.name] = self._sum(node.operation, given)
            else:
                known[node.name] = self._step(node.operation, given[0])
        return known[network.nodes[-1].name]

    def _step(self, layer: Operation, signal: Signal) -> Signal:
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
                normal = (x - centre) / size
                scaled = _scaled(signal, normal, np.broadcast_to(1 / size, x.shape))
                return replace(scaled, aside=_projected(layer, signal, scaled)) if x[0].size == 1 else scaled
            case Normalisation():
                return _over_batch(layer, signal)
            case Dropout():
                kept = (self.rng.random(x.shape) >= layer.rate) / (1 - layer.rate)
                return _scaled(signal, x * kept, kept)
            case Pooling():
                samples, shape = x.shape[1], x.shape[2:]
                count = int(np.prod(shape))
                average = pooled(np.eye(count).reshape(count, *shape), layer, 1, 1).reshape(count, -1).T
                value = pooled(x, layer, 2, 1)
                slope = np.kron(np.eye(samples), average) @ signal.slope
                return Signal(signal.node, value, slope, signal.channels, signal.flat)
            case Flatten():
                return replace(signal, flat=True)
        raise InputError(
            f"expected layers that the graph of random matrices covers, got {described(layer)}; measure its spectrum instead."
        )

    def _weights(self, layer: Weights, signal: Signal) -> Signal:
        if not isinstance(layer.weights, (Gaussian, Haar, Measured)):
            raise InputError(
                f"expected Gaussian, Haar or measured weights in {described(layer)}, got {type(layer.weights).__name__}; the "
                "graph of random matrices covers no others."
            )
        taps, shape, fan_out = _taps(layer, signal)
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
            written = _gradients(layer, signal, gram, self.fisher)
        self.nodes.append(Node(written[None], fan_out))
        here = len(self.nodes) - 1
        if signal.node is not None:
            self.matrices.append(placed(layer, signal, here, taps, h))
        return Signal(here, h, np.broadcast_to(np.eye(count), (len(h), count, count)), fan_out)

    def _sum(self, layer: Sum, signals: tuple[Signal, ...]) -> Signal:
        """Signals of one node add their slopes; nodes that only this sum reads become the one where all meet."""
        first = signals[0]
        for other in signals[1:]:
            if other.value.shape[1:] != first.value.shape[1:] or other.channels != first.channels:
                raise InputError(
                    f"expected a sum of signals that keeps channels and positions in {described(layer)}, got {first.channels} × "
                    f"{first.value.shape[2:]} and {other.channels} × {other.value.shape[2:]}; correct them."
                )
            if len(other.value) != len(first.value):
                raise InputError(
                    f"expected as many drawn channels on all sides of {described(layer)}, got {len(first.value)} and "
                    f"{len(other.value)}; give realised signals."
                )
        weighted = [_weighed(scale, signal) for scale, signal in zip(layer.scales, signals, strict=True)]
        value = np.asarray(sum(one.value for one in weighted))
        by_node: dict[int, Signal] = {}
        for one in weighted:
            if one.node is not None:
                by_node[one.node] = _added(by_node[one.node], one) if one.node in by_node else one
        if len(by_node) < 2:
            return replace(next(iter(by_node.values()), first), value=value)
        here = self._met(layer, by_node)
        count = value[0].size
        return Signal(
            here, value, np.broadcast_to(np.eye(count), (len(value), count, count)), first.channels, first.flat
        )

    def _met(self, layer: Sum, by_node: dict[int, Signal]) -> int:
        """The node of a sum of what comes from several."""
        own = [number for number in by_node if self._only_summed(number)]
        others = [number for number in by_node if number not in own]
        if len(others) > 1:
            raise InputError(
                f"expected branches that end behind weights of their own beside one other signal, got {described(layer)} of a "
                "nested sum or of signals that others read as well; measure its spectrum instead."
            )
        here = max(own)
        parts = []
        for number in own:
            slope = by_node[number].slope
            parts.append(slope @ self.nodes[number].accumulated @ slope.transpose(0, 2, 1))
            for matrix in self.matrices:
                if matrix.target == number:
                    matrix.target, matrix.write = here, slope if matrix.write is None else slope @ matrix.write
            if by_node[number].aside is not None:
                self.unseen = "behind a normalisation at the end of a branch"
        self.joined |= set(own) - {here}
        node = self.nodes[here]
        node.accumulated = reduce(np.add, parts)
        for number in others:
            node.parent, node.link, node.aside = number, by_node[number].slope, by_node[number].aside
        return here

    def _only_summed(self, number: int) -> bool:
        """Whether a node has no link to it, and nobody reads it but the sum at hand."""
        return (
            self.nodes[number].parent is None
            and all(matrix.source != number for matrix in self.matrices)
            and all(node.parent != number for node in self.nodes)
            and all(signal.node != number for signal in self.waiting)
        )

    def closed(self, signal: Signal) -> None:
        """A last node behind what follows the last weights."""
        self.end = len(self.nodes) - 1 if signal.node is None else signal.node
        count = signal.slope.shape[1]
        if signal.node is not None and not (signal.slope.shape[2] == count and (signal.slope == np.eye(count)).all()):
            nothing = np.zeros((1, count, count))
            self.nodes.append(Node(nothing, signal.channels, signal.node, signal.slope, signal.aside))
            self.end = len(self.nodes) - 1


def _weighed(scale: float, signal: Signal) -> Signal:
    aside = None if signal.aside is None else Aside(scale * signal.aside.left, signal.aside.right)
    return replace(signal, value=scale * signal.value, slope=scale * signal.slope, aside=aside)


def _added(one: Signal, other: Signal) -> Signal:
    """Of the same node."""
    known = [signal.aside for signal in (one, other) if signal.aside is not None]
    aside = Aside(np.hstack([a.left for a in known]), np.hstack([a.right for a in known])) if known else None
    return replace(one, value=one.value + other.value, slope=one.slope + other.slope, aside=aside)


def sizes(layer: Weights | TokenMixing) -> tuple[int, int]:
    """What a layer's weights map, channels, tokens or features: into and out of it.

    Example:
        >>> from freeness.network import Haar
        >>> sizes(TokenMixing(4, 6, Haar(1.0)))
        (4, 6)
    """
    match layer:
        case TokenMixing():
            return layer.tokens_in, layer.tokens_out
        case Convolution():
            return layer.channels_in, layer.channels_out
    return layer.fan_in, layer.fan_out


def placed(layer: Weights | TokenMixing, signal: Signal, here: int, taps: np.ndarray, h: np.ndarray) -> PlacedMatrix:
    """The matrix of a layer with outputs h, from the node of the signal to the node ``here``; ``taps`` (taps, Q_out, Q_in).

    Example:
        >>> from freeness.network import Dense, Gaussian
        >>> signal = Signal(0, np.ones((3, 1)), np.ones((3, 1, 1)), 3)
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
    return PlacedMatrix(signal.node, here, signal.slope, None, taps, square / len(taps), None, "gaussian", passed)


def _gradients(layer: Weights, signal: Signal, gram: np.ndarray, parametrisation: Parametrisation) -> np.ndarray:
    """Gram matrix (Q, Q) of the gradients of a layer's weights and bias; NTK: W = σ_w ω/√(its inputs), b = σ_b β."""
    taps, _, _ = _taps(layer, signal, trained=True)
    found = np.sum([tap @ gram @ tap.T for tap in taps], axis=0)
    if parametrisation == "standard":
        return found + float(layer.bias)
    inputs = layer.fan_in if isinstance(layer, Dense) else layer.channels_in
    spread = len(taps) if isinstance(layer, Convolution) and not isinstance(layer.weights, Haar) else 1
    return layer.weights.sigma_w**2 / (inputs * spread) * found + layer.bias * layer.sigma_b**2


def _over_batch(layer: Normalisation, signal: Signal) -> Signal:
    """Each channel by its mean and variance over the samples at hand, and over positions; these move with every entry."""
    x, channels, count = signal.matrix, len(signal.value), signal.matrix.shape[1]
    if count == 1 or (signal.flat and signal.value.shape[1] == 1):
        raise InputError(
            f"expected several samples before {described(layer)}, got one; it normalises over the batch, so give the batch."
        )
    samples = signal.value.shape[1]
    places = count // samples if signal.flat else 1
    average = np.kron(np.full((count // places, count // places), places / count), np.eye(places))
    centred = x - x @ average
    size = np.sqrt(centred**2 @ average + layer.epsilon)
    normal = centred / size
    own = (np.eye(count) - average - average * normal[:, :, None] * normal[:, None, :]) / size[:, None, :]
    value = normal.reshape(channels, *signal.value.shape[1:])
    return Signal(signal.node, value, own @ signal.slope, signal.channels, signal.flat)


def _scaled(signal: Signal, value: np.ndarray, derivative: np.ndarray) -> Signal:
    slope = derivative.reshape(len(derivative), -1)[:, :, None] * signal.slope
    aside = signal.aside
    if aside is not None:
        aside = Aside(derivative.reshape(len(derivative), 1) * aside.left, aside.right)
    return replace(signal, value=value, slope=slope, aside=aside)


def _projected(layer: Normalisation, signal: Signal, scaled: Signal) -> Aside:
    """A normalisation passes nothing along its output, nor, of layers, along the mean: dn/dx = (1 - QQᵀ)/size."""
    normal, slope = scaled.matrix / len(scaled.value) ** 0.5, scaled.slope[:, :, 0]
    flat = np.full_like(normal, len(normal) ** -0.5)
    q = np.hstack([flat, normal]) if layer.kind == "layer" else normal
    if signal.aside is None:
        return Aside(-q, slope * q)
    assert scaled.aside is not None
    left, right = scaled.aside.left, scaled.aside.right
    return Aside(np.hstack([left, -q]), np.hstack([right, slope * q + right @ (left.T @ q)]))


def _taps(layer: Weights, signal: Signal, trained: bool = False) -> tuple[np.ndarray, tuple[int, ...], int]:
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


def _expect(layer: Weights, wanted: int, found: int) -> None:
    if wanted != found:
        raise InputError(f"expected {wanted} inputs of {described(layer)}, got {found}; correct the channels.")
