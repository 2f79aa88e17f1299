"""The recursion over pairs beside the walk through the graph, which keeps a record of every layer."""

import numpy as np
import pytest

from freeness import InputError
from freeness.meanfield import kernels, plain_chains
from freeness.meanfield.samples import SampleMoments
from freeness.meanfield.walk import compiled
from freeness.network import Activation, Network, activation, mlp


def walked(network, inputs, standard):
    """Σ and Θ by the walk."""
    samples = SampleMoments(inputs, network)
    found = compiled(network, samples.stream(standard=standard), None).applied(samples.pairs(slice(0, len(inputs))))
    return found.value, found.theta


def inputs(width):
    """Of different norms, two the same and two opposite."""
    points = np.random.default_rng(3).standard_normal((6, width))
    return np.concatenate([points, points[:1], -points[1:2]])


@pytest.mark.parametrize("standard", [False, True], ids=["ntk", "standard"])
@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b"),
    [
        ("relu", 2**0.5, 0.0),
        ("erf", 1.2, 0.1),
        ("erf", 0.7, 0.3),
        ("sin", 1.3, 0.2),
        ("leaky_relu", 1.1, 0.4),
        ("linear", 1.0, 0.0),
    ],
)
def test_the_recursion_is_the_walk(name, sigma_w, sigma_b, standard, monkeypatch):
    network = mlp(40, 24, name, "gaussian", sigma_w=sigma_w, sigma_b=sigma_b)
    monkeypatch.setattr(plain_chains, "_LOOKED", 4)
    found = kernels(network, inputs(24), parametrisation="standard" if standard else "ntk")
    value, theta = walked(network, inputs(24), standard)
    np.testing.assert_allclose(found.nngp, value, rtol=1e-12, atol=1e-13 * value.max())
    np.testing.assert_allclose(found.ntk, theta, rtol=1e-11, atol=1e-12 * theta.max())


def test_a_settled_chain_is_taken_to_its_end_at_once(monkeypatch):
    """Θ of 120 layers in the ordered phase, most of which are one power, and of widths and gains that change on the way."""
    deep = mlp(120, 24, "erf", "gaussian", sigma_w=0.5, sigma_b=0.3)
    mixed = Network((*deep.operations[:-1], *mlp(20, 24, "relu", "haar", sigma_w=1.3, sigma_b=0.2).operations))
    jumped = []
    settled = plain_chains._settled
    monkeypatch.setattr(plain_chains, "_settled", lambda *a: jumped.append(a[-1]) or settled(*a))
    for network in (deep, mixed):
        found, (value, theta) = kernels(network, inputs(24)), walked(network, inputs(24), False)
        np.testing.assert_allclose(found.nngp, value, rtol=1e-12)
        np.testing.assert_allclose(found.ntk, theta, rtol=1e-11)
    assert jumped[0] > 50


def test_what_overflows_is_named_by_the_walk():
    with pytest.raises(InputError, match="behind"):
        kernels(mlp(480, 24, "relu", "gaussian", sigma_w=3.0), inputs(24))


def test_other_chains_are_left_to_the_walk():
    """No closed form, two activations in a row, or widths that do not fit, which the walk refuses."""
    smooth = mlp(3, 24, "tanh", "gaussian")
    samples = SampleMoments(inputs(24), smooth)
    assert plain_chains.kernels_of_chain(smooth, samples.stream(), samples) is None
    doubled = Network((*mlp(2, 24, "relu", "gaussian").operations[:2], Activation(activation("relu"))))
    assert plain_chains.kernels_of_chain(doubled, samples.stream(), samples) is None
    torn = Network((*mlp(2, 24, "relu", "gaussian").operations[:2], *mlp(2, 30, "relu", "gaussian").operations[:1]))
    with pytest.raises(InputError, match="24"):
        kernels(torn, inputs(24))
