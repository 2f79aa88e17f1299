"""A network record drawn at random and run by torch in NTK parametrisation: the ground truth of mean-field statements."""

import math

import numpy as np
import torch

from freeness.network import (
    INPUT,
    Activation,
    Concatenation,
    Convolution,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Normalisation,
    Pooling,
    PositionWise,
    Product,
    Reshape,
    Selection,
    Sum,
)

_TORCH = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "erf": torch.erf,
    "linear": lambda x: x,
}


class Simulated:
    """``forward`` gives outputs (n, C) and collects parameters; weights are standard normal, gains stand before them."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.parameters = []

    def _drawn(self, *shape):
        parameter = torch.randn(*shape, generator=self.generator, dtype=torch.float64).requires_grad_()
        self.parameters.append(parameter)
        return parameter

    def forward(self, network, x):
        """The output, and what the last operation reads."""
        values = self.values(network, x)
        last = network.nodes[-1]
        return values[last.name], values[last.inputs[0]]

    def values(self, network, x):
        """Every signal by its name."""
        values = {INPUT: x}
        for node in network.nodes:
            values[node.name] = self._step(node.operation, *(values[name] for name in node.inputs))
        return values

    def _step(self, layer, x, *others):
        spatial = tuple(range(2, x.ndim))
        match layer:
            case Dense():
                h = layer.weights.sigma_w / layer.fan_in**0.5 * x @ self._drawn(layer.fan_out, layer.fan_in).T
                return h + layer.sigma_b * self._drawn(layer.fan_out) if layer.sigma_b else h
            case Convolution():
                half = [0 if layer.padding == "valid" else taps // 2 for taps in layer.kernel]
                pads = [side for h in reversed(half) for side in (h, h)]
                padded = torch.nn.functional.pad(x, pads, "circular" if layer.padding == "circular" else "constant")
                weight = self._drawn(layer.channels_out, layer.channels_in, *layer.kernel)
                run = torch.nn.functional.conv1d if len(layer.kernel) == 1 else torch.nn.functional.conv2d
                h = run(padded, weight * layer.weights.sigma_w / weight[0].numel() ** 0.5, stride=layer.stride)
                if layer.sigma_b:
                    h = h + layer.sigma_b * self._drawn(layer.channels_out).reshape(-1, *[1] * len(spatial))
                return h
            case Activation():
                return _TORCH[layer.function.name](x)
            case Normalisation(kind="batch"):
                over = (0, *spatial)
                return (x - x.mean(over, keepdim=True)) / (
                    x.var(over, correction=0, keepdim=True) + layer.epsilon
                ).sqrt()
            case Normalisation():
                over = (1, *spatial) if layer.positions else (1,)
                centre = x.mean(over, keepdim=True) if layer.kind == "layer" else 0.0
                return (x - centre) / (((x - centre) ** 2).mean(over, keepdim=True) + layer.epsilon).sqrt()
            case Dropout():
                kept = torch.rand(x.shape, generator=self.generator, dtype=torch.float64) >= layer.rate
                return x * kept / (1 - layer.rate)
            case Pooling(size=None):
                return x.mean(spatial)
            case Pooling():
                run = torch.nn.functional.avg_pool1d if len(spatial) == 1 else torch.nn.functional.avg_pool2d
                return run(x, layer.size, layer.stride)
            case Flatten():
                return x.flatten(1)
            case PositionWise():
                weight = layer.weights.sigma_w / layer.fan_in**0.5 * self._drawn(layer.fan_out, layer.fan_in)
                h = torch.einsum("oc,nc...->no...", weight, x)
                biases = self._drawn(layer.fan_out).reshape(-1, *[1] * len(spatial)) if layer.sigma_b else 0.0
                return h + layer.sigma_b * biases
            case Embedding():
                table = layer.sigma * self._drawn(layer.count, layer.width)
                return table[x].movedim(-1, 1)
            case Product():
                return math.prod((x, *others))
            case Concatenation():
                return torch.cat((x, *others), dim=1 if layer.along == "channels" else 2)
            case Selection(of="channels"):
                return x[:, layer.start : layer.stop]
            case Selection():
                some = x.flatten(2)[:, :, layer.start : layer.stop]
                return some[:, :, 0] if layer.vector else some
            case Reshape():
                return x.reshape(*x.shape[:2], *layer.positions)
            case Sum():
                return sum(scale * one for scale, one in zip(layer.scales, (x, *others), strict=True))
        raise AssertionError(layer)


def simulated_kernels(network, inputs, seeds):
    """Means over draws, with standard errors, of Σ and Θ: products of the last weight layer's inputs, and of gradients."""
    x = _tensor(inputs)
    draws = []
    for seed in range(seeds):
        run = Simulated(seed)
        f, features = run.forward(network, x)
        samples, outputs = f.shape
        last = network.layers[-1]
        nngp = (last.weights.sigma_w**2 * features @ features.T / last.fan_in + last.sigma_b**2).detach().numpy()
        ntk = np.zeros_like(nngp)
        for k in range(outputs):
            rows = [
                torch.cat([g.reshape(-1) for g in torch.autograd.grad(f[a, k], run.parameters, retain_graph=True)])
                for a in range(samples)
            ]
            stacked = torch.stack(rows)
            ntk += (stacked @ stacked.T).numpy() / outputs
        draws.append((nngp, ntk))
    both = np.array(draws)
    return both.mean(axis=0), both.std(axis=0, ddof=1) / np.sqrt(seeds)


def simulated_gradients(network, inputs, seeds):
    """Means over draws, with standard errors, of the mean square and of Σ (∂ℓ/∂x)² of every signal, by names.

    The gradient at the output has independent entries, of squares that add to 1 for each sample.
    """
    x, draws = _tensor(inputs), []
    for seed in range(seeds):
        run = Simulated(seed)
        if x.is_floating_point():
            x = x.detach().requires_grad_()
        values = run.values(network, x)
        last = values[network.nodes[-1].name]
        cotangent = torch.randn(last.shape, generator=run.generator, dtype=last.dtype)
        cotangent = cotangent / cotangent.flatten(1).norm(dim=1).reshape(-1, *[1] * (last.ndim - 1))
        known = [name for name, value in values.items() if value.is_floating_point()]
        found = torch.autograd.grad((last * cotangent).sum(), [values[name] for name in known])
        draws.append(
            [
                (float(values[name].detach().square().mean()), float(g.square().sum() / len(x)))
                for name, g in zip(known, found, strict=True)
            ]
        )
    both = np.array(draws)
    means, errors = both.mean(axis=0), both.std(axis=0, ddof=1) / np.sqrt(seeds)
    return {name: (mean, error) for name, mean, error in zip(known, means, errors, strict=True)}


def _tensor(inputs):
    array = np.asarray(inputs)
    return torch.tensor(array, dtype=torch.int64 if array.dtype.kind == "i" else torch.float64)
