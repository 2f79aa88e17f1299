"""``--data FILE.py:FACTORY``: whatever the user's function returns is analysed, and one sentence says what it may return."""

import json
import shlex

import numpy as np
import pytest
from typer.testing import CliRunner

from freeness.cli.commands import app

CODE = """
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

print("loaded")
x, z, y = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)), torch.ones(16, 2), torch.arange(16) % 3

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(2, 3)

    def forward(self, x, z=None):
        return self.left(x) if z is None else self.left(x) + self.right(z)

class Needs(Two):
    def forward(self, x, z):
        return super().forward(x, z)

one = lambda: Two()
normed = lambda: nn.Sequential(nn.Linear(4, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 3))
two = lambda: Needs()
loader = lambda: DataLoader(TensorDataset(x, y), 5)
ready = DataLoader(TensorDataset(x, y), 5)
pair = lambda: (x.numpy(), y.numpy())
several = lambda: ((x, z), y)
named = lambda: {"x": x, "z": z, "labels": y}
without = lambda: {"x": x, "z": z}
drawn = lambda: (torch.randn(16, 4), y)
def moving():
    np.random.seed(3)
    return torch.zeros(16, 5), y
text = lambda: "fashion-mnist"
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    return f"{tmp_path / 'mine.py'}:"


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def document(mine, model, data, *more):
    done = run("analyze", mine + model, "--data", mine + data, "--json", *more)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("this runs the code in") == 1
    return json.loads(done.stdout)


def test_what_a_factory_returns_is_analysed_whatever_it_is(mine):
    found = {name: document(mine, "one", name) for name in ("loader", "ready", "pair")}
    assert found["loader"]["learning_rate"]["batch"] == found["ready"]["learning_rate"]["batch"] == 5
    assert found["pair"]["learning_rate"]["batch"] == 16
    assert "batches of 5" in found["loader"]["data"] and found["pair"]["data"].endswith("mine.py:pair")
    spectra = [one["fisher"]["measured"]["eigenvalues"] for one in found.values()]
    assert spectra[0] == spectra[1] == spectra[2]
    assert document(mine, "one", "loader", "--batch", "7")["learning_rate"]["batch"] == 7


def test_where_trials_are_advised_their_command_is_printed_with_the_arguments_of_this_one(mine, tmp_path):
    given = [mine + "normed", "--data", mine + "pair", "--loss", "mse", "--optimizer", "adamw", "--batch", "8"]
    done = run("analyze", *given, "--only", "rate", "--seed", "2", "--out", str(tmp_path / "report"))
    assert done.exit_code == 0, done.stderr
    assert shlex.join(["freeness", "rate", *given, "--seed", "2"]) in done.stdout.replace("\n", "")
    assert "between" in done.stdout.partition("Learning rate to start from")[2]


def test_several_inputs_by_place_and_by_name_are_the_same(mine):
    several, named = document(mine, "two", "several"), document(mine, "two", "named")
    for key in ("fisher", "jacobian"):
        np.testing.assert_allclose(*(d[key]["measured"]["eigenvalues"] for d in (several, named)), rtol=1e-6)
    assert several["targets"] == "" and several["learning_rate"]["sharpness"] == named["learning_rate"]["sharpness"]
    assert document(mine, "two", "without")["targets"].startswith("random classes")


def test_random_data_of_a_factory_are_those_of_the_seed(mine):
    first, again, other = (document(mine, "one", "drawn", "--seed", seed) for seed in ("1", "1", "2"))
    assert first["jacobian"]["measured"]["eigenvalues"] == again["jacobian"]["measured"]["eigenvalues"]
    assert first["learning_rate"]["sharpness"] != other["learning_rate"]["sharpness"]


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        ("one", "absent", "expected 'absent' in"),
        ("one", "moving", "expected inputs of 4 features"),
        ("one", "text", "expected inputs of 4 features"),
        ("two", "pair", "which takes x, z"),
        ("two", "loader", "inputs for Needs, which takes x, z"),
    ],
)
def test_what_does_not_fit_is_one_sentence(mine, model, data, words):
    done = run("analyze", mine + model, "--data", mine + data, "--json")
    assert done.exit_code == 2 and words in done.stderr.splitlines()[-1]
    assert done.stdout == "" and "Traceback" not in done.stderr


def test_two_inputs_cannot_be_drawn(mine):
    done = run("analyze", mine + "two", "--data", "gaussian")
    assert done.exit_code == 2
    assert "which takes x, z; give FILE.py:FACTORY that returns ((first, second), targets)" in done.stderr


def test_the_other_commands_take_arrays_and_batches_of_a_factory(mine):
    for data in ("pair", "loader"):
        done = run("check", mine + "one", "--data", mine + data)
        assert done.exit_code in (0, 2) and "got DataLoader" not in done.stderr
        done = run("dynamics", "--data", mine + data, "--steps", "3", "--json", "-")
        assert done.exit_code == 0 and json.loads(done.stdout)["inputs"] == 16, done.stderr
