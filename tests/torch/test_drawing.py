"""Models that draw in their forward pass are measured at fixed draws, and nothing of the random state is used up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from typer.testing import CliRunner

from freeness import InputError
from freeness.cli.commands import app
from freeness.torch import AnalyzeOptions, analyze, batch_sharpness
from freeness.torch.model.modes import draws

GENERATOR = torch.Generator().manual_seed(0)
X = torch.rand(6, 5, generator=GENERATOR, dtype=torch.float64)


class Autoencoder(nn.Module):
    """Codes of two numbers with noise, from torch's own generator, one of the model's, or a given tensor."""

    def __init__(self, noise: Any = None, *, always: bool = True) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.encoder, self.mean, self.log_variance = nn.Linear(5, 6), nn.Linear(6, 2), nn.Linear(6, 2)
        self.decoder = nn.Linear(2, 5)
        self.noise, self.always = noise, always
        self.double()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = torch.tanh(self.encoder(x))
        mean, log_variance = self.mean(h), self.log_variance(h)
        code = mean
        if self.always or self.training:
            code = mean + self.drawn(mean) * torch.exp(log_variance / 2)
        return self.decoder(code), mean, log_variance

    def drawn(self, like: Tensor) -> Tensor:
        if isinstance(self.noise, Tensor):
            return self.noise[: len(like)]
        if isinstance(self.noise, np.random.Generator):
            return torch.from_numpy(self.noise.standard_normal(like.shape))
        return torch.randn(like.shape, generator=self.noise, dtype=like.dtype)


def bound(returned: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    """Minus the evidence's lower bound. Source: Kingma, Welling, ICLR 2014, appendix B."""
    decoded, mean, log_variance = returned
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    return functional.mse_loss(decoded, x) + 0.3 * divergence.mean()


def generators() -> list[Any]:
    return [None, torch.Generator().manual_seed(5), np.random.default_rng(5)]


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("always", [True, False])
def test_the_sharpness_is_that_of_one_draw(kind: int, always: bool) -> None:
    drawing = Autoencoder(generators()[kind])
    torch.manual_seed(0)  # as fixed draws begin
    wanted = batch_sharpness(Autoencoder(drawing.drawn(torch.zeros(6, 2).double())), X, X, bound)
    model = Autoencoder(generators()[kind], always=always)
    for _ in range(2):  # the same again: nothing was used up
        assert batch_sharpness(model, X, X, bound).value == pytest.approx(wanted.value, rel=1e-9)


def test_of_samples_that_are_there_three_times_it_is_that_of_each_once() -> None:
    model = Autoencoder(torch.zeros(18, 2).double())
    once, thrice = (batch_sharpness(model, x, x, bound).value for x in (X, X.repeat(3, 1)))
    assert thrice == pytest.approx(once, rel=1e-9)


def test_the_random_state_is_as_before_and_the_report_says_that_draws_are_fixed() -> None:
    model = Autoencoder(torch.Generator().manual_seed(5))
    torch.manual_seed(7)
    before, own = torch.get_rng_state(), model.noise.get_state()
    found = analyze(model, (X, X), AnalyzeOptions(only="rate"), loss=bound)
    assert torch.equal(before, torch.get_rng_state()) and torch.equal(own, model.noise.get_state())
    assert any("draws random numbers in its forward pass" in line for line in found.verdict.warnings)
    assert found.learning_rate.known


def test_a_model_that_draws_nothing_is_not_said_to() -> None:
    assert not draws(Autoencoder(always=False), X, False) and draws(Autoencoder(always=False), X, True)
    found = analyze(Autoencoder(torch.zeros(6, 2).double()), (X, X), AnalyzeOptions(only="rate"), loss=bound)
    assert not any("draws random numbers" in line for line in found.verdict.warnings)


class Fresh(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + float(np.random.default_rng().random())


@pytest.mark.parametrize("times", [1, 3])  # of many samples a few are run again
def test_draws_that_nobody_can_fix_are_refused(times: int) -> None:
    x = X.repeat(times, 1)
    with pytest.raises(InputError, match="expected a deterministic model"):
        batch_sharpness(Fresh(5, 5).double(), x, x, "mse")


CODE = """
import torch
from torch import nn

class Drawing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        f = self.layer(x + 0.1 * torch.randn_like(x))
        return {"values": f, "again": 2 * f}

model = Drawing
data = lambda: (torch.ones(8, 4), torch.zeros(8, 3))
def both(returned, targets):
    return (returned["values"] - targets).square().mean() + returned["again"].square().mean()
"""


def test_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    mine = tmp_path / "mine.py"
    command = ["analyze", f"{mine}:model", "--data", f"{mine}:data", "--loss", f"{mine}:both", "--only", "rate"]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["learning_rate"]["sharpness"] > 0
