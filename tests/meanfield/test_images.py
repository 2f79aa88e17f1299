"""Networks of images: batch normalisation of a batch at hand, max pooling, activations behind sums, against drawn networks."""

import numpy as np
import pytest
import torch

from freeness import InputError
from freeness.gaussian import Shifted, activation, normal_points, standardised, summed_points
from freeness.meanfield import drawn_channels, fisher_trace, gradients, kernels, loss_moments, loss_walk
from freeness.meanfield.drawn_channels import _few, shapes_behind
from freeness.meanfield.drawn_weights import ChannelWeights
from freeness.network import (
    INPUT,
    Activation,
    Concatenation,
    Convolution,
    Dense,
    Flatten,
    Gaussian,
    MaxPooling,
    Network,
    Node,
    Normalisation,
    Pairs,
    Pass,
    Pooling,
    PositionWise,
    Residual,
    Stream,
    Sum,
    backward_pairs,
    convnext,
    forward,
    image_resnet,
    passed,
)
from tests.meanfield.simulated import assert_drawn, simulated_gradients, simulated_kernels, simulated_weights

RELU, BATCH = Activation(activation("relu")), Normalisation("batch")
WIDTH = 48


def inputs(samples, size, channels=3, seed=1):
    return np.random.default_rng(seed).standard_normal((samples, channels, size, size))


def conv(fan_in, fan_out=WIDTH, taps=3, stride=1, padding="zeros"):
    return Convolution(fan_in, fan_out, (taps, taps), Gaussian(2**0.5), padding, stride)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu"])
def test_activations_behind_sums_of_activations_and_gaussians(name):
    """max(g, 0) + g' with correlated pairs, against many draws."""
    rng, function, c = np.random.default_rng(0), activation(name), 0.6
    first, second = (
        c**0.5 * rng.standard_normal(4 * 10**5) + (1 - c) ** 0.5 * rng.standard_normal((2, 4 * 10**5)) for _ in "ab"
    )
    drawn = np.maximum(first, 0) + 0.7 * second
    mean, spread = drawn.mean(), drawn.var()
    law = summed_points(
        [((0.5 - 0.5 / np.pi) ** 0.5, standardised(np.maximum(normal_points(), 0))), (0.7, normal_points())]
    )
    found = Shifted.at(function, np.array([mean]), np.array([spread]), law)
    values, slopes = function.function(drawn), function.derivative(drawn)
    assert found.mean[0] == pytest.approx(values.mean(), abs=3e-3)
    assert found.second[0] == pytest.approx((values**2).mean(), rel=5e-3)
    assert found.slope[0] == pytest.approx((slopes**2).mean(), rel=5e-3)
    value, slope = found.between(lambda array: (array, array), np.corrcoef(drawn)[0, 1:])
    assert value[0] == pytest.approx((values[0] * values[1]).mean(), rel=0.01)
    assert slope[0] == pytest.approx((slopes[0] * slopes[1]).mean(), rel=0.02)


def test_skip_connections_past_an_activation_keep_neurons_on():
    """ResNet v1 without normalisation: the derivatives of two ReLUs along the skip depend on one another."""
    block = (conv(WIDTH), RELU, conv(WIDTH))
    network = Network(
        (conv(3), RELU, *(Residual(block, 0.5), RELU) * 3, Pooling(None), Dense(WIDTH, 10, Gaussian(1.0)))
    )
    images = inputs(2, 5)
    found = gradients(network, inputs=images)
    assert_drawn(found, network, images, 12, 0.08)


def test_a_batch_that_would_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(drawn_channels, "_HELD", 10**5)
    with pytest.raises(InputError, match="at most 100,000 numbers"):
        gradients(image_resnet((1,), 8, stem="small", ends=(3, 2)), inputs=inputs(4, 4))


def test_a_windows_entries_are_those_of_torch():
    layer = MaxPooling((3, 2), 2, 1)
    seen, shape = layer.windows((5, 6))
    values = np.random.default_rng(0).standard_normal((5, 6))
    largest = np.where(seen < 0, -np.inf, values.ravel()[seen]).max(axis=1)
    exact = torch.nn.functional.max_pool2d(torch.tensor(values)[None, None], (3, 2), 2, 1)[0, 0]
    np.testing.assert_array_equal(largest.reshape(shape), exact)
    assert MaxPooling().windows((2, 2))[1] == ()


@pytest.mark.parametrize("before", [(), (RELU,), (BATCH, RELU)], ids=["weights", "relu", "batch"])
def test_max_pooling_is_that_of_drawn_networks(before):
    """Also behind ReLU, whose derivative is 1 where an entry is the largest and not 0."""
    network = Network(
        (
            conv(3, taps=5),
            *before,
            MaxPooling((3, 3), 2, 1),
            conv(WIDTH),
            RELU,
            Pooling(None),
            Dense(WIDTH, 10, Gaussian(1.0)),
        )
    )
    images = inputs(6, 8)
    assert_drawn(gradients(network, inputs=images), network, images, 10, 0.09)


def test_kernels_behind_max_pooling_are_those_of_drawn_networks():
    network = Network(
        (conv(3, taps=5), RELU, MaxPooling((2, 2), 2), conv(WIDTH), RELU, Pooling(None), Dense(WIDTH, 8, Gaussian(1.0)))
    )
    images = inputs(2, 6)
    found = kernels(network, images)
    means, errors = simulated_kernels(network, images, 16)
    for exact, mean, error in zip((found.nngp, found.ntk), means, errors, strict=True):
        assert (np.abs(mean - exact) <= 4.5 * error + 0.06 * np.abs(exact).max()).all()


@pytest.mark.parametrize(
    "end", [(Pooling(None), Dense(WIDTH, 10, Gaussian(1.0))), (Flatten(), Dense(16 * WIDTH, 10, Gaussian(1.0)))]
)
def test_batch_normalisation_takes_back_what_moves_its_mean_and_variance(end):
    block = (conv(WIDTH), BATCH, RELU, conv(WIDTH), BATCH)
    network = Network((conv(3, stride=2), BATCH, RELU, Residual(block), RELU, *end))
    images = inputs(6, 8)
    assert_drawn(gradients(network, inputs=images), network, images, 12, 0.1)


@pytest.mark.parametrize("version", ["v1", pytest.param("v2", marks=pytest.mark.slow)])
def test_batches_of_few_entries_are_those_of_drawn_networks(version):
    """Eight images of one position in the second stage: a channel's variance is far from its mean, and signs depend on it."""
    network, images = image_resnet((1, 2), 48, version=version, stem="small", ends=(3, 10)), inputs(8, 2)
    assert_drawn(gradients(network, inputs=images), network, images, 6, 0.1)


@pytest.mark.slow
def test_the_table_of_layers_draws_a_network_at_its_own_widths():
    """Of 16 channels, where wide layers are a tenth off; the fewer they are, the more often."""
    network, images = image_resnet((1, 1), 16, ends=(3, 4)), inputs(8, 16)
    shapes = shapes_behind(network, images)
    drawn, runs = _few(network, shapes)
    assert runs == 64 and {name: drawn[name] for name in shapes if name != "readout"} == {
        name: shape[0] for name, shape in shapes.items() if name != "readout"
    }
    large = image_resnet((2, 2, 2, 2), 256, ends=(3, 4))
    fewer, runs = _few(large, shapes_behind(large, inputs(16, 64)))
    assert runs == 4 and max(fewer.values()) < 256 < large.weights[-1].sizes[0]


def test_an_activation_behind_depthwise_taps_of_one_is_told_by_channels():
    """Of few taps: 0 where a window of ReLU is, of which theory of wide layers makes .8 behind and 1.4 in front."""
    relu = Activation(activation("relu"))
    network = Network(
        (
            Convolution(3, 48, (3,), Gaussian(1.4), "circular"),
            relu,
            Convolution(48, 48, (3,), Gaussian(1.0), "circular", groups=48),
            relu,
            PositionWise(48, 48, Gaussian(1.4)),
            Pooling(None),
            Dense(48, 4, Gaussian(1.0)),
        )
    )
    x = np.random.default_rng(0).standard_normal((1, 3, 8))
    found = gradients(network, inputs=x)
    assert_drawn(found, network, x, 30, 0.06)
    given = gradients(network, inputs=np.repeat(x, 2, axis=0), cotangent=np.ones((2, 4)) / 2)
    for one, other in zip(found, given, strict=True):  # of a sample each
        assert other.gradient == pytest.approx(one.gradient, rel=0.3)


def test_depthwise_taps_between_batch_norms_are_those_of_drawn_networks():
    """Of groups of one channel the outputs are not Gaussian, and what comes back knows their weights."""
    taps = Convolution(WIDTH, WIDTH, (3, 3), Gaussian(1.0), "zeros", groups=WIDTH)
    block = (taps, BATCH, RELU, conv(WIDTH, taps=1), BATCH)
    network = Network((conv(3), BATCH, RELU, *(Residual(block),) * 2, Pooling(None), Dense(WIDTH, 10, Gaussian(1.0))))
    images = inputs(4, 4)
    assert_drawn(gradients(network, inputs=images), network, images, 12, 0.1)


def test_the_trace_of_the_fisher_matrix_of_a_coupled_batch_is_that_of_drawn_networks():
    network, images = image_resnet((1,), 32, stem="small", ends=(3, 6)), inputs(6, 3)
    drawn = simulated_weights(network, images, 6)
    mean, error = (np.array([each[k] for each in drawn.values()]) for k in (0, 1))
    assert abs(fisher_trace(network, images) - 6 * mean.sum()) <= 6 * (4.5 * error.sum() + 0.08 * mean.sum())


@pytest.mark.parametrize(
    "operation",
    [BATCH, Normalisation("layer"), Normalisation("rms", positions=True), MaxPooling((3, 3), 2, 1), Pooling((2, 2))],
    ids=["batch", "layer", "rms", "largest", "mean"],
)
def test_what_channels_pass_back_is_the_transposed_derivative(operation):
    """By differences along two directions."""
    rng = np.random.default_rng(3)
    x, direction = rng.standard_normal((2, 5, 3, 4, 4))
    found = passed(operation, (x,), Pass(False, rng))
    gradient = rng.standard_normal(found.value.shape)
    ahead, before = (passed(operation, (x + step * direction,), Pass(False, rng)).value for step in (1e-5, -1e-5))
    (back,) = found.back(gradient)
    assert (back * direction).sum() == pytest.approx((gradient * (ahead - before)).sum() / 2e-5, rel=1e-6)


def test_signals_that_meet_keep_their_channels():
    """Concatenated channels of several widths, and a vector of all positions."""
    two = (Node("a", conv(3, 16), ("input",)), Node("b", conv(3, 48), ("input",)))
    joined = Node("both", Concatenation("channels"), ("a", "b"))
    rest = (BATCH, RELU, conv(64, 32, stride=2), BATCH, RELU, Flatten(), Dense(32 * 4, 10, Gaussian(1.0)))
    network, images = Network((*two, joined, *rest)), inputs(5, 4)
    assert_drawn(gradients(network, inputs=images), network, images, 6, 0.1)


def test_what_goes_back_through_a_batch_is_that_of_drawn_channels():
    """g - mean - x̂·mean(g x̂) over s, of a hundred thousand channels."""
    rng, count = np.random.default_rng(2), 12
    root = 0.3 * rng.standard_normal((count, count)) / count**0.5 + np.eye(count)
    gram, gradient = root @ root.T, np.eye(count) + 0.5
    x = rng.standard_normal((10**5, count)) @ root.T
    g = rng.standard_normal((10**5, count)) @ np.linalg.cholesky(gradient).T
    centred = x - x.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    normal = centred / size
    back = (g - g.mean(axis=1, keepdims=True) - normal * (g * normal).mean(axis=1, keepdims=True)) / size
    stream = Stream(np.diagonal(gram), np.ones(count), None, True)
    pairs = Pairs(gram, np.zeros_like(gram), slice(0, count))
    layer = Normalisation("batch", 0.0)
    behind, step = forward(layer, stream, pairs)
    (found,) = backward_pairs(layer, (pairs,), (stream,), behind, step, gradient)
    exact = back.T @ back / len(x)
    assert np.trace(found) == pytest.approx(np.trace(exact), rel=0.04)
    assert np.abs(found - exact).max() < 0.08 * exact.max()


@pytest.mark.parametrize("padding", ["circular", "zeros", "valid"])
def test_patches_change_nothing(padding, monkeypatch):
    layers = (conv(3, 8, padding=padding, stride=2), RELU, Pooling(None), Dense(8, 2, Gaussian(1.0)))
    network, images, slopes = Network(layers), inputs(5, 6), np.random.default_rng(0).standard_normal((5, 2))
    folded = loss_moments(network, images, slopes)
    monkeypatch.setattr(loss_walk, "in_patches", lambda network, points: None)
    for one, other in zip(folded, loss_moments(network, images, slopes), strict=True):
        assert one[1:4] == pytest.approx(other[1:4], rel=1e-9)


def test_convnext_is_a_drawn_one():
    network = convnext(2, 64, taps=3, scale=0.8, ends=(3, 10))
    images = inputs(1, 8)
    assert_drawn(gradients(network, inputs=images), network, images, 8, 0.12)


def test_an_activation_behind_a_norm_of_largest_entries():
    """As the first block of a ResNet v2 has it: the largest of Gaussian entries have a density."""
    layers = (
        Convolution(3, 64, (3, 3), Gaussian(1.4), "zeros"),
        MaxPooling((2, 2)),
        Normalisation("batch"),
        Activation(activation("relu")),
        Pooling(None),
        Dense(64, 5, Gaussian(1.0)),
    )
    network, images = Network(layers), inputs(16, 6)
    assert_drawn(gradients(network, inputs=images), network, images, 8, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nine_of_ten_layers_of_a_resnet_are_within_fifteen_percent(version):
    """ResNet-34 with batch normalisation over 14 images of 32², 32 channels wide, over the mean of eight draws."""
    network, images = image_resnet((3, 4, 6, 3), 32, version=version, ends=(3, 10)), inputs(14, 32)
    found = {place.name: place for place in gradients(network, inputs=images)}
    errors = []
    for name, (mean, error) in simulated_gradients(network, images, 8).items():
        pair = np.array([found[name].signal, found[name].gradient])
        errors += list(np.abs(mean - pair) / np.maximum(0.15 * mean, 2 * error))
    for (name, part), (mean, error) in simulated_weights(network, images, 8).items():
        errors.append(abs(mean - getattr(found[name], part)) / max(0.15 * mean, 2 * error))
    assert np.mean(np.array(errors) <= 1) >= 0.9


def test_blocks_are_wired_as_published():
    first, second = (image_resnet((1, 1), 8, version=version, ends=(3, 5)) for version in ("v1", "v2"))
    readers = {node.name: node.inputs for node in second.nodes}
    assert readers["stage2.1.shortcut"] == ("stage2.1.conv1.relu",)
    assert readers["stage1.1"] == ("pool", "stage1.1.conv2")
    assert {node.name: node.inputs for node in first.nodes}["stage2.1"] == (
        "stage2.1.shortcut.norm",
        "stage2.1.conv2.norm",
    )
    assert image_resnet((3, 4, 6, 3), bottleneck=True).weights[-1].sizes == (2048, 1000)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: image_resnet(version="v3"), '"v1" or "v2"'),
        (lambda: image_resnet((2, 0)), "blocks, width and ends"),
        (lambda: convnext(0, 8), "sizes that are whole numbers"),
        (lambda: MaxPooling((3, 3), 2, -1), "padding ≥ 0"),
        (lambda: MaxPooling((3, 3)).windows((2, 2)), "windows"),
        (lambda: gradients(image_resnet(width=4, ends=(3, 2)), inputs=inputs(2, 32)), "hardly fluctuates"),
        (
            lambda: gradients(
                Network(
                    (
                        conv(3),
                        Node("gate", Sum((1.0,)), ("convolution",)),
                        RELU,
                        RELU,
                        Pooling(None),
                        Dense(WIDTH, 2, Gaussian(1.0)),
                    )
                ),
                inputs=inputs(2, 4),
            ),
            "Gaussian signals before activation",
        ),
    ],
)
def test_what_images_ask_for_is_said(ask, message):
    with pytest.raises(InputError, match=message):
        ask()


def test_the_input_is_named_input():
    assert gradients(image_resnet((1,), 4, stem="small", ends=(3, 2)), inputs=inputs(4, 4))[0].name == INPUT


@pytest.mark.parametrize(("channels", "groups"), [(6, 6), (6, 3), (12, 4)])
def test_weights_in_groups_have_gradients_by_channels_of_their_own_group(channels, groups):
    """Against automatic differentiation; twice as many channels as the layer has are two copies of it."""
    rng = np.random.default_rng(5)
    weights = ChannelWeights(Convolution(6, 6, (3,), Gaussian(1.0), "zeros", groups=groups * 6 // channels), (4,), rng)
    x, gradient = rng.standard_normal((2, channels, 2, 4)).astype(np.float32)
    behind = weights.ahead(x, channels)
    own = torch.zeros(channels, channels // groups, 3, dtype=torch.float64, requires_grad=True)
    seen, back = (torch.tensor(array).double().swapaxes(0, 1) for array in (x, gradient))
    (torch.nn.functional.conv1d(seen, own, padding=1, groups=groups) * back).sum().backward()
    assert behind.shape == x.shape
    assert weights.trained(x, gradient).weights == pytest.approx(float(own.grad.square().sum()), rel=1e-5)


def test_taps_of_each_channel_between_batch_norms_are_those_of_drawn_networks():
    """A norm behind takes the direction along the taps away: of three, squared gradients were told 3/2 too large."""
    taps = Convolution(WIDTH, WIDTH, (3, 1), Gaussian(1.0), "zeros", groups=WIDTH)
    network = Network((conv(3), BATCH, taps, BATCH, RELU, Pooling(None), Dense(WIDTH, 10, Gaussian(1.0))))
    images = inputs(4, 4)
    assert_drawn(gradients(network, inputs=images), network, images, 12, 0.05)
    told = loss_moments(network, images, np.random.default_rng(1).standard_normal((4, 10)))
    assert all(0 < node.gradient_scatter < 1 for node in told)
