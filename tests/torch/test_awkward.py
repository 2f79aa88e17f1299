"""``freeness analyze`` on awkward models, as a stranger calls it: an analysis or one sentence, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from freeness.advice.analysis import Comparison
from freeness.cli import app
from freeness.errors import InputError
from freeness.laws import Empirical
from freeness.show import spectrum_table
from freeness.spectra import Measurement
from freeness.torch import AnalyzeOptions, analyze, measure_fisher, trace
from tests.torch.test_state import assert_same, picture
from tests.torch.zoo import ZOO, zoo_model

SOURCE = """
import numpy as np
import torch
from torch import nn
from tests.torch.zoo import GPT, Recurrent, Shared, ViT, resnet

class Returns(nn.Module):
    def __init__(self, returned):
        super().__init__()
        self.layer, self.returned = nn.Linear(6, 4), returned
    def forward(self, x):
        return self.returned(torch.tanh(self.layer(x)))

class Opaque(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.tanh()
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, cotangent):
        return cotangent

def perceptron():
    return nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 4))

def scaled(factor, layers=(0, 2, 4)):
    model = perceptron().double()
    with torch.no_grad():
        for layer in layers:
            model[layer].weight.mul_(factor)
    return model

def normalised():
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4)).train()

resnet_like = lambda: resnet((4, 5), blocks=1)
vit = ViT
gpt = lambda: GPT(length=8)
lstm = lambda: Recurrent(nn.LSTM(4, 5, batch_first=True), 5)
shared = Shared
mapping = lambda: Returns(lambda y: {"value": y[:, :1], "logits": y})
bfloat16 = lambda: perceptron().bfloat16()
half = lambda: perceptron().half()
nan = lambda: scaled(float("nan"))
huge = lambda: scaled(1e90)
last_huge = lambda: scaled(1e90, (4,))
tiny = lambda: scaled(1e-200)
constant = lambda: Returns(lambda y: torch.ones(len(y), 4))
opaque = lambda: Returns(Opaque.apply)
raising = lambda: Returns(lambda y: 1 / 0)
nothing = lambda: Returns(lambda y: None)
noisy = lambda: Returns(lambda y: y + float(np.random.default_rng().random()))
mixed = lambda: Returns(nn.Linear(4, 4).double())
mended = lambda: Returns(Widened())
rows = lambda: nn.Sequential(nn.Linear(6, 4), nn.Unflatten(1, (2, 2)))

class Widened(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 4).double()
    def forward(self, x):
        return self.head(x.double())
complex_numbers = lambda: perceptron().to(torch.complex64)
without_values = lambda: perceptron().to("meta")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "awkward.py"
    path.write_text(SOURCE)
    return path


def called(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["analyze", *arguments, "--data", "gaussian"], env={"COLUMNS": "200"})
    assert "Traceback" not in result.output
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.filterwarnings("ignore:Complex modules are a new feature:UserWarning")
@pytest.mark.parametrize(
    ("factory", "options", "words"),
    [
        ("resnet_like", (), "batch_norm in 1"),
        ("vit", (), "layer_norm in encoder.layers.0.norm1"),
        ("gpt", (), "8 random tokens"),
        ("lstm", (), "lstm in layer"),
        ("shared", (), "linear in layer"),
        ("mapping", (), "Learning rate to start from"),
        ("normalised", ("--training",), "takes the statistics of the batch"),
        ("normalised", ("--optimizer", "adam", "--eval"), "as training=False asks"),
        ("bfloat16", (), "Learning rate to start from"),
        ("rows", ("--loss", "mse"), "Learning rate to start from"),
        ("rows", (), "for each of 2 places"),
    ],
)
def test_awkward_models_are_analysed(file: Path, factory: str, options: tuple[str, ...], words: str) -> None:
    folder = file.parent / "out"
    code, shown, errors = called(f"{file}:{factory}", "--out", str(folder), *options)
    assert code == 0 and words in shown
    assert "[6/8] measure Fisher (memory: about " in errors
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "0 weight layers" not in report
    assert any(f"What is {part}" in report for part in ("not covered", "covered in part"))


@pytest.mark.filterwarnings("ignore:Complex modules are a new feature:UserWarning")
@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("half", "float32, float64 or bfloat16 parameters, got torch.float16"),
        ("nan", "finite parameters, got NaN or infinity in '0.weight'"),
        ("huge", "below 1e308"),
        ("last_huge", "below 1e308"),
        ("tiny", "expected weights other than 0"),
        ("raising", "got ZeroDivisionError (division by zero) on every shape tried ("),
        ("nothing", "a real floating tensor among the outputs, got no tensor"),
        ("noisy", "expected a deterministic model"),
        ("mixed", "got RuntimeError (mat1 and mat2 must have the same dtype"),
        ("mended", "parameters of one dtype, got torch.float32 and, in 'returned.head.weight', torch.float64"),
        ("complex_numbers", "got the output (torch.complex64)"),
        ("without_values", "a meta tensor in '0.weight'"),
    ],
)
def test_what_cannot_be_analysed_is_one_sentence(file: Path, factory: str, words: str) -> None:
    code, shown, errors = called(f"{file}:{factory}", "--json")
    last = errors.splitlines()[-1]
    assert code == 2 and not shown
    assert last.startswith("Error: expected ") and last.endswith(".") and words in last


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("constant", "the outputs do not depend on the parameters"),
        ("opaque", "got NotImplementedError (You must implement"),
    ],
)
def test_models_without_a_learning_rate_are_measured_and_told_why(file: Path, factory: str, words: str) -> None:
    code, shown, _ = called(f"{file}:{factory}", "--json")
    rate = json.loads(shown)["learning_rate"]
    assert code == 0 and rate["recommended"] is None
    assert rate["reason"].startswith("No learning rate: ") and words in rate["reason"]


def test_point_masses_that_are_printed_alike_are_one_row() -> None:
    values = np.array([1.0, 2.0, 2.0, 2.00001, 2.00001, 7.0])
    rows = spectrum_table(Comparison(None, Measurement(values, Empirical(values), "exact", 0.0), None)).rows
    assert [row for row in rows if row[0].startswith("share")] == [("share at 2", "–", "66.7%", "–")]


def test_the_help_names_what_an_awkward_model_needs() -> None:
    shown = CliRunner().invoke(app, ["analyze", "--help"], env={"COLUMNS": "200"}).stdout
    for option in ("--output", "--training", "--passes", "--device"):
        assert option in shown


def test_too_little_memory_is_foreseen_and_the_plan_that_is_offered_works(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = int(1.05e6 / 0.8)  # the Jacobian needs 1.28 MB in one pass, 1.01 MB in four
    monkeypatch.setattr("freeness.torch.model.memory.available_memory", lambda _: free)
    asked = (f"{file}:resnet_like", "--json", "--only", "spectra")
    code, shown, errors = called(*asked, "--passes", "1")
    last = errors.splitlines()[-1]
    assert code == 2 and not shown and "in 1 pass (" in last and "expected a plan of at most" in last
    offered = last.split("pass passes=")[1].split(",")[0]
    assert called(*asked, "--passes", offered)[0] == 0
    monkeypatch.setattr("freeness.torch.model.memory.available_memory", lambda _: 1000)
    code, shown, errors = called(*asked)
    assert code == 2 and "no plan fits" in errors.splitlines()[-1]


def test_what_does_not_fit_the_memory_is_estimated() -> None:
    layers = nn.Conv1d(2, 3, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(9, 9)
    model = nn.Sequential(*layers).double()
    inputs = torch.randn(6, 2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    stages: list[str] = []
    options = AnalyzeOptions(memory=1.0, only="spectra")
    found = analyze(model, (inputs, torch.arange(6) % 9), options, progress=lambda at: stages.append(at.stage))
    exact = measure_fisher(trace(model, inputs[:1]), inputs[0]).eigenvalues
    measured = found.fisher.measured
    assert measured is not None and "stochastic Lanczos quadrature of Θ" in measured.method
    assert measured.law.mean == pytest.approx(exact.mean(), abs=4 * measured.mean_error) and measured.mean_error > 0
    assert measured.eigenvalues[-1] == pytest.approx(exact[-1])
    assert found.jacobian.measured is not None and "JJᵀ" in found.jacobian.measured.method
    assert any(stage.startswith("measure Fisher (estimated: all of it would hold") for stage in stages)
    assert not found.learning_rate.known and "it was not asked for" in found.learning_rate.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_analysing_the_zoo_changes_nothing(name: str) -> None:
    model, x = zoo_model(name)
    generator = torch.Generator().manual_seed(1)
    if x.is_floating_point():
        inputs = torch.randn(5, *x.shape[1:], dtype=torch.float64, generator=generator)
    else:
        inputs = torch.randint(9, (5, *x.shape[1:]), generator=generator)
    before = [picture(model), [id(module) for module in model.modules()], list(model.state_dict())]
    outputs = trace(model, x).outputs
    targets = torch.randn(5, outputs, dtype=torch.float64, generator=generator)
    options = AnalyzeOptions(loss="half_squared_error", optimizer="adam")
    try:
        assert analyze(model, (inputs, targets), options).learning_rate.bound > 0
    except InputError as error:
        assert str(error).startswith("expected ")
    assert_same(before, [picture(model), [id(module) for module in model.modules()], list(model.state_dict())])
