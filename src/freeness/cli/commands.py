"""``freeness``: the commands put together."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from freeness.cli.command import TOPICS, Command
from freeness.cli.help import HelpfulGroup
from freeness.cli.json_option import JsonCommand
from freeness.cli.output import stdout
from freeness.folder import modules_in
from freeness.version import __version__

app = typer.Typer(
    name="freeness",
    cls=HelpfulGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_found = [getattr(module, "COMMAND", None) for module in modules_in("freeness.cli")]
COMMANDS = sorted(
    (one for one in _found if isinstance(one, Command)), key=lambda one: (TOPICS.index(one.topic), one.place)
)
"""Every command, in the order of the help: a file of this folder that has a ``COMMAND`` adds one."""

for _command in COMMANDS:
    add = app.command(_command.name, cls=JsonCommand, short_help=_command.line, rich_help_panel=_command.topic)
    add(_command.run)


def _show_version(wanted: bool) -> None:
    if wanted:
        stdout().print(f"freeness {__version__}")
        raise typer.Exit


@app.callback()
def _freeness(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Will a deep network train, how should it start, and how fast may it learn? Predicted and measured.

    Examples:
      freeness demo
      freeness analyze model.py:build --data fashion-mnist

    The demo needs nothing from you and takes about a minute. model.py is your file, build a function in it that
    returns your PyTorch model. Every command tells more by --help.
    """


def main() -> None:
    """Run the command line; this is what the command ``freeness`` calls."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Greek letters shows "?" and goes on
            stream.reconfigure(errors="replace")
    app()
