import json

import pytest
import torch

from freeness.interpret import IdentityMLP, load_checkpoint, save_checkpoint
from tests.cli.called import Called

run = Called("interpret")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interpret")
    files = ("--out", folder / "page", "--save", folder / "net.pt", "--json", folder / "numbers.json")
    return folder, run("--depth", 4, "--images", 320, "--epochs", 1, "--show", 2, *files)


def test_page_network_and_numbers_are_written(done):
    folder, result = done
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines()[:-3])) <= 80
    found = json.loads((folder / "numbers.json").read_text())
    assert found["schema_version"] == 1 and found["method"] == "class neurons"
    assert len(found["accuracy_by_layer"]) == 4 and found["accuracy_by_layer"][-1] > 0.4
    assert found["steps"] == 10 and [state["step"] for state in found["training"]] == [0, 10]
    assert found["training"][0]["free"] is False and max(found["training"][0]["drift"]) == 0
    page = (folder / "page" / "interpretation.html").read_text(encoding="utf-8")
    assert page.count("contribution maps of some layers") == 1 and "4 layers read one by one" in page


def test_saved_network_is_read_again_with_the_same_result(done):
    folder, _ = done
    result = run("--checkpoint", folder / "net.pt", "--out", folder / "again", "--json", "-", "--show", 2)
    assert result.exit_code == 0, result.stderr
    again, first = json.loads(result.stdout), json.loads((folder / "numbers.json").read_text())
    assert again["accuracy_by_layer"] == first["accuracy_by_layer"]
    assert again["rate"] is None and again["training"] == []
    assert load_checkpoint(folder / "net.pt")[0].depth == 4


def test_other_starts_are_read_by_the_lens(tmp_path):
    result = run(
        "--start", "haar", "--depth", 3, "--images", 64, "--epochs", 1, "--out", tmp_path, "--optimizer", "sgd"
    )
    assert result.exit_code == 0, result.stderr
    assert "logit lens" in result.stdout and "Layers: change" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--depth", 1), "depth ≥ 2"),
        (("--activation", "nonsense"), "nonsense"),
        (("--start", "nonsense"), "the start"),
        (("--optimizer", "adam"), "the optimizer"),
        (("--rate", -1), "learning rate"),
        (("--images", 5000), "--data"),
        (("--data", "/nowhere"), "/nowhere"),
        (("--share", 2), "share"),
        (("--show", 5000), "images from 0 to 999"),
        (("--checkpoint", "missing.pt"), "no file"),
        (("--checkpoint", "{net}", "--save", "other.pt"), "either --checkpoint or --save"),
        (("--checkpoint", "{other}"), "784 pixels"),
        (("--save", "/nowhere/net.pt"), "existing folder"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, tmp_path):
    save_checkpoint(IdentityMLP((8, 8), 10, 3), tmp_path / "other.pt")
    named = {"{net}": tmp_path / "other.pt", "{other}": tmp_path / "other.pt"}
    result = run(*(named.get(a, a) for a in arguments), "--out", tmp_path / "page")
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr and "Traceback" not in result.stderr and "training, pass" not in result.stderr
    assert not (tmp_path / "page").exists()


def test_state_of_another_network_is_refused(tmp_path):
    torch.save(torch.nn.Linear(784, 10).state_dict(), tmp_path / "linear.pt")
    result = run("--checkpoint", tmp_path / "linear.pt", "--out", tmp_path)
    assert result.exit_code == 2 and "expected a checkpoint of an IdentityMLP" in result.stderr
