"""A record knows the derivative of what is computed; a backward pass that gives another one is measured."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from freeness.torch import measure_jacobian, trace


class Straight(torch.autograd.Function):
    """Rounds, and passes gradients on as they come."""

    @staticmethod
    def forward(context, x):
        return (4 * x).round() / 4

    @staticmethod
    def backward(context, cotangent):
        return cotangent


class Doubled(torch.autograd.Function):
    """Its backward pass is its derivative."""

    @staticmethod
    def forward(context, x):
        return 2 * x

    @staticmethod
    def backward(context, cotangent):
        return 2 * cotangent


class Net(nn.Module):
    def __init__(self, between: type[torch.autograd.Function]):
        super().__init__()
        torch.manual_seed(0)
        self.between = between
        self.first, self.second = nn.Linear(4, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.between.apply(self.first(x))))


def test_a_straight_through_estimator_has_the_jacobian_that_trains_it():
    model, x = Net(Straight), torch.randn(1, 4, generator=torch.Generator().manual_seed(1))
    traced = trace(model, x)
    assert not traced.complete
    assert any("backward pass is its own" in one.reason for one in traced.operations)
    point = x.clone().requires_grad_()
    rows = [torch.autograd.grad(model(point)[0, place], point)[0][0] for place in range(3)]
    wanted = torch.linalg.eigvalsh(torch.stack(rows) @ torch.stack(rows).T)
    assert measure_jacobian(traced, x[0]).eigenvalues == pytest.approx(wanted.numpy(), rel=1e-4, abs=1e-6)


def test_a_backward_pass_that_is_the_derivative_keeps_the_record():
    assert trace(Net(Doubled), torch.ones(1, 4)).complete


def test_a_call_that_holds_the_number_of_samples_is_compared_one_by_one():
    class Held(Net):
        def forward(self, x: Tensor) -> Tensor:
            h = self.between.apply(self.first(x)).reshape(len(x), 3, 4)
            turned = torch.bmm(h, torch.eye(4).roll(1, 0).expand(len(x), 4, 4))
            return self.second(turned.flatten(1))

    model, x = Held(Doubled), torch.ones(1, 4)
    traced = trace(model, x)
    assert traced.together == 3 and not any("its own" in one.reason for one in traced.operations)
    torch.testing.assert_close(traced.replay(x), model(x).detach())
