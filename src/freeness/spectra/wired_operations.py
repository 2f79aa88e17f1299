"""What has equations of its own along the wires of a network: weights, attention, constants, parts and joins of channels."""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from freeness.errors import InputError
from freeness.network import (
    Attention,
    Concatenation,
    Constant,
    Convolution,
    Data,
    Embedding,
    Gaussian,
    Haar,
    Operation,
    Rotary,
    Selection,
    TokenMixing,
    Weights,
    at_positions,
    described,
    over_samples,
    softmax_weights,
)
from freeness.operators import HeadSignals
from freeness.spectra.drawn import drawn_matrix
from freeness.spectra.graph_builder import gradients_gram
from freeness.spectra.wire import Wire
from freeness.spectra.wired_parts import WiredMatrix, is_one
from freeness.spectra.wires import WireBuilder, channel_rows, gram_of, refused_joined, taps_behind, wired


def _apart(operation: Operation, wires: tuple[Wire, ...]) -> tuple[Wire, ...]:
    """Signals whose channels are not joined."""
    if any(wire.joined for wire in wires):
        raise refused_joined(operation)
    return wires


@wired.register
def _(layer: Embedding, builder: WireBuilder, wires: tuple[Wire, ...], x: np.ndarray) -> Wire:
    """Where tokens become vectors: JJᵀ is by these."""
    wire = _apart(layer, wires)[0]
    if not wire.constant and (not wire.parents or wire.parents[0][0] > 0):
        raise InputError(
            f"expected {described(layer)} to read tokens, got another signal; measure its spectrum instead."
        )
    taps, shape = taps_behind(layer, wire)
    h = builder.output(layer, shape, builder.covariance(layer, wire, taps))
    noise = builder.gradients(layer, wire)
    return builder.begun(h, layer.width, np.eye(wire.positions) if noise is None else noise)


@wired.register
def _(layer: TokenMixing, builder: WireBuilder, wires: tuple[Wire, ...], x: np.ndarray) -> Wire:
    """A given map of positions: known from what goes in and comes out, or drawn."""
    wire = _apart(layer, wires)[0]
    x = wire.value
    if x.ndim != 3 or x.shape[2] != layer.tokens_in:
        raise InputError(
            f"expected {layer.tokens_in} tokens before {described(layer)}, got positions {x.shape[2:]}; correct them."
        )
    known = builder.realised(layer)
    if known is None:
        map_ = drawn_matrix(layer, layer.tokens_out, layer.tokens_in, builder.rng)
        biases = layer.sigma_b * builder.rng.standard_normal(layer.tokens_out)
        known = x @ map_.T + biases
    else:
        map_ = _recovered(layer, x.reshape(-1, x.shape[2]), known.reshape(-1, layer.tokens_out))
    builder.seen.append(known)
    every = over_samples(map_[None], x.shape[1])
    after = builder.factored(wire, layer).mapped(every, known, False)
    return after if builder.fisher is None else _token_gradients(builder, layer, wire, after)


def _token_gradients(builder: WireBuilder, layer: TokenMixing, wire: Wire, after: Wire) -> Wire:
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
    gram, bias = gram_of(wire), float(layer.bias) * wire.channels
    if builder.fisher == "ntk":
        gram, bias = layer.weights.sigma_w**2 / layer.tokens_in * gram, bias * layer.sigma_b**2
    sizes = np.append(np.maximum(np.linalg.eigvalsh(gram), 0.0), [bias] if bias else [])
    one = np.eye(layer.tokens_out)
    source = builder.begun(np.zeros((1, 1, layer.tokens_out)), len(sizes), sizes[:, None, None] * one)
    read = ("node", source.parents[0][0], one[None], None)
    count = len(sizes), wire.channels
    builder.met.matrices.append(WiredMatrix(one[None], len(sizes) / wire.channels, count, "gaussian", read))
    return replace(after, written=(*after.written, (len(builder.met.matrices) - 1, one[None])))


@wired.register
def _(layer: Convolution, builder: WireBuilder, wires: tuple[Wire, ...], x: np.ndarray) -> Wire:
    if layer.groups == 1:
        return wired.dispatch(Weights)(layer, builder, wires, x)
    return _depthwise(layer, builder, _apart(layer, wires)[0])


def _depthwise(layer: Convolution, builder: WireBuilder, wire: Wire) -> Wire:
    """One set of taps a channel: given maps of each channel."""
    x, channels = wire.value, wire.channels
    if not (layer.groups == channels == layer.channels_out):
        raise InputError(
            f"expected as many groups as channels in {described(layer)}, got {layer.groups} of {channels}; measure its "
            "spectrum instead."
        )
    taps, shape = taps_behind(layer, wire)
    each = np.stack([x.reshape(len(x), -1) @ tap.T for tap in taps], axis=2)  # (C, Q', taps)
    known = builder.realised(layer)
    if known is None:
        weights = layer.weights.sigma_w / len(taps) ** 0.5 * builder.rng.standard_normal((len(x), len(taps)))
        biases = layer.sigma_b * builder.rng.standard_normal((len(x), 1))
        known = ((each @ weights[:, :, None])[:, :, 0] + biases).reshape(len(x), *shape)
    else:
        flat = known.reshape(len(x), -1)
        weights = np.stack([_recovered(layer, a, h[:, None])[0] for a, h in zip(each, flat, strict=True)])
    builder.seen.append(known)
    after = builder.factored(wire, layer).mapped(np.tensordot(weights, taps, 1), known, False)
    if builder.fisher is not None:
        after = builder.at_node(after)
        grams = [
            gradients_gram(layer, taps_behind(layer, wire, trained=True)[0], np.outer(one, one), builder.fisher)
            for one in channel_rows(x)
        ]
        builder.met.nodes[-1].accumulated = np.stack(grams)
    return after


@wired.register
def _(operation: Constant, builder: WireBuilder, wires: tuple[Wire, ...], x: np.ndarray) -> Wire:
    shape = operation.positions or (1,) * (x.ndim - 2)
    entries = builder.own.get(builder.here)
    if entries is None:
        entries = operation.sigma * builder.rng.standard_normal((operation.channels, *shape))
    entries = entries.reshape(operation.channels, 1, *shape)
    value = np.broadcast_to(entries, (operation.channels, x.shape[1], *shape))
    if builder.fisher is None or not operation.trained or operation.channels == 1:
        return Wire(value, operation.channels)
    noise = np.kron(np.ones((x.shape[1], x.shape[1])), operation.shared if operation.positions else np.eye(1))
    return builder.begun(value, operation.channels, noise * (operation.sigma**2 if builder.fisher == "ntk" else 1.0))


@wired.register
def _(operation: Data, builder: WireBuilder, wires: tuple[Wire, ...], x: np.ndarray) -> Wire:
    return Wire(np.moveaxis(operation.entries, 1, 0), operation.channels)


@wired.register
def _(operation: Selection, builder: WireBuilder, wires: tuple[Wire, ...], x: np.ndarray) -> Wire:
    """Some outputs of a matrix are those of a matrix by itself."""
    wire = _apart(operation, wires)[0]
    if operation.of != "channels":
        return builder.by_given_map(operation, wires)
    operation.check(len(wire.value))
    plain = wire.heads is None and not wire.parents and len(wire.written) == 1 and is_one(wire.written[0][1])
    if not plain or wire.channels != len(wire.value):
        raise InputError(
            f"expected {described(operation)} directly behind weights, got other signals; measure its spectrum instead."
        )
    number, map_ = wire.written[0]
    whole = builder.met.matrices[number]
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
    builder.met.matrices.append(replace(whole, channels=channels, square=square, selected=set()))
    value = wire.value[operation.start : operation.stop]
    return Wire(value, count, written=((len(builder.met.matrices) - 1, map_),))


@wired.register
def _(operation: Attention, builder: WireBuilder, wires: tuple[Wire, ...], x: np.ndarray) -> Wire:
    _apart(operation, wires)
    heads, shared = operation.heads, operation.key_heads or operation.heads
    shapes = [wire.value.shape[1:] for wire in wires]
    if any(len(shape) != 2 for shape in shapes) or shapes[1] != shapes[2] or shapes[0][0] != shapes[1][0]:
        raise InputError(
            f"expected positions along one axis, the same of keys and values, before {described(operation)}, got "
            f"{[wire.value.shape for wire in wires]}; correct them."
        )
    (samples, tokens), seen = shapes[0], shapes[1][1]
    query, key, value = (
        wire.value.reshape(count, -1, math.prod(shape)).transpose(0, 2, 1)
        for wire, shape, count in zip(wires, shapes, (heads, shared, shared), strict=True)
    )
    weights, scale = softmax_weights(operation, query, np.repeat(key, heads // shared, axis=0), samples)
    output = (weights @ np.repeat(value, heads // shared, axis=0)).transpose(0, 2, 1).reshape(wires[0].value.shape)
    rows = heads // shared * samples * tokens
    query, key = (at_positions(operation, each, samples) for each in (query, key))
    query, weights = query.reshape(shared, rows, -1), weights.reshape(shared, rows, -1)
    turned = (
        None if operation.rotary is None else tuple(map(partial(_angles, operation.rotary, samples), (tokens, seen)))
    )
    if turned is not None:
        turned = np.tile(turned[0], (heads // shared, 1)), turned[1]
    builder.met.attentions.append(HeadSignals(weights, query, key, value, scale, turned))
    number = len(builder.met.attentions) - 1
    for port, wire in enumerate(wires):
        if wire.parents or len(wire.written) != 1 or wire.heads is not None or len(wire.written[0][1]) > 1:
            raise InputError(
                f"expected queries, keys and values behind weights of their own before {described(operation)}, got "
                "other signals; measure its spectrum instead."
            )
        matrix, map_ = wire.written[0]
        builder.write(matrix, ("heads", number, map_.transpose(0, 2, 1), port))
    return Wire(output, wires[0].channels, heads=(number, np.eye(samples * tokens)))


@wired.register
def _(layer: Weights, builder: WireBuilder, wires: tuple[Wire, ...], x: np.ndarray) -> Wire:
    """A random matrix, of joined channels one for each signal."""
    (wire,) = wires
    if wire.joined:
        if not isinstance(layer.weights, Gaussian):
            raise refused_joined(layer)
        return builder.by_parts(layer, wire)
    if not isinstance(layer.weights, (Gaussian, Haar)):
        raise InputError(
            f"expected Gaussian or Haar weights in {described(layer)}, got {type(layer.weights).__name__}; the "
            "equations of this network cover no others."
        )
    taps, shape = taps_behind(layer, wire)
    into, out = wire.channels, layer.sizes[1]
    h = builder.output(layer, shape, builder.covariance(layer, wire, taps))
    after = Wire(h, out)
    if wire.constant and builder.fisher is None:
        return after
    if wire.constant:
        wire = builder.begun(wire.value, into, np.zeros((wire.positions, wire.positions)), wire.flat)
    kept = 1.0 if wire.factor is None else wire.kept
    wire = wire if wire.plain else builder.at_node(wire)
    kind = "haar" if isinstance(layer.weights, Haar) else "gaussian"
    square = layer.weights.sigma_w**2 / (len(taps) if kind == "gaussian" else 1)
    if wire.heads is not None:
        read = ("heads", wire.heads[0], wire.heads[1][None], None)
    else:
        node, map_ = wire.parents[0]
        read = ("node", node, map_, wire.factor)
    if kind == "haar" and not is_one(taps):
        read, taps = (read[0], read[1], taps[0] @ read[2], read[3]), np.eye(taps.shape[1])[None]
    noise = builder.gradients(layer, wire)
    matrix = WiredMatrix(taps, square, (into, out), kind, read, noise, layer=builder.here, kept=kept)
    builder.met.matrices.append(matrix)
    return replace(after, written=((len(builder.met.matrices) - 1, np.eye(h[0].size)[None]),))


@wired.register
def _(operation: Concatenation, builder: WireBuilder, wires: tuple[Wire, ...], x: np.ndarray) -> Wire:
    """Channels that lie behind one another."""
    if operation.along != "channels":
        return builder.by_given_map(operation, _apart(operation, wires))
    wires = tuple(part for wire in wires for part in wire.joined or (wire,))
    alike = all(len(wire.value) == wire.channels and wire.positions == wires[0].positions for wire in wires)
    if not alike or any(wire.heads is not None or wire.flat for wire in wires):
        raise InputError(
            f"expected signals at the same positions, all their channels known, into {described(operation)}, none of them "
            "straight from attention or flattened; measure its spectrum instead."
        )
    return Wire(np.concatenate([wire.value for wire in wires]), sum(wire.channels for wire in wires), joined=wires)


def _angles(rotary: Rotary, samples: int, tokens: int) -> np.ndarray:
    """By which the positions of all samples are turned."""
    return rotary.angles(np.arange(float(samples * tokens)) % tokens)


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
