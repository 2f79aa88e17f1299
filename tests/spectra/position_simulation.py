"""Convolutional networks drawn and differentiated by torch, layer by layer: ground truth for graphs with positions.

Every layer is a torch function of (n, C, *positions); its matrix is what it does to all unit vectors, the Gram matrix of the
gradients of its weights comes from torch's unfolding. Nothing here uses the patterns that the theory uses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from freeness.network import (
    Activation,
    Concatenation,
    Convolution,
    Dense,
    Flatten,
    Haar,
    Measured,
    Normalisation,
    Pooling,
    PositionWise,
    Reshape,
    Selection,
    Sum,
)
from freeness.spectra.graph import NeuronSignals
from tests.spectra.wires import followed


@dataclass(frozen=True)
class PositionSample:
    """One drawn network: its signals, and the eigenvalues of JJᵀ and Θ over all outputs of all samples."""

    signals: NeuronSignals
    jacobian: np.ndarray
    fisher: np.ndarray
    theta: np.ndarray


def draw_positions(network, samples, rng, *, whole=False):
    """``whole``: Θ itself instead of the eigenvalues."""
    x = torch.tensor(np.asarray(samples, float))
    seen = []
    _, jacobian, theta = followed(network, x, lambda *given: _layer(*given, seen=seen, rng=rng), _eye)
    signals = NeuronSignals(x.numpy(), tuple(h.numpy() for h in seen))
    if whole:
        return PositionSample(signals, np.array([]), np.array([]), theta.numpy())
    values = torch.linalg.eigvalsh(jacobian @ jacobian.T).numpy(), torch.linalg.eigvalsh(theta).numpy()
    return PositionSample(signals, *values, theta.numpy())


def _eye(size):
    return torch.eye(size, dtype=torch.float64)


def _linear(function, x):
    """The matrix of a linear function of one sample, for all samples at once: block-diagonal over them."""
    one = x[0].numel()
    units = torch.eye(one, dtype=x.dtype).reshape(one, *x.shape[1:])
    return torch.block_diag(*[function(units).reshape(one, -1).T] * len(x))


def _weights(layer, shape, rng):
    out, into = shape[:2]
    if isinstance(layer.weights, Haar):
        normal = rng.standard_normal((max(out, into), min(out, into)))
        q, r = np.linalg.qr(normal)
        q = q * np.sign(np.diag(r))
        w = np.zeros(shape)
        w[(slice(None), slice(None), *(k // 2 for k in shape[2:]))] = layer.weights.sigma_w * (
            q if out >= into else q.T
        )
        return torch.tensor(w)
    if isinstance(layer.weights, Measured):
        left, right = (np.linalg.qr(rng.standard_normal((size, size)))[0] for size in (out, into))
        few = min(out, into)
        return torch.tensor(left[:, :few] * layer.weights.singular_values @ right[:, :few].T)
    fan_in = int(np.prod(shape[1:]))
    return torch.tensor(layer.weights.sigma_w / np.sqrt(fan_in) * rng.standard_normal(shape))


def _convolve(layer, w, x):
    half = [k // 2 for k in layer.kernel]
    around = [h for k in reversed(half) for h in (k, k)]
    if layer.padding != "valid":
        x = F.pad(x, around, mode="circular") if layer.padding == "circular" else F.pad(x, around)
    return (F.conv1d if len(half) == 1 else F.conv2d)(x, w, stride=layer.stride)


def _patch_gram(layer, x):
    """Gram matrix over (sample, position) of the patches that the weights read."""
    channels, taps = x.shape[1], int(np.prod(layer.kernel))
    picking = torch.eye(channels * taps, dtype=x.dtype).reshape(channels * taps, channels, *layer.kernel)
    patches = _convolve(layer, picking, x)  # (n, channels·taps, *positions)
    flat = patches.transpose(0, 1).reshape(channels * taps, -1)
    return flat.T @ flat


def _spread(gram, samples, channels):
    """Gram over (sample, position) ⊗ identity over channels, in the order (sample, channel, position)."""
    places = gram.shape[0] // samples
    four = gram.reshape(samples, places, samples, places)
    return torch.einsum("apbq,cd->acpbdq", four, torch.eye(channels, dtype=gram.dtype)).reshape(
        [samples * channels * places] * 2
    )


def _layer(layer, x, *others, seen, rng):
    n = len(x)
    match layer:
        case Convolution():
            w = _weights(layer, (layer.channels_out, layer.channels_in, *layer.kernel), rng)
            b = torch.tensor(layer.sigma_b * rng.standard_normal(layer.channels_out))
            h = _convolve(layer, w, x) + b.reshape(-1, *[1] * len(layer.kernel))
            seen.append(h)
            gram = _patch_gram(layer, x) + float(layer.bias)
            return h, (_linear(lambda u: _convolve(layer, w, u), x),), _spread(gram, n, layer.channels_out)
        case Dense():
            w = _weights(layer, (layer.fan_out, layer.fan_in), rng)
            flat = x.reshape(n, -1)
            h = flat @ w.T + torch.tensor(layer.sigma_b * rng.standard_normal(layer.fan_out))
            seen.append(h)
            gram = flat @ flat.T + float(layer.bias)
            return h, (_linear(lambda u: u.reshape(len(u), -1) @ w.T, x),), _spread(gram, n, layer.fan_out)
        case Activation():
            h = x.numpy()
            step = torch.diag(torch.tensor(layer.function.derivative(h)).reshape(-1))
            return torch.tensor(layer.function.function(h)), (step,), None
        case Normalisation():
            axes = tuple(range(1, x.ndim)) if layer.positions else (1,)
            if layer.kind == "batch":
                axes = (0, *range(2, x.ndim))

            def normal(u):
                centred = u - u.mean(axes, keepdim=True) if layer.kind != "rms" else u
                return centred / ((centred**2).mean(axes, keepdim=True) + layer.epsilon).sqrt()

            step = torch.func.jacrev(normal)(x).reshape(x.numel(), x.numel())
            return normal(x), (step,), None
        case Pooling():

            def pool(u):
                if layer.size is None:
                    return u.mean(tuple(range(2, u.ndim)))
                stride = layer.stride or layer.size
                return (F.avg_pool1d if len(layer.size) == 1 else F.avg_pool2d)(u, layer.size, stride)

            return pool(x), (_linear(pool, x),), None
        case Flatten():
            return x.reshape(n, -1), (_eye(x.numel()),), None
        case PositionWise():
            w = _weights(layer, (layer.fan_out, layer.fan_in), rng)
            b = torch.tensor(layer.sigma_b * rng.standard_normal(layer.fan_out))
            h = torch.einsum("oc,nc...->no...", w, x) + b.reshape(-1, *[1] * (x.ndim - 2))
            seen.append(h)
            flat = x.transpose(0, 1).reshape(layer.fan_in, -1)
            gram = flat.T @ flat + float(layer.bias)
            return h, (_linear(lambda u: torch.einsum("oc,nc...->no...", w, u), x),), _spread(gram, n, layer.fan_out)
        case Reshape():
            return x.reshape(*x.shape[:2], *layer.positions), (_eye(x.numel()),), None
        case Selection(of="positions"):

            def select(u):
                return u.flatten(2)[:, :, layer.start : layer.stop]

            return select(x), (_linear(select, x),), None
        case Concatenation(along="positions"):
            every = (x, *others)
            steps = []
            for k in range(len(every)):

                def placed(u, k=k):
                    parts = [torch.zeros(len(u), *one.shape[1:], dtype=u.dtype) for one in every]
                    parts[k] = u
                    return torch.cat(parts, dim=2)

                steps.append(_linear(placed, every[k]))
            return torch.cat(every, dim=2), tuple(steps), None
        case Sum():
            value = sum(scale * one for scale, one in zip(layer.scales, (x, *others), strict=True))
            return value, tuple(scale * _eye(x.numel()) for scale in layer.scales), None
    raise AssertionError(layer)
