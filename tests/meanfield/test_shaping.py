"""Shaped activations: the constants of DKS and TAT, and the kernel maps that they ask for, computed by covariances."""

import numpy as np
import pytest

from freeness import InputError, mlp
from freeness.meanfield import covariance, second_moment, second_moment_slope, shaped, shaping, trajectory
from freeness.network import Activation, Dense, Gaussian, Network, Pooling, Residual, activation

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


def normalised_residual(blocks, dense, scale):
    """Blocks of ``dense`` pairs φ, W beside a skip connection, skip² + scale² = 1, between two plain layers."""
    matrix = Dense(10, 10, Gaussian(1.0))
    branch = (Activation(activation("tanh")), matrix) * dense
    return Network(
        (matrix, *[Residual(branch, scale, (1 - scale**2) ** 0.5)] * blocks, Activation(activation("tanh")), matrix)
    )


def modified_resnet(blocks, dense, scale):
    """The same as a subnetwork maximizing function, written by hand as users of the dks package do."""

    def function(x, r):
        best = x
        for _ in range(blocks):
            inner = x
            for _ in range(dense):
                inner = r(inner)
            best = max(best, inner)
            x = (1 - scale**2) * x + scale**2 * inner
        return max(best, r(x))

    return function


@pytest.mark.parametrize("name", ["tanh", "softplus", "gelu_exact"])
@pytest.mark.parametrize("method", ["DKS", "TAT"])
@pytest.mark.parametrize("network", ["chain", "residual"])
@pytest.mark.filterwarnings("ignore")  # autograd's cosh overflows in dks
def test_constants_are_those_of_the_dks_package(name, method, network):
    """The authors' package, where the network is typed by hand: its constants solve the equations read from the record.

    There are several solutions (mirrored ones of an odd φ, others of softplus), so not always the same one is found.
    """
    package = pytest.importorskip("dks.base.activation_transform", reason="dks is not installed")
    if network == "chain":
        record, typed = 40, lambda x, r: [x := r(x) for _ in range(40)][-1]
    else:
        record, typed = normalised_residual(12, 2, 0.6), modified_resnet(12, 2, 0.6)
    theirs = package._get_activations_params([name], method=method, subnet_max_func=typed)[name]
    read = shaping._chain(record) if isinstance(record, int) else record
    equations = {"DKS": shaping._dks, "TAT": shaping._tat}[method](activation(name.removesuffix("_exact")), read)
    residual, offset, scale = equations(theirs["input_scale"], theirs["input_shift"])
    assert residual == pytest.approx([0.0, 0.0], abs=1e-3)
    assert (offset, scale) == pytest.approx((theirs["output_shift"], theirs["output_scale"]), rel=1e-3)
    if network == "chain":
        found = shaped(activation(name.removesuffix("_exact")), record, method.lower())
        assert (found.gain, found.scale) == pytest.approx((theirs["input_scale"], theirs["output_scale"]), rel=1e-3)


def test_a_shaped_residual_network_has_the_slope_asked_for():
    """By kernels: the whole network's slope at 1, times ψ/s for the subnetwork that ends in the last branch, which has more."""
    network = normalised_residual(12, 2, 0.6)
    function = shaped(activation("tanh"), network, "dks").function

    put = network.mapped(lambda layer: Activation(function) if isinstance(layer, Activation) else layer)
    h = 1e-3
    ends = [trajectory(put, 1.0, c).c[-1] for c in (1 - h, 1 - 2 * h)]
    slope = (1 - ends[0]) / h + ((1 - ends[0]) / h - (1 - ends[1]) / (2 * h))
    psi = float(covariance(function, 1.0, 1.0, 1.0).slope)
    block = 0.64 + 0.36 * psi**2
    assert psi > block
    assert slope * psi / block == pytest.approx(1.5, rel=2e-3)


def test_residual_layers_that_do_not_keep_lengths_are_refused():
    network = Network((Residual((Activation(activation("tanh")), Dense(5, 5, Gaussian(1.0))), 0.5, 1.0, "block7"),))
    with pytest.raises(InputError, match="block7"):
        shaped(activation("tanh"), network)
    with pytest.raises(InputError, match="pooling"):
        shaped(activation("tanh"), Network((Activation(activation("tanh")), Pooling(None))))


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
    """Width 20,000, 100 layers: lengths stay at 1 and correlated inputs stay apart, as C_f says."""
    rng = np.random.default_rng(0)
    function = shaped(activation("tanh"), 100, "tat").function
    n = 20_000
    h = rng.standard_normal((n, 2)) @ np.array([[1.0, 0.3], [0.0, np.sqrt(1 - 0.09)]])
    c = float((h[:, 0] * h[:, 1]).mean() / np.sqrt((h**2).mean(axis=0).prod()))
    for _ in range(100):  # W x of a fresh Gaussian W: independent rows of covariance xᵀx/n
        x = function.function(h)
        h = rng.standard_normal((n, 2)) @ np.linalg.cholesky(x.T @ x / n).T
        c = float(covariance(function, 1.0, 1.0, np.clip(c, -1, 1)).value)
    q = (h**2).mean(axis=0)
    assert q == pytest.approx([1.0, 1.0], abs=0.35)
    assert (h[:, 0] * h[:, 1]).mean() / np.sqrt(q.prod()) == pytest.approx(c, abs=0.2)
