"""Gradients around the given maps of one pass against networks whose channel weights are drawn anew on the way back."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from freeness import InputError
from freeness.network import Branch, Gaussian, Haar, Network, Weights, cnn, mixer, mlp, resnet, transformer
from freeness.spectra import NeuronSignals, realised_gradients, wired_equation
from freeness.torch import initialize_, trace
from freeness.torch.record.signals import neurons_of, realised_neurons

ROUNDED = 1e-20  # squared gradients over the largest: those below are 0


class Anew(nn.Linear):
    """Forward by its weight, back by another one."""

    other = None

    def forward(self, x):
        if self.other is None:
            return super().forward(x)
        return super().forward(x.detach()) + F.linear(x - x.detach(), self.other)


class Attends(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.q, self.k, self.v, self.o = (Anew(width, width) for _ in range(4))
        self.heads, self.causal = heads, causal

    def forward(self, x):
        each = [layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v)]
        out = F.scaled_dot_product_attention(*each, is_causal=self.causal)
        return self.o(out.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, width, heads, *, causal=False, post=False, gated=False):
        super().__init__()
        self.attention = Attends(width, heads, causal)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = Anew(width, 2 * width), Anew(2 * width, width)
        self.gate = Anew(width, 2 * width) if gated else None
        self.post = post

    def mlp(self, x):
        hidden = F.gelu(self.up(x)) if self.gate is None else F.silu(self.gate(x)) * self.up(x)
        return self.down(hidden)

    def forward(self, x):
        if self.post:
            x = self.first(x + self.attention(x))
            return self.second(x + self.mlp(x))
        x = x + self.attention(self.first(x))
        return x + self.mlp(self.second(x))


class Text(nn.Module):
    def __init__(self, width, heads, blocks, **options):
        super().__init__()
        self.embed, self.head = Anew(12, width), Anew(width, 10)
        self.blocks = nn.Sequential(*(Block(width, heads, **options) for _ in range(blocks)))

    def forward(self, x):
        return self.head(self.blocks(self.embed(x)))


class BehindSums(nn.Module):
    """ReLU behind every sum, so that what goes back depends on the channel along the skip connection."""

    def __init__(self, width, blocks):
        super().__init__()
        self.embed, self.head = Anew(12, width), Anew(width, 10)
        self.one = nn.ModuleList(Anew(width, width) for _ in range(blocks))
        self.two = nn.ModuleList(Anew(width, width) for _ in range(blocks))

    def forward(self, x):
        x = self.embed(x)
        for one, two in zip(self.one, self.two, strict=True):
            x = F.relu(x + two(F.relu(one(x))))
        return self.head(x)


def of_one_pass(model, x, draws, seed=0):
    """By layer: predicted over drawn, and the relative standard error of what is drawn."""
    rng = torch.Generator().manual_seed(seed)
    layers = {name: layer for name, layer in model.double().named_modules() if isinstance(layer, Anew)}
    for layer in layers.values():
        with torch.no_grad():
            layer.weight.normal_(generator=rng)  # the record has the size of the weights that it sees
            layer.weight.mul_(1.2 * layer.in_features**-0.5 / layer.weight.square().mean().sqrt())
            layer.bias.zero_()
    record = trace(model, x)
    cotangent = torch.randn(model(x).shape, generator=rng, dtype=torch.float64)
    found = realised_gradients(
        record.network, realised_neurons(record, x[0]), cotangent=np.moveaxis(cotangent.numpy(), -1, 1)
    )
    squares = {name: [] for name in layers}
    for _ in range(draws):
        for layer in layers.values():
            layer.other = (
                1.2 * layer.in_features**-0.5 * torch.randn(layer.weight.shape, generator=rng, dtype=torch.float64)
            )
        model.zero_grad()
        (model(x) * cotangent).sum().backward()
        for name, layer in layers.items():
            squares[name].append((float(layer.weight.grad.square().sum()), float(layer.bias.grad.square().sum())))
    for layer in layers.values():
        layer.other = None
    mean = {name: np.mean(each, axis=0) for name, each in squares.items()}
    error = {name: np.std(each, axis=0) / draws**0.5 / mean[name] for name, each in squares.items()}
    names = {step.name: step.weight.data_ptr() for step in record.steps if step.weight is not None}
    of = {layer.weight.data_ptr(): name for name, layer in layers.items()}
    predicted = {of[names[place.name]]: np.array([place.weights, place.shift]) for place in found}
    assert predicted.keys() == layers.keys()
    ratio, error = np.array([predicted[n] / mean[n] for n in layers]), np.array([error[n] for n in layers])
    told = np.array([mean[n] for n in layers])
    told = told > ROUNDED * told.max()  # biases of keys move no softmax
    return ratio[told], error[told]


def tokens(count, samples=1):
    return torch.randn(samples, count, 12, generator=torch.Generator().manual_seed(5)).double()


def test_a_drawn_block_within_its_scatter():
    """Of 18 numbers at most two beyond 5 % and two standard errors."""
    ratio, error = of_one_pass(Text(32, 4, 1, causal=True), tokens(4), 20)
    assert (np.abs(ratio - 1) > np.maximum(0.05, 2 * error)).sum() <= 2


def test_a_norm_behind_a_sum_takes_its_directions_once():
    """Of 32 channels a layer norm takes two, for what matrices write as for what is skipped; the next one the same mean."""
    ratio, error = of_one_pass(Text(32, 4, 2, post=True), tokens(4), 200)
    assert abs(np.median(ratio) - 1) < 0.07 and np.median(error) < 0.04


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "x"),
    [
        (Text(128, 4, 6), tokens(12)),
        (Text(128, 4, 6, causal=True, post=True), tokens(12)),
        (Text(128, 4, 6, gated=True), tokens(12)),
        (Text(64, 4, 2, gated=True), tokens(70)),
        (BehindSums(128, 6), tokens(1)[:, 0]),
    ],
    ids=["pre-norm", "post-norm", "gated", "more tokens than channels", "ReLU behind sums"],
)
def test_drawn_stacks_within_their_scatter(model, x):
    """40 draws: within 5 % or two standard errors for 90 % of weights and biases.

    All numbers share the scatter of the same last weights, so that 40 draws may depart together.
    """
    ratio, error = of_one_pass(model, x, 40)
    assert (np.abs(ratio - 1) <= np.maximum(0.05, 2 * error)).mean() >= 0.9


@pytest.mark.parametrize(
    ("network", "samples"),
    [
        (mlp(3, 20, "tanh", "gaussian", sigma_b=0.3), np.ones((2, 20))),
        (resnet(3, 16, Branch("relu", "gaussian", scale=0.7)), np.ones((1, 16))),
        (cnn(mlp(2, 8, "relu", "gaussian")), np.random.default_rng(1).standard_normal((1, 8, 4, 4))),
        (transformer(2, 16, 4, 5, causal=True, vocabulary=9), np.array([[3, 1, 4, 1, 5]])),
        (mixer(2, 5, 16, Branch("gelu", "gaussian", scale=1.0)), np.random.default_rng(1).standard_normal((1, 16, 5))),
    ],
    ids=["chain", "residual", "images", "tokens", "mixer"],
)
def test_all_layers_add_up_to_the_trace_of_theta(network, samples):
    """The first moment of Θ goes forward through the equations, gradients go back."""
    found = realised_gradients(network, samples=samples)
    equation = wired_equation(network, samples=samples, fisher="standard")
    biases = {node.name: float(node.operation.bias) for node in network.nodes if hasattr(node.operation, "bias")}
    total = sum(place.weights + biases.get(place.name, 0.0) * place.shift for place in found)
    others = total / (equation.outputs * equation.moments()[0])
    assert others == pytest.approx(1.0, rel=1e-8)


def test_a_chain_is_known_in_closed_form():
    """Linear Gaussian layers of width n: each has n outputs times ‖x‖² for unit cotangents."""
    found = realised_gradients(mlp(3, 30, "linear", "gaussian"), samples=np.ones((1, 30)))
    assert found[0].weights == pytest.approx(30 * 30)
    assert [place.shift for place in found] == pytest.approx([30.0] * 3)


def test_a_cotangent_of_another_shape_is_refused():
    with pytest.raises(
        InputError, match=r"expected a cotangent \(samples, 20, \*positions\) of 20 entries, got shape \(1, 3\)"
    ):
        realised_gradients(mlp(2, 20), samples=np.ones((1, 20)), cotangent=np.ones((1, 3)))


def test_a_pass_of_another_network_is_refused():
    with pytest.raises(InputError, match="take the signals of this very network"):
        realised_gradients(transformer(1, 8, 2, 3), NeuronSignals(np.ones((1, 8, 3)), (np.ones((1, 4, 3)),)))


def of_that_size(operation):
    if not isinstance(operation, Weights):
        return operation
    into, out = operation.sizes
    return replace(operation, weights=Gaussian(operation.weights.sigma_w * min(1.0, into / out) ** 0.5))


def test_parts_of_haar_weights_have_entries_of_the_size_of_the_whole():
    """Second moments do not tell queries, keys and values of one Haar matrix from Gaussian ones of that size."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 2, 64, 0.0, "gelu", batch_first=True, norm_first=True)
    model = nn.Sequential(nn.Linear(8, 32), layer, nn.Linear(32, 4)).eval()
    initialize_(model, "haar")
    x = torch.randn(1, 5, 8)
    traced = trace(model, x)
    assert any(isinstance(getattr(node.operation, "weights", None), Haar) for node in traced.network.nodes)
    nodes = [replace(node, operation=of_that_size(node.operation)) for node in traced.network.nodes]
    realised = neurons_of(traced, x)
    haar, gaussian = (realised_gradients(network, realised) for network in (traced.network, Network(nodes)))
    for one, other in zip(haar, gaussian, strict=True):
        assert one.weights == pytest.approx(other.weights, rel=1e-6)
