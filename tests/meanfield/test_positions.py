"""Linear layers over positions and upsampling: second moments against drawn networks."""

import numpy as np
import pytest

from freeness import InputError
from freeness.meanfield import gradients, kernels, loss_moments
from freeness.network import (
    Activation,
    Branch,
    Convolution,
    Dense,
    Flatten,
    Gaussian,
    Network,
    Node,
    Normalisation,
    Pooling,
    PositionWise,
    TokenMixing,
    Upsampling,
    activation,
    mixer,
)
from tests.meanfield.simulated import assert_drawn, simulated_gradients, simulated_kernels

WIDTH, TANH = 96, Activation(activation("tanh"))


def inputs(*shape):
    return np.random.default_rng(4).standard_normal(shape)


@pytest.mark.parametrize("end", ["flat", "pooled"])
def test_linear_layers_over_positions(end):
    """Of different numbers of tokens; exact in the mean over weights while nothing bends behind them."""
    tail = (
        (Flatten(), Dense(6 * WIDTH, 9, Gaussian(1.0)))
        if end == "flat"
        else (Pooling(None), Dense(WIDTH, 9, Gaussian(1.0)))
    )
    network = Network(
        (
            PositionWise(5, WIDTH, Gaussian(1.2), 0.3, True),
            TANH,
            TokenMixing(8, 12, Gaussian(0.9), 0.4, True),
            TokenMixing(12, 6, Gaussian(1.4)),
            PositionWise(WIDTH, WIDTH, Gaussian(1.1)),
            *tail,
        )
    )
    assert_drawn(gradients(network, inputs=inputs(1, 5, 8)), network, inputs(1, 5, 8), 60, 0.05)


def test_mixers_are_drawn_mixers_for_many_tokens():
    """One matrix over 32 tokens departs from the mean by 1/√32, which the norms feel."""
    network = mixer(1, 32, WIDTH)
    ended = Network(
        (*network.nodes, Node("mean", Pooling(None), (network.nodes[-1].name,)), Dense(WIDTH, 9, Gaussian(1.0)))
    )
    assert_drawn(gradients(ended, inputs=inputs(1, WIDTH, 32)), ended, inputs(1, WIDTH, 32), 10, 0.2)


def test_a_layer_norm_takes_what_token_weights_give_all_channels():
    """Behind GELU: the variance that is left, in the mean over 100 drawn matrices over 16 tokens with biases, within 4 %."""
    rng, gelu = np.random.default_rng(2), activation("gelu")
    layer, norm = TokenMixing(16, 16, Gaussian(1.3), 0.2), Normalisation("layer", 0.0)
    nodes = (PositionWise(5, 64, Gaussian(1.0)), Activation(gelu), layer, norm)
    x = inputs(1, 5, 16)
    found = {place.name: place.gradient for place in gradients(Network(nodes), inputs=x)}
    scaled = found["tokenmixing"]  # the mean of 1/s² over positions, as the gradient behind the norm is 1
    drawn = []
    for _ in range(100):
        bent = gelu.function(rng.standard_normal((1000, 5)) @ x[0] / 5**0.5)
        mixed = bent @ (rng.standard_normal((16, 16)) * 1.3 / 4) + 0.2 * rng.standard_normal(16)
        drawn.append(mixed.var(axis=0).mean())
    assert scaled == pytest.approx(1 / np.mean(drawn), rel=0.04)


@pytest.mark.slow
def test_gradients_of_six_mixer_blocks():
    """128 channels, 32 tokens: everywhere within 5 % or three standard errors of 16 drawn networks; 12 % were missing."""
    network, x = mixer(6, 32, 128, Branch("gelu", "gaussian", normalisation="layer", scale=1.0)), inputs(1, 128, 32)
    found = {place.name: place.gradient for place in gradients(network, inputs=x)}
    for name, (mean, error) in simulated_gradients(network, x, 16).items():
        assert abs(found[name] - mean[1]) < max(0.05 * mean[1], 3 * error[1]), name


def upsampled():
    return Network(
        (
            Convolution(3, WIDTH, (3, 3), Gaussian(1.3), "zeros"),
            Upsampling((2, 1)),
            Convolution(WIDTH, WIDTH, (3, 3), Gaussian(1.4), "zeros"),
            Normalisation("rms"),
            TANH,
            Pooling(None),
            Dense(WIDTH, 9, Gaussian(1.0)),
        )
    )


def test_upsampling_repeats():
    images = inputs(2, 3, 2, 4)
    assert_drawn(gradients(upsampled(), inputs=images), upsampled(), images, 12, 0.06)
    found = kernels(upsampled(), images)
    means, errors = simulated_kernels(upsampled(), images, 8)
    for exact, mean, error in zip((found.nngp, found.ntk), means, errors, strict=True):
        assert (np.abs(mean - exact) <= 4.5 * error + 0.05 * np.abs(exact).max()).all()


def test_gradients_over_positions_add_up_to_the_tangent_kernel():
    network = Network(
        (
            PositionWise(5, 20, Gaussian(1.2)),
            TokenMixing(6, 4, Gaussian(0.9), 0.4),
            TANH,
            Pooling(None),
            Dense(20, 3, Gaussian(1.0)),
        )
    )
    x, g = inputs(3, 5, 6), np.random.default_rng(1).standard_normal((3, 3))
    total = sum(node.weights for node in loss_moments(network, x, g))
    assert total == pytest.approx(
        float(((g @ g.T) * kernels(network, x, parametrisation="standard").ntk).sum()), rel=1e-9
    )


def test_what_positions_ask_for_is_said():
    with pytest.raises(InputError, match="8 positions along one axis before token mixing"):
        gradients(
            Network((PositionWise(5, 4, Gaussian(1.0)), TokenMixing(8, 2, Gaussian(1.0)))), inputs=inputs(1, 5, 7)
        )
    with pytest.raises(InputError, match="2 spatial dimensions before upsampling"):
        gradients(Network((PositionWise(5, 4, Gaussian(1.0)), Upsampling((2, 2)))), inputs=inputs(1, 5, 7))
