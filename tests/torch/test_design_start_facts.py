"""What is measured for the rate to start from, against explicit Jacobians and numpy; the model stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import nn

from freeness.torch import start_facts
from freeness.torch.rate.starts import rate_facts
from freeness.training import start_rate


def model(outputs: int = 3) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, outputs)).double()


def data(count: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 6, generator=generator, dtype=torch.float64)
    return x, torch.randn(count, 3, generator=generator, dtype=torch.float64)


def rows(network: nn.Module, x: torch.Tensor) -> np.ndarray:
    """∂f/∂θ, (samples·outputs, parameters)."""
    jacobians = torch.func.jacrev(lambda p: torch.func.functional_call(network, p, (x,)))(
        dict(network.named_parameters())
    )
    return torch.cat([row.reshape(x.shape[0] * 3, -1) for row in jacobians.values()], dim=1).detach().numpy()


def test_squared_loss_against_the_explicit_jacobian():
    network, (x, y) = model(), data()
    found = start_facts(network, (x, y), "half_squared_error", batch=4)
    jacobian = rows(network, x)
    assert found.sharpness == pytest.approx(np.linalg.eigvalsh(jacobian @ jacobian.T)[-1] / 12)
    outputs, aims = network(x).detach().numpy(), y.numpy()
    assert found.loudness == pytest.approx(outputs.var(axis=0).sum() / aims.var(axis=0).sum())
    assert (found.parameters, found.batch) == (sum(p.numel() for p in network.parameters()), 4)


def test_the_loudness_of_classes_is_over_the_variance_of_their_indicators():
    network, (x, _) = model(), data()
    found = start_facts(network, (x, torch.arange(12) % 3), "cross_entropy", batch=4)
    assert found.loudness == pytest.approx(network(x).detach().numpy().var(axis=0).sum() / (2 / 3))


def test_the_reach_of_a_linear_map_is_where_its_parabola_is_lowest():
    """f = wx: the loss along the gradient is a parabola, lowest at 1/E x²."""
    network = nn.Linear(1, 1, bias=False).double()
    x = torch.tensor([[1.0], [2.0]]).double()
    found = start_facts(network, (x, 3 * x + torch.tensor([[1.0], [-1.0]])), "half_squared_error", batch=2)
    assert found.reach == pytest.approx(1 / 2.5)
    w = float(network.weight.detach())
    start = ((w - 3) * x.numpy()[:, 0] - [1, -1]) ** 2
    best = ((2.8 - 3) * x.numpy()[:, 0] - [1, -1]) ** 2  # least squares
    lowest = best.sum() / start.sum()
    assert lowest <= found.left <= lowest + 0.05  # a length within √1.5 of the best is tried


def test_the_reach_of_a_network_is_the_minimum_that_scipy_finds():
    network, (x, y) = model(), data()
    found = start_facts(network, (x, y), "half_squared_error", batch=4)
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(0.5 * (network(x) - y).square().sum(1).mean(), parameters)
    start = [parameter.detach().clone() for parameter in parameters]

    def at(length: float) -> float:
        moved = {
            name: old - length * gradient
            for (name, _), old, gradient in zip(network.named_parameters(), start, gradients, strict=True)
        }
        return float(0.5 * (torch.func.functional_call(network, moved, (x,)) - y).square().sum(1).mean())

    best = minimize_scalar(at, bounds=(0, 5 * found.reach), method="bounded")
    assert found.reach == pytest.approx(best.x, rel=0.1)  # a parabola through points 1.5 apart
    assert best.fun / at(0.0) <= found.left <= best.fun / at(0.0) + 0.05


def test_without_a_gradient_there_is_no_reach():
    network, (x, _) = model(), data()
    found = start_facts(network, (x, network(x).detach()), "half_squared_error", batch=4)
    assert (found.reach, found.left) == (0.0, 1.0)


@pytest.mark.parametrize(("act", "expected"), [(nn.Tanh(), True), (nn.ReLU(), False)])
def test_bounded_activations_are_told_unless_they_are_normalised(act, expected):
    x, y = data()
    plain = nn.Sequential(nn.Linear(6, 3), act).double()
    assert start_facts(plain, (x, y), "mse", batch=4).saturating is expected
    normed = nn.Sequential(nn.Linear(6, 3), nn.LayerNorm(3), act).double()
    assert not start_facts(normed, (x, y), "mse", batch=4).saturating


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_model_is_left_exactly_as_it_was(optimizer):
    network, (x, y) = nn.Sequential(*model(), nn.Dropout(0.5)).train(), data()
    network[0].weight.requires_grad_(False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    found = start_facts(network, (x, y), "mse", optimizer, batch=2)
    assert found.sharpness > 0 and 0 < found.left <= 1
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert [p.requires_grad for p in network.parameters()] == [False, True, True, True, True, True]
    assert network.training and all(not module._forward_hooks for module in network.modules())


def test_a_model_without_layers_is_measured_as_well():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3, dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :3] * self.scale

    found = start_facts(Scaled(), data(), "half_squared_error")
    assert found.sharpness > 0 and found.reach > 0 and found.batch == 12


def test_kinds_of_layers_are_told():
    x, y = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 2
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2))
    found = start_facts(network, (x, y), "cross_entropy")
    assert (found.convolutional, found.normalised, found.saturating, found.residual) == (True, True, False, False)
    del network[1]
    found = start_facts(network, (x, y), "cross_entropy")
    assert (found.convolutional, found.normalised, found.saturating) == (True, False, True)
    network[0] = nn.Conv2d(1, 2, 2, stride=2)  # tiles, as a vision transformer's patches
    assert not start_facts(network, (x, y), "cross_entropy").convolutional


@pytest.mark.parametrize("way", ["in place", "clamped"])
def test_models_that_write_into_their_input_are_measured(way):
    class Writing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x.relu_() if way == "in place" else x.clamp_(-1, 1))

    x, y = data()
    found = start_facts(Writing(), (x.clone(), y), "half_squared_error")
    assert found.reach > 0 and found.residual is False


def test_places_of_a_sample_are_counted_where_they_have_classes_or_numbers():
    x = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(0))
    network = nn.Conv1d(2, 3, 1)
    classes = start_facts(network, (x, torch.zeros(6, 5, dtype=torch.long)), "cross_entropy", batch=4)
    assert classes.places == 5 and classes.untried == "classes at several places of a sample"
    numbers = start_facts(network, (x, torch.zeros(6, 3, 5)), "mse", batch=4)
    assert numbers.places == 5 and numbers.untried == "numbers at several places of a sample"
    rows = start_facts(nn.Linear(5, 3), (x, torch.zeros(6, 2, 3)), "mse", batch=4)  # channels last
    assert rows.places == 2
    flat = start_facts(nn.Sequential(network, nn.Flatten()), (x, torch.zeros(6, 15)), "mse", batch=4)
    assert flat.places == 5 and flat.untried == numbers.untried  # a layer that all places share, flat behind it
    dense = start_facts(nn.Sequential(nn.Flatten(), nn.Linear(10, 15)), (x, torch.zeros(6, 15)), "mse", batch=4)
    assert dense.places == 1 and not dense.untried


@pytest.mark.parametrize("loss", ["mse", "half_squared_error"])
def test_rows_of_numbers_are_told_the_rate_of_as_many_samples(loss):
    """A mean over positions that all layers treat alike is one over samples, so nothing but the split of a batch differs."""
    x = torch.randn(16, 4, 3, generator=torch.Generator().manual_seed(0)).double()
    y = x.flip(2)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    split = rate_facts(network, (x, y), loss, "sgd", (16, None))
    alone = rate_facts(network, (x.flatten(0, 1), y.flatten(0, 1)), loss, "sgd", (64, None))
    summed = 4 if loss == "half_squared_error" else 1  # over the positions
    assert start_rate(split, loss).recommended * summed == pytest.approx(start_rate(alone, loss).recommended, rel=1e-6)
