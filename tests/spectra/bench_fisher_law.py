"""Cost of the Fisher law: linear in depth, and small beside simulating one network. Run by `make bench`."""

import time

import numpy as np
import pytest

from freeness import activation, fisher_law, mlp
from freeness.meanfield import derivative_law, second_moment
from tests.spectra.simulation import draw

POINTS = 1000


def critical(name, depth, q=0.1):
    function = activation(name)
    variance = 1 / derivative_law(function, q).mean
    qhat = second_moment(function, q).value
    return mlp(depth, 1000, name, "haar", sigma_w=variance**0.5, sigma_b=(q - variance * qhat) ** 0.5), qhat


def density(network, qhat):
    law = fisher_law(network, qhat)
    low, high = law.hull
    x = low + (high - low) * (np.arange(POINTS) + 0.5) / POINTS
    return law.density(x), (high - low) / POINTS, law


@pytest.mark.parametrize(("name", "depth"), [("hardtanh", 100), ("hardtanh", 1000), ("tanh", 10)])
def test_fisher_density_of_1000_points(benchmark, name, depth):
    network, qhat = critical(name, depth)
    values, cell, law = benchmark.pedantic(density, (network, qhat), rounds=3, warmup_rounds=1)
    benchmark.extra_info["mass_error"] = float(values.sum() * cell + sum(a.mass for a in law.atoms) - 1)
    assert abs(benchmark.extra_info["mass_error"]) < 0.01


def test_depth_costs_linearly_and_less_than_one_simulation(benchmark):
    """Records seconds for L = 100 and L = 1000, their ratio (bar: 12) and the ratio to one simulated network of L = 100."""
    seconds = {}
    for depth in (100, 1000):
        network, qhat = critical("hardtanh", depth)
        density(network, qhat)
        runs = []
        for _ in range(3):
            start = time.perf_counter()
            density(network, qhat)
            runs.append(time.perf_counter() - start)
        seconds[depth] = sorted(runs)[1]
    network, qhat = critical("hardtanh", 100)
    start = time.perf_counter()
    draw(network, qhat, np.random.default_rng(0))
    simulation = time.perf_counter() - start
    benchmark.extra_info.update(
        seconds_100=seconds[100],
        seconds_1000=seconds[1000],
        ratio_of_depths=seconds[1000] / seconds[100],
        simulation_over_theory=simulation / seconds[100],
    )
    benchmark.pedantic(density, (network, qhat), rounds=1)
    assert seconds[1000] / seconds[100] < 12
