import json

import pytest
import torch
from typer.testing import CliRunner

from freeness import design
from freeness.advice import DesignOptions
from freeness.cli import app

MODEL = """
import torch
from torch import nn


def build():
    print("hello from the model")
    return nn.Sequential(nn.Linear(12, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 4))


def branched():
    return nn.ModuleList([nn.Linear(3, 4), nn.Linear(5, 6)])
"""


def run(*arguments: str):
    return CliRunner().invoke(app, ["design", *arguments], env={"COLUMNS": "80"})


def document(*arguments: str):
    result = run(*arguments, "--json", "-")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not strict JSON"))


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL, encoding="utf-8")
    return path


def test_it_prints_the_design_the_table_and_the_reasons():
    result = run("--depth", "101", "--activation", "hardtanh", "--isometry", "0.25", "--width", "64")
    assert result.exit_code == 0 and result.stderr == ""
    assert f"{design(101, 64, 'hardtanh', 0.25).q:.6g}" in result.stdout and "1.00125" in result.stdout  # theory.md §8
    for text in ("PyTorch default", "Xavier", "He", "this design", "Haar-orthogonal", "Start at 0.35"):
        assert text in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_holds_what_the_library_says():
    found = document("--depth", "6", "--activation", "gelu", "--width", "20,30,30,30,30,30,5", "--qhat0", "0.3")
    exact = design(6, [20, 30, 30, 30, 30, 30, 5], "gelu", None, DesignOptions(qhat0=0.3))
    assert found["q"] == pytest.approx(exact.q) and found["sigma_b"] == pytest.approx(exact.sigma_b)
    assert [layer["sigma_w"] for layer in found["layers"]] == pytest.approx([layer.sigma_w for layer in exact.layers])
    assert [row["name"] for row in found["table"]] == ["PyTorch default", "Xavier", "He", "this design"]
    assert found["table"][3]["xi"] is None  # any depth
    assert found["learning_rate"]["bound"] == pytest.approx(exact.learning_rate.bound)
    assert found["schema_version"] == 1 and found["applied"] == []


def test_rates_by_optimiser_and_parametrisation():
    plain = document("--depth", "4", "--width", "50")
    fast = document("--depth", "4", "--width", "50", "--optimizer", "momentum", "--momentum", "0.5")
    assert fast["learning_rate"]["bound"] == pytest.approx(1.5 * plain["learning_rate"]["bound"])
    layers = document("--depth", "4", "--width", "256", "--parametrisation", "mup")["learning_rate"]["layers"]
    assert layers[0]["weights"] == pytest.approx(2 * layers[1]["weights"])


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_picture_is_written(tmp_path, ending):
    path = tmp_path / f"dial.{ending}"
    result = run("--depth", "5", "--width", "20", "--out", str(path))
    assert result.exit_code == 0, result.stderr
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")


@pytest.mark.parametrize("form", ["plain", "normalised"])
def test_a_model_is_initialised_and_saved(tmp_path, model, form):
    start, numbers = tmp_path / "start.pt", tmp_path / "design.json"
    result = run(
        "--apply", f"{model}:build", "--save", str(start), "--form", form, "--json", str(numbers), "--seed", "3"
    )
    assert result.exit_code == 0, result.stderr
    assert "3 layers initialised" in result.stdout and "hello" not in result.stdout and "runs the code" in result.stderr
    assert ("2 activations exchanged" in result.stdout) == (form == "normalised")
    state = torch.load(start, weights_only=True)
    found = json.loads(numbers.read_text(encoding="utf-8"))
    assert found["widths"] == [12, 20, 20, 4] and list(state) == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
        "4.weight",
        "4.bias",
    ]
    for layer, key in zip(found["layers"], ("0", "2", "4"), strict=True):
        values = torch.linalg.svdvals(state[f"{key}.weight"])
        assert torch.allclose(values, torch.tensor(layer["sigma_w"]).expand_as(values), rtol=1e-4)
    again = tmp_path / "again.pt"
    assert run("--apply", f"{model}:build", "--save", str(again), "--form", form, "--seed", "3").exit_code == 0
    assert all(torch.equal(state[key], value) for key, value in torch.load(again, weights_only=True).items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--depth"),
        (("--depth", "0"), "whole number ≥ 1, got 0"),
        (("--depth", "9", "--activation", "relu", "--isometry", "0.2"), "leaky_relu of slope"),
        (("--depth", "9", "--weights", "gaussian", "--isometry", "0.2"), "more than 9"),
        (("--depth", "9", "--weights", "uniform"), "haar or gaussian"),
        (("--depth", "9", "--loss", "hinge"), "loss among"),
        (("--depth", "9", "--optimizer", "lion"), "not covered"),
        (("--depth", "9", "--optimizer", "adam"), "analyze"),
        (("--depth", "9", "--form", "x"), "form among"),
        (("--depth", "9", "--width", "3,a"), "separated by commas"),
        (("--depth", "9", "--width", "3,4"), "10 widths"),
        (("--depth", "9", "--out", "a.gif"), ".png"),
        (("--depth", "9", "--save", "a.pt"), "--apply and --save together"),
        (("--depth", "9", "--apply", "nothing.py:build", "--save", "a.pt"), "nothing.py"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr and "Traceback" not in result.stderr and result.stderr.count("\n") <= 2


def test_a_model_whose_layers_do_not_follow_one_another_is_refused(tmp_path, model):
    result = run("--apply", f"{model}:branched", "--save", str(tmp_path / "a.pt"))
    assert result.exit_code == 2 and "say --depth and --width" in result.stderr and not (tmp_path / "a.pt").exists()
