"""``freeness transformer``."""

import json

import pytest

from freeness.advice import design_transformer
from freeness.network import TransformerPlan
from tests.cli.called import Called

SMALL = ("--depth", "3", "--width", "32", "--heads", "2", "--tokens", "4", "--activation", "relu")


run = Called("transformer")


def test_the_answer_comes_first_and_is_the_library_s():
    result = run(*SMALL, "--causal")
    found = design_transformer(TransformerPlan(3, 32, 2, 4, causal=True, activation="relu"))
    assert result.exit_code == 0
    assert f"Multiply every branch by {found.chosen.branch:.3g}" in result.stdout.splitlines()[1]
    assert all(start.name in result.stdout for start in found.usual)
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_map_is_drawn_and_told(tmp_path):
    result = run(*SMALL, "--phases", "2", "--out", str(tmp_path / "p.png"), "--json", str(tmp_path / "p.json"))
    assert result.exit_code == 0 and (tmp_path / "p.png").stat().st_size > 5000
    told = json.loads((tmp_path / "p.json").read_text())
    assert len(told["phases"]["gradient"]) == 2 and told["starts"][0]["name"] == "this design"
    assert "Mean cosine of two tokens" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--heads", "3"), "heads that divide the width"), (("--kept", "1"), "above 1"), (("--out", "a.gif"), ".png")],
)
def test_bad_input_is_one_sentence(arguments, words):
    assert words in run.refused(*arguments)
