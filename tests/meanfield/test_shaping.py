"""Shaped activations: the constants of DKS and TAT, and the kernel maps that they ask for, computed by covariances."""

import numpy as np
import pytest

from freeness import InputError, mlp
from freeness.meanfield import covariance, second_moment, second_moment_slope, shaped
from freeness.network import activation

SMOOTH = ["tanh", "gelu", "silu", "softplus", "sigmoid", "erf", "mish", "elu", "softsign"]


def test_published_constants():
    """theory.md §8: tanh at L = 50 and the leaky slopes of TAT, to 4 digits."""
    dks, tat = shaped(activation("tanh"), 50, "dks"), shaped(activation("tanh"), 50, "tat")
    assert (dks.gain, dks.shift, dks.offset, dks.scale) == pytest.approx((0.1284, 0.5708, -0.5098, 10.604), rel=5e-4)
    assert (tat.gain, tat.shift, tat.offset, tat.scale) == pytest.approx((0.0817, 0.5258, -0.4832, 15.94), rel=6e-4)
    for layers, slope in ((20, 0.1814), (50, 0.4305), (100, 0.5704)):
        left, right = shaped(activation("relu"), layers).function.slopes
        assert left / right == pytest.approx(slope, abs=5e-5)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("layers", [10, 50])
def test_dks_has_its_kernel_maps(name, layers):
    function = shaped(activation(name), layers, "dks").function
    at = covariance(function, 1.0, 1.0, [0.0, 1.0])
    assert second_moment(function, 1.0).value == pytest.approx(1.0, abs=1e-9)
    assert second_moment_slope(function, 1.0) == pytest.approx(1.0, abs=1e-7)
    assert at.value[0] == pytest.approx(0.0, abs=1e-9)
    assert at.slope[1] ** layers == pytest.approx(1.5, rel=1e-6)


@pytest.mark.parametrize("name", SMOOTH)
def test_tat_has_its_kernel_maps(name):
    """C''(1) as the difference quotient of C' at 1, extrapolated."""
    function = shaped(activation(name), 50, "tat").function
    assert second_moment(function, 1.0).value == pytest.approx(1.0, abs=1e-9)
    assert second_moment_slope(function, 1.0) == pytest.approx(1.0, abs=1e-7)
    h = 1e-2
    slopes = covariance(function, 1.0, 1.0, [1.0, 1 - h, 1 - 2 * h]).slope
    assert slopes[0] == pytest.approx(1.0, abs=1e-9)
    bend = (3 * slopes[0] - 4 * slopes[1] + slopes[2]) / (2 * h)
    if name not in ("elu", "softsign"):  # their φ'' jumps, so C' has a term (1 - c)^{3/2}
        assert 50 * bend == pytest.approx(0.3, rel=1e-3)


def test_layers_are_counted_from_the_record():
    network = mlp(depth=51, width=10, activation="tanh", weights="haar")
    assert shaped(activation("tanh"), network) == shaped(activation("tanh"), 50)
    assert shaped(activation("tanh"), network).layers == 50


def test_the_whole_leaky_network_maps_0_to_09():
    function = shaped(activation("leaky_relu"), 30).function
    c = 0.0
    for _ in range(30):
        c = float(covariance(function, 1.0, 1.0, c).value)
    assert c == pytest.approx(0.9, abs=1e-10)
    assert second_moment(function, 1.0).value == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((activation("hardtanh"), 20), "smooth"),
        ((activation("relu"), 20, "dks"), "smooth"),
        ((activation("tanh"), 0), "at least one"),
        ((activation("tanh"), 20, "xyz"), "dks"),
        ((activation("relu"), 1), "needs shaping"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        shaped(*arguments)


def test_shaped_activations_train_signals_through_a_hundred_layers():
    """Width 2000, 100 layers: lengths stay at 1 and correlated inputs stay apart, as C_f says."""
    rng = np.random.default_rng(0)
    function = shaped(activation("tanh"), 100, "tat").function
    n = 2000
    h = rng.standard_normal((n, 2)) @ np.array([[1.0, 0.3], [0.0, np.sqrt(1 - 0.09)]])
    c = float((h[:, 0] * h[:, 1]).mean() / np.sqrt((h**2).mean(axis=0).prod()))
    for _ in range(100):
        h = rng.standard_normal((n, n)) @ function.function(h) / np.sqrt(n)
        c = float(covariance(function, 1.0, 1.0, np.clip(c, -1, 1)).value)
    q = (h**2).mean(axis=0)
    assert q == pytest.approx([1.0, 1.0], abs=0.35)
    assert (h[:, 0] * h[:, 1]).mean() / np.sqrt(q.prod()) == pytest.approx(c, abs=0.2)
