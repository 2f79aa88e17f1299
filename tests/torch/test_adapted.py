"""Models that return several tensors: one of them is looked at, or a function of the user takes all."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from freeness.errors import InputError
from freeness.torch import AnalyzeOptions, analyze, batch_sharpness
from freeness.torch.loss.adapted import Whole
from tests.torch.models import gauss_newton

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(6, 5, generator=GENERATOR, dtype=torch.float64)
Y = torch.arange(6) % 3
Named = namedtuple("Named", "first second")


@dataclass(frozen=True)
class Record:
    logits: Tensor
    more: tuple[Tensor, int]


class Several(nn.Module):
    def __init__(self, made: Any) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body, self.head, self.second = nn.Linear(5, 6), nn.Linear(6, 3), nn.Linear(6, 2)
        self.made = made
        self.double()

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.body(x))
        return self.head(h), self.second(h)

    def forward(self, x: Tensor) -> Any:
        return self.made(*self.both(x))


FORMS: dict[str, tuple[Any, Any]] = {
    "tuple": (lambda a, b: (a, b), lambda f: (f[0], f[1])),
    "named tuple": (Named, lambda f: (f.first, f.second)),
    "dict": (lambda a, b: {"second": b, "logits": a, "switch": True}, lambda f: (f["logits"], f["second"])),
    "dataclass": (lambda a, b: Record(a, (b, 3)), lambda f: (f.logits, f.more[0])),
    "object": (lambda a, b: SimpleNamespace(logits=a, other=b), lambda f: (f.logits, f.other)),
}


def two_losses(a: Tensor, b: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(a, y) + 0.3 * (b.sum(1) - y).square().mean() + (a[:, :2] * b).square().mean()


def dense(of: Any, selected: Any) -> float:
    found = gauss_newton(Several(lambda a, b: (a, b)), lambda call: selected(*call(X)), of)
    return float(torch.linalg.eigvalsh(found)[-1])


@pytest.mark.parametrize("form", FORMS)
def test_a_function_of_all_outputs_has_the_matrix_of_all_outputs(form: str) -> None:
    made, read = FORMS[form]
    model = Several(made)
    wanted = dense(lambda f: two_losses(f[:, :3], f[:, 3:], Y), lambda a, b: torch.cat([a, b], 1))

    def loss(outputs: Any, targets: Tensor) -> Tensor:
        first, second = read(outputs)
        return two_losses(first, second, targets)

    assert batch_sharpness(model, X, Y, loss).value == pytest.approx(wanted, rel=1e-8)
    report = analyze(model, (X, Y), loss=loss)
    assert report.learning_rate.sharpness == pytest.approx(wanted, rel=1e-8)
    assert report.learning_rate.loss == "loss"
    assert report.layers
    assert report.layers.loss == pytest.approx(float(two_losses(*model.both(X), Y).detach()), rel=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_every_other_loss_takes_one_of_them(form: str) -> None:
    model = Several(FORMS[form][0])
    wanted = dense(lambda f: functional.cross_entropy(f, Y), lambda a, b: a)
    assert batch_sharpness(model, X, Y, "cross_entropy").value == pytest.approx(wanted, rel=1e-8)


def test_a_function_of_the_output_that_is_asked_for_takes_that() -> None:
    model = Several(FORMS["dict"][0])

    def loss(f: Tensor, y: Tensor) -> Tensor:
        return (f.sum(1) - y).square().mean()

    wanted = dense(lambda f: loss(f, Y), lambda a, b: b)
    found = analyze(model, (X, Y), AnalyzeOptions(output="second"), loss=loss)
    assert found.learning_rate.sharpness == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_packed_is_rebuilt(form: str) -> None:
    made, read = FORMS[form]
    whole = Whole(Several(made))
    numbers = whole(X)
    again = whole.rebuilt(2 * numbers)
    assert type(again) is type(made(X, X))
    for part, wanted in zip(read(again), Several(made).both(X), strict=True):
        torch.testing.assert_close(part, 2 * wanted)


def test_a_report_says_that_spectra_are_those_of_one_output_and_refuses_outputs_without_tensors() -> None:
    def loss(f: Any, y: Tensor) -> Tensor:
        return two_losses(f[0], f[1], y)

    only = AnalyzeOptions(only="rate")
    model = Several(lambda a, b: (a, b))
    assert any("of one output" in told for told in analyze(model, (X, Y), only, loss=loss).verdict.warnings)
    drawn = Several(
        lambda a, b: torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(logits=a),
            torch.distributions.Normal(a, b.sum(1, keepdim=True).exp().expand_as(a)),
        )
    )
    with pytest.raises(InputError, match="got MixtureSameFamily"):
        analyze(drawn, (X, X[:, 0]), only, loss=lambda d, y: -d.log_prob(y).mean())
