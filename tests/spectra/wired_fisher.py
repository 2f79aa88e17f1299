"""Θ of networks with attention and token weights: drawn, and taken back from every output operation by operation."""

from functools import singledispatch

import numpy as np

from freeness.network import (
    INPUT,
    Attention,
    Concatenation,
    Constant,
    Convolution,
    Embedding,
    Normalisation,
    Pass,
    TokenMixing,
    Weights,
    at_positions,
    given,
    over_samples,
    pattern,
    softmax_weights,
)
from freeness.spectra import NeuronSignals
from tests.spectra.wired_simulation import unturned, weights_of


def drawn_fisher(network, x, rng):
    """Signals of one network with fresh weights on x (n, channels, positions), and the eigenvalues of its JJᵀ and Θ, ascending.

    Θ is over all outputs of all samples, of weights, embeddings and constants that are trained.
    """
    first = next(iter(network.weights))
    start = first.one_hot(x) if isinstance(first, Embedding) else x
    known, steps, seen = {INPUT: start.swapaxes(0, 1).astype(float)}, {}, []
    for node in network.nodes:
        inputs = [known[name] for name in node.inputs]
        known[node.name], steps[node.name] = _passed(node.operation, inputs, len(x), rng)
        if isinstance(node.operation, Weights):
            seen.append(known[node.name])
    end = known[network.nodes[-1].name]
    back, theta = {network.nodes[-1].name: np.eye(end.size).reshape(end.size, *end.shape)}, 0.0
    for node in reversed(network.nodes):
        if node.name not in back:
            continue
        returned, own = steps[node.name](back.pop(node.name))
        theta = theta + own
        for name, one in zip(node.inputs, returned, strict=True):
            back[name] = back[name] + one if name in back else one
    jacobian = back[INPUT].reshape(end.size, -1)
    signals = NeuronSignals(x, tuple(value.swapaxes(0, 1) for value in seen))
    return signals, np.linalg.eigvalsh(jacobian @ jacobian.T), np.linalg.eigvalsh(theta)


def _products(gradients):
    """Of gradients (outputs, …) with one another."""
    flat = gradients.reshape(len(gradients), -1)
    return flat @ flat.T


@singledispatch
def _passed(operation, inputs, samples, rng):
    """The value (C, n, *positions), and a function of cotangents (outputs, C, n, *positions): those of its inputs, its own Θ."""
    found = given(operation, tuple(inputs), Pass(False, rng))

    def back(cotangent):
        flat, returned = cotangent.reshape(*cotangent.shape[:2], -1), []
        for value, map_ in zip(inputs, found.maps, strict=True):
            if map_.ndim == 3:
                one = (map_.swapaxes(1, 2) @ flat[..., None])[..., 0]
            else:
                one = np.broadcast_to(map_, (len(map_), flat.shape[2])) * flat
            returned.append(one.reshape(len(flat), *value.shape))
        return returned, 0.0

    return found.value, back


@_passed.register
def _(operation: Weights, inputs, samples, rng):
    (value,) = inputs
    found = pattern(operation, value.shape[2:])
    taps, flat = over_samples(found.taps, samples), value.reshape(len(value), -1)
    matrices = [weights_of(operation.weights, (operation.sizes[1], len(value)), rng) / len(taps) ** 0.5 for _ in taps]
    output = sum(w @ flat @ tap.T for w, tap in zip(matrices, taps, strict=True))

    def back(cotangent):
        at = cotangent.reshape(*cotangent.shape[:2], -1)
        returned = sum(w.T @ at @ tap for w, tap in zip(matrices, taps, strict=True))
        gram = sum(tap @ flat.T @ flat @ tap.T for tap in taps)  # ⟨δx, δ'x'⟩ summed over what is read
        own = (at @ gram).reshape(len(at), -1) @ at.reshape(len(at), -1).T
        return [returned.reshape(len(at), *value.shape)], own + operation.bias * _products(at.sum(axis=2))

    return output.reshape(operation.sizes[1], samples, *found.shape), back


@_passed.register
def _(operation: Concatenation, inputs, samples, rng):
    ends = np.cumsum([len(value) for value in inputs])
    return np.concatenate(inputs), lambda cotangent: (np.split(cotangent, ends[:-1], axis=1), 0.0)


@_passed.register
def _(operation: TokenMixing, inputs, samples, rng):
    (value,) = inputs
    matrix = weights_of(operation.weights, (operation.tokens_out, operation.tokens_in), rng)

    def back(cotangent):
        own = _products(np.einsum("kcnp,cnq->kpq", cotangent, value, optimize=True))
        return [cotangent @ matrix], own + operation.bias * _products(cotangent.sum(axis=(1, 2)))

    return value @ matrix.T, back


@_passed.register
def _(operation: Convolution, inputs, samples, rng):
    if operation.groups == 1:
        return _passed.dispatch(Weights)(operation, inputs, samples, rng)
    (value,) = inputs
    found = pattern(operation, value.shape[2:])
    taps, flat = over_samples(found.taps, samples), value.reshape(len(value), -1)
    maps = np.tensordot(weights_of(operation.weights, (len(value), len(taps)), rng), taps, 1)

    def back(cotangent):
        at = cotangent.reshape(*cotangent.shape[:2], -1)
        own = _products(np.einsum("kcp,tpq,cq->kct", at, taps, flat, optimize=True))
        own = own + operation.bias * _products(at.sum(axis=2))
        return [np.einsum("kcp,cpq->kcq", at, maps).reshape(len(at), *value.shape)], own

    return (maps @ flat[:, :, None]).reshape(len(value), samples, *found.shape), back


@_passed.register
def _(operation: Attention, inputs, samples, rng):
    grouped = operation.key_heads or operation.heads
    shapes = [value.shape for value in inputs]

    def by_head(one, heads):
        return one.reshape(*one.shape[: one.ndim - len(shapes[0])], heads, -1, shapes[0][1] * shapes[0][2])

    query, key, value = (
        np.repeat(by_head(one, heads), operation.heads // heads, axis=0).swapaxes(1, 2)
        for one, heads in zip(inputs, (operation.heads, grouped, grouped), strict=True)
    )
    weights, scale = softmax_weights(operation, query, key, samples)
    output = weights @ value

    def back(cotangent):
        at = by_head(cotangent, operation.heads).swapaxes(2, 3)  # (outputs, heads, T, d_k)
        by_scores = weights * (at @ value.swapaxes(1, 2) - (at * output).sum(axis=-1, keepdims=True))
        to_query = unturned(operation, scale * by_scores @ at_positions(operation, key, samples), samples)
        to_key = unturned(
            operation, scale * by_scores.swapaxes(2, 3) @ at_positions(operation, query, samples), samples
        )
        found = to_query, to_key, weights.swapaxes(1, 2) @ at
        returned = []
        for one, shape, heads in zip(found, shapes, (operation.heads, grouped, grouped), strict=True):
            summed = one.reshape(len(at), heads, -1, *one.shape[2:]).sum(axis=2)
            returned.append(summed.swapaxes(2, 3).reshape(len(at), *shape))
        return returned, 0.0

    return output.swapaxes(1, 2).reshape(shapes[0]), back


@_passed.register
def _(operation: Constant, inputs, samples, rng):
    value = operation.sigma * rng.standard_normal((operation.channels, 1, *operation.positions))

    def back(cotangent):
        return [], operation.trained * _products(cotangent.sum(axis=2))

    return np.broadcast_to(value, (operation.channels, samples, *operation.positions)), back


@_passed.register
def _(operation: Normalisation, inputs, samples, rng):
    if operation.kind == "batch":
        return _passed.dispatch(object)(operation, inputs, samples, rng)
    (value,) = inputs
    centred = value - value.mean(axis=0) if operation.kind == "layer" else value
    size = np.sqrt((centred**2).mean(axis=0) + operation.epsilon)
    normal = centred / size

    def back(cotangent):
        found = (cotangent - normal * (cotangent * normal).mean(axis=1, keepdims=True)) / size
        return [found - found.mean(axis=1, keepdims=True) if operation.kind == "layer" else found], 0.0

    return normal, back
