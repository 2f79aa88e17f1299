"""The MLP builder and the record."""

import numpy as np
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
        {"depth": 2.5, "width": 100},
        {"depth": 3, "width": 100.0},
        {"depth": 3, "width": True},
        {"depth": True, "width": 10},
        {"depth": 2, "width": 20.5},
        {"depth": 2, "width": [3, 4.5, 2]},
        {"depth": 2, "width": "345"},
        {"depth": 2, "width": None},
        {"depth": 2, "width": [[3, 4, 5]]},
        {"depth": 2, "width": [[3], [4, 5], 6]},
        {"depth": 2, "width": np.array(5.0)},
        {"depth": "3", "width": 10},
        {"depth": 2, "width": 10, "weights": None},
        {"depth": 2, "width": 10, "sigma_w": "a"},
        {"depth": 2, "width": 10, "sigma_b": None},
        {"depth": 2, "width": 10, "activation": None},
        {"depth": 2, "width": 10, "activation": 3},
    ],
)
def test_impossible_networks_are_refused(arguments):
    with pytest.raises(InputError, match=r"expected .* got ") as caught:
        mlp(**arguments)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_numpy_sizes_are_sizes():
    assert mlp(np.int64(2), np.array([3, 4, 5])).widths == (3, 4, 5)
    assert mlp(2, np.int32(7)).widths == (7, 7, 7)
