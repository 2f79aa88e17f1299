"""Trajectories through an architecture against kernels, fixed points and a drawn network."""

import numpy as np
import pytest

from freeness import InputError, mlp
from freeness.meanfield import fixed_point, kernels, signals, trajectory
from freeness.network import Dense, activation


@pytest.mark.parametrize("name", ["erf", "relu", "tanh", "gelu"])
def test_it_is_the_kernel_of_two_inputs(name):
    inputs = np.array([[1.0, 1.0], [0.6 - 0.8, 0.6 + 0.8]])  # norm √2, correlation 0.6
    found = trajectory(mlp(6, 50, name, "gaussian", sigma_w=1.3, sigma_b=0.2), 1.0, 0.6)
    kernel = kernels(mlp(6, 2, name, "gaussian", sigma_w=1.3, sigma_b=0.2), inputs).nngp
    assert found.q[-1] == pytest.approx(kernel[0, 0], rel=1e-9)
    assert found.c[-1] == pytest.approx(kernel[0, 1] / kernel[0, 0], rel=1e-9)


def test_lengths_are_those_of_the_signals():
    network = mlp(5, [40, 30, 80, 20, 60, 10], "tanh", "haar", sigma_w=1.2, sigma_b=0.1)
    dense = [
        signal.q
        for layer, signal in zip(network.layers, signals(network, 0.7).layers, strict=True)
        if isinstance(layer, Dense)
    ]
    np.testing.assert_allclose(trajectory(network, 0.7).q, dense, rtol=1e-14)


def test_a_deep_network_ends_in_the_fixed_point():
    settled = fixed_point(activation("tanh"), 2.0, 0.3)
    found = trajectory(mlp(100, 10, "tanh", "gaussian", sigma_w=2.0, sigma_b=0.3), 1.0, 0.1)
    assert (found.q[-1], found.c[-1], found.chi1[-2]) == pytest.approx((settled.q, settled.c, settled.chi1), rel=1e-6)
    assert found.gradient_growth[80] == pytest.approx(settled.chi1**19, rel=1e-4)
    assert np.isnan(found.chi1[-1]) and found.gradient_growth[-1] == 1.0


def test_drawn_networks_follow():
    """Six networks of width 2000: each layer adds noise of 1/√N to c, so 8 layers have 3·√(8/(6N)) with some growth."""
    rng = np.random.default_rng(5)
    n, draws = 2000, 6
    found = trajectory(mlp(8, n, "tanh", "gaussian", sigma_w=1.4, sigma_b=0.1), 1.0, 0.2)
    lengths, correlations = np.zeros(8), np.zeros(8)
    for _ in range(draws):
        x = rng.standard_normal((n, 2)) @ np.array([[1.0, 0.2], [0.0, np.sqrt(0.96)]])
        for layer in range(8):  # W x of a fresh Gaussian W: independent rows of covariance xᵀx/n
            matrix = rng.standard_normal((n, 2)) @ np.linalg.cholesky(x.T @ x / n).T
            h = 1.4 * matrix + 0.1 * rng.standard_normal((n, 1))
            q = (h**2).mean(axis=0)
            lengths[layer] += q.mean() / draws
            correlations[layer] += (h[:, 0] * h[:, 1]).mean() / np.sqrt(q.prod()) / draws
            x = np.tanh(h)
    np.testing.assert_allclose(lengths, found.q, rtol=0.05)
    np.testing.assert_allclose(correlations, found.c, atol=4 * np.sqrt(8 / (draws * n)))


@pytest.mark.parametrize(("qhat0", "c0", "message"), [(0.0, 0.5, "qhat0"), (1.0, 2.0, "c0"), (np.nan, 0.0, "qhat0")])
def test_bad_inputs_are_refused(qhat0, c0, message):
    with pytest.raises(InputError, match=message):
        trajectory(mlp(2, 5, "tanh"), qhat0, c0)
