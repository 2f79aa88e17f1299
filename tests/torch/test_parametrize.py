"""One rate for all sizes: multipliers change no output, step as groups of their own rates do, and are saved with the weights."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from freeness.errors import InputError
from freeness.torch import parametrize_, restore_multipliers_, transfer

X = torch.randn(32, 6, generator=torch.Generator().manual_seed(1))
Y = torch.arange(32) % 3


class Added(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        return x + self.outer(self.inner(x).tanh())


def residual(width, blocks):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, width), *[Added(width) for _ in range(blocks)], nn.Linear(width, 3))


def train(model, optimizer, steps=4):
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(X), Y).backward()
        optimizer.step()


@pytest.mark.parametrize(("optimizer", "branch"), [("sgd", 4**-0.5), ("adam", 0.25)])
def test_output_and_branches_start_smaller(optimizer, branch):
    small, big = residual(8, 1), residual(32, 4)
    before = copy.deepcopy(big.state_dict())
    done = parametrize_(big, small, (X, Y), loss="cross_entropy", optimizer=optimizer)
    factors = {name: float((value / before[name]).flatten()[0]) for name, value in big.state_dict().items()}
    assert factors["5.weight"] == pytest.approx(0.5) and factors["5.bias"] == 1
    assert [factors[f"{block}.outer.weight"] for block in (1, 2, 3, 4)] == pytest.approx([branch] * 4)
    assert factors["0.weight"] == factors["1.inner.weight"] == 1
    assert done.multipliers == {} and set(done.rates) == set(before)
    carried = transfer(small, big, 1e-3, (X, Y), loss="cross_entropy", optimizer=optimizer)
    assert done.rates["2.inner.weight"] == pytest.approx(
        next(1e3 * p.rate for p in carried.parts if p.role == "hidden"), rel=1e-2
    )


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_one_rate_with_multipliers_trains_as_the_groups_do(kind):
    small, big = residual(8, 1).double(), residual(32, 2).double()
    x = X.double()
    other = copy.deepcopy(big)
    name = kind.__name__.lower()
    grouped = parametrize_(other, small, (x, Y), loss="cross_entropy", optimizer=name)
    scaled = parametrize_(big, small, (x, Y), loss="cross_entropy", optimizer=name, multipliers=True)
    assert torch.allclose(big(x), other(x), rtol=1e-12) and set(scaled.rates.values()) == {1.0}
    options = {} if kind is torch.optim.SGD else {"eps": 1e-30}
    optimizers = kind(big.parameters(), lr=1e-2, **options), kind(grouped.groups(other, 1e-2), **options)
    for _ in range(4):
        for model, optimizer in zip((big, other), optimizers, strict=True):
            optimizer.zero_grad()
            F.cross_entropy(model(x), Y).backward()
            optimizer.step()
    assert torch.allclose(big(x), other(x), rtol=1e-6)


def test_state_dict_brings_multipliers_back(tmp_path):
    small, big = residual(8, 1), residual(16, 2)
    parametrize_(big, small, (X, Y), multipliers=True, loss="cross_entropy", optimizer="adamw")
    train(big, torch.optim.AdamW(big.parameters(), 1e-2))
    torch.save(big.state_dict(), tmp_path / "big.pt")
    state = torch.load(tmp_path / "big.pt", weights_only=True)
    fresh = residual(16, 2)
    restore_multipliers_(fresh, state)
    fresh.load_state_dict(state)
    assert torch.equal(fresh(X), big(X))


def test_computed_weights_and_strange_states_are_refused():
    small, big = residual(8, 1), residual(16, 1)
    parametrize_(big, small, (X, Y), multipliers=True, loss="cross_entropy")
    with pytest.raises(InputError, match="plain weights"):
        parametrize_(big, small, (X, Y), loss="cross_entropy")
    with pytest.raises(InputError, match="this model's"):
        restore_multipliers_(nn.Linear(2, 2), big.state_dict())


def test_unknown_settings_are_refused_before_a_weight_changes():
    model, small = nn.Linear(4, 3), nn.Linear(4, 3)
    before = model.weight.detach().clone()
    with pytest.raises(InputError, match="got 'optimiser'"):
        parametrize_(model, small, (torch.randn(8, 4), torch.arange(8) % 3), optimiser="adam")  # pyright: ignore[reportCallIssue]
    assert torch.equal(model.weight, before)
