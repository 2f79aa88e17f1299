"""Cost of the laws of deep smooth networks, with one D² for all layers and with the D² of drawn neurons. Run by `make bench`.

Each draws up 1000 points of the density, the ends of the support and the construction included. Bars: 2 s where the layers share
one law, 15 s with 1000 neurons a layer.
"""

import numpy as np
import pytest

from freeness import activation, fisher_law, jacobian_law, mlp
from freeness.meanfield import derivative_law, second_moment
from tests.spectra.simulation import draw

POINTS = 1000
DEPTH = 100
LAW_OF = {"jacobian": jacobian_law, "fisher": fisher_law}


def critical(q, width=1000):
    function = activation("tanh")
    variance = 1 / derivative_law(function, q).mean
    qhat = second_moment(function, q).value
    return mlp(DEPTH, width, "tanh", "haar", sigma_w=variance**0.5, sigma_b=(q - variance * qhat) ** 0.5), qhat


def density(law_of, network, qhat, realised):
    law = law_of(network, qhat, realised=realised)
    low, high = law.hull
    x = low + (high - low) * (np.arange(POINTS) + 0.5) / POINTS
    return law.density(x), (high - low) / POINTS


@pytest.mark.parametrize("kind", list(LAW_OF))
@pytest.mark.parametrize("neurons", ["mean field", "drawn"])
def test_density_of_a_deep_tanh_network(benchmark, kind, neurons):
    network, qhat = critical(0.1)
    realised = draw(network, qhat, np.random.default_rng(0)).signals if neurons == "drawn" else None
    values, cell = benchmark.pedantic(density, (LAW_OF[kind], network, qhat, realised), rounds=3, warmup_rounds=1)
    benchmark.extra_info["mass_error"] = float(values.sum() * cell - 1)
    assert abs(benchmark.extra_info["mass_error"]) < 0.01


@pytest.mark.parametrize("depth", [50, 200])
def test_cost_is_linear_in_depth(benchmark, depth):
    network, qhat = critical(0.1)
    short = mlp(depth, 1000, "tanh", "haar", sigma_w=network.dense[0].weights.sigma_w, sigma_b=network.dense[0].sigma_b)
    values, cell = benchmark.pedantic(density, (fisher_law, short, qhat, None), rounds=3, warmup_rounds=1)
    benchmark.extra_info["depth"] = depth
    assert values.sum() * cell == pytest.approx(1, abs=0.01)
