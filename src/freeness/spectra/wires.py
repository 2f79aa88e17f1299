"""Any network as given maps and random matrices between them, along one forward pass.

Where :mod:`freeness.spectra.graph` follows sums whose nodes form chains, here any wires are followed: signals that meet
again after several ways, attention, weights over tokens, largest entries. Weights over channels are random matrices.
Everything else is the map that the forward pass fixed: derivatives, softmax weights with their derivative by queries and
keys, token weights, normalisations with what they take away along the signal (1/channels of it).

Source: theory.md §11, §12 (this project's derivation, checked by simulation).
"""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatch

import numpy as np

from freeness.errors import InputError
from freeness.network import (
    INPUT,
    Embedding,
    Fixed,
    GivenMap,
    Network,
    Node,
    Operation,
    Pass,
    Selection,
    Weights,
    described,
    given,
    variance_gain,
)
from freeness.operators import WiredEquation
from freeness.spectra.graph_builder import Parametrisation, Source, gradients_gram, taps_over
from freeness.spectra.wire import Wire, spread_out
from freeness.spectra.wired_parts import Met, WiredMatrix, WiredNode, assembled, is_one

Realised = Callable[[Weights], np.ndarray | None]


@dataclass(eq=False)
class WireBuilder:
    """A forward pass that writes down nodes, matrices and attentions as it meets them.

    ``source``: layer, (samples, *positions) and covariance of its outputs (Q, Q) ↦ outputs (C, samples, *positions), known or
    drawn. ``realised``: outputs of a layer that are known, for weights that are given maps. ``fisher``: of Θ, where gradients of
    weights are noise that comes in where they write; of JJᵀ, where None, that is the input. ``here``: the operation that is
    followed now. ``seen``: of every weight layer.
    ``own``: as of :class:`~freeness.meanfield.NeuronSignals`.
    """

    source: Source
    realised: Realised
    rng: np.random.Generator
    fisher: Parametrisation | None = None
    met: Met = field(default_factory=Met)
    here: str = INPUT
    seen: list[np.ndarray] = field(default_factory=list[np.ndarray])
    own: Mapping[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])

    def through(self, network: Network, x: np.ndarray, channels: int) -> Wire:
        """The signal at the output of a network, for an input (C, n, *positions) of so many channels."""
        known = {INPUT: self.begun(x, channels, np.eye(x[0].size) * (self.fisher is None))}
        readers = Counter(name for node in network.nodes for name in node.inputs)
        for node in network.nodes:
            self._check(node, network)
            self.here = node.name
            wire = wired(node.operation, self, tuple(known[name] for name in node.inputs), x)
            apart = all(_selects_channels(reader.operation) for reader in network.readers(node.name))
            once = wire.plain or readers[node.name] < 2 or apart
            known[node.name] = wire if once else self.at_node(wire)
        return known[network.nodes[-1].name]

    def begun(self, value: np.ndarray, channels: int, noise: np.ndarray, flat: bool = False) -> Wire:
        """A signal that depends on none before it, with noise of its own."""
        self.met.nodes.append(WiredNode(noise, channels, layer=self.here))
        return Wire(value, channels, flat, parents=((len(self.met.nodes) - 1, np.eye(value[0].size)[None]),))

    def equation(self, end: Wire) -> WiredEquation:
        """The equations whose law is that of JJᵀ, or of Θ, at a signal; what a last normalisation projects away is 0."""
        if end.joined:
            raise InputError(
                "expected weights at the output, got channels that are concatenated; measure its spectrum instead."
            )
        kept = 1.0 if end.factor is None else end.kept
        end = replace(end, factor=None)
        last = end if _is_node(end) else self.at_node(end)
        outputs = last.channels * last.positions
        return assembled(self.met, last.parents[0][0], outputs, kept)

    def _check(self, node: Node, network: Network) -> None:
        """Refuse weights that are used twice, but for JJᵀ those of tokens, behind whose vectors it begins."""
        first = next((one.operation for one in network.nodes if one.name == node.shares), None)
        if node.shares and not (self.fisher is None and isinstance(first, Embedding)):
            raise InputError(
                f"expected layers that theory covers, got {described(node.operation)} with the weights of {node.shares!r}; "
                "measure the spectra, which needs no theory."
            )

    # --- what rules of operations call --------------------------------------------------------------------------------

    def of_joined(self, operation: Operation, wire: Wire) -> Wire:
        """Behind joined channels: what acts on each channel by itself."""
        if operation.fixed is not None:
            raise refused_joined(operation)
        found = given(operation, (wire.value,), Pass(wire.flat, self.rng, self.own.get(self.here)))
        ends = np.cumsum([0, *(len(part.value) for part in wire.joined)])
        parts: list[Wire] = []
        for part, first, last in zip(wire.joined, ends, ends[1:], strict=False):
            own = found.maps[0] if len(found.maps[0]) == 1 else found.maps[0][first:last]
            moved = _broad(own, found.value[0].size, part)
            parts.append(
                part if part.constant else self.factored(part, operation).mapped(moved, found.value, found.flat)
            )
            parts[-1] = replace(parts[-1], value=found.value[first:last])
        return replace(wire, value=found.value, flat=wire.flat or found.flat, joined=tuple(parts))

    def by_parts(self, layer: Weights, wire: Wire) -> Wire:
        """Columns of Gaussian weights that read some channels are Gaussian weights; what they write adds up."""
        taps, shape = taps_behind(layer, wire)
        h = self.output(layer, shape, self.covariance(layer, wire, taps))
        noise, one = self.gradients(layer, wire), np.eye(h[0].size)[None]
        written: list[tuple[int, np.ndarray]] = []
        for part in wire.joined:
            if part.constant and noise is None:
                continue
            if part.constant:
                part = self.begun(part.value, part.channels, np.zeros((part.positions, part.positions)), part.flat)
            node, map_ = (part if part.plain else self.at_node(part)).parents[0]
            square = layer.weights.sigma_w**2 / len(taps) * part.channels / wire.channels
            read = ("node", node, map_, part.factor if part.plain else None)
            count = part.channels, layer.sizes[1]
            self.met.matrices.append(WiredMatrix(taps, square, count, "gaussian", read, noise))
            written.append((len(self.met.matrices) - 1, one))
            noise = None if noise is None else np.zeros_like(noise)
        return Wire(h, layer.sizes[1], written=tuple(written))

    def by_given_map(self, operation: Operation, wires: tuple[Wire, ...]) -> Wire:
        """Behind what has no weights."""
        wires = spread_out(wires)
        values = tuple(wire.value for wire in wires)
        found = given(operation, values, Pass(wires[0].flat, self.rng, self.own.get(self.here)))
        count = found.value[0].size
        parts = [
            self.factored(wire, operation).mapped(_broad(map_, count, wire), found.value, found.flat)
            for wire, map_ in zip(wires, found.maps, strict=True)
        ]
        if operation.fixed is not None:
            lost = 2 if operation.fixed.mean else 1
            return replace(parts[0], factor=_projection(operation.fixed, found), kept=1 - lost / len(found.value))
        return parts[0] if len(parts) == 1 else _together(operation, parts, max(wire.channels for wire in wires))

    def factored(self, wire: Wire, operation: Operation) -> Wire:
        """At a node of its own where a normalisation is not directly in front of weights."""
        if wire.factor is None:
            return wire
        if wire.heads is not None:
            raise InputError(
                f"expected weights behind attention, got {described(operation)}; measure its spectrum instead."
            )
        return self.at_node(wire)

    def at_node(self, wire: Wire) -> Wire:
        """The signal as a node, of joined ones each."""
        if wire.joined:
            parts = (part if part.constant or part.plain else self.at_node(part) for part in wire.joined)
            return replace(wire, joined=tuple(parts))
        if wire.heads is not None:
            raise InputError(
                "expected weights behind attention, got its output in a sum or at the end; measure its spectrum instead."
            )
        count = wire.positions
        normal = None if wire.factor is None else (wire.value.reshape(len(wire.value), -1), wire.kept)
        links = [
            (parent, *_in_mean(map_, _left(self.met.nodes[parent], normal, wire.factor)))
            for parent, map_ in wire.parents
        ]
        node = WiredNode(np.zeros((count, count)), wire.channels, links, self.here, normal)
        self.met.nodes.append(node)
        here = len(self.met.nodes) - 1
        for matrix, map_ in wire.written:
            self.write(matrix, ("node", here, _in_mean(map_, wire.factor)[0].transpose(0, 2, 1), 0))
        return replace(wire, parents=((here, np.eye(count)[None]),), written=(), factor=None)

    def write(self, matrix: int, place: tuple[str, int, np.ndarray, int]) -> None:
        """Say where a matrix writes."""
        if self.met.matrices[matrix].write is not None:
            raise InputError(
                "expected weights whose output goes one way or through a sum, got one that goes two ways; measure the spectrum."
            )
        self.met.matrices[matrix].write = place

    def covariance(self, layer: Weights, wire: Wire, taps: np.ndarray) -> np.ndarray:
        """Of fresh outputs (Q, Q)."""
        gram = gram_of(wire) / wire.channels
        moments = np.mean([tap @ gram @ tap.T for tap in taps], axis=0)
        return variance_gain(layer.weights, wire.channels, layer.sizes[1]) * moments + layer.sigma_b**2

    def gradients(self, layer: Weights, wire: Wire) -> np.ndarray | None:
        """Noise that a layer's own gradients bring in where it writes, (Q, Q)."""
        if self.fisher is None:
            return None
        return gradients_gram(layer, taps_behind(layer, wire, trained=True)[0], gram_of(wire), self.fisher)

    def output(self, layer: Weights, shape: tuple[int, ...], covariance: np.ndarray) -> np.ndarray:
        """What weights write, known or drawn."""
        h = self.source(layer, shape, covariance)
        if h.shape[1:] != shape or not np.isfinite(h).all():
            raise InputError(
                f"expected finite outputs of {described(layer)} for samples and positions {shape}, got shape {h.shape}; "
                "take the signals of this very network."
            )
        self.seen.append(h)
        return h


@singledispatch
def wired(operation: Operation, builder: WireBuilder, wires: tuple[Wire, ...], x: np.ndarray) -> Wire:
    """The signal behind an operation, by its given map unless registered. Register a function here for a new operation.

    Args:
        operation: the record, whose type chooses the rule.
        builder: the pass, which takes down nodes, matrices and attentions.
        wires: the signals that it reads.
        x: the input of the network.

    Raises:
        InputError: it has no equations, or not behind these signals.
    """
    if not any(wire.joined for wire in wires):
        return builder.by_given_map(operation, wires)
    if len(wires) != 1:
        raise refused_joined(operation)
    return builder.of_joined(operation, wires[0])


def refused_joined(operation: Operation) -> InputError:
    """Behind channels that are concatenated."""
    return InputError(
        f"expected Gaussian weights over channels or an activation behind channels that are concatenated, got "
        f"{described(operation)}; measure its spectrum instead."
    )


def _selects_channels(operation: Operation) -> bool:
    return isinstance(operation, Selection) and operation.of == "channels"


def _is_node(wire: Wire) -> bool:
    return len(wire.parents) == 1 and not wire.written and wire.factor is None and is_one(wire.parents[0][1])


def _broad(map_: np.ndarray, count: int, wire: Wire) -> np.ndarray:
    """A map, once if it is the same for all channels; a diagonal that leads to more positions than there were as a matrix."""
    map_ = map_[:1] if map_.ndim == 2 and (map_ == map_[:1]).all() else map_
    if map_.ndim == 2 and wire.positions != count:
        spread = np.broadcast_to(map_, (len(map_), count))[:, :, None]
        return spread * np.ones((1, count, wire.positions))
    return map_


def _together(operation: Operation, parts: Sequence[Wire], channels: int) -> Wire:
    """Signals that meet; what comes from one place adds up."""
    moving = [part for part in parts if not part.constant]
    if not moving:
        return replace(parts[0], channels=channels)
    if any(part.heads is not None for part in moving):
        raise InputError(
            f"expected weights behind attention, got {described(operation)}; measure its spectrum instead."
        )
    if any(part.channels != channels for part in moving):
        raise InputError(
            f"expected signals of the same channels into {described(operation)}, got others; measure its spectrum instead."
        )
    parents: dict[int, np.ndarray] = {}
    written: dict[int, np.ndarray] = {}
    for part in moving:
        for known, found in ((parents, part.parents), (written, part.written)):
            for number, map_ in found:
                known[number] = known[number] + map_ if number in known else map_
    return replace(moving[0], channels=channels, parents=tuple(parents.items()), written=tuple(written.items()))


def _in_mean(map_: np.ndarray, factor: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """A link behind projections P_i by the roots of tr P_i/N, and what tr P_iP_k/N is beside these.

    Where ways past the norm meet the way through it, 1 + PM, only the roots count: so noise stays positive.
    """
    if factor is None:
        return map_, None
    root = np.sqrt(np.diagonal(factor))  # P_i² = P_i
    return root[:, None] * map_, factor / np.outer(root, root)


def _left(before: WiredNode, normal: tuple[np.ndarray, float] | None, factor: np.ndarray | None) -> np.ndarray | None:
    """What a norm takes of a signal that another norm leads to: their mean is one, and the signals differ by their angle."""
    if factor is None or normal is None or before.normal is None or before.normal[0].shape != normal[0].shape:
        return factor
    if before.normal[1] != normal[1]:
        return factor
    cosine = (before.normal[0] * normal[0]).mean(axis=0)
    scale = np.sqrt((1 - np.maximum(1 - cosine**2, 0.0) / len(normal[0])) / np.diagonal(factor))
    return factor * np.outer(scale, scale)


def _projection(fixed: Fixed, found: GivenMap) -> np.ndarray | None:
    """tr P_iP_k/N of the projections P_i of the derivative at position i, off the signal there and, of layers, the mean."""
    if not fixed.everywhere:
        return None
    normal = found.value.reshape(len(found.value), -1)
    lost = 3 if fixed.mean else 2
    return 1 - (lost - (normal.T @ normal / len(normal)) ** 2) / len(normal)


def channel_rows(x: np.ndarray) -> np.ndarray:
    """(C, Q)."""
    return x.reshape(len(x), -1)


def gram_of(wire: Wire) -> np.ndarray:
    """Σ x xᵀ over all channels (Q, Q)."""
    x = channel_rows(wire.value)
    return wire.channels / len(x) * x.T @ x


def taps_behind(layer: Weights, wire: Wire, trained: bool = False) -> tuple[np.ndarray, tuple[int, ...]]:
    """Taps of weights on a signal, and the shape of samples and positions behind."""
    return taps_over(layer, wire.value, (wire.channels, wire.flat), trained)
