"""Networks with attention and token weights, drawn and differentiated operation by operation, by matrices written out."""

from dataclasses import replace

import numpy as np

from freeness.network import (
    Attention,
    Concatenation,
    Constant,
    Convolution,
    Gaussian,
    Normalisation,
    Pass,
    TokenMixing,
    Weights,
    at_positions,
    given,
    pattern,
    softmax_weights,
)
from freeness.spectra import NeuronSignals


def drawn_network(network, x, rng):
    """Signals of one network with fresh weights on x (channels, positions), and the eigenvalues of its JJᵀ, ascending."""
    known, seen = {"input": (x[:, None], np.eye(x.size).reshape(len(x), -1, x.size))}, []
    for node in network.nodes:
        value, jacobian = _passed(node.operation, [known[name] for name in node.inputs], x, rng)
        known[node.name] = value, jacobian.reshape(len(value), value[0].size, x.size)
        if isinstance(node.operation, Weights):
            seen.append(value)
    jacobian = known[network.nodes[-1].name][1].reshape(-1, x.size)
    signals = NeuronSignals(x[None], tuple(value.swapaxes(0, 1) for value in seen))
    return signals, np.linalg.eigvalsh(jacobian @ jacobian.T)


def _passed(operation, inputs, start, rng):
    """Value (C, 1, *positions) and derivative (C, P, entries of the input)."""
    match operation:
        case TokenMixing():
            value, jacobian = inputs[0]
            matrix = weights_of(operation.weights, (operation.tokens_out, operation.tokens_in), rng)
            return value @ matrix.T, matrix @ jacobian
        case Convolution(groups=groups) if groups > 1:
            value, jacobian = inputs[0]
            taps = pattern(operation, value.shape[2:]).taps
            matrices = np.tensordot(weights_of(operation.weights, (len(value), len(taps)), rng), taps, 1)
            return (matrices @ value.reshape(len(value), -1, 1)).reshape(value.shape), matrices @ jacobian
        case Weights():
            return _by_weights(operation, inputs[0][0], inputs[0][1], rng)
        case Attention():
            return _attended(operation, inputs)
        case Constant():
            value = operation.sigma * rng.standard_normal((operation.channels, 1, *operation.positions))
            return value, np.zeros((operation.channels, value[0].size, start.size))
        case Normalisation(kind="layer" | "rms"):
            return _normalised(operation, *inputs[0])
        case Concatenation(along="channels"):
            return tuple(np.concatenate(parts) for parts in zip(*inputs, strict=True))
        case _:
            found = given(operation, tuple(value for value, _ in inputs), Pass(False, rng))
            parts = [
                map_ @ jacobian
                if map_.ndim == 3
                else np.broadcast_to(map_, (len(map_), value[0].size))[:, :, None] * jacobian
                for map_, (value, jacobian) in zip(found.maps, inputs, strict=True)
            ]
            return found.value, sum(parts[1:], parts[0])


def weights_of(ensemble, shape, rng):
    if isinstance(ensemble, Gaussian):
        return ensemble.sigma_w / shape[1] ** 0.5 * rng.standard_normal(shape)
    return ensemble.sigma_w * np.linalg.qr(rng.standard_normal((max(shape), max(shape))))[0][: shape[0], : shape[1]]


def _by_weights(layer, value, jacobian, rng):
    found = pattern(layer, value.shape[2:])
    flat = value.reshape(len(value), -1)
    total, derivative = np.zeros(()), np.zeros(())
    for tap in found.taps:
        matrix = weights_of(layer.weights, (layer.sizes[1], len(value)), rng) / len(found.taps) ** 0.5
        total = total + matrix @ flat @ tap.T
        derivative = derivative + np.tensordot(matrix, tap @ jacobian, 1)
    return total.reshape(layer.sizes[1], 1, *found.shape), derivative


def _attended(operation, inputs):
    heads, (channels, _, tokens) = operation.heads, inputs[0][0].shape
    query, key, value = (one.reshape(heads, -1, tokens).transpose(0, 2, 1) for one, _ in inputs)
    by_query, by_key, by_value = (
        one.reshape(heads, channels // heads, tokens, -1).transpose(0, 2, 1, 3) for _, one in inputs
    )
    weights, scale = softmax_weights(operation, query, key)
    output = weights @ value
    by_query, by_key = (
        at_positions(operation, one.transpose(0, 3, 1, 2).reshape(-1, tokens, one.shape[2])).reshape(
            heads, -1, tokens, one.shape[2]
        )
        for one in (by_query, by_key)
    )
    query, key = (at_positions(operation, one) for one in (query, key))
    scores = np.einsum("hxia,hja->hijx", by_query, key, optimize=True)
    scores = scale * (scores + np.einsum("hia,hxja->hijx", query, by_key, optimize=True))
    spans = weights[..., None] * (value[:, None] - output[:, :, None])
    jacobian = np.einsum("hij,hjax->hiax", weights, by_value, optimize=True)
    jacobian = jacobian + np.einsum("hija,hijx->hiax", spans, scores, optimize=True)
    return output.transpose(0, 2, 1).reshape(channels, 1, tokens), jacobian.transpose(0, 2, 1, 3)


def unturned(operation, entries, samples):
    """Gradients (outputs, heads, n·T, d_k) in front of a rotation of halves."""
    if operation.rotary is None:
        return entries
    back = replace(
        operation, rotary=replace(operation.rotary, frequencies=tuple(-f for f in operation.rotary.frequencies))
    )
    return at_positions(back, entries.reshape(-1, *entries.shape[2:]), samples).reshape(entries.shape)


def _normalised(operation, value, jacobian):
    flat = value.reshape(len(value), -1)
    if operation.kind == "layer":
        flat, jacobian = flat - flat.mean(axis=0), jacobian - jacobian.mean(axis=0)
    size = np.sqrt((flat**2).mean(axis=0) + operation.epsilon)
    normal = flat / size
    along = np.einsum("cp,cpx->px", normal, jacobian) / len(flat)
    return normal.reshape(value.shape), (jacobian - normal[:, :, None] * along) / size[:, None]
