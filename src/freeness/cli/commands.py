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
from freeness.cli.help import HelpfulGroup
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
    cls=HelpfulGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# By what they are about; a line each is all that a list of commands shows.
_COMMANDS = {
    "Your own model": {
        "analyze": (analyze_command, "Does it train, how should it start, how fast may it learn?"),
        "rate": (rate_command, "Its learning rate, by short trials on your batches."),
        "transfer": (transfer_command, "Carry the rate of a small network to a big one."),
        "watch": (watch_command, "Where a running training stands."),
        "check": (check_command, "Are its weights as random as predictions need?"),
    },
    "A start for a deep network": {
        "design": (design_command, "Weights, activation and learning rate, from theory."),
        "transformer": (transformer_command, "The scale of a Transformer's branches."),
        "phase": (phase_command, "Where signals die, explode or pass."),
    },
    "Theory and experiments": {
        "law": (law_command, "Eigenvalue densities of random matrices."),
        "kernel": (kernel_command, "NNGP and tangent kernels of wide networks."),
        "dynamics": (dynamics_command, "Training curves of wide networks on data."),
        "sweep": (sweep_command, "Train over depths and rates, beside theory."),
        "interpret": (interpret_command, "See which layer of a network says what."),
    },
    "Find your way": {
        "demo": (demo_command, "All of it on bundled images, in a minute."),
        "app": (explore_command, "Move sliders in the browser, offline."),
        "docs": (docs_command, "Read a page of the documentation."),
        "layers": (layers_command, "Which operations of PyTorch theory covers."),
    },
}
for _title, _commands in _COMMANDS.items():
    for _name, (_command, _line) in _commands.items():
        app.command(_name, cls=JsonCommand, short_help=_line, rich_help_panel=_title)(_command)


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
