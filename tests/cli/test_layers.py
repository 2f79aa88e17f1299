import json

from typer.testing import CliRunner

from freeness.cli import app
from freeness.torch.record.kinds import KINDS


def run(*arguments, columns="80"):
    return CliRunner().invoke(app, ["layers", *arguments], env={"COLUMNS": columns})


def test_every_kind_is_printed_with_what_covers_it():
    result = run(columns="200")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for kind in KINDS:
        line = next(line for line in lines if line.startswith(kind.name))
        assert kind.measured in line and kind.limits in line
    assert max(map(len, run().stdout.splitlines())) <= 80


def test_json_holds_the_same():
    found = json.loads(run("--json").stdout)
    assert found["schema_version"] == 1
    assert [row["name"] for row in found["operations"]] == [kind.name for kind in KINDS]
    assert "conv2d" in next(row for row in found["operations"] if row["name"] == "convolution")["calls"]
