import json

import pytest

from tests.cli.called import Called

SOURCE = """
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 120), nn.Tanh(), nn.Linear(120, 120), nn.Tanh(), nn.Linear(120, 10))

def identity():
    model = build()
    nn.init.eye_(model[3].weight)
    return model
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(SOURCE)
    return path


run = Called("check", 90)


def test_random_weights_pass_and_identity_fails(file, tmp_path):
    passed, failed = run(f"{file}:build"), run(f"{file}:identity", "--json", tmp_path / "words.json")
    assert passed.exit_code == 0 and "The weights pass" in passed.stdout
    assert failed.exit_code == 0 and "Not as random as predictions need: 3." in " ".join(failed.stdout.split())
    assert max(map(len, passed.stdout.splitlines()[2:])) <= 90  # the first two name a file and data, unbroken
    found = json.loads((tmp_path / "words.json").read_text())
    assert not found["free"] and {w["weights"] for w in found["words"] if not w["free"]} == {"3"}


def test_json_alone_on_stdout(file):
    found = json.loads(run(f"{file}:build", "--json", "-", "--all-pairs").stdout)
    assert found["schema_version"] == 1 and found["free"]
    assert [w["word"] for w in found["words"]] == ["W D° W D°", "W D° Wᵀ E°", "(W D° Wᵀ E°)²"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("missing.py:build",), "Python file"), (("{file}:build", "--sample", "100000"), "below")],
)
def test_bad_input_is_one_sentence(file, arguments, message):
    assert message in run.refused(*(a.replace("{file}", str(file)) for a in arguments))


def test_weights_of_a_file_are_tested_in_the_place_of_the_factory_s(file, tmp_path):
    torch = pytest.importorskip("torch")
    from freeness.torch import load_model

    torch.save(load_model(f"{file}:identity").state_dict(), tmp_path / "trained.pt")
    found = json.loads(run(f"{file}:build", "--weights", tmp_path / "trained.pt", "--json", "-").stdout)
    assert not found["free"] and found["weights"].endswith("trained.pt")
    torch.save({"other": torch.ones(1)}, tmp_path / "other.pt")
    result = run(f"{file}:build", "--weights", tmp_path / "other.pt")
    assert (
        result.exit_code == 2 and "with the unknown 'other'" in result.stderr and "without '1.weight'" in result.stderr
    )
