"""Kernels and trajectories of architectures with skips, normalisation, dropout, positions, against drawn networks."""

import numpy as np
import pytest

from freeness import InputError
from freeness.meanfield import kernels, trajectory
from freeness.network import (
    Activation,
    ActivationFunction,
    Branch,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    Gaussian,
    Haar,
    Network,
    Normalisation,
    Pooling,
    Residual,
    activation,
    cnn,
    custom_activation,
    mlp,
    resnet,
)
from tests.meanfield.simulated import simulated_kernels

RNG = np.random.default_rng(3)
WIDTH, OUTPUTS = 400, 12


def readout(layers, width=WIDTH):
    return Network((*layers, Dense(width, OUTPUTS, Gaussian(1.0), 0.1, True, "readout")))


def chain(*between):
    first, second = (Dense(n, WIDTH, Gaussian(1.4), 0.2, True) for n in (20, WIDTH))
    return readout((first, *between, second, Activation(activation("gelu"))))


def close(network, inputs, seeds=16):
    """Within 4 standard errors plus what 1/width allows."""
    found = kernels(network, inputs)
    means, errors = simulated_kernels(network, inputs, seeds)
    for exact, mean, error in zip((found.nngp, found.ntk), means, errors, strict=True):
        assert (np.abs(mean - exact) <= 4.5 * error + 3 / WIDTH * np.abs(exact).max()).all()
        assert error.max() < 0.1 * np.abs(exact).max()
    return found


TANH, RELU = Activation(activation("tanh")), Activation(activation("relu"))


@pytest.mark.parametrize(
    "between",
    [
        (Normalisation("layer"), TANH),
        (RELU, Normalisation("layer")),
        (Normalisation("rms"), RELU),
        (RELU, Normalisation("rms")),
        (RELU, Dropout(0.3)),
    ],
    ids=lambda layers: "-".join(type(layer).__name__ for layer in layers),
)
def test_normalisation_and_dropout(between):
    close(chain(*between), RNG.standard_normal((4, 20)) * np.array([[0.5], [1.0], [1.0], [2.0]]))


@pytest.mark.parametrize(
    "branch",
    [
        Branch("tanh", sigma_w=1.2, sigma_b=0.1, dense=2),
        Branch("relu", order="post", sigma_b=0.1),
        Branch("gelu", normalisation="layer", scale=0.7),
        Branch("relu", normalisation="rms", order="post", sigma_w=1.4, sigma_b=0.1),
    ],
    ids=["pre", "post", "layer", "rms"],
)
def test_residual_networks(branch):
    close(resnet(3, WIDTH, branch, inputs=20, outputs=OUTPUTS), RNG.standard_normal((3, 20)))


def test_batch_normalisation_takes_the_inputs_for_its_batch():
    """A batch of 48 in a drawn network; theory is for large batches, so 1/48 is allowed."""
    inputs = RNG.standard_normal((48, 20))
    first, second = (Dense(n, WIDTH, Gaussian(1.4), 0.0, False) for n in (20, WIDTH))
    network = readout((first, Normalisation("batch"), RELU, second, Normalisation("batch"), RELU))
    found = kernels(network, inputs)
    small = Network((*network.nodes[:-1], Dense(WIDTH, 2, Gaussian(1.0), 0.1, True)))
    means, errors = simulated_kernels(small, inputs, 4)
    for exact, mean, error in zip((found.nngp, found.ntk), means, errors, strict=True):
        assert np.sqrt(((mean - exact) ** 2).mean()) <= 2.0 * np.sqrt((error**2).mean()) + 2 / 48 * np.abs(exact).max()


@pytest.mark.parametrize("padding", ["circular", "zeros", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_without_pooling(padding, stride):
    layers = cnn(mlp(2, [3, 60, 60], "relu", "gaussian", sigma_w=1.4, sigma_b=0.2), (3, 3), padding, stride).layers
    inputs, sizes = RNG.standard_normal((3, 3, 9, 8)), [9, 8]
    for _ in range(2):
        sizes = [(n - (2 if padding == "valid" else 0) - 1) // stride + 1 for n in sizes]
    positions = sizes[0] * sizes[1]
    close(readout((*layers, RELU, Flatten()), 60 * positions), inputs)


@pytest.mark.parametrize("pool", [Pooling(None), Pooling((2,), 2)], ids=["global", "windows"])
def test_convolutions_with_pooling(pool):
    """Smooth φ, so that unequal variances go through the Hermite series, at every pair of positions."""
    layers = cnn(mlp(2, [3, 80, 80], "tanh", "gaussian", sigma_w=1.4, sigma_b=0.2), (3,), "zeros").layers
    inputs = RNG.standard_normal((3, 3, 6))
    middle = (pool,) if pool.size is None else (pool, Convolution(80, 80, (3,), Gaussian(1.3)), TANH, Flatten())
    close(readout((*layers, TANH, *middle), 80 if pool.size is None else 240), inputs)


@pytest.mark.parametrize("channels", [False, True])
def test_masks_of_positions_or_of_channels_in_front_of_pooling(channels):
    layers = cnn(mlp(2, [3, 80, 80], "relu", "gaussian", sigma_w=1.4, sigma_b=0.2), (3,), "zeros").layers
    middle = (RELU, Dropout(0.4, channels=channels), Convolution(80, 80, (3,), Gaussian(1.3)), RELU, Pooling(None))
    close(readout((*layers, *middle), 80), RNG.standard_normal((3, 3, 6)), seeds=32)


def test_blocks_of_rows_change_nothing():
    inputs = RNG.standard_normal((7, 3, 5))
    network = readout((*cnn(mlp(2, [3, 8, 8], "relu", "gaussian"), (3,)).layers, RELU, Dropout(0.2), Flatten()), 40)
    whole, rows = kernels(network, inputs), kernels(network, inputs, memory=1.0)
    np.testing.assert_allclose(rows.nngp, whole.nngp, rtol=1e-14)
    np.testing.assert_allclose(rows.ntk, whole.ntk, rtol=1e-14)


def test_a_convolution_over_one_position_is_a_dense_layer():
    inputs = RNG.standard_normal((4, 9))
    chain_ = mlp(4, 9, "erf", "gaussian", sigma_w=1.3, sigma_b=0.1)
    image = Network((*cnn(chain_, (3,), "circular").layers, Flatten()))
    np.testing.assert_allclose(kernels(image, inputs[:, :, None]).ntk, kernels(chain_, inputs).ntk, rtol=1e-12)


def test_delta_orthogonal_kernels_do_not_mix_positions():
    inputs = RNG.standard_normal((2, 6, 5))
    image = Network((*cnn(mlp(3, 6, "erf", "haar"), (3,)).layers, Flatten()))
    by_position = np.mean([kernels(mlp(3, 6, "erf", "haar"), inputs[:, :, p]).ntk for p in range(5)], axis=0)
    np.testing.assert_allclose(kernels(image, inputs).ntk, by_position, rtol=1e-12)


def test_batch_normalisation_makes_relu_gradients_explode():
    """Yang et al. (2019): by π/(π - 1) a layer in large batches, whatever σ_w."""
    block = (Normalisation("batch", 0.0), RELU, Dense(50, 50, Gaussian(1.7), 0.0))
    found = trajectory(Network((Dense(50, 50, Gaussian(1.0)), *block * 6)), 1.0, 0.3)
    np.testing.assert_allclose(found.chi1[1:-1], np.pi / (np.pi - 1), rtol=1e-10)


def test_residual_lengths_grow_as_they_must():
    """Pre-activation ReLU: q and squared gradients by 1 + β²σ_w²/2 a block (Yang, Schoenholz 2017), linear in the input."""
    found = trajectory(resnet(10, 50, Branch("relu", sigma_w=1.5, scale=0.4)), 0.8, 0.5)
    factor = 1 + 0.4**2 * 1.5**2 / 2
    np.testing.assert_allclose(found.q, 0.8 * factor ** np.arange(1, 11), rtol=1e-12)
    np.testing.assert_allclose(found.chi1[:-1], factor, rtol=1e-12)
    np.testing.assert_allclose(found.sensitivity, 1.0, rtol=1e-7)


def test_normalisation_makes_the_network_deaf_to_the_inputs_norm():
    layers = (*mlp(1, 50, "tanh", "gaussian").layers, Normalisation("rms", 0.0), TANH, Dense(50, 50, Gaussian(1.2)))
    assert trajectory(Network(layers), 0.7).sensitivity == pytest.approx([1.0, 0.0], abs=1e-7)


def test_dropout_parts_a_sample_from_itself():
    """Schoenholz et al. (2017): with masks c = 1 is no fixed point; c' = E φφ·(1 - rate)/E φ² at c = 1."""
    layers = (*mlp(1, 50, "tanh", "gaussian").layers, TANH, Dropout(0.25), Dense(50, 50, Gaussian(1.2)))
    assert trajectory(Network(layers), 1.0, 1.0).c == pytest.approx([1.0, 0.75], rel=1e-12)


def test_kinked_and_closed_forms_agree_in_a_residual_network():
    inputs = RNG.standard_normal((4, 8))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True) / 8**0.5
    closed, angle = (
        kernels(resnet(4, 8, Branch(function, sigma_b=0.3), inputs=8, outputs=3), inputs).ntk
        for function in (activation("relu"), activation("hardtanh", min_val=0.0, max_val=60.0))
    )
    np.testing.assert_allclose(angle, closed, rtol=1e-8)


def test_black_pixels_are_allowed_without_biases():
    """A corner of zeros, as in Fashion-MNIST: its windows have variance 0 behind a convolution without bias."""
    inputs = RNG.standard_normal((3, 2, 8))
    inputs[:, :, :4] = 0.0
    for name in ("relu", "tanh"):
        layers = cnn(mlp(2, [2, 80, 80], name, "gaussian", sigma_w=1.4), (3,), "zeros").layers
        close(readout((*layers, Activation(activation(name)), Flatten()), 640), inputs)


def test_custom_functions_with_a_closed_forms_name_do_not_get_it():
    inputs = RNG.standard_normal((3, 6))
    impostor = ActivationFunction("erf", np.tanh, lambda x: 1 - np.tanh(x) ** 2)
    found = kernels(mlp(2, 6, impostor, "gaussian"), inputs).nngp
    np.testing.assert_allclose(found, kernels(mlp(2, 6, "tanh", "gaussian"), inputs).nngp, rtol=1e-9)
    with pytest.raises(InputError, match="table"):
        custom_activation(np.tanh, name="erf")


def test_the_fluctuation_of_a_batch_is_reported():
    """√(2/n) for n independent directions."""
    inputs = RNG.standard_normal((100, 5000))
    network = Network((Dense(5000, 9, Gaussian(1.0)), Normalisation("batch"), Dense(9, 2, Gaussian(1.0))))
    assert kernels(network, inputs).fluctuation == pytest.approx((2 / 100) ** 0.5, rel=0.05)
    with pytest.raises(InputError, match="hardly fluctuates"):
        kernels(network, inputs[:6])
    with pytest.raises(InputError, match="different inputs"):
        kernels(network, np.ones((50, 5000)))


NESTED = Residual(
    (Activation(activation("relu")), Residual((TANH, Dense(60, 60, Gaussian(1.0)))), Dense(60, 60, Gaussian(1.0)))
)


def test_nested_residual_layers():
    twice = Network((Residual((Residual((Dense(5, 5, Gaussian(1.0)),)),), name="outer"),))
    with pytest.raises(
        InputError, match="independent signals into sum 'outer', got two that are both made of the input"
    ):
        kernels(twice, RNG.standard_normal((3, 5)))
    with pytest.raises(InputError, match="Gaussian signals"):
        kernels(
            Network((Dense(20, 60, Gaussian(1.0)), NESTED, Dense(60, 3, Gaussian(1.0)))), RNG.standard_normal((3, 20))
        )


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        (Network((Dense(5, 5, Gaussian(1.0)), TANH, TANH)), (2, 5), "Gaussian signals before activation"),
        (cnn(mlp(2, 3, "tanh", "gaussian"), (3,)), (2, 3, 5), "ends in a vector"),
        (cnn(mlp(2, 3, "tanh", "gaussian"), (3, 3)), (2, 3, 5), "2 spatial dimensions"),
        (
            Network((*cnn(mlp(1, 3, "tanh", "gaussian"), (3,)).layers, Dense(15, 2, Gaussian(1.0)))),
            (2, 3, 5),
            "Flatten",
        ),
        (Network((*cnn(mlp(1, 3, "tanh", "gaussian"), (7,), "valid").layers, Flatten())), (2, 3, 5), "at least"),
        (mlp(2, 4, "tanh", "gaussian"), (2, 5), "4 features"),
        (Network((Dense(4, 5, Gaussian(1.0)), TANH, Dense(6, 2, Gaussian(1.0)))), (2, 4), "6 features"),
        (
            Network((*cnn(mlp(1, 3, "tanh", "gaussian"), (3,)).layers, Flatten(), Dense(9, 2, Gaussian(1.0)))),
            (2, 3, 5),
            "got 15",
        ),
        (
            Network((*cnn(mlp(1, 3, "tanh", "gaussian"), (3,)).layers, Flatten(), Normalisation("batch"))),
            (40, 3, 5),
            "before the signal is flattened",
        ),
        (mlp(2, 4, "tanh", "identity"), (2, 4), "identity"),
        (Network((TANH,)), (2, 4), "weight layer"),
        (Network((*mlp(1, 4, "tanh", "haar").layers, Normalisation("layer"), Pooling(None))), (2, 4), "images"),
    ],
)
def test_what_theory_does_not_cover_is_named(network, shape, message):
    with pytest.raises(InputError, match=message):
        kernels(network, RNG.standard_normal(shape))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dropout(1.0), "rate"),
        (lambda: Normalisation("group"), "layer, rms or batch"),
        (lambda: Convolution(1, 1, (2,), Haar(1.0)), "odd"),
        (lambda: Convolution(1, 1, (), Haar(1.0)), "taps"),
        (lambda: Convolution(1, 1, (3,), Haar(1.0), "reflect"), "circular"),
        (lambda: resnet(0, 4), "blocks"),
        (lambda: Activation("relu"), "ActivationFunction"),
        (lambda: Pooling((0,)), "window"),
        (lambda: Dense(3, 3, Gaussian(1.0), -0.5), "sigma_b"),
        (lambda: mlp(2, 3, "tanh", sigma_w=1e200), "1e100"),
        (lambda: resnet(2, 4, Branch(order="middle")), "pre"),
        (lambda: resnet(2, 4, Branch(scale=float("nan"))), "scale"),
        (lambda: resnet(2, 4, Branch("xyz")), "xyz"),
    ],
)
def test_bad_records_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_zero_padding_has_no_trajectory_of_one_position():
    with pytest.raises(InputError, match="circular"):
        trajectory(cnn(mlp(2, 3, "tanh", "gaussian"), (3,), "zeros"))
    circular = trajectory(cnn(mlp(4, 3, "tanh", "gaussian", sigma_w=1.3), (3,)), 0.7, 0.2)
    np.testing.assert_allclose(circular.c, trajectory(mlp(4, 3, "tanh", "gaussian", sigma_w=1.3), 0.7, 0.2).c)
