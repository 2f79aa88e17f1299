"""The critical rate against parabolas, against a fine scan of the loss, and against the sharpness along the step."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from freeness.errors import InputError
from freeness.torch.rate.critical import as_factory, critical_rate


@given(curvatures=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_on_a_parabola_it_is_twice_the_slope_over_the_curvature_along_the_step(curvatures, seed):
    torch.manual_seed(seed)
    weight = nn.Parameter(torch.randn(len(curvatures), dtype=torch.float64) + 2)
    model = nn.ParameterList([weight])
    a = torch.tensor(curvatures, dtype=torch.float64)
    found = critical_rate(model, lambda: 0.5 * (a * weight.square()).sum())
    g = a * weight.detach()
    exact = 2 * float(g @ g) / float(g @ (a * g))
    assert found.below <= exact * (1 + 1e-9) and exact <= found.rate * (1 + 1e-9)
    assert found.rate <= 1.1 * found.below
    assert found.slope == pytest.approx(-float(g @ g))


def test_a_loss_that_no_step_raises_has_an_infinite_one():
    """Of a direction: however far along a tangent, the weight points nearer to its aim than at first."""
    weight = nn.Parameter(torch.tensor([-0.5, 0.9]))
    aim = torch.tensor([1.0, 0.0])
    found = critical_rate(nn.ParameterList([weight]), lambda: -functional.normalize(weight, dim=0) @ aim)
    assert found.rate == math.inf and 1e6 < found.below < 1e9


OPTIMIZERS = {
    "sgd": None,
    "momentum": lambda p: torch.optim.SGD(p, lr=0.3, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_separates_rates_whose_first_step_lowers_and_raises_the_loss(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 30), nn.Tanh(), nn.Linear(30, 3))
    x, y = torch.randn(20, 6), torch.arange(20) % 3
    loss = lambda net=model: functional.cross_entropy(net(x), y)  # noqa: E731
    found = critical_rate(model, loss, OPTIMIZERS[name])
    make = OPTIMIZERS[name] or (lambda p: torch.optim.SGD(p, lr=1.0))
    before = float(loss().detach())
    for rate, raised in ((found.below, False), (found.rate, True)):
        other = nn.Sequential(nn.Linear(6, 30), nn.Tanh(), nn.Linear(30, 3))
        other.load_state_dict(model.state_dict())
        optimizer = make(other.parameters())
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss(other).backward()
        optimizer.step()
        assert (float(loss(other).detach()) > before) == raised


def test_a_better_start_takes_fewer_passes():
    torch.manual_seed(0)
    model, x = nn.Linear(5, 2), torch.randn(9, 5)
    loss = lambda: model(x).square().mean()  # noqa: E731
    far = critical_rate(model, loss, start=1e-8)
    near = critical_rate(model, loss, start=far.rate)
    assert near.passes < far.passes and near.passes <= 10
    assert near.rate == pytest.approx(far.rate, rel=0.1)


def test_dropout_and_batch_statistics_are_held_and_the_model_is_left_as_it_was():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1)).train()
    x = torch.randn(32, 5)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    first, second = (critical_rate(model, lambda: model(x).square().mean()) for _ in range(2))
    assert first == second
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert model[3].training and all(parameter.grad is None for parameter in model.parameters())


def test_a_graph_of_the_callers_stays_valid():
    model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)), torch.ones(2, 3)
    mine = model(x).sum()
    expected = torch.autograd.grad(model(x).sum(), list(model.parameters()))
    critical_rate(model, lambda: model(x).square().mean())
    mine.backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_without_an_upper_end_it_is_infinite():
    model = nn.ParameterList([nn.Parameter(torch.ones(1))])
    found = critical_rate(model, lambda: model[0].sum())  # falls for ever
    assert found.rate == math.inf and found.below > 1e3 and found.sharpness == 0


def test_a_factory_is_made_of_an_optimiser():
    weight = nn.Parameter(torch.ones(3))
    adam = torch.optim.AdamW([weight], lr=0.25, betas=(0.5, 0.6), weight_decay=0.3)
    made = as_factory(adam)([weight])
    assert isinstance(made, torch.optim.AdamW)
    assert {k: made.defaults[k] for k in ("lr", "betas", "weight_decay")} == {
        "lr": 0.25, "betas": (0.5, 0.6), "weight_decay": 0.3
    }  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda model, x: model(x), "one finite number"),
        (lambda model, x: model(x).sum() * math.nan, "one finite number"),
        (lambda model, x: x.sum(), "depends on the trained weights"),
        (lambda model, x: (model(x) * 0).sum(), "moves the weights"),
    ],
)
def test_what_has_no_critical_rate_is_refused(loss, words):
    model, x = nn.Linear(3, 2), torch.ones(2, 3)
    with pytest.raises(InputError, match=words):
        critical_rate(model, lambda: loss(model, x))
