"""Loss gradients of wide networks: exact sums against the tangent kernel, drawn networks, refusals."""

import numpy as np
import pytest
import torch

from freeness.errors import InputError
from freeness.meanfield import gradients, kernels, loss_moments, loss_walk
from freeness.meanfield.walk import compiled
from freeness.network import (
    Activation,
    Branch,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    Gaussian,
    MaxPooling,
    Network,
    Node,
    Normalisation,
    Pooling,
    PositionWise,
    activation,
    cnn,
    mlp,
    resnet,
    transformer,
)
from tests.meanfield.simulated import Simulated

RNG = np.random.default_rng(5)
RELU = Activation(activation("relu"))
CONVOLUTIONS = (
    Convolution(2, 30, (3,), Gaussian(1.4), "zeros", 1, 0.2, True),
    RELU,
    Convolution(30, 20, (3,), Gaussian(1.4), "circular", 2, 0.1, True),
    RELU,
)
ATTENTION = Network(
    (
        *transformer(2, 24, 3, 4, hidden=24, causal=True).nodes,
        Node("mean", Pooling(None), ("norm",)),
        Dense(24, 4, Gaussian(1.0)),
    )
)
CASES = {
    "chain": (mlp(3, [6, 40, 30, 4], "relu", "gaussian", sigma_w=1.3, sigma_b=0.2), (5, 6)),
    "residual": (resnet(3, 40, Branch("erf", "gaussian", scale=0.7), inputs=6, outputs=4), (5, 6)),
    "normalised": (resnet(3, 40, Branch("relu", normalisation="layer"), inputs=6, outputs=4), (5, 6)),
    "flattened": (Network((*CONVOLUTIONS, Flatten(), Dense(60, 4, Gaussian(1.2), 0.1, True))), (4, 2, 6)),
    "attention": (ATTENTION, (4, 24, 4)),
    "max pooling": (
        Network((*CONVOLUTIONS, MaxPooling((3,), 2, 1), Pooling(None), Dense(20, 4, Gaussian(1.2), 0.1, True))),
        (4, 2, 12),
    ),
    "pooled": (Network((*CONVOLUTIONS, Pooling(None), Dense(20, 4, Gaussian(1.2), 0.1, True))), (4, 2, 6)),
}


@pytest.mark.parametrize("name", CASES)
def test_squared_gradients_of_all_layers_add_up_to_the_tangent_kernel_in_the_direction_of_the_loss(name, monkeypatch):
    """In wide layers, of which no length and no Gram matrix departs."""
    monkeypatch.setattr(loss_walk, "compiled", lambda *given, finite: compiled(*given))
    network, shape = CASES[name]
    x, g = RNG.standard_normal(shape), RNG.standard_normal((shape[0], 4))
    found = loss_moments(network, x, g)
    biases = [getattr(operation, "bias", False) for operation in network.operations]
    total = sum(node.weights + bias * node.shift for node, bias in zip(found, biases, strict=True))
    theta = kernels(network, x, parametrisation="standard").ntk
    assert total == pytest.approx(float(((g @ g.T) * theta).sum()), rel=1e-9)


def test_the_gradient_of_squared_errors_knows_of_the_last_weights():
    """f = Wx: E‖Wᵀf‖² = σ⁴(C/N)(C + N + 1)/N·‖x‖², for Gaussian W of shape (C, N)."""
    network = Network((Dense(2, 50, Gaussian(1.0)), Dense(50, 20, Gaussian(1.5))))
    x = np.array([[1.0, 2.0]])
    f = np.ones((1, 20)) * (1.5**2 * 2.5) ** 0.5  # of the size that f has
    plain, told = (loss_moments(network, x, f, slopes)[0].weights for slopes in (None, np.ones(1)))
    assert told / plain == pytest.approx((20 + 50) / 50, rel=1e-12)


def test_one_network_scatters_as_said():
    network = mlp(4, [10, 60, 60, 60, 5], "relu", "gaussian", sigma_w=2**0.5)
    x, g = RNG.standard_normal((3, 10)), RNG.standard_normal((3, 5))
    last = loss_moments(network, x, g)[-1]
    draws = []
    for _ in range(200):
        h = x
        for number, layer in enumerate(network.dense):
            weights = 2**0.5 / layer.fan_in**0.5 * RNG.standard_normal((layer.fan_in, layer.fan_out))
            h = (np.maximum(h, 0) if number else h) @ weights
        draws.append((h**2).mean())
    assert np.mean(draws) == pytest.approx(last.signal, rel=0.15)
    assert 0.5 < np.std(draws) / np.mean(draws) / last.signal_scatter < 1.3


@pytest.mark.parametrize(
    ("network", "x", "g", "words"),
    [
        (mlp(2, [3, 8, 2]), np.ones((2, 3)), np.ones((3, 2)), "expected cotangents"),
        (transformer(1, 8, 2, 4000), np.ones((2, 8, 4000)), np.ones((2, 8, 4000)), "take fewer samples"),
        (
            transformer(1, 8, 2, 4, activation="hardtanh"),
            np.ones((2, 8, 4)),
            np.ones((2, 8, 4)),
            "smooth or has a closed",
        ),
    ],
)
def test_what_does_not_fit_is_refused(network, x, g, words):
    with pytest.raises(InputError, match=words):
        loss_moments(network, x, g)


@pytest.mark.parametrize("name", ["chain", "attention"])
def test_some_samples_stand_for_the_batch(name, monkeypatch):
    """Alike samples exactly; others within the scatter that is told for it."""
    network, shape = CASES[name]
    one, g = RNG.standard_normal((1, *shape[1:])), RNG.standard_normal((1, 4))
    alike = np.repeat(one, 16, axis=0), np.repeat(g, 16, axis=0)
    drawn = RNG.standard_normal((60, *shape[1:])), RNG.standard_normal((60, 4))
    whole = [loss_moments(network, *batch) for batch in (alike, drawn)]
    monkeypatch.setattr(loss_walk, "_MOST", 200 * shape[-1] ** 2 * len(network.nodes) if len(shape) > 2 else 4000)
    some = [loss_moments(network, *batch) for batch in (alike, drawn)]
    weights = [[np.array([node.weights for node in moments]) for moments in each] for each in (whole, some)]
    np.testing.assert_allclose(weights[1][0], weights[0][0], rtol=1e-9 if name == "chain" else 0.1)
    known = weights[0][1] > 0
    off = np.abs(np.log(weights[1][1][known] / weights[0][1][known]))
    told = np.array([node.gradient_scatter for node in some[1]])[known]
    exact = np.array([node.gradient_scatter for node in whole[1]])[known]
    assert (told > exact).all() and (off > 0).any()
    assert (off <= 3 * told).all()


def test_a_first_convolution_is_followed_on_what_it_reads():
    """Windows that do not overlap, against the same network with the patches as its input."""
    layer = Convolution(2, 30, (4,), Gaussian(1.4), "valid", 4, 0.2, True, "first")
    rest = (RELU, Pooling(None), Dense(30, 3, Gaussian(1.0), name="last"))
    x, g = RNG.standard_normal((5, 2, 12)), RNG.standard_normal((5, 3))
    found = loss_moments(Network((layer, *rest)), x, g)
    seen = np.stack([x[:, :, 4 * k : 4 * k + 4].reshape(5, 8) for k in range(3)], axis=2)
    matrix = PositionWise(8, 30, Gaussian(1.4), 0.2, True, "first")
    told = loss_moments(Network((matrix, *rest)), seen, g)
    np.testing.assert_allclose([node.weights for node in found], [node.weights for node in told], rtol=1e-9)
    np.testing.assert_allclose([node.signal for node in found], [node.signal for node in told], rtol=1e-9)


def test_gradients_of_squared_errors_over_a_batch_of_rotations():
    """Of hardly alike samples E φ'φφ'φ is far from E φ'φ'·E φφ: else the first layer's is twice too large."""
    rng, draws, count = np.random.default_rng(3), 6, 12
    sizes, function = [60, 240, 240, 240, 240], activation("hardtanh")
    network = mlp(4, sizes, "hardtanh", "haar", sigma_w=1.3)
    x, seen, told = rng.standard_normal((count, 60)) + rng.standard_normal(60), [], []
    for _ in range(draws):
        matrices = [1.3 * np.linalg.qr(rng.standard_normal((240, size)))[0] for size in sizes[:-1]]
        values, slopes = [x], [np.ones_like(x)]
        for matrix in matrices[:-1]:
            h = values[-1] @ matrix.T
            values.append(function.function(h))
            slopes.append(function.derivative(h))
        error = values[-1] @ matrices[-1].T / count
        told.append([node.weights for node in loss_moments(network, x, error, np.full(count, 1 / count))][::2])
        back = []
        for before, slope, matrix in zip(reversed(values), reversed(slopes), reversed(matrices), strict=True):
            back.append(((error.T @ before) ** 2).sum())
            error = (error @ matrix) * slope
        seen.append(back[::-1])
    assert np.mean(seen, axis=0) == pytest.approx(np.mean(told, axis=0), rel=0.15)


DROPPED = Network(
    (
        *(Dense(40, 160, Gaussian(1.4)), RELU, Dropout(0.5)),
        *(Dense(160, 160, Gaussian(1.4)), RELU, Dropout(0.5)),
        Dense(160, 160, Gaussian(1.4)),
    )
)
TANH = Activation(activation("tanh"))
DROPPED_TANH = Network(
    (
        *(Dense(40, 160, Gaussian(1.4)), TANH, Dropout(0.5)),
        *(Dense(160, 160, Gaussian(1.4)), TANH, Dropout(0.5)),
        Dense(160, 80, Gaussian(1.4)),
    )
)
POOLED = Network(
    (
        *(Convolution(3, 48, (3,), Gaussian(1.4), "zeros"), RELU, MaxPooling((3,), 2, 1)),
        *(Convolution(48, 48, (3,), Gaussian(1.4), "zeros"), TANH, MaxPooling((3,)), Flatten()),
        Dense(48, 48, Gaussian(1.0)),
    )
)
NORMED = Network(
    (
        *(Dense(40, 160, Gaussian(1.4)), TANH, Normalisation("layer")),
        *(Dense(160, 160, Gaussian(1.4)), RELU, Normalisation("rms")),
        Dense(160, 160, Gaussian(1.0)),
    )
)
STRIDED = Network(
    (
        Convolution(3, 48, (3, 3), Gaussian(1.4), "zeros"),
        RELU,
        Convolution(48, 48, (3, 3), Gaussian(1.4), "zeros", 2),
        RELU,
        Pooling(None),
        Dense(48, 48, Gaussian(1.0)),
    )
)


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (resnet(3, 128, Branch("relu", "gaussian"), inputs=40, outputs=128), (8, 40)),
        (STRIDED, (4, 3, 4, 4)),
        (DROPPED, (8, 40)),
        (DROPPED_TANH, (8, 40)),
        (POOLED, (2, 3, 6)),
        (NORMED, (8, 40)),
    ],
    ids=["residual", "strided", "dropped", "dropped behind tanh", "max pooling", "norms"],
)
def test_gradients_of_squared_errors_along_graphs_are_those_of_drawn_networks(network, shape):
    """Skip and branch bring back gradients that lie along one signal; a position is seen by P'/P windows a tap.

    Masks make α larger, by how large signals are on both sides: else the first layer's are 4 times too small. What they leave
    of the gradient is as large as the signal, and largest entries are chosen where it is: else .7 of ReLU, 1.3 of tanh.
    Nothing along a signal passes a norm: else weights in front of one are told 1 + outputs/channels times too large.
    """
    rng, seen, told = np.random.default_rng(3), [], []
    x = torch.tensor(rng.standard_normal(shape) + 0.7 * rng.standard_normal(shape[1:]))
    for seed in range(10):
        run = Simulated(seed)
        error = run.values(network, x)[network.nodes[-1].name] / len(x)
        found = torch.autograd.grad(error.square().sum() * len(x) / 2, run.parameters)
        seen.append([float(one.square().sum()) / owner[2] ** 2 for one, owner in zip(found, run.owners, strict=True)])
        moments = loss_moments(network, x.numpy(), error.detach().numpy(), np.full(len(x), 1 / len(x)))
        told.append([node.weights for node in moments if node.weights])
    scatter = np.std(np.log(np.array(seen) / told), axis=0) / len(seen) ** 0.5
    assert scatter.max() < 0.15
    assert (np.abs(np.log(np.mean(seen, axis=0) / np.mean(told, axis=0))) < 0.1 + 2 * scatter).all()


def test_masks_of_whole_channels_under_squared_errors_are_refused():
    first, x = Convolution(3, 48, (3,), Gaussian(1.4), "zeros"), RNG.standard_normal((3, 3, 6))
    network = Network((first, TANH, Dropout(0.5, channels=True), Pooling(None), Dense(48, 48, Gaussian(1.0))))
    error = RNG.standard_normal((3, 48))
    assert loss_moments(network, x, error)[0].weights > 0
    with pytest.raises(InputError, match="whole channels"):
        loss_moments(network, x, error / 20, np.ones(3))


def test_averages_of_averages_are_one():
    """The same function in two steps has the same gradients, of squared errors too."""
    first, last = Convolution(3, 48, (3, 3), Gaussian(1.4), "zeros"), Dense(48, 8, Gaussian(1.0))
    x, error = RNG.standard_normal((4, 3, 4, 4)), RNG.standard_normal((4, 8))
    ways = (Pooling((2, 2), 2), Pooling(None)), (Pooling(None),)
    twice, once = (loss_moments(Network((first, RELU, *way, last)), x, error, np.full(4, 0.25)) for way in ways)
    assert twice[0].weights == pytest.approx(once[0].weights, rel=1e-12)


@pytest.mark.parametrize(
    ("network", "shape", "last"),
    [
        (cnn(mlp(3, 48, "relu", "gaussian", sigma_w=1.4, sigma_b=0.1), (3,)), (10, 48, 12), (10, 48, 12)),
        (CASES["pooled"][0], (10, 2, 12), (10, 4)),
        pytest.param(CASES["max pooling"][0], (10, 2, 12), (10, 4), marks=pytest.mark.slow),
    ],
)
def test_large_batches_are_followed_by_channels_that_are_drawn(network, shape, last, monkeypatch):
    """Beside the recursion over all pairs, where they are few enough for it."""
    x, g = RNG.standard_normal(shape) + RNG.standard_normal(shape[1:]), RNG.standard_normal(last)
    exact = loss_moments(network, x, g)
    monkeypatch.setattr(loss_walk, "_MOST", 100)
    drawn = loss_moments(network, x, g)
    for seen, known in zip(drawn, exact, strict=True):
        assert seen.signal == pytest.approx(known.signal, rel=0.1)
        assert seen.weights == pytest.approx(known.weights, rel=0.15)
        if seen.weights:
            assert seen.shift == pytest.approx(known.shift, rel=0.15)
        assert 0.5 < seen.signal_scatter / known.signal_scatter < 1.5
        assert not known.weights or 0.5 < seen.gradient_scatter / known.gradient_scatter < 1.5
    assert [place.weights for place in drawn] != [place.weights for place in exact]


def test_positions_of_an_activation_without_a_closed_form_are_drawn():
    """hardtanh of one position beside the chain, which has it in a table."""
    network, (x, g) = mlp(2, 60, "hardtanh", "gaussian", sigma_w=1.3), RNG.standard_normal((2, 6, 60))
    x = x * np.sqrt(60 / (x**2).sum(axis=1, keepdims=True))
    chain = loss_moments(network, x, g)
    drawn = loss_moments(cnn(network, (1,)), np.repeat(x[:, :, None], 2, 2), np.repeat(g[:, :, None], 2, 2) / 2)
    for seen, known in zip(drawn, chain, strict=True):
        assert (seen.signal, seen.weights) == pytest.approx((known.signal, known.weights), rel=0.15)


def test_gradients_of_scales_and_shifts_of_norms_are_those_of_drawn_networks():
    """Of every channel Σ g·x over samples and tokens, and Σ g; in front of an activation scales are not told."""
    network = transformer(1, 64, 4, 4, vocabulary=10)
    rng = np.random.default_rng(0)
    x, cotangent = rng.integers(0, 10, (2, 4)), rng.standard_normal((2, 10, 4))
    norms = [node.name for node in network.nodes if isinstance(node.operation, Normalisation)]
    seen = []
    for seed in range(25):
        values = Simulated(seed).values(network, torch.tensor(x))
        total = (values[network.nodes[-1].name] * torch.tensor(cotangent)).sum()
        found = torch.autograd.grad(total, [values[name] for name in norms])
        both = [(g, g * values[name].detach()) for name, g in zip(norms, found, strict=True)]
        seen.append([[float(each.sum(dim=(0, 2)).square().sum()) for each in pair] for pair in both])
    told = {place.name: place for place in loss_moments(network, x, cotangent)}
    mean, error = np.mean(seen, axis=0), np.std(seen, axis=0) / len(seen) ** 0.5
    known = np.array([[told[name].shift, told[name].scale] for name in norms])
    assert (np.abs(known - mean) < 3 * error + 0.05 * mean).all(), (known / mean, error / mean)
    assert np.isnan(told["block1.mlp.in"].scale) and told["block1.mlp.activation"].scale > 0
    alone = {place.name: place for place in gradients(network, inputs=x[:1], cotangent=cotangent[:1])}
    one = {place.name: place for place in loss_moments(network, x[:1], cotangent[:1])}
    for name in norms:
        assert (alone[name].scales, alone[name].shifts) == pytest.approx((one[name].scale, one[name].shift))


def test_scales_of_batch_norms_are_told_by_channels():
    """In front of an activation, too."""
    network = Network(
        (
            Convolution(3, 24, (3,), Gaussian(1.0)),
            Normalisation("batch"),
            Activation(activation("relu")),
            Pooling(None),
            Dense(24, 4, Gaussian(1.0)),
        )
    )
    rng = np.random.default_rng(0)
    x, cotangent = rng.standard_normal((6, 3, 8)), rng.standard_normal((6, 4))
    name, seen = network.nodes[1].name, []
    for seed in range(30):
        values = Simulated(seed).values(network, torch.tensor(x))
        (g,) = torch.autograd.grad((values[network.nodes[-1].name] * torch.tensor(cotangent)).sum(), [values[name]])
        seen.append([float(each.sum(dim=(0, 2)).square().sum()) for each in (g, g * values[name].detach())])
    told = next(place for place in loss_moments(network, x, cotangent) if place.name == name)
    mean, error = np.mean(seen, axis=0), np.std(seen, axis=0) / len(seen) ** 0.5
    assert (np.abs(np.array([told.shift, told.scale]) - mean) < 3 * error + 0.1 * mean).all(), (told, mean, error)
