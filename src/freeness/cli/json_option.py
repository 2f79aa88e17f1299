"""``--json``, the same for every command: a file, or - for stdout; alone it means -."""

from __future__ import annotations

import re
from typing import Any

import typer

from freeness.cli.help import HelpfulCommand

STDOUT = "-"
_OPTION = "--json"
_SPEC = re.compile(r"\.py:\w+$")  # FILE.py:FACTORY, an argument of the command and no file to write

JSON_OPTION = typer.Option(
    _OPTION, metavar="[FILE|-]", help="All numbers as JSON; - or nothing prints only that.", show_default=False
)


class JsonCommand(HelpfulCommand):
    """A command whose ``--json`` may stand alone, on the command line or as ``json = true`` in a file of options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_stdout(args))


def with_stdout(args: list[str]) -> list[str]:
    """The words of a command line with a - behind a ``--json`` that stands alone.

    Example:
        >>> with_stdout(["model.py:build", "--json", "--seed", "1"])
        ['model.py:build', '--json', '-', '--seed', '1']
        >>> with_stdout(["--json", "model.py:build"]), with_stdout(["--json", "x.json"]), with_stdout(["--json"])
        (['--json', '-', 'model.py:build'], ['--json', 'x.json'], ['--json', '-'])
    """
    found: list[str] = []
    for place, word in enumerate(args):
        found.append(word)
        after = "".join(args[place + 1 : place + 2])
        alone = not after or (after.startswith("-") and after != STDOUT) or _SPEC.search(after) is not None
        if word == _OPTION and alone:
            found.append(STDOUT)
    return found
