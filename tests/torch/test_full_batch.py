"""Full-batch descent against torch's own optimiser, and the predicted curve against real networks."""

import numpy as np
import pytest
import torch
from torch import nn

from freeness import InputError
from freeness.data import load_fashion_mnist
from freeness.meanfield import LinearTraining, kernels
from freeness.network import mlp
from freeness.torch import FullBatch, batch_sharpness, build, full_batch_descent
from freeness.torch.losses import loss_function


def small(seed=0):
    generator = torch.Generator().manual_seed(seed)
    model = build(mlp(3, [5, 8, 8, 3], "tanh", "gaussian", sigma_w=1.3, sigma_b=0.1), generator, torch.float64)
    return model, torch.randn(12, 5, generator=generator, dtype=torch.float64), generator


@pytest.mark.parametrize("loss", ["mse", "half_squared_error", "cross_entropy"])
def test_descent_is_that_of_torchs_optimiser_and_leaves_the_model(loss):
    model, x, generator = small()
    y = (
        torch.arange(12) % 3
        if loss == "cross_entropy"
        else torch.randn(12, 3, generator=generator, dtype=torch.float64)
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    found = full_batch_descent(model, x, y, loss, FullBatch(0.1, 20, records=(0, 7, 20), sharpness=(0, 20)))
    assert model.training and all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(21):
        value = loss_function(loss)(model(x), y)
        losses.append(float(value.detach()))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    np.testing.assert_allclose(found.loss, np.array(losses)[[0, 7, 20]], rtol=1e-12)
    assert found.steps.tolist() == [0, 7, 20] and found.diverged is None
    model.load_state_dict(before)
    assert found.sharpness[0] == pytest.approx(batch_sharpness(model, x, y, loss).value, rel=1e-6)


def test_divergence_ends_it_with_what_is_there():
    model, x, _ = small()
    linear = nn.Linear(5, 1, dtype=torch.float64)
    found = full_batch_descent(linear, x, x[:, :1], "mse", FullBatch(1e3, 200))
    assert found.diverged is not None and len(found.steps) == found.diverged and np.isfinite(found.loss).all()
    with pytest.raises(InputError, match="finite outputs"):
        full_batch_descent(model, x * torch.inf, x[:, :3], "mse", FullBatch(0.1, 2))
    with pytest.raises(InputError, match="rate > 0"):
        FullBatch(-1.0, 3)


def compare(width, count, steps, seeds):
    """Predicted over measured mean loss, at every step, and the share of the initial loss that is left."""
    images = load_fashion_mnist("train")
    x = images.flattened()[:count].astype(float)
    x = x * 28 / np.linalg.norm(x, axis=1, keepdims=True)
    y = np.eye(10)[images.labels[:count]]
    network = mlp(3, [784, width, width, 10], "erf", "gaussian", sigma_w=1.2, sigma_b=0.1)
    theta = kernels(network, x, parametrisation="standard").ntk
    rate = 0.2 * LinearTraining(theta, y).stable_rate
    predicted, measured = [], []
    for seed in range(seeds):
        model = build(network, torch.Generator().manual_seed(seed))
        found = full_batch_descent(
            model, torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32), "half_squared_error",
            FullBatch(rate, steps),
        )  # fmt: skip
        measured.append(found.loss)
        predicted.append(LinearTraining(theta, y, found.outputs[0]).descent(rate, found.steps).loss)
    return np.mean(predicted, axis=0) / np.mean(measured, axis=0) - 1, np.mean(measured, axis=0) / np.mean(
        measured[:], axis=0
    )[0]


def test_predicted_curve_of_wide_networks():
    """From their own initial outputs, 3 networks of width 512, 32 images: within 10 % until a tenth of the loss is left."""
    deviation, left = compare(512, 32, 60, 3)
    assert np.abs(deviation[left > 0.1]).max() < 0.1
    assert np.abs(deviation * left).max() < 0.03


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_predicted_curve_of_networks_of_width_2048():
    """5 networks, 256 images, 500 steps: within 5 % while a tenth of the loss is left, within 1 % of the initial loss always."""
    deviation, left = compare(2048, 256, 500, 5)
    assert np.abs(deviation[left > 0.1]).max() < 0.05
    assert np.abs(deviation * left).max() < 0.01
