"""A network record drawn at random and run by torch in NTK parametrisation: the ground truth of mean-field statements."""

import math

import numpy as np
import torch

from freeness.network import (
    INPUT,
    Activation,
    Attention,
    Concatenation,
    Constant,
    Convolution,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    MaxPooling,
    Normalisation,
    Pooling,
    PositionWise,
    Product,
    Reshape,
    Selection,
    Sum,
    TokenMixing,
    Upsampling,
)

_TORCH = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
    "erf": torch.erf,
    "linear": lambda x: x,
}


class Simulated:
    """``forward`` gives outputs (n, C) and collects parameters; weights are standard normal, gains stand before them."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.parameters = []
        self.owners = []  # the name of the node, and by what its parameter is multiplied
        self.here = ""

    def _drawn(self, *shape, scale=1.0, part="weights"):
        parameter = torch.randn(*shape, generator=self.generator, dtype=torch.float64).requires_grad_()
        self.parameters.append(parameter)
        self.owners.append((self.here, part, scale))
        return scale * parameter

    def _biases(self, layer, size):
        return self._drawn(size, scale=layer.sigma_b, part="biases") if layer.sigma_b else torch.zeros(size).double()

    def forward(self, network, x):
        """The output, and what the last operation reads."""
        values = self.values(network, x)
        last = network.nodes[-1]
        return values[last.name], values[last.inputs[0]]

    def values(self, network, x):
        """Every signal by its name."""
        values = {INPUT: x}
        for node in network.nodes:
            self.here = node.name
            values[node.name] = self._step(node.operation, *(values[name] for name in node.inputs or (INPUT,)))
        return values

    def _step(self, layer, x, *others):
        spatial = tuple(range(2, x.ndim))
        match layer:
            case Dense():
                weight = self._drawn(layer.fan_out, layer.fan_in, scale=layer.weights.sigma_w / layer.fan_in**0.5)
                return x @ weight.T + self._biases(layer, layer.fan_out)
            case Convolution():
                half = [0 if layer.padding == "valid" else layer.dilation * (taps // 2) for taps in layer.kernel]
                pads = [side for h in reversed(half) for side in (h, h)]
                padded = torch.nn.functional.pad(x, pads, "circular" if layer.padding == "circular" else "constant")
                shape = (layer.channels_out, layer.channels_in // layer.groups, *layer.kernel)
                weight = self._drawn(*shape, scale=layer.weights.sigma_w / math.prod(shape[1:]) ** 0.5)
                run = torch.nn.functional.conv1d if len(layer.kernel) == 1 else torch.nn.functional.conv2d
                h = run(padded, weight, stride=layer.stride, dilation=layer.dilation, groups=layer.groups)
                return h + self._biases(layer, layer.channels_out).reshape(-1, *[1] * len(spatial))
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
                shape = (*x.shape[:2], *(1 for _ in spatial)) if layer.channels else x.shape
                kept = torch.rand(shape, generator=self.generator, dtype=torch.float64) >= layer.rate
                return x * kept / (1 - layer.rate)
            case Pooling(size=None):
                return x.mean(spatial)
            case Pooling():
                run = torch.nn.functional.avg_pool1d if len(spatial) == 1 else torch.nn.functional.avg_pool2d
                return run(x, layer.size, layer.stride)
            case MaxPooling():
                run = torch.nn.functional.max_pool1d if len(spatial) == 1 else torch.nn.functional.max_pool2d
                return x.amax(spatial) if layer.size is None else run(x, layer.size, layer.stride, layer.padding)
            case Flatten():
                return x.flatten(1)
            case PositionWise():
                weight = self._drawn(layer.fan_out, layer.fan_in, scale=layer.weights.sigma_w / layer.fan_in**0.5)
                h = torch.einsum("oc,nc...->no...", weight, x)
                return h + self._biases(layer, layer.fan_out).reshape(-1, *[1] * len(spatial))
            case TokenMixing():
                shape = (layer.tokens_out, layer.tokens_in)
                weight = self._drawn(*shape, scale=layer.weights.sigma_w / layer.tokens_in**0.5)
                return x @ weight.T + self._biases(layer, layer.tokens_out)
            case Upsampling():
                for axis, size in enumerate(layer.factors, start=2):
                    x = x.repeat_interleave(size, dim=axis)
                return x
            case Embedding():
                return self._drawn(layer.count, layer.width, scale=layer.sigma)[x].movedim(-1, 1)
            case Constant():
                drawn = self._drawn(layer.channels, *layer.positions, scale=layer.sigma)
                drawn = (
                    drawn
                    if layer.positions
                    else drawn.reshape(-1, *[1] * (x.ndim - (2 if x.is_floating_point() else 1)))
                )
                return drawn.expand(len(x), *drawn.shape)
            case Attention():
                return _attended(layer, x, *others)
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


def _attended(layer, query, key, value):
    """Written out head by head: (n, channels, positions)."""
    shared = layer.key_heads or layer.heads
    width = query.shape[1] // layer.heads
    scale = {"root": width**-0.5, "full": 1 / width}.get(layer.scale, layer.scale)
    outputs = []
    for head in range(layer.heads):
        own, group = (slice(k * width, (k + 1) * width) for k in (head, head * shared // layer.heads))
        asking, asked = (_turned(layer.rotary, one) for one in (query[:, own], key[:, group]))
        scores = scale * asking.transpose(1, 2) @ asked
        if layer.relative is not None:
            table = layer.relative.values[head % len(layer.relative.values)]
            count = scores.shape[-1]
            for row in range(count):
                at = [table[len(table) // 2 + column - row] for column in range(count)]
                scores[:, row] = scores[:, row] + torch.tensor(at)
        if layer.causal:
            later = torch.ones(scores.shape[1:]).triu(1).bool()
            scores = scores.masked_fill(later, -torch.inf)
        outputs.append(value[:, group] @ scores.softmax(-1).transpose(1, 2))
    return torch.cat(outputs, dim=1)


def _turned(rotary, x):
    """Pairs of channels of (n, d, positions) as complex numbers times e^{iθp}."""
    if rotary is None:
        return x
    count = len(rotary.frequencies)
    pairs = (
        x[:, : 2 * count]
        .unflatten(1, (2, count) if rotary.halves else (count, 2))
        .movedim(1 if rotary.halves else 2, -1)
    )
    angles = torch.outer(torch.tensor(rotary.frequencies).double(), torch.arange(x.shape[2]).double())
    turned = torch.view_as_real(
        torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones_like(angles), angles)
    )
    first = turned.movedim(-1, 1 if rotary.halves else 2).flatten(1, 2)
    return torch.cat([first, x[:, 2 * count :]], dim=1)


def simulated_weights(network, inputs, seeds):
    """Means over draws, with standard errors, of Σ (∂ℓ/∂w)² over the weights and over the biases of every node, for one sample.

    The gradient at the output has independent entries, of squares that add to 1 for each sample; of a batch ℓ is the sum.
    """
    x, draws = _tensor(inputs), []
    for seed in range(seeds):
        run = Simulated(seed)
        last = run.values(network, x)[network.nodes[-1].name]
        cotangent = torch.randn(last.shape, generator=run.generator, dtype=last.dtype)
        cotangent = cotangent / cotangent.flatten(1).norm(dim=1).reshape(-1, *[1] * (last.ndim - 1))
        found = torch.autograd.grad((last * cotangent).sum(), run.parameters)
        draws.append(
            [float(g.square().sum()) / owner[2] ** 2 / len(x) for g, owner in zip(found, run.owners, strict=True)]
        )
    both = np.array(draws)
    means, errors = both.mean(axis=0), both.std(axis=0, ddof=1) / np.sqrt(seeds)
    names = [owner[:2] for owner in run.owners]
    return {name: (mean, error) for name, mean, error in zip(names, means, errors, strict=True)}


def assert_drawn(found, network, inputs, seeds, allowed):
    """Every signal, gradient and weight within 4.5 standard errors and an allowance for the width."""
    places = {place.name: place for place in found}
    for name, (mean, error) in simulated_gradients(network, inputs, seeds).items():
        pair = np.array([places[name].signal, places[name].gradient])
        assert (np.abs(mean - pair) <= 4.5 * error + allowed * np.abs(pair)).all(), (name, mean, pair)
    for (name, part), (mean, error) in simulated_weights(network, inputs, seeds).items():
        own = getattr(places[name], part)
        assert abs(mean - own) <= 4.5 * error + allowed * own + 1e-12, (name, part, mean, own)


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
