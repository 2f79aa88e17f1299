"""How far one network departs from wide layers: against networks drawn anew."""

import numpy as np
import pytest
import torch

from freeness.gaussian import activation
from freeness.meanfield import loss_moments
from freeness.meanfield.bend_noise import bend_noise
from freeness.network import Branch, mlp, resnet
from tests.meanfield.simulated import Simulated

DRAWS = 60


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


@pytest.mark.parametrize(
    "network",
    [
        mlp(4, [12, 48, 48, 48, 6], "tanh", "gaussian", sigma_w=1.3),
        mlp(4, [12, 48, 48, 48, 6], "relu", "gaussian", sigma_w=2**0.5),
        pytest.param(
            resnet(3, 48, Branch("gelu", "gaussian", normalisation="layer"), inputs=12, outputs=6),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["tanh", "relu", "residual"],
)
@pytest.mark.parametrize("count", [1, 10])
def test_scatters_are_those_of_drawn_networks(network, count):
    """Signals and gradients of all layers, whose weights have the size that is told; sixty draws know a scatter to a tenth."""
    rng = np.random.default_rng(7)
    x, g = rng.standard_normal((count, 12)) + 0.7 * rng.standard_normal(12), rng.standard_normal((count, 6))
    told = [node for node in loss_moments(network, x, g) if node.weights]
    signals, gradients = [], []
    for seed in range(DRAWS):
        run = Simulated(seed)
        values = run.values(network, torch.tensor(x))
        found = torch.autograd.grad((values[network.nodes[-1].name] * torch.tensor(g)).sum(), run.parameters)
        gradients.append([float(one.square().sum()) for one in found])
        signals.append([float(values[node.name].detach().square().mean()) for node in told])
    for seen, known in ((signals, [n.signal_scatter for n in told]), (gradients, [n.gradient_scatter for n in told])):
        ratios = np.array(known) / np.log(seen).std(axis=0, ddof=1)
        assert ratios.min() > 0.7 and ratios.max() < 1.5
