import json

import pytest
from typer.testing import CliRunner

from freeness.cli import app

MODEL = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))

def optimizer(parameters):
    return torch.optim.NAdam(parameters, lr=1e-3)

def loader():
    x = torch.randn(200, 4)
    return DataLoader(TensorDataset(x, x[:, :3].argmax(1)), 10, shuffle=True)
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


def run(model, *arguments: str):
    given = ["rate", f"{model}:build", "--data", f"{model}:loader", "--steps", "40", *arguments]
    return CliRunner().invoke(app, given, env={"COLUMNS": "200"})


def test_the_rate_is_told_with_reason_trials_and_cost(model):
    result = run(model, "--optimizer", f"{model}:optimizer", "--schedule", "cosine")
    assert result.exit_code == 0, result.stderr
    assert "Learning rate" in result.stdout and "for nadam, from" in result.stdout
    assert "of 1.5 that were allowed" in result.stdout and "batches of 10, cosine" in result.stdout
    assert "at most 60 gradient evaluations" in result.stderr and "this runs the code" in result.stderr


def test_the_folder_holds_numbers_a_picture_and_trials_that_are_not_run_again(model, tmp_path):
    out = tmp_path / "found"
    first = run(model, "--out", str(out), "--json")
    assert first.exit_code == 0, first.stderr
    told = json.loads(first.stdout)
    assert told == json.loads((out / "rate.json").read_text()) and told["schema_version"] == 1
    assert told["low"] <= told["recommended"] <= told["high"] and told["cost"] <= 1.5
    assert (out / "rate.png").stat().st_size > 1000
    again = run(model, "--out", str(out))
    assert again.exit_code == 2 and "add --resume" in again.stderr
    fewer = run(model, "--out", str(out), "--resume", "--cost", "1.4")
    assert fewer.exit_code == 2 and "expected trials of" in fewer.stderr
    resumed = run(model, "--out", str(out), "--resume", "--json")
    assert json.loads(resumed.stdout) == told and "steps 1 to" not in resumed.stderr
    assert "steps 1 to" in run(model, "--out", str(out), "--force").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume"], "expected --out DIR with --resume"),
        (["--interval", "1"], "expected two numbers for --interval"),
        (["--optimizer", "newton"], "expected an optimizer among"),
        (["--schedule", "steep"], "expected a schedule among"),
        (["--cost", "0.1"], "raise cost"),
        (["--loss", "mse"], "expected"),
        (["--device", "cuda:9"], "expected a device that this machine has, got 'cuda:9'"),
        (["--device", "meta"], "expected a device that computes"),
    ],
)
def test_bad_input_is_one_sentence(model, arguments, said):
    result = run(model, *arguments)
    assert result.exit_code == 2 and said in result.stderr and "Traceback" not in result.stderr


def test_too_few_steps_are_refused_before_the_model_is_built(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text("def build():\n    raise RuntimeError('was built')\n")
    result = run(path, "--steps", "3")
    assert result.exit_code == 2 and "expected at least 45 steps for trials, got 4" in result.stderr
    assert "was built" in run(path, "--steps", "40").stderr
