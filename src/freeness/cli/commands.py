"""``freeness``: the commands put together."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from freeness.cli.analyze import analyze_command
from freeness.cli.check import check_command
from freeness.cli.demo import demo_command
from freeness.cli.design import design_command
from freeness.cli.docs import docs_command
from freeness.cli.dynamics import dynamics_command
from freeness.cli.explore import explore_command
from freeness.cli.interpret import interpret_command
from freeness.cli.json_option import JsonCommand
from freeness.cli.kernel import kernel_command
from freeness.cli.law import law_command
from freeness.cli.layers import layers_command
from freeness.cli.output import stdout
from freeness.cli.phase import phase_command
from freeness.cli.rate import rate_command
from freeness.cli.sweep import sweep_command
from freeness.cli.transfer import transfer_command
from freeness.cli.transformer import transformer_command
from freeness.cli.watch import watch_command
from freeness.version import __version__

app = typer.Typer(
    name="freeness",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = {
    "demo": demo_command,
    "analyze": analyze_command,
    "rate": rate_command,
    "check": check_command,
    "design": design_command,
    "transformer": transformer_command,
    "law": law_command,
    "phase": phase_command,
    "layers": layers_command,
    "kernel": kernel_command,
    "interpret": interpret_command,
    "dynamics": dynamics_command,
    "sweep": sweep_command,
    "docs": docs_command,
    "transfer": transfer_command,
    "watch": watch_command,
    "app": explore_command,
}
for _name, _command in _COMMANDS.items():
    app.command(_name, cls=JsonCommand)(_command)


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

    Start with "freeness demo", which needs nothing from you and takes about a minute. For your own PyTorch model:
    "freeness analyze model.py:build --data fashion-mnist", where build is a function in model.py that returns it.
    """


def main() -> None:
    """Run the command line; this is what the command ``freeness`` calls."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Greek letters shows "?" and goes on
            stream.reconfigure(errors="replace")
    app()
