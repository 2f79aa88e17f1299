from typing import Any

import pytest
import torch
from torch import nn

from freeness.errors import InputError
from freeness.torch.request.stepping import stepping


class Lion(torch.optim.Optimizer):
    """Steps by signs, and has an attribute of its own."""

    def __init__(self, params, lr=1e-4):
        super().__init__(params, {"lr": lr})
        self.beta = 0.9

    def step(self, closure=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            for p in group["params"]:
                average = self.state[p].setdefault("average", torch.zeros_like(p))
                average.mul_(self.beta).add_(p.grad, alpha=1 - self.beta)
                p.data.add_(average.sign(), alpha=-group["lr"])


def stepped(optimizer, model, times=2):
    for _ in range(times):
        optimizer.zero_grad()
        model(torch.ones(3, 2)).square().sum().backward()
        optimizer.step()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.NAdam, torch.optim.RMSprop, Lion])
def test_a_copy_steps_as_the_original_and_leaves_it_alone(kind, model):
    original = kind(model.parameters(), lr=0.01)
    stepped(original, model)
    states = {
        p: {k: torch.as_tensor(v).clone() for k, v in s.items() if v is not None} for p, s in original.state.items()
    }
    start = [p.detach().clone() for p in model.parameters()]
    copied = stepping(model, original).fresh()
    stepped(copied, model)
    by_copy = [p.detach().clone() for p in model.parameters()]
    for p, state in states.items():
        assert all(torch.equal(torch.as_tensor(original.state[p][k]), value) for k, value in state.items())
    for p, value in zip(model.parameters(), start, strict=True):
        p.data.copy_(value)
    stepped(original, model)
    assert all(torch.equal(p, value) for p, value in zip(model.parameters(), by_copy, strict=True))


def test_groups_keep_the_ratios_of_their_rates(model):
    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters(), "lr": 0.02}, {"params": model[1].parameters()}], lr=0.1
    )
    found = stepping(model, optimizer)
    copied = found.fresh()
    found.set_rate(copied, 1.0)
    assert [group["lr"] for group in copied.param_groups] == pytest.approx([1.0, 5.0])
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.1]


def test_a_scheduler_on_the_instance_is_not_stepped_and_its_warm_up_is_no_rate(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 10)
    found = stepping(model, optimizer)
    assert found.rate == 0.1
    before = [p.detach().clone() for p in model.parameters()]
    copied = found.fresh()
    found.set_rate(copied, 0.1)
    stepped(copied, model)
    assert scheduler.last_epoch == 0 and not torch.equal(before[0], next(model.parameters()))
    assert optimizer.param_groups[0]["lr"] == 0.0 and not optimizer.state[next(model.parameters())]


def test_a_rate_that_is_a_tensor_is_set_in_place_of_the_copy_alone(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1))
    found = stepping(model, optimizer)
    copied = found.fresh()
    found.set_rate(copied, 0.5)
    assert float(copied.param_groups[0]["lr"]) == 0.5 and float(optimizer.param_groups[0]["lr"]) == pytest.approx(0.1)


def test_what_is_no_optimizer_of_the_model_is_refused_in_one_sentence(model):
    other = nn.Linear(1, 1)
    given_and_said: tuple[tuple[Any, str], ...] = (
        (torch.optim.SGD(other.parameters(), lr=0.1), "over parameters of the model"),
        (torch.optim.SGD(model.parameters(), lr=0.0), "a rate lr > 0"),
        (lambda parameters: list(parameters), "what makes one"),
        (lambda: None, "bind its other arguments"),
        ("newton", "expected an optimizer among"),
    )
    for given, said in given_and_said:
        with pytest.raises(InputError, match=said) as caught:
            stepping(model, given)  # pyright: ignore[reportArgumentType]
        assert "\n" not in str(caught.value)


def test_the_memory_is_that_of_the_first_moment_and_0_where_there_is_none(model):
    assert stepping(model, "adamw").memory == 10
    assert stepping(model, lambda parameters: torch.optim.Adam(parameters, betas=(0.8, 0.99))).memory == 5
    assert stepping(model, lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9)).memory == 0
    assert stepping(model, lambda parameters: torch.optim.Adam(parameters, betas=(0.0, 0.99))).memory == 0
