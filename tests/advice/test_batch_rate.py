"""Rates of batches from the kernel of the data against drawn networks: their curvature, and where descent diverges."""

from itertools import product

import numpy as np
import pytest

import freeness as fr
from freeness import InputError, mlp
from freeness.advice import Training, batch_learning_rate, theory_rate
from freeness.data import load_fashion_mnist
from freeness.meanfield import kernels
from freeness.network import Branch, resnet
from freeness.training import SGD
from tests.spectra.batch_simulation import draw_batch

WIDTH, COUNT = 512, 48
STARTS = {"tanh": (1.4, 0.1), "relu": (2**0.5, 0.0)}


def network_of(name, outputs=10, depth=3):
    sigma_w, sigma_b = STARTS[name]
    widths = [784, *[WIDTH] * (depth - 1), outputs]
    return mlp(depth, widths, name, "gaussian", sigma_w=sigma_w, sigma_b=sigma_b)


def data_of(kind):
    if kind == "noise":
        return np.random.default_rng(1).standard_normal((COUNT, 784))
    x = load_fashion_mnist("train").flattened()[:COUNT].astype(float)
    return x * 28 / np.linalg.norm(x, axis=1, keepdims=True)


def thinned(*values):
    """All combinations; every other one, so that each pair of values still meets, is left to the slow tests."""
    return [
        pytest.param(*(some[place] for some, place in zip(values, places, strict=True)), marks=marks)
        for places in product(*(range(len(some)) for some in values))
        for marks in [[pytest.mark.slow] * (sum(places) % 2)]
    ]


@pytest.mark.parametrize(
    ("batch", "loss", "name", "kind"),
    thinned([8, COUNT], ["mse", "cross_entropy"], ["tanh", "relu"], ["images", "noise"]),
)
def test_sharpness_is_that_of_drawn_networks(kind, name, loss, batch):
    """Measured by Lanczos in torch: within 15 % and three standard errors of 6 networks, 16 where their softmax scatters."""
    torch = pytest.importorskip("torch")
    from freeness.torch import batch_sharpness, build

    network, x = network_of(name), data_of(kind)
    labels = load_fashion_mnist("train").labels[:COUNT]
    found = batch_learning_rate(network, x, Training(loss, batch=batch))
    measured, seeds = [], 16 if loss == "cross_entropy" else 6
    for seed in range(seeds):
        rows = np.random.default_rng(seed).choice(COUNT, batch, replace=False)
        model = build(network, torch.Generator().manual_seed(seed))
        targets = labels[rows].astype(int) if loss == "cross_entropy" else np.eye(10, dtype=np.float32)[labels[rows]]
        inputs = torch.tensor(x[rows], dtype=torch.float32)
        measured.append(batch_sharpness(model, inputs, torch.tensor(targets), loss).value)
    error = np.hypot(np.std(measured, ddof=1) / seeds**0.5, found.error) / found.sharpness
    assert abs(np.mean(measured) / found.sharpness - 1) < 0.15 + 3 * error
    assert error < 0.08


def growth(gram, rate, batch, optimizer="sgd", steps=400):
    """Logarithm of how much the errors of the linear model grow; gram (n·C, n·C)/n; torch's update rules, β = 0.9."""
    rng, size = np.random.default_rng(2), len(gram)
    count, outputs = size // 10, 10
    e, total, beta = rng.standard_normal(size), 0.0, 0.0 if optimizer == "sgd" else 0.9
    velocity = np.zeros(size)
    for _ in range(steps):
        rows = (rng.choice(count, batch, replace=False)[:, None] * outputs + np.arange(outputs)).ravel()
        gradient = gram[:, rows] @ e[rows] * count / batch  # of the outputs' velocity
        velocity = beta * velocity + gradient
        e = e - rate * (gradient + beta * velocity if optimizer == "nesterov" else velocity)
        norm = np.linalg.norm(e)
        total += np.log(norm)
        e, velocity = e / norm, velocity / norm
    return total - 0.5 * np.log(size)


@pytest.mark.parametrize("name", ["tanh", "relu"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_descent_on_all_inputs_diverges_at_the_bound(name, optimizer):
    """Of the linearisation of one drawn network: it contracts at 0.8 of the predicted bound and diverges at 1.25 of it."""
    network, x = network_of(name), data_of("images")
    gram = draw_batch(network, x, np.random.default_rng(0))[1] / COUNT
    bound = batch_learning_rate(network, x, Training("half_squared_error", optimizer, batch=COUNT)).bound
    assert growth(gram, 0.8 * bound, COUNT, optimizer) < 0
    assert growth(gram, 1.25 * bound, COUNT, optimizer) > 20


@pytest.mark.parametrize(
    ("batch", "optimizer", "kind"), thinned([1, 16], ["sgd", "momentum", "nesterov"], ["images", "noise"])
)
def test_descent_on_random_batches_diverges_near_the_bound(kind, optimizer, batch):
    """Of the linearisation of one drawn tanh network: it contracts at 0.8 of the predicted bound and diverges at 1.7 of it."""
    network, x = network_of("tanh"), data_of(kind)
    gram = draw_batch(network, x, np.random.default_rng(0))[1] / COUNT
    found = batch_learning_rate(network, x, Training("half_squared_error", optimizer, batch=batch))
    assert growth(gram, 0.8 * found.bound, batch, optimizer) < 0
    assert growth(gram, 1.7 * found.bound, batch, optimizer, steps=1500) > 10
    whole = batch_learning_rate(network, x, Training("half_squared_error", optimizer, batch=COUNT))
    assert whole.sharpness < found.sharpness and whole.bound > found.bound  # averages of matrices have smaller norms
    assert found.recommended <= 0.5 * found.bound


def test_one_output_and_one_input_is_the_rate_of_one_sample():
    network, x = network_of("tanh", outputs=1), np.random.default_rng(0).standard_normal((1, 784))
    for parametrisation in ("standard", "ntk"):
        training = Training("mse", batch=1, parametrisation=parametrisation)
        found = batch_learning_rate(network, x, training)
        expected = theory_rate(network, training, qhat0=float((x**2).mean()))
        assert found.sharpness == pytest.approx(expected.sharpness, rel=1e-8)
        assert found.bound == pytest.approx(expected.bound, rel=1e-8) and found.error == 0
        if parametrisation == "ntk":  # else theory_rate has the rule that was fitted to trained networks
            assert found.recommended == pytest.approx(expected.recommended, rel=1e-8)


@pytest.mark.parametrize(
    ("depth", "name", "weights", "outputs"),
    [
        (3, "tanh", "gaussian", 10),
        (8, "relu", "gaussian", 10),
        (3, "hardtanh", "haar", 10),
        (3, "hardtanh", "haar", 512),
    ],
)
def test_the_outputs_scatter_as_the_law_of_one_sample(depth, name, weights, outputs):
    """Of one input λ is the top of the law's C quantiles, within 3 %."""
    sigma_w = 2**0.5 if name == "relu" else 1.2
    network = mlp(depth, [784, *[WIDTH] * (depth - 1), outputs], name, weights, sigma_w=sigma_w)
    x = np.random.default_rng(0).standard_normal((1, 784))
    found = batch_learning_rate(network, x, Training("half_squared_error", batch=1))
    law = fr.fisher_law(network, float((x**2).mean()))
    assert found.sharpness == pytest.approx(law.quantile(1 - 0.5 / outputs), rel=0.03)


def test_losses_of_constant_hessian_scale_the_same_eigenvalue():
    network, x = network_of("relu"), data_of("noise")
    known = kernels(network, x, parametrisation="standard")

    def sharpness(loss):
        return fr.batch_learning_rate(network, x, Training(loss, batch=COUNT), found=known).sharpness

    whole = sharpness("half_squared_error")
    assert whole > np.linalg.eigvalsh(known.ntk)[-1] / COUNT  # ten outputs behind 512 neurons scatter
    assert sharpness("half_mean_squared_error") == pytest.approx(whole / 10)
    assert sharpness("mse") == pytest.approx(whole / 5)
    assert sharpness(np.diag([3.0, *[1.0] * 9])) == pytest.approx(3 * whole)
    assert sharpness("cross_entropy") <= 0.5 * whole  # diag(p) - ppᵀ ≤ ½


def test_other_architectures_take_outputs_for_orthogonal():
    x = np.random.default_rng(0).standard_normal((6, 20))
    stream = resnet(3, 100, Branch("tanh", sigma_w=1.2), inputs=20, outputs=2)
    found = batch_learning_rate(stream, x, Training("half_squared_error", SGD(weight_decay=0.1), batch=6))
    top = np.linalg.eigvalsh(kernels(stream, x, parametrisation="standard").ntk)[-1] / 6
    assert found.sharpness == pytest.approx(top) and found.bound == pytest.approx(2 / (top + 0.1))
    assert any("orthogonal" in line for line in found.assumptions)


def test_the_record_says_what_it_assumes():
    x = np.random.default_rng(0).standard_normal((6, 784))
    found = batch_learning_rate(network_of("tanh"), x, Training(batch=2))
    told = " ".join(found.assumptions)
    assert all(word in told for word in ("wide", "near the start", "batches are drawn", "Gaussian processes"))
    assert "batches of 2 of 6 inputs" in found.reason and found.batch == 2 and found.samples == 6
    assert batch_learning_rate(network_of("tanh"), x).batch == 6


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (Training(batch=7), "at most the 6 inputs"),
        (Training(batch=2, correlation=0.5), "no correlation"),
        (Training(batch=2, parametrisation="mup"), "theory_rate"),
        (Training("cross_entropy", batch=2), "at least two outputs"),
    ],
)
def test_bad_input(training, message):
    outputs = 1 if message == "at least two outputs" else 3
    with pytest.raises(InputError, match=message):
        batch_learning_rate(mlp(2, [4, 20, outputs], "tanh", "gaussian"), np.eye(6, 4) + 1, training)


@pytest.mark.parametrize("inputs", [3.0, np.ones(4), np.empty((0, 4)), np.full((2, 4), np.nan)])
def test_bad_inputs(inputs):
    with pytest.raises(InputError, match="inputs"):
        batch_learning_rate(mlp(2, [4, 20, 3], "tanh", "gaussian"), inputs)


def test_outputs_behind_one_neuron_are_multiples_of_one_another():
    """F has one eigenvalue, C."""
    x = np.random.default_rng(0).standard_normal((4, 6))
    network = mlp(3, [6, 1, 1, 5], "tanh", "gaussian", sigma_w=1.4, sigma_b=0.1)
    found = batch_learning_rate(network, x, Training("half_squared_error", batch=4))
    top = np.linalg.eigvalsh(kernels(network, x, parametrisation="standard").ntk)[-1] / 4
    assert found.sharpness == pytest.approx(5 * top)
