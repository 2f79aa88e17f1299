"""A command as a user calls it."""

import json
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner, Result

from freeness.cli import app


@dataclass(frozen=True)
class Called:
    """Runs the command in a terminal of so many columns."""

    command: str
    columns: int = 80

    def __call__(self, *arguments: object, **environment: str) -> Result:
        given = [self.command, *map(str, arguments)]
        return CliRunner().invoke(app, given, env={"COLUMNS": str(self.columns)} | environment)

    def document(self, *arguments: object):
        """Its answer as strict JSON."""
        result = self(*arguments, "--json", "-")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not strict JSON"))

    def refused(self, *arguments: object) -> str:
        """The sentence with which it refuses."""
        result = self(*arguments)
        assert result.exit_code == 2 and result.stdout == "" and "Traceback" not in result.stderr
        return result.stderr
