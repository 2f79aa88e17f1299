"""Rates from theory against simulated networks: the table of theory.md §7, the dynamics, batches, parametrisations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import InputError, design, mlp, signals
from freeness.advice import DesignOptions, Training, layer_means, rate_curve, theory_rate
from freeness.advice.theory_rates import parametrised, rate_shares
from freeness.network import Gaussian
from freeness.training import Adam
from tests.orthogonal import haar


def drawn(network, rng):
    """Weights, biases, derivative and function of each layer of a chain."""
    found = []
    for layer in network.dense:
        w = layer.weights.sigma_w
        matrix = (
            w * rng.standard_normal((layer.fan_out, layer.fan_in)) / layer.fan_in**0.5
            if isinstance(layer.weights, Gaussian)
            else w * haar(layer.fan_out, layer.fan_in, rng)
        )
        found.append((matrix, layer.sigma_b * rng.standard_normal(layer.fan_out)))
    return found


def gram(weights, function, inputs, shares):
    """Σ_l (s_l x_l·x'_l + s_b) B_l B'_lᵀ of all inputs, (n·C, n·C), by the chain rule."""
    n = len(inputs)
    xs, slopes = [inputs], []
    for index, (matrix, bias) in enumerate(weights):
        h = xs[-1] @ matrix.T + bias
        if index < len(weights) - 1:
            slopes.append(function.derivative(h))
            xs.append(function.function(h))
    outputs = weights[-1][0].shape[0]
    backward = [np.broadcast_to(np.eye(outputs), (n, outputs, outputs))]
    for (matrix, _), slope in zip(weights[:0:-1], slopes[::-1], strict=True):
        backward.append((backward[-1] @ matrix) * slope[:, None, :])
    total = np.zeros((n * outputs, n * outputs))
    for x, b, share in zip(xs, backward[::-1], shares, strict=True):
        flat = b.reshape(n * outputs, -1)
        factor = share.weights * (x @ x.T) + share.biases
        total += np.kron(factor, np.ones((outputs, outputs))) * (flat @ flat.T)
    return total


@pytest.mark.parametrize("depth", [1, 5, 40])
@pytest.mark.parametrize(
    ("loss", "bound"),
    [
        ("half_squared_error", lambda c, total: 2 / total), ("half_mean_squared_error", lambda c, total: 2 * c / total),
        ("mse", lambda c, total: c / total), ("cross_entropy", lambda c, total: 2 * c / total),
    ],
)  # fmt: skip
def test_the_table_of_losses(depth, loss, bound):
    """theory.md §7 under isometry: total = N q̂ L, C = 7 of N = 100 outputs or C = N."""
    for outputs in (7, 100):
        widths = [100] * depth + [outputs]
        rate = theory_rate(mlp(depth, widths, "linear"), Training(loss), qhat0=0.3)
        assert rate.bound == pytest.approx(bound(outputs, 100 * 0.3 * depth), rel=1e-9)
        assert rate.sharpness == pytest.approx(rate.mean, rel=1e-9)


def test_the_published_line_two_over_depth():
    """C = N and ‖x‖ = 1 with the ½ Σ loss; hard-tanh with ε < 1: 2ε/(q̂L(e^ε - 1)), with trained biases left out."""
    for depth in (10, 40, 160):
        spread = 0.3
        found = design(depth, 400, "hardtanh", spread)
        net = mlp(depth, 400, "hardtanh", sigma_w=found.sigma_w, sigma_b=0.0)
        rate = theory_rate(net, Training("half_mean_squared_error"), realised=signals_at(found, net))
        qhat = (found.q - found.sigma_b**2) / found.sigma_w**2
        alpha = 1 / (1 + found.delta)
        exact = 2 / (qhat * (alpha**-depth - 1) / (1 / alpha - 1))
        assert rate.bound == pytest.approx(exact, rel=1e-9)
        epsilon = depth * (1 - alpha)
        assert rate.bound == pytest.approx(2 * epsilon / (qhat * depth * np.expm1(epsilon)), rel=2 / depth)


def signals_at(found, net):
    """The fixed point in every layer, without biases in the norms."""
    from freeness.meanfield import ActivationSignal, DenseSignal, Signals, derivative_law

    qhat = (found.q - found.sigma_b**2) / found.sigma_w**2
    law = derivative_law(found.activation, found.q)
    layers = [
        DenseSignal(layer.fan_in, layer.fan_in * qhat, found.q)
        if hasattr(layer, "fan_in")
        else ActivationSignal(found.q, law)
        for layer in net.layers
    ]
    return Signals(tuple(layers), "mean-field")


@settings(max_examples=8)
@given(
    depth=st.integers(2, 6),
    name=st.sampled_from(["tanh", "hardtanh", "relu", "gelu"]),
    weights=st.sampled_from(["haar", "gaussian"]),
    outputs=st.sampled_from([1, 10, 300]),
    parametrisation=st.sampled_from(["standard", "ntk", "mup"]),
    seed=st.integers(0, 100),
)
def test_the_sharpness_is_that_of_simulated_networks(depth, name, weights, outputs, parametrisation, seed):
    """λ_max of Σ s_l Θ_l of real weights of width 300, the mean of three networks; ten eigenvalues fall short of the edge."""
    rng = np.random.default_rng(seed)
    net = mlp(depth, [200] + [300] * (depth - 1) + [outputs], name, weights, sigma_w=1.3, sigma_b=0.2)
    how = Training("half_squared_error", parametrisation=parametrisation)
    used = parametrised(net, how)
    tops = []
    for _ in range(3):
        x = rng.standard_normal((1, 200))
        x *= np.sqrt(200 * 0.8) / np.linalg.norm(x)
        layers = drawn(used, rng)
        tops.append(np.linalg.eigvalsh(gram(layers, used.layers[1].function, x, rate_shares(used, how)))[-1])
    assert theory_rate(net, how, qhat0=0.8).sharpness == pytest.approx(
        np.mean(tops), rel={1: 0.3, 10: 0.25, 300: 0.15}[outputs]
    )


def test_training_contracts_below_the_bound_and_grows_above_it():
    """Gradient descent on a linearised ½ Σ loss of a simulated network of C = N outputs, a per cent of finite width apart."""
    rng = np.random.default_rng(5)
    found = design(8, 250, "tanh", 0.4, training=Training("half_squared_error"))
    x = rng.standard_normal((1, 250))
    x *= np.sqrt(250) / np.linalg.norm(x)
    matrix = gram(drawn(found.network, rng), found.activation, x, rate_shares(found.network, found.training))
    bound = found.learning_rate.bound
    for factor, contracts in ((0.9, True), (1.1, False)):
        error = rng.standard_normal(250)
        for _ in range(400):
            error = error - factor * bound * matrix @ error
        assert (np.linalg.norm(error) < 15) == contracts


def sharpness(net, how, rng, draws):
    """λ of the batch GGN of ½ Σ, the mean over drawn networks, of inputs with one correlation."""
    basis = haar(300, how.batch + 1, rng).T * np.sqrt(300)
    inputs = np.sqrt(how.correlation) * basis[0] + np.sqrt(1 - how.correlation) * basis[1:]
    shares = rate_shares(net, how)
    kernels = (gram(drawn(net, rng), net.layers[1].function, inputs, shares) for _ in range(draws))
    return np.mean([np.linalg.eigvalsh(kernel)[-1] for kernel in kernels]) / how.batch


@settings(max_examples=6)
@given(
    correlation=st.floats(0.1, 0.95), size=st.sampled_from([2, 8, 24]), name=st.sampled_from(["tanh", "relu", "erf"]),
    seed=st.integers(0, 100),
)  # fmt: skip
def test_batches_have_the_curvature_of_their_mean_direction(correlation, size, name, seed):
    """Inputs with one correlation, C = 3 outputs of width 500: λ of the batch GGN of ½ Σ, within what a width allows."""
    rng = np.random.default_rng(seed)
    net = mlp(4, [300, 500, 500, 500, 3], name, "gaussian", sigma_w=1.4, sigma_b=0.1)
    how = Training("half_squared_error", batch=size, correlation=correlation)
    assert theory_rate(net, how).sharpness == pytest.approx(sharpness(net, how, rng, 3), rel=0.2)


@pytest.mark.parametrize(("name", "sigma_w"), [("tanh", 1.2), ("relu", 2**0.5)])
@pytest.mark.parametrize(("correlation", "size"), [(0.1, 4), (0.9, 4), (0.8, 8)])
def test_ten_outputs_of_a_batch_see_more_than_their_mean(name, sigma_w, correlation, size):
    """λ of drawn networks is 1.4 to 1.8 times that of outputs that were alike."""
    rng = np.random.default_rng(2)
    net = mlp(5, [300] * 5 + [10], name, "gaussian", sigma_w=sigma_w)
    how = Training("half_squared_error", batch=size, correlation=correlation)
    found = theory_rate(net, how)
    assert found.sharpness == pytest.approx(sharpness(net, how, rng, 4), rel=0.2)
    assert found.sharpness <= theory_rate(net, Training("half_squared_error")).sharpness


def test_one_sample_bounds_every_batch_and_says_so():
    net = mlp(5, [50, 60, 60, 60, 60, 4], "tanh", "gaussian", sigma_w=1.2)
    alone, safe = theory_rate(net, Training(batch=1)), theory_rate(net)
    assert safe.batch == 64
    assert safe.bound == alone.bound and "bounds that of every batch" in safe.details[0]
    assert theory_rate(net, Training(batch=64, correlation=0.3)).bound > alone.bound


def test_layer_means_are_the_tangent_kernel():
    """Against kernels(), NTK parametrisation: Σ_l shares·means is the kernel of two inputs (another implementation)."""
    from freeness.meanfield import kernels

    net = mlp(5, 80, "tanh", "gaussian", sigma_w=1.3, sigma_b=0.3)
    found = signals(net, 1.0)
    how = Training(parametrisation="ntk")
    for correlation in (1.0, 0.4):
        inputs = np.zeros((2, 80))
        inputs[:, 0], inputs[1, 0], inputs[1, 1] = (
            np.sqrt(80),
            np.sqrt(80) * correlation,
            np.sqrt(80 * (1 - correlation**2)),
        )
        total = sum(
            share.weights * w + share.biases * b
            for share, (w, b) in zip(rate_shares(net, how), layer_means(net, found, correlation), strict=True)
        )
        assert total == pytest.approx(kernels(net, inputs).ntk[0, 1], rel=1e-9)


def test_rates_scale_with_depth_and_width_as_the_theory_says():
    """Standard: 1/L and 1/N (of the mean, which one output shows); μP: no N, standard at the base width; NTK: no N."""

    def family(width, inputs=None):
        return mlp(6, [inputs or width] + [width] * 5 + [1], "tanh", "gaussian", sigma_w=1.2)

    widths = [128, 512, 2048]
    assert rate_curve(family, widths).slope == pytest.approx(-1.0, abs=0.1)
    for parametrisation in ("ntk", "mup"):
        found = rate_curve(lambda width: family(width, 100), widths, Training(parametrisation=parametrisation))
        assert found.slope == pytest.approx(0.0, abs=0.12)
    base = Training(parametrisation="mup", base_width=128)
    assert theory_rate(family(128), base).bound == pytest.approx(theory_rate(family(128)).bound)
    flat = design(20, 300, "hardtanh", 0.2, DesignOptions(form="normalised"))  # q̂ = 1 at every depth
    assert flat.rate_over_depth([10, 20, 40]).slope == pytest.approx(-1.0, abs=0.15)
    assert flat.rate_over_width([100, 200, 400]).sizes.tolist() == [100, 200, 400]


def test_rates_of_layers_are_the_global_rate_times_their_share():
    net = mlp(3, [20, 256, 256, 5], "tanh", "gaussian")
    rate = theory_rate(net, Training(parametrisation="mup", base_width=128))
    first, middle, last = rate.layers
    assert first.weights / middle.weights == pytest.approx(2) and last.weights / middle.weights == pytest.approx(0.5)
    assert middle.weights == pytest.approx(rate.recommended) and rate.recommended == pytest.approx(
        0.35 * 2 / rate.sharpness
    )
    assert rate.low is None and theory_rate(net).low is not None


@given(st.floats(0.01, 100.0), st.integers(2, 9), st.floats(0.1, 10.0))
def test_any_loss_by_its_hessian(curvature, outputs, width):
    """c·1 is c times the ½ Σ loss; any PSD Hessian counts with its largest eigenvalue."""
    net = mlp(3, [10, 20, 20, outputs], "tanh", "gaussian")
    plain = theory_rate(net, Training("half_squared_error")).bound
    assert theory_rate(net, Training(curvature * np.eye(outputs))).bound == pytest.approx(plain / curvature)
    rng = np.random.default_rng(outputs)
    root = width * rng.standard_normal((outputs, outputs))
    top = np.linalg.norm(root, 2) ** 2
    assert theory_rate(net, Training(root @ root.T)).bound == pytest.approx(plain / top)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Training("hinge"), "loss among"),
        (lambda: Training(optimizer="lion"), "not covered"),
        (lambda: Training(optimizer="adam"), "analyze"),
        (lambda: Training(optimizer=Adam()), "analyze"),
        (lambda: Training(batch=0), "batch"),
        (lambda: Training(correlation=2.0), "correlation"),
        (lambda: Training(parametrisation="sp"), "parametrisation among"),
        (lambda: theory_rate(mlp(2, 3, "tanh"), Training(np.diag([1.0, -1.0, 0.0]))), "positive semi-definite"),
        (lambda: theory_rate(mlp(2, 3, "tanh"), Training(np.eye(2))), "3×3 Hessian"),
        (lambda: theory_rate(mlp(2, 3, "tanh"), Training(np.tri(3))), "symmetric"),
        (lambda: theory_rate(mlp(2, 3, "tanh"), Training(np.zeros((3, 3)))), "other than 0"),
        (lambda: rate_curve(lambda n: mlp(n, 3), [2]), "two different sizes"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_with_momentum_it_says_that_random_batches_bear_less():
    network = mlp(3, [50, 100, 100, 5], "tanh", "gaussian", sigma_w=1.3)
    for optimizer, batch, cautious in (
        ("momentum", 8, True),
        ("nesterov", 8, True),
        ("momentum", 1, False),
        ("sgd", 8, False),
    ):
        details = theory_rate(network, Training("mse", optimizer, batch=batch, correlation=0.3)).details
        assert any("batch_learning_rate" in line for line in details) == cautious
