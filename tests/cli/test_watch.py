import json

import pytest

from freeness.advice import StepCheck, WatchRecord, WatchWarning, head_line, line_of
from tests.cli.called import Called

run = Called("watch")


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "run.jsonl"
    events = [
        *(StepCheck(k, 0.1, 1.0, 1.0, {"fc": 1.0}) for k in (1, 2)),
        WatchRecord(2, 0.1, critical=0.05),
        WatchWarning(2, "rate", "Lower it."),
    ]
    path.write_text("\n".join([head_line(), *map(line_of, events)]), "utf-8")
    return path


def test_it_tells_where_the_run_stands(log):
    result = run(log)
    assert result.exit_code == 0, result.stderr
    assert "rate / critical rate" in result.stdout and "step 2: Lower it." in result.stdout


def test_it_writes_page_pictures_and_strict_json(log, tmp_path):
    names = ["run.html", "rate.png", "layers.svg", "run.json"]
    page, rate, layers, numbers = (tmp_path / name for name in names)
    result = run(log, "--html", page, "--out", rate, "--layers", layers, "--json", numbers)
    assert result.exit_code == 0, result.stderr
    assert page.read_text("utf-8").startswith("<!doctype html>") and rate.stat().st_size > 1000
    assert "<svg" in layers.read_text("utf-8")
    found = json.loads(numbers.read_text("utf-8"), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["schema_version"] == 1 and found["records"][0]["critical"] == 0.05


def test_another_file_is_one_sentence(tmp_path):
    (tmp_path / "x.jsonl").write_text("[1]\n", "utf-8")
    (tmp_path / "model.py").write_text("import torch\n", "utf-8")
    told = "something else"
    for path, words in ((tmp_path / "x.jsonl", told), (tmp_path / "model.py", told), (tmp_path / "none", "not exist")):
        result = run(path)
        assert result.exit_code == 2 and words in result.stderr and result.stderr.count("\n") == 1


def test_files_that_following_would_not_write_are_refused(log, tmp_path):
    result = run(log, "--follow", "1", "--json", tmp_path / "run.json")
    assert result.exit_code == 2 and "expected --follow with no file but --html" in result.stderr


def test_the_page_in_the_browser_writes_no_files(log, tmp_path):
    result = run(log, "--live", "--html", tmp_path / "run.html")
    assert result.exit_code == 2 and "expected --live with no option but --port" in result.stderr
    assert not (tmp_path / "run.html").exists()
