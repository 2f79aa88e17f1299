"""Buffers that a pass writes and then reads are the same in every pass, and after all of them as before."""

from __future__ import annotations

import pytest
import torch
from benchmarks.case import Case
from benchmarks.small import exact_sharpness
from torch import Tensor, nn

from freeness.torch import analyze
from freeness.torch.model.buffers import same_buffers


class Averaged(nn.Module):
    """Minus the average of the inputs so far, written in place or anew; times a number that is kept for the gradient."""

    def __init__(self, anew: bool) -> None:
        super().__init__()
        self.layers, self.anew = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)), anew
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("size", torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        if self.anew:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        else:
            self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
        inner = self.layers[:2](x - self.mean)
        with torch.no_grad():
            self.size.mul_(0.5).add_(0.5 * inner.square().mean(0))
        return self.layers[2](inner * self.size)


def drawn(anew: bool) -> tuple[Averaged, Tensor, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Averaged(anew).double(), torch.randn(8, 6, dtype=torch.float64), torch.randint(4, (8,))


@pytest.mark.parametrize("anew", [True, False])
def test_every_pass_starts_from_the_same_buffers_and_may_go_backward_later(anew: bool) -> None:
    model, x, _ = drawn(anew)
    before, objects = {k: v.clone() for k, v in model.named_buffers()}, dict(model.named_buffers())
    expected = model(x)
    model.load_state_dict(before, strict=False)
    with same_buffers(model):
        passes = [model(x) for _ in range(3)]
        gradients = [torch.autograd.grad(one.sum(), list(model.parameters())) for one in passes]
    assert all(torch.equal(one, expected) for one in passes)
    assert all(torch.equal(a, b) for a, b in zip(gradients[0], gradients[2], strict=True))
    for name, value in model.named_buffers():
        assert torch.equal(value, before[name]) and (anew or value is objects[name])


@pytest.mark.parametrize("anew", [True, False])
def test_a_model_with_averages_over_batches_has_its_sharpness(anew: bool) -> None:
    model, x, y = drawn(anew)
    exact = exact_sharpness(Case(model, x, y))
    found = analyze(model.train(), (x, y), loss="cross_entropy").learning_rate
    assert found.known and found.sharpness == pytest.approx(exact, rel=1e-6)


def test_buffers_of_a_functional_call_stay_what_they_are() -> None:
    model, x, _ = drawn(False)
    given = {"mean": torch.ones(6, dtype=torch.float64)}
    expected = torch.func.functional_call(model, given, (x,))
    model, x, _ = drawn(False)
    given = {"mean": torch.ones(6, dtype=torch.float64)}
    with same_buffers(model):
        model(x)
        assert torch.equal(torch.func.functional_call(model, given, (x,)), expected)
