"""Several targets are those of one tensor that holds them all, for every function that takes data."""

import pytest
import torch
from torch import nn

from freeness.errors import InputError
from freeness.torch import AnalyzeOptions, FindOptions, Watch, analyze, find_rate, transfer


class Heads(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.body, self.kind, self.size = nn.Linear(4, width), nn.Linear(width, 3), nn.Linear(width, 1)

    def forward(self, x):
        z = torch.tanh(self.body(x))
        return self.kind(z), self.size(z)


def both(outputs, targets):
    kinds, sizes = targets
    return nn.functional.cross_entropy(outputs[0], kinds) + nn.functional.mse_loss(outputs[1], sizes)


def named(outputs, targets):
    return both(outputs, (targets["kind"], targets["size"]))


def joined(outputs, rows):
    return both(outputs, (rows[:, 0].long(), rows[:, 1:]))


@pytest.fixture
def given():
    torch.manual_seed(0)
    x, kinds, sizes = torch.randn(32, 4), torch.arange(32) % 3, torch.randn(32, 1)
    return Heads(), x, kinds, sizes, torch.cat([kinds[:, None].float(), sizes], 1)


def test_an_analysis_has_the_curvature_of_the_joined_targets(given):
    model, x, kinds, sizes, rows = given
    options = AnalyzeOptions(only="rate", batch=8)
    found = [
        analyze(model, data, options, loss=loss).learning_rate
        for data, loss in [
            ((x, (kinds, sizes)), both),
            ((x, {"kind": kinds, "size": sizes}), named),
            ((x, rows), joined),
        ]
    ]
    assert found[0].known and len({(rate.sharpness, rate.recommended) for rate in found}) == 1


def test_trials_and_transfer_take_them_too(given):
    model, x, kinds, sizes, rows = given
    found = find_rate(model, (x, (kinds, sizes)), FindOptions(loss=both, steps=40))
    assert found.recommended == find_rate(model, (x, rows), FindOptions(loss=joined, steps=40)).recommended
    big = Heads(16)
    rates = [
        transfer(model, big, 0.1, data, loss=loss).rate
        for data, loss in [((x, (kinds, sizes)), both), ((x, rows), joined)]
    ]
    assert rates[0] == rates[1]


def test_a_watch_reads_a_loader_with_them(given):
    model, x, kinds, sizes, _ = given
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = Watch(model, optimizer, loss=both, every=1)
    loss = both(model(x), (kinds, sizes))
    loss.backward()
    optimizer.step()
    assert watch.step((x, (kinds, sizes))) == []
    assert watch.records[0].critical is not None and watch.records[0].critical > 0


def test_a_named_loss_takes_one_tensor(given):
    model, x, kinds, sizes, _ = given
    with pytest.raises(InputError, match=r"one tensor of targets, got 2; pass a function of \(outputs, targets\)"):
        analyze(model, (x, (kinds, sizes)), loss="mse")
