import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from freeness.cli import app
from freeness.meanfield import fixed_point
from freeness.network import activation
from tests.cli.called import Called

run = Called("phase")
document = run.document


def test_it_prints_the_published_point_of_the_edge_and_the_fixed_point():
    result = run("--activation", "tanh", "--at", "1.5,0.2", "--points", "5")
    assert result.exit_code == 0 and result.stderr == ""
    assert f"{np.sqrt(1.68798):.4f}" in result.stdout and "chaotic" in result.stdout  # theory.md §2, q* = 0.5
    found = fixed_point(activation("tanh"), 1.5, 0.2)
    assert f"{found.q:.6g}" in result.stdout and f"{found.xi_c:.4g}" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_holds_the_grid_and_is_what_the_library_says():
    found = document(
        "--activation", "leaky_relu", "--parameter", "negative_slope=0.5", "--points", "3", "--at", "1,0.3"
    )
    exact = fixed_point(activation("leaky_relu", negative_slope=0.5), 1.0, 0.3)
    assert found["fixed_point"]["q"] == pytest.approx(exact.q, rel=1e-12)
    assert np.shape(found["diagram"]["chi1"]) == (3, 3)
    assert found["diagram"]["q"][0][2] is None  # σ_w = 3 diverges
    assert found["edge"]["sigma_w"] == pytest.approx([np.sqrt(2 / 1.25)] * len(found["edge"]["q"]))


def test_a_divergent_point_does_not_cost_the_diagram(tmp_path):
    result = run("--activation", "relu", "--at", "2,0.1", "--points", "4", "--csv", str(tmp_path / "a.csv"))
    assert (
        result.exit_code == 0
        and "no fixed point" in result.stdout
        and "smaller sigma_w" in result.stdout.replace("\n", " ")
    )
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 16 and float(rows[0]["chi1"]) == pytest.approx(0.125) and rows[-1]["q"] == ""


def test_an_activation_without_an_edge_says_why():
    found = document("--activation", "softplus", "--points", "3")
    assert found["edge"] is None and "σ_b² < 0" in found["no_edge_because"]
    assert "No edge of chaos" in run("--activation", "softplus", "--points", "3").stdout


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_pictures_are_written(tmp_path, ending):
    path = tmp_path / f"phase.{ending}"
    result = run("--activation", "gelu", "--points", "21", "--out", str(path))
    assert result.exit_code == 0, result.stderr
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--activation", "tanhh"), "tanh"),
        (("--activation", "tanh", "--at", "1.5"), "two numbers"),
        (("--activation", "tanh", "--at", "0,0.1"), "sigma_w > 0"),
        (("--activation", "tanh", "--sigma-w", "2,1"), "LOW < HIGH"),
        (("--activation", "tanh", "--sigma-b", "nan,1"), "LOW < HIGH"),
        (("--activation", "leaky_relu", "--parameter", "negative_slope"), "NAME=VALUE"),
        (("--activation", "leaky_relu", "--parameter", "slope=2"), "parameters"),
        (("--activation", "tanh", "--out", "a.jpg"), ".png"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr and "Traceback" not in result.stderr and result.stderr.count("\n") == 1


def test_the_map_of_a_transformer_is_that_of_its_own_command():
    sizes = ("--depth", "2", "--width", "32", "--heads", "2", "--tokens", "4", "--activation", "relu", "--json", "-")
    found = document("--architecture", "transformer", "--points", "2", *sizes[:-2])
    other = CliRunner().invoke(app, ["transformer", "--phases", "2", *sizes])
    assert found["gradient"] == json.loads(other.stdout)["phases"]["gradient"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "expected --activation, got none"),
        (("--activation", "tanh", "--heads", "2"), "expected no --heads beside --architecture mlp"),
        (("--architecture", "transformer", "--at", "1,2"), "expected no --at beside --architecture transformer"),
        (("--architecture", "transformer", "--points", "42"), "at most --points 41"),
    ],
)
def test_what_does_not_count_is_refused(arguments, words):
    assert words in run.refused(*arguments)
