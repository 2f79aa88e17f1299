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

import numpy as np

from freeness.errors import InputError
from freeness.network import (
    INPUT,
    Attention,
    Concatenation,
    Constant,
    Convolution,
    Embedding,
    Gaussian,
    GivenMap,
    Haar,
    Network,
    Node,
    Normalisation,
    Operation,
    Pass,
    Selection,
    TokenMixing,
    Weights,
    at_positions,
    described,
    given,
    over_samples,
    softmax_weights,
    variance_gain,
)
from freeness.operators import HeadSignals, WiredEquation
from freeness.spectra.drawn import drawn_matrix
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
        known = {INPUT: self._source(x, channels, np.eye(x[0].size) * (self.fisher is None))}
        readers = Counter(name for node in network.nodes for name in node.inputs)
        for node in network.nodes:
            self._check(node, network)
            self.here = node.name
            wire = self._step(node.operation, tuple(known[name] for name in node.inputs), x)
            apart = all(_selects_channels(reader.operation) for reader in network.readers(node.name))
            once = wire.plain or readers[node.name] < 2 or apart
            known[node.name] = wire if once else self._at_node(wire)
        return known[network.nodes[-1].name]

    def _source(self, value: np.ndarray, channels: int, noise: np.ndarray, flat: bool = False) -> Wire:
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
        last = end if _is_node(end) else self._at_node(end)
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

    # --- operations ---------------------------------------------------------------------------------------------------

    def _step(self, operation: Operation, wires: tuple[Wire, ...], x: np.ndarray) -> Wire:
        if isinstance(operation, Concatenation) and operation.along == "channels":
            return _behind_one_another(operation, wires)
        if any(wire.joined for wire in wires):
            return self._of_joined(operation, wires)
        match operation:
            case TokenMixing():
                return self._over_tokens(operation, wires[0])
            case Convolution(groups=groups) if groups > 1:
                return self._depthwise(operation, wires[0])
            case Embedding():
                return self._embedded(operation, wires[0])
            case Weights():
                return self._weights(operation, wires[0])
            case Attention():
                return self._attended(operation, wires)
            case Constant():
                return self._constant(operation, x)
            case Selection(of="channels"):
                return self._selected(operation, wires[0])
            case _:
                return self._given(operation, wires)

    def _of_joined(self, operation: Operation, wires: tuple[Wire, ...]) -> Wire:
        """Weights over channels, and what acts on each channel by itself."""
        wire = wires[0]
        grouped = isinstance(operation, (TokenMixing, Embedding)) or getattr(operation, "groups", 1) > 1
        if isinstance(operation, Weights) and isinstance(operation.weights, Gaussian) and not grouped:
            return self._by_parts(operation, wire)
        mixing = isinstance(operation, Normalisation) and operation.kind != "batch"
        if len(wires) > 1 or grouped or mixing or isinstance(operation, (Attention, Selection, Weights)):
            raise InputError(
                f"expected Gaussian weights over channels or an activation behind channels that are concatenated, got "
                f"{described(operation)}; measure its spectrum instead."
            )
        found = given(operation, (wire.value,), Pass(wire.flat, self.rng, self.own.get(self.here)))
        ends = np.cumsum([0, *(len(part.value) for part in wire.joined)])
        parts: list[Wire] = []
        for part, first, last in zip(wire.joined, ends, ends[1:], strict=False):
            own = found.maps[0] if len(found.maps[0]) == 1 else found.maps[0][first:last]
            moved = _broad(own, found.value[0].size, part)
            parts.append(
                part if part.constant else self._factored(part, operation).mapped(moved, found.value, found.flat)
            )
            parts[-1] = replace(parts[-1], value=found.value[first:last])
        return replace(wire, value=found.value, flat=wire.flat or found.flat, joined=tuple(parts))

    def _by_parts(self, layer: Weights, wire: Wire) -> Wire:
        """Columns of Gaussian weights that read some channels are Gaussian weights; what they write adds up."""
        taps, shape = _taps(layer, wire)
        h = self._output(layer, shape, self._covariance(layer, wire, taps))
        noise, one = self._gradients(layer, wire), np.eye(h[0].size)[None]
        written: list[tuple[int, np.ndarray]] = []
        for part in wire.joined:
            if part.constant and noise is None:
                continue
            if part.constant:
                part = self._source(part.value, part.channels, np.zeros((part.positions, part.positions)), part.flat)
            node, map_ = (part if part.plain else self._at_node(part)).parents[0]
            square = layer.weights.sigma_w**2 / len(taps) * part.channels / wire.channels
            read = ("node", node, map_, part.factor if part.plain else None)
            count = part.channels, layer.sizes[1]
            self.met.matrices.append(WiredMatrix(taps, square, count, "gaussian", read, noise))
            written.append((len(self.met.matrices) - 1, one))
            noise = None if noise is None else np.zeros_like(noise)
        return Wire(h, layer.sizes[1], written=tuple(written))

    def _given(self, operation: Operation, wires: tuple[Wire, ...]) -> Wire:
        wires = spread_out(wires)
        values = tuple(wire.value for wire in wires)
        found = given(operation, values, Pass(wires[0].flat, self.rng, self.own.get(self.here)))
        count = found.value[0].size
        parts = [
            self._factored(wire, operation).mapped(_broad(map_, count, wire), found.value, found.flat)
            for wire, map_ in zip(wires, found.maps, strict=True)
        ]
        if isinstance(operation, Normalisation) and operation.kind != "batch":
            lost = 2 if operation.kind == "layer" else 1
            return replace(parts[0], factor=_projection(operation, found), kept=1 - lost / len(found.value))
        return parts[0] if len(parts) == 1 else _together(operation, parts, max(wire.channels for wire in wires))

    def _factored(self, wire: Wire, operation: Operation) -> Wire:
        """At a node of its own where a normalisation is not directly in front of weights."""
        if wire.factor is None:
            return wire
        if wire.heads is not None:
            raise InputError(
                f"expected weights behind attention, got {described(operation)}; measure its spectrum instead."
            )
        return self._at_node(wire)

    def _at_node(self, wire: Wire) -> Wire:
        """The signal as a node, of joined ones each."""
        if wire.joined:
            parts = (part if part.constant or part.plain else self._at_node(part) for part in wire.joined)
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
            self._write(matrix, ("node", here, _in_mean(map_, wire.factor)[0].transpose(0, 2, 1), 0))
        return replace(wire, parents=((here, np.eye(count)[None]),), written=(), factor=None)

    def _write(self, matrix: int, place: tuple[str, int, np.ndarray, int]) -> None:
        if self.met.matrices[matrix].write is not None:
            raise InputError(
                "expected weights whose output goes one way or through a sum, got one that goes two ways; measure the spectrum."
            )
        self.met.matrices[matrix].write = place

    def _weights(self, layer: Weights, wire: Wire) -> Wire:
        if not isinstance(layer.weights, (Gaussian, Haar)):
            raise InputError(
                f"expected Gaussian or Haar weights in {described(layer)}, got {type(layer.weights).__name__}; the "
                "equations of this network cover no others."
            )
        taps, shape = _taps(layer, wire)
        into, out = wire.channels, layer.sizes[1]
        h = self._output(layer, shape, self._covariance(layer, wire, taps))
        after = Wire(h, out)
        if wire.constant and self.fisher is None:
            return after
        if wire.constant:
            wire = self._source(wire.value, into, np.zeros((wire.positions, wire.positions)), wire.flat)
        kept = 1.0 if wire.factor is None else wire.kept
        wire = wire if wire.plain else self._at_node(wire)
        kind = "haar" if isinstance(layer.weights, Haar) else "gaussian"
        square = layer.weights.sigma_w**2 / (len(taps) if kind == "gaussian" else 1)
        if wire.heads is not None:
            read = ("heads", wire.heads[0], wire.heads[1][None], None)
        else:
            node, map_ = wire.parents[0]
            read = ("node", node, map_, wire.factor)
        if kind == "haar" and not is_one(taps):
            read, taps = (read[0], read[1], taps[0] @ read[2], read[3]), np.eye(taps.shape[1])[None]
        noise = self._gradients(layer, wire)
        matrix = WiredMatrix(taps, square, (into, out), kind, read, noise, layer=self.here, kept=kept)
        self.met.matrices.append(matrix)
        return replace(after, written=((len(self.met.matrices) - 1, np.eye(h[0].size)[None]),))

    def _covariance(self, layer: Weights, wire: Wire, taps: np.ndarray) -> np.ndarray:
        """Of fresh outputs (Q, Q)."""
        gram = _gram(wire) / wire.channels
        moments = np.mean([tap @ gram @ tap.T for tap in taps], axis=0)
        return variance_gain(layer.weights, wire.channels, layer.sizes[1]) * moments + layer.sigma_b**2

    def _gradients(self, layer: Weights, wire: Wire) -> np.ndarray | None:
        """Noise that a layer's own gradients bring in where it writes, (Q, Q)."""
        if self.fisher is None:
            return None
        return gradients_gram(layer, _taps(layer, wire, trained=True)[0], _gram(wire), self.fisher)

    def _embedded(self, layer: Embedding, wire: Wire) -> Wire:
        """Where tokens become vectors: JJᵀ is by these."""
        if not wire.parents or wire.parents[0][0] > 0:
            raise InputError(
                f"expected {described(layer)} to read the input, got another signal; measure its spectrum instead."
            )
        taps, shape = _taps(layer, wire)
        h = self._output(layer, shape, self._covariance(layer, wire, taps))
        noise = self._gradients(layer, wire)
        return self._source(h, layer.width, np.eye(wire.positions) if noise is None else noise)

    def _output(self, layer: Weights, shape: tuple[int, ...], covariance: np.ndarray) -> np.ndarray:
        h = self.source(layer, shape, covariance)
        if h.shape[1:] != shape or not np.isfinite(h).all():
            raise InputError(
                f"expected finite outputs of {described(layer)} for samples and positions {shape}, got shape {h.shape}; "
                "take the signals of this very network."
            )
        self.seen.append(h)
        return h

    def _over_tokens(self, layer: TokenMixing, wire: Wire) -> Wire:
        """A given map of positions: known from what goes in and comes out, or drawn."""
        x = wire.value
        if x.ndim != 3 or x.shape[2] != layer.tokens_in:
            raise InputError(
                f"expected {layer.tokens_in} tokens before {described(layer)}, got positions {x.shape[2:]}; correct them."
            )
        known = self.realised(layer)
        if known is None:
            map_ = drawn_matrix(layer, layer.tokens_out, layer.tokens_in, self.rng)
            biases = layer.sigma_b * self.rng.standard_normal(layer.tokens_out)
            known = x @ map_.T + biases
        else:
            map_ = _recovered(layer, x.reshape(-1, x.shape[2]), known.reshape(-1, layer.tokens_out))
        self.seen.append(known)
        every = over_samples(map_[None], x.shape[1])
        after = self._factored(wire, layer).mapped(every, known, False)
        return after if self.fisher is None else self._token_gradients(layer, wire, after)

    def _token_gradients(self, layer: TokenMixing, wire: Wire, after: Wire) -> Wire:
        """Noise of weights over tokens, the same for all channels: Σ_kt' of (x_·k ⊗ e_t')(x_·k ⊗ e_t')ᵀ.

        With x = Σ_k √g_k u_k v_kᵀ the directions u_k over channels are taken for random ones: a Gaussian matrix that writes g_k
        for every k. It misses what signals and derivatives of the same channel have to do with one another.
        """
        x = wire.value
        if x.shape[1] > 1:
            raise InputError(
                f"expected one sample for the Fisher information with {described(layer)}, got {x.shape[1]}; take them one by "
                "one, or measure it."
            )
        gram, bias = _gram(wire), float(layer.bias) * wire.channels
        if self.fisher == "ntk":
            gram, bias = layer.weights.sigma_w**2 / layer.tokens_in * gram, bias * layer.sigma_b**2
        sizes = np.append(np.maximum(np.linalg.eigvalsh(gram), 0.0), [bias] if bias else [])
        one = np.eye(layer.tokens_out)
        source = self._source(np.zeros((1, 1, layer.tokens_out)), len(sizes), sizes[:, None, None] * one)
        read = ("node", source.parents[0][0], one[None], None)
        count = len(sizes), wire.channels
        self.met.matrices.append(WiredMatrix(one[None], len(sizes) / wire.channels, count, "gaussian", read))
        return replace(after, written=(*after.written, (len(self.met.matrices) - 1, one[None])))

    def _depthwise(self, layer: Convolution, wire: Wire) -> Wire:
        """One set of taps a channel: given maps of each channel."""
        x, channels = wire.value, wire.channels
        if not (layer.groups == channels == layer.channels_out):
            raise InputError(
                f"expected as many groups as channels in {described(layer)}, got {layer.groups} of {channels}; measure its "
                "spectrum instead."
            )
        taps, shape = _taps(layer, wire)
        each = np.stack([x.reshape(len(x), -1) @ tap.T for tap in taps], axis=2)  # (C, Q', taps)
        known = self.realised(layer)
        if known is None:
            weights = layer.weights.sigma_w / len(taps) ** 0.5 * self.rng.standard_normal((len(x), len(taps)))
            biases = layer.sigma_b * self.rng.standard_normal((len(x), 1))
            known = ((each @ weights[:, :, None])[:, :, 0] + biases).reshape(len(x), *shape)
        else:
            flat = known.reshape(len(x), -1)
            weights = np.stack([_recovered(layer, a, h[:, None])[0] for a, h in zip(each, flat, strict=True)])
        self.seen.append(known)
        after = self._factored(wire, layer).mapped(np.tensordot(weights, taps, 1), known, False)
        if self.fisher is not None:
            after = self._at_node(after)
            grams = [
                gradients_gram(layer, _taps(layer, wire, trained=True)[0], np.outer(one, one), self.fisher)
                for one in _flat(x)
            ]
            self.met.nodes[-1].accumulated = np.stack(grams)
        return after

    def _constant(self, operation: Constant, x: np.ndarray) -> Wire:
        shape = operation.positions or (1,) * (x.ndim - 2)
        entries = self.own.get(self.here)
        if entries is None:
            entries = operation.sigma * self.rng.standard_normal((operation.channels, *shape))
        entries = entries.reshape(operation.channels, 1, *shape)
        value = np.broadcast_to(entries, (operation.channels, x.shape[1], *shape))
        if self.fisher is None or not operation.trained or operation.channels == 1:
            return Wire(value, operation.channels)
        noise = np.kron(np.ones((x.shape[1], x.shape[1])), np.eye(entries[0].size))
        return self._source(value, operation.channels, noise * (operation.sigma**2 if self.fisher == "ntk" else 1.0))

    def _selected(self, operation: Selection, wire: Wire) -> Wire:
        """Some outputs of a matrix are those of a matrix by itself."""
        operation.check(len(wire.value))
        plain = wire.heads is None and not wire.parents and len(wire.written) == 1 and is_one(wire.written[0][1])
        if not plain or wire.channels != len(wire.value):
            raise InputError(
                f"expected {described(operation)} directly behind weights, got other signals; measure its spectrum instead."
            )
        number, map_ = wire.written[0]
        whole = self.met.matrices[number]
        chosen = set(range(operation.start, operation.stop))
        if chosen & whole.selected or whole.write is not None:
            raise InputError(
                f"expected channels that are selected once, got some of {described(operation)} again; measure."
            )
        whole.selected |= chosen
        count = operation.stop - operation.start
        channels = (whole.channels[0], count)
        # entries keep their size, which is σ_w² over the larger side of a Haar matrix
        square = whole.square * (max(channels) / max(whole.channels) if whole.kind == "haar" else 1.0)
        self.met.matrices.append(replace(whole, channels=channels, square=square, selected=set()))
        value = wire.value[operation.start : operation.stop]
        return Wire(value, count, written=((len(self.met.matrices) - 1, map_),))

    def _attended(self, operation: Attention, wires: tuple[Wire, ...]) -> Wire:
        heads, shared = operation.heads, operation.key_heads or operation.heads
        samples, tokens = wires[0].value.shape[1:] if wires[0].value.ndim == 3 else (0, 0)
        if not tokens or any(wire.value.shape[1:] != wires[0].value.shape[1:] for wire in wires):
            raise InputError(
                f"expected queries, keys and values at the same positions along one axis before {described(operation)}, got "
                f"{[wire.value.shape for wire in wires]}; correct them."
            )
        query, key, value = (
            wire.value.reshape(count, -1, samples * tokens).transpose(0, 2, 1)
            for wire, count in zip(wires, (heads, shared, shared), strict=True)
        )
        weights, scale = softmax_weights(operation, query, np.repeat(key, heads // shared, axis=0), samples)
        output = (weights @ np.repeat(value, heads // shared, axis=0)).transpose(0, 2, 1).reshape(wires[0].value.shape)
        rows = heads // shared * samples * tokens
        query, key = (at_positions(operation, each, samples) for each in (query, key))
        query, weights = query.reshape(shared, rows, -1), weights.reshape(shared, rows, -1)
        angles = (
            None if operation.rotary is None else operation.rotary.angles(np.arange(float(samples * tokens)) % tokens)
        )
        turned = None if angles is None else (np.tile(angles, (heads // shared, 1)), angles)
        self.met.attentions.append(HeadSignals(weights, query, key, value, scale, turned))
        number = len(self.met.attentions) - 1
        for port, wire in enumerate(wires):
            if wire.parents or len(wire.written) != 1 or wire.heads is not None or len(wire.written[0][1]) > 1:
                raise InputError(
                    f"expected queries, keys and values behind weights of their own before {described(operation)}, got "
                    "other signals; measure its spectrum instead."
                )
            matrix, map_ = wire.written[0]
            self._write(matrix, ("heads", number, map_.transpose(0, 2, 1), port))
        return Wire(output, wires[0].channels, heads=(number, np.eye(samples * tokens)))


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


def _projection(layer: Normalisation, found: GivenMap) -> np.ndarray | None:
    """tr P_iP_k/N of the projections P_i of the derivative at position i, off the signal there and, of layers, the mean."""
    if layer.positions or layer.groups > 1:
        return None
    normal = found.value.reshape(len(found.value), -1)
    lost = 3 if layer.kind == "layer" else 2
    return 1 - (lost - (normal.T @ normal / len(normal)) ** 2) / len(normal)


def _behind_one_another(operation: Concatenation, signals: Sequence[Wire]) -> Wire:
    wires = [part for wire in signals for part in wire.joined or (wire,)]
    alike = all(len(wire.value) == wire.channels and wire.positions == wires[0].positions for wire in wires)
    if not alike or any(wire.heads is not None or wire.flat for wire in wires):
        raise InputError(
            f"expected signals at the same positions, all their channels known, into {described(operation)}, none of them "
            "straight from attention or flattened; measure its spectrum instead."
        )
    return Wire(
        np.concatenate([wire.value for wire in wires]), sum(wire.channels for wire in wires), joined=tuple(wires)
    )


def _flat(x: np.ndarray) -> np.ndarray:
    """(C, Q)."""
    return x.reshape(len(x), -1)


def _gram(wire: Wire) -> np.ndarray:
    """Σ x xᵀ over all channels (Q, Q)."""
    x = _flat(wire.value)
    return wire.channels / len(x) * x.T @ x


def _taps(layer: Weights, wire: Wire, trained: bool = False) -> tuple[np.ndarray, tuple[int, ...]]:
    return taps_over(layer, wire.value, (wire.channels, wire.flat), trained)


def _recovered(layer: Weights, read: np.ndarray, given_: np.ndarray) -> np.ndarray:
    """The weights (out, into) from what they read (m, into) and give (m, out), with biases if there are any."""
    biased = layer.bias or layer.sigma_b > 0
    columns = np.hstack([read, np.ones((len(read), 1))]) if biased else read
    if len(columns) < columns.shape[1]:
        raise InputError(
            f"expected at least {columns.shape[1]} entries to know the weights of {described(layer)} by, got "
            f"{len(columns)}; measure the spectrum instead."
        )
    found = np.linalg.lstsq(columns, given_, rcond=None)[0]
    return found[: read.shape[1]].T
