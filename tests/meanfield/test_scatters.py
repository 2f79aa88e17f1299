"""How far one network departs from wide layers: against networks drawn anew."""

import numpy as np
import pytest
import torch

from freeness.gaussian import activation, bend_noise
from freeness.meanfield import loss_moments
from freeness.network import Activation, Branch, Dense, Gaussian, Network, Normalisation, mlp, resnet
from tests.meanfield.simulated import Simulated


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
def test_what_an_activation_adds_is_the_covariance_of_its_squares(name):
    """Of pairs of Gaussians with correlation .6, drawn: φ² beyond what follows h², and φ'²."""
    function, q = activation(name), 1.4
    rng = np.random.default_rng(1)
    one, other = rng.standard_normal((2, 400_000))
    h = np.sqrt(q) * np.stack([one, 0.6 * one + 0.8 * other])
    found = bend_noise(function, q)
    for squares, told in (
        (function.function(h) ** 2, found.of_values(np.array(0.6)) + 2 * found.gain**2 * 0.36),
        (function.derivative(h) ** 2, found.of_slopes(np.array(0.6))),
    ):
        assert np.cov(*squares)[0, 1] / squares.mean() ** 2 == pytest.approx(float(told), abs=0.02)


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_a_norm_leaves_of_an_activation_what_its_mean_and_size_do_not_make(kind):
    """A layer norm fixes the mean over neurons too: GELU behind it scatters less than behind an RMS norm."""
    gelu, count = activation("gelu"), 200
    layers = (
        Dense(12, count, Gaussian(1.0)),
        Normalisation(kind),
        Activation(gelu, "gelu"),
        Dense(count, 6, Gaussian(1.0)),
    )
    rng = np.random.default_rng(2)
    told = next(
        one
        for one in loss_moments(Network(layers), rng.standard_normal((1, 12)), np.ones((1, 6)))
        if one.name == "gelu"
    )
    h = rng.standard_normal((4000, count))
    h = h - h.mean(axis=1, keepdims=True) if kind == "layer" else h
    values = gelu.function(h / np.sqrt((h**2).mean(axis=1, keepdims=True)))
    squares = (values**2).mean(axis=1)
    assert told.signal_scatter == pytest.approx(squares.std() / squares.mean(), rel=0.06)


@pytest.mark.parametrize(
    ("network", "draws"),
    [
        (mlp(4, [12, 48, 48, 48, 6], "tanh", "gaussian", sigma_w=1.3), 60),
        (mlp(4, [12, 48, 48, 48, 6], "relu", "gaussian", sigma_w=2**0.5), 60),
        pytest.param(
            resnet(3, 48, Branch("gelu", "gaussian", normalisation="layer"), inputs=12, outputs=6),
            200,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["tanh", "relu", "residual"],
)
@pytest.mark.parametrize("count", [1, 10])
def test_scatters_are_those_of_drawn_networks(network, draws, count):
    """Signals and gradients of all layers, whose weights have the size that is told; sixty draws know a scatter to a tenth."""
    rng = np.random.default_rng(7)
    x, g = rng.standard_normal((count, 12)) + 0.7 * rng.standard_normal(12), rng.standard_normal((count, 6))
    told = [node for node in loss_moments(network, x, g) if node.weights]
    signals, gradients = [], []
    for seed in range(draws):
        run = Simulated(seed)
        values = run.values(network, torch.tensor(x))
        found = torch.autograd.grad((values[network.nodes[-1].name] * torch.tensor(g)).sum(), run.parameters)
        gradients.append([float(one.square().sum()) for one in found])
        signals.append([float(values[node.name].detach().square().mean()) for node in told])
    for seen, known in ((signals, [n.signal_scatter for n in told]), (gradients, [n.gradient_scatter for n in told])):
        ratios = np.array(known) / np.log(seen).std(axis=0, ddof=1)
        assert ratios.min() > 0.7 and ratios.max() < 1.5
