"""What is measured for the rate to start from, against explicit Jacobians and numpy; the model stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from freeness.torch import start_facts


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
    features = torch.cat([network[:4](x), torch.ones(12, 1).double()], dim=1).detach().numpy()
    assert found.head == pytest.approx(np.linalg.eigvalsh(features @ features.T)[-1] / 12)
    outputs, aims = network(x).detach().numpy(), y.numpy()
    assert found.loudness == pytest.approx(outputs.var(axis=0).sum() / aims.var(axis=0).sum())
    assert found.excess == pytest.approx(((outputs - aims) ** 2).sum() / ((aims - aims.mean(axis=0)) ** 2).sum())
    assert (found.parameters, found.batch) == (sum(p.numel() for p in network.parameters()), 4)


def test_cross_entropy_against_its_hessian_at_outputs_of_the_bias():
    network, (x, _) = model(), data()
    labels = torch.arange(12) % 3
    found = start_facts(network, (x, labels), "cross_entropy", batch=4)
    features = torch.cat([network[:4](x), torch.ones(12, 1).double()], dim=1).detach().numpy()
    p = torch.softmax(network[4].bias, 0).detach().numpy()
    hessian = np.diag(p) - np.outer(p, p)
    top = np.linalg.eigvalsh(features @ features.T)[-1] / 12 * np.linalg.eigvalsh(hessian)[-1]
    assert found.head == pytest.approx(top)
    loss = float(nn.functional.cross_entropy(network(x).detach(), labels))
    assert found.excess == pytest.approx(loss / np.log(3))
    assert found.loudness == pytest.approx(network(x).detach().numpy().var(axis=0).sum() / (2 / 3))


def test_what_the_first_step_leaves_is_the_best_of_the_line():
    """A linear map of one number: the loss along the gradient is a parabola whose minimum is known."""
    network = nn.Linear(1, 1, bias=False).double()
    x = torch.tensor([[1.0], [2.0]]).double()
    found = start_facts(network, (x, 3 * x + torch.tensor([[1.0], [-1.0]])), "half_squared_error", batch=2)
    w = float(network.weight.detach())
    start = ((w - 3) * x.numpy()[:, 0] - [1, -1]) ** 2
    best = ((2.8 - 3) * x.numpy()[:, 0] - [1, -1]) ** 2  # least squares
    lowest = best.sum() / start.sum()
    assert lowest <= found.left <= lowest + 0.07  # lengths are tried in steps of 1.6, so one is within √1.6 of the best


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


def test_a_model_without_a_layer_at_the_end_has_no_head_of_its_own():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3, dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :3] * self.scale

    found = start_facts(Scaled(), data(), "half_squared_error")
    assert found.head == found.sharpness > 0 and found.batch == 12
