"""A network record drawn at random and run by torch in NTK parametrisation: the ground truth of mean-field statements."""

import numpy as np
import torch

from freeness.network import INPUT, Activation, Convolution, Dense, Dropout, Flatten, Normalisation, Pooling, Sum

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
        values = {INPUT: x}
        for node in network.nodes:
            given = [values[name] for name in node.inputs]
            values[node.name] = self._step(node.operation, *given)
        return values[network.nodes[-1].name], given[0]

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
            case Sum():
                return sum(scale * one for scale, one in zip(layer.scales, (x, *others), strict=True))
        raise AssertionError(layer)


def simulated_kernels(network, inputs, seeds):
    """Means over draws, with standard errors, of Σ and Θ: products of the last weight layer's inputs, and of gradients."""
    x = torch.tensor(inputs, dtype=torch.float64)
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
