import json
import re
import sqlite3
import tomllib
from contextlib import closing

import jsonschema
import numpy as np
import pytest

from freeness.experiments import EXAMPLE, read_specification
from tests.cli.called import Called

SPECIFICATION = """
name = "mine"
depths = [2, 3]
seeds = [0]
steps = 15
[[designs]]
name = "small"
width = 8
[rates]
values = [0.5, 1.0]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.toml").write_text(SPECIFICATION)
    return tmp_path


run = Called("sweep", 90)


def test_a_sweep_is_trained_printed_drawn_and_exported_and_a_second_call_trains_nothing(folder):
    first = run("sweep.toml", "--engine", "inline", "--out", "a.png", "--export", "a.parquet")
    assert first.exit_code == 0, first.stderr
    assert "4 cells, 0 from the store, 4 trained" in first.stdout and "[1/4] starting" in first.stderr
    assert max(map(len, first.stdout.splitlines())) <= 90
    for picture in ("thresholds", "training"):
        again = run("sweep.toml", "--engine", "inline", "--picture", picture, "--out", f"{picture}.svg")
        assert "4 cells, 4 from the store, 0 trained" in again.stdout
    assert {path.name for path in folder.iterdir() if not path.name.startswith("mine")} == {
        "sweep.toml", "a.png", "a.parquet", "thresholds.svg", "training.svg",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected a file SPEC.toml or --preset, got neither; --init SPEC.toml writes one"),
        (("sweep.toml", "--preset", "tiny"), "--preset, got both; leave one out"),
        (("none.toml",), "expected a TOML file that describes a sweep"),
        (("--preset", "best"), "expected a preset among headline, capacity, depth-law, tiny, got 'best'"),
        (("sweep.toml", "--engine", "inline", "--workers", "2"), "got inline; leave them out"),
        (("sweep.toml", "--engine", "inline", "--out", "a.gif"), "expected a picture"),
        (("sweep.toml", "--engine", "inline", "--export", "a.csv"), "expected a file .nc or .parquet"),
        (("sweep.toml", "--engine", "inline", "--store", "sweep.toml"), "damaged or foreign file"),
        (("sweep.toml", "--scheduler", "nonsense://x"), "expected a Dask scheduler"),
        (("sweep.toml", "--engine", "inline", "--device", "cuda"), "expected a device"),
        (("sweep.toml", "--engine", "inline", "--device", "toaster"), "expected a device"),
    ],
)
def test_bad_input_is_one_sentence(folder, arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr and "Traceback" not in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error")]) == 1


def test_a_sweep_s_name_leads_to_no_other_folder(folder):
    (folder / "sweep.toml").write_text((folder / "sweep.toml").read_text().replace('name = "', 'name = "../'))
    result = run("sweep.toml", "--engine", "inline")
    assert result.exit_code == 2 and "expected a name for a file beside others" in result.stderr
    assert not list(folder.parent.glob("*.sqlite"))


def test_a_sweep_that_cannot_be_finished_exits_with_3_and_the_command_that_resumes(folder, monkeypatch):
    from freeness.experiments import LostError, engines

    def lost(self, tasks):
        raise LostError("expected a running scheduler, got none.")
        yield

    monkeypatch.setattr(engines.DaskEngine, "__call__", lost)
    monkeypatch.setattr("sys.argv", ["freeness", "sweep", "sweep.toml", "--store", "my results.sqlite"])
    result = run("sweep.toml", "--store", "my results.sqlite")
    assert result.exit_code == 3
    assert "Incomplete: expected a running scheduler" in result.stderr
    assert "To go on: freeness sweep sweep.toml --store 'my results.sqlite'" in result.stderr


def test_an_interrupt_exits_with_130_and_the_command_that_resumes(folder, monkeypatch):
    from freeness.experiments import engines

    def interrupted(self, tasks):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(engines.DaskEngine, "__call__", interrupted)
    result = run("sweep.toml")
    assert result.exit_code == 130 and "finished cells are in mine.sqlite" in result.stderr


def test_the_table_that_is_printed_is_that_of_the_store(folder):
    from freeness.experiments import open_sweep

    printed = run("sweep.toml", "--engine", "inline").stdout
    best = open_sweep("mine.sqlite")["accuracy"].isel(step=-1, seed=0, design=0).max("rate_index")
    found = [float(row.split()[6]) for row in printed.splitlines() if re.match(r"\s*[23]\s", row)]
    np.testing.assert_allclose(found, best, atol=5e-4)


def test_verify_tells_damaged_rows_and_the_command_that_mends_them(folder):
    assert run("sweep.toml", "--engine", "inline").exit_code == 0
    sound = run("--store", "mine.sqlite", "--verify")
    assert sound.exit_code == 0 and "as it was written" in sound.stdout
    with closing(sqlite3.connect("mine.sqlite")) as connection, connection:
        connection.execute("UPDATE cells SET result = replace(result, '1', '2') WHERE rowid = 1")
    damaged = run("sweep.toml", "--verify")
    assert damaged.exit_code == 3
    assert damaged.stdout.count("Damaged: cells: ") == 1 and "1 damaged rows" in damaged.stderr
    assert "3 from the store, 1 trained" in run("sweep.toml", "--engine", "inline").stdout
    assert run("sweep.toml", "--verify").exit_code == 0


def test_init_writes_a_sweep_that_is_read_and_never_over_a_file(folder):
    first = run("--init", "new.toml")
    assert first.exit_code == 0 and "freeness sweep new.toml" in first.stdout
    sweep = read_specification(folder / "new.toml")
    assert sweep.loss == "cross_entropy" and [design.name for design in sweep.designs] == ["near isometry", "as it is"]
    (folder / "new.toml").write_text("mine")
    again = run("--init", "new.toml")
    assert again.exit_code == 2 and "expected a file that does not exist yet" in again.stderr
    assert (folder / "new.toml").read_text() == "mine"
    assert run("--init", "none/new.toml").exit_code == 2


def test_schema_holds_what_init_writes(folder):
    told = run("--schema")
    assert told.exit_code == 0
    jsonschema.validate(tomllib.loads(EXAMPLE), json.loads(told.stdout))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", "depths": [2], "rates": {}, "steps": 1}, json.loads(told.stdout))
