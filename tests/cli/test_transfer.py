"""``freeness transfer`` as a user calls it."""

import json

import pytest

from tests.cli.called import Called

SOURCE = """
from torch import nn

def make(width):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 10))

def small():
    return make(8)

def big():
    return make(32)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(SOURCE)
    return path


run = Called("transfer", 100)


def test_the_printed_code_makes_the_optimiser(file, tmp_path):
    out = tmp_path / "transfer.json"
    sizes = ("--batch", "32", "--big-batch", "64", "--steps", "100", "400")
    result = run(f"{file}:small", f"{file}:big", "--rate", "0.01", "--optimizer", "adamw", *sizes, "--json", out)
    assert result.exit_code == 0, result.stderr
    assert "rate of the big network" in result.stdout and "# or a rate for each group" in result.stdout
    found = json.loads(out.read_text())
    assert found["interval"][0] < found["rate"] < found["interval"][1] and found["passes"] <= 15
    torch = pytest.importorskip("torch")
    from freeness.torch import load_model

    model = load_model(f"{file}:big")
    names = {"torch": torch, "model": model}
    exec(found["code"], names)
    made = names["optimizer"]
    assert isinstance(made, torch.optim.AdamW) and len(made.param_groups) == len(found["groups"])
    assert sum(len(group["params"]) for group in made.param_groups) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.py:small", "{file}:big", "--rate", "0.1"), "Python file"),
        (("{file}:small", "{file}:big", "--rate", "-1"), "rate > 0"),
        (("{file}:small", "{file}:big", "--rate", "0.1", "--optimizer", "other"), "optimizer"),
    ],
)
def test_bad_input_is_one_sentence(file, arguments, message):
    assert message in run.refused(*(argument.replace("{file}", str(file)) for argument in arguments))
