"""What a design gains over a given network, from numbers of the network itself."""

import pytest

from freeness import design, mlp
from freeness.advice import gain_of_design
from freeness.network import Activation, Dense, Haar, Network, activation


def test_a_network_that_is_the_design_gains_nothing():
    found = design(12, 50, "tanh")
    assert gain_of_design(found.network, 0.0, found.isometry) is None


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "relu", "gelu"])
def test_a_default_start_is_told_both_numbers(name):
    network = mlp(12, 50, name, "gaussian", sigma_w=3**-0.5)
    text = gain_of_design(network, -12.3, 30.0)
    found = design(12, network.widths, name)
    assert f"σ_w = {found.sigma_w:.4g}" in text and "4.55e-06" in text and "(here 30)" in text


def test_a_mixture_of_activations_and_shapes_without_a_start_get_none():
    mixed = [
        Dense(5, 5, Haar(1.0)),
        Activation(activation("tanh")),
        Dense(5, 5, Haar(1.0)),
        Activation(activation("relu")),
    ]
    assert gain_of_design(Network((*mixed, Dense(5, 5, Haar(1.0)))), 9.0, 9.0) is None
    assert gain_of_design(mlp(1, 5), 9.0, 9.0) is None
