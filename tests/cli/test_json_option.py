"""``--json`` is one option of all commands: alone or with - it goes to stdout, else into a file."""

import json

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from freeness.cli import app

MODEL = """
from torch import nn

def build():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
"""
WITH_JSON = {
    name: command
    for name, command in get_command(app).commands.items()
    if "json" in map(str, (p.name for p in command.params))
}


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def test_all_commands_that_have_it_have_the_same():
    assert {"analyze", "rate", "transfer", "watch", "layers", "law", "design", "phase"} <= set(WITH_JSON)
    options = {name: next(p for p in command.params if p.name == "json") for name, command in WITH_JSON.items()}
    assert {(option.metavar, option.is_flag) for option in options.values()} == {("[FILE|-]", False)}


@pytest.mark.parametrize("way", [("--json",), ("--json", "-"), ("--json=-",)])
def test_alone_and_with_a_dash_it_is_all_of_stdout(way):
    found = json.loads(run("law", "mp:1", "--points", "5", *way).stdout)
    assert found == json.loads(run("law", "mp:1", "--points", "5", "--json", "-").stdout)


def test_a_file_gets_what_stdout_would(tmp_path):
    path = tmp_path / "layers.json"
    done = run("layers", "--json", path)
    assert done.exit_code == 0 and f"Numbers: {path}" in done.stdout and "convolution" in done.stdout
    assert json.loads(path.read_text("utf-8")) == json.loads(run("layers", "--json").stdout)
    again = run("layers", "--json", path)
    assert again.exit_code == 2 and "--force" in again.stderr


def test_the_model_behind_it_is_no_file(tmp_path):
    model = tmp_path / "model.py"
    model.write_text(MODEL)
    asked = ("--data", "gaussian", "--only", "layers")
    before = run("analyze", "--json", f"{model}:build", *asked)
    assert before.exit_code == 0, before.stderr
    path = tmp_path / "numbers.json"
    into = run("analyze", f"{model}:build", *asked, "--json", path, "--out", tmp_path / "report")
    assert into.exit_code == 0, into.stderr
    assert f"Numbers: {path}" in into.stdout and (tmp_path / "report" / "report.html").exists()
    seen, written = json.loads(before.stdout), json.loads(path.read_text("utf-8"))
    assert seen["layers"] == written["layers"] and set(seen) == set(written)


@pytest.mark.parametrize("line", ["json = true", 'json = "-"'])
def test_a_file_of_options_may_ask_for_it(tmp_path, line):
    (tmp_path / "options.toml").write_text(line)
    (tmp_path / "model.py").write_text(MODEL)
    done = run(
        "rate",
        f"{tmp_path / 'model.py'}:build",
        "--data",
        "gaussian",
        "--steps",
        "40",
        "--config",
        tmp_path / "options.toml",
    )
    assert json.loads(done.stdout)["low"] > 0, done.stderr
