"""The MLP builder and the record."""

import pytest

from freeness import InputError, mlp
from freeness.network import Gaussian, Haar


def test_depth_counts_weight_matrices_and_the_last_layer_is_linear():
    net = mlp(5, 30, "tanh", "gaussian", sigma_w=1.5, sigma_b=0.1)
    assert net.depth == 5
    assert len(net.layers) == 9
    assert net.widths == (30,) * 6
    assert all(layer.weights == Gaussian(1.5) and layer.bias for layer in net.dense)
    assert mlp(2, [3, 4, 5]).dense[1].weights == Haar(1.0)
    assert not mlp(2, 10).dense[0].bias


@pytest.mark.parametrize(
    "arguments",
    [
        {"depth": 0, "width": 10},
        {"depth": 2, "width": [3, 4]},
        {"depth": 2, "width": [3, 0, 4]},
        {"depth": 2, "width": 10, "weights": "glorot"},
        {"depth": 2, "width": 10, "sigma_w": 0.0},
        {"depth": 2, "width": 10, "sigma_b": -1.0},
        {"depth": 2, "width": 10, "sigma_w": float("nan")},
    ],
)
def test_impossible_networks_are_refused(arguments):
    with pytest.raises(InputError, match=r"expected .* got "):
        mlp(**arguments)
