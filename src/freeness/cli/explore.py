"""``freeness app``: the explorer in the browser."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from freeness.cli.command import Command
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.output import stderr, stdout


@reports_errors
def explore_command(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen at; the default is reached from this machine alone.")
    ] = "127.0.0.1",
    store: Annotated[
        list[Path] | None, typer.Option(help="Results of freeness sweep to show; may come several times.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE.py:FACTORY", help="A model that the report page may analyse; its code is run then."),
    ] = None,
    run_uploads: Annotated[
        bool,
        typer.Option(
            "--run-uploads",
            help="Let the report page take model files, and run them as you; only where nobody else uses this machine.",
        ),
    ] = False,
    run: Annotated[
        list[Path] | None,
        typer.Option(metavar="RUN.jsonl", help="The log of a training to show; may come several times."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Open the page in a browser.")] = False,
) -> None:
    """Explore phase diagrams, spectra, designs, sweeps and reports in the browser, offline.

    The page makes no request to any other machine. The state of a view is in its address, so it can be kept and
    shared.

    Example:
      freeness app --port 8080
    """
    with needs_extra("app"):
        from freeness.app import LOOPBACK, AppOptions, serve

    def started() -> None:
        stdout().print(f"Explorer: http://{host}:{port} (Ctrl-C ends it)", soft_wrap=True)
        if host != LOOPBACK:
            stderr().print(f"Note: whoever reaches {host} can use this machine through the page.", soft_wrap=True)

    _log_visits()
    serve(AppOptions(host, port, show, tuple(store or ()), tuple(model or ()), run_uploads, tuple(run or ())), started)


def _log_visits() -> None:
    """A line a visit on standard error, where it disturbs no pipe."""
    log, handler = logging.getLogger("freeness.app"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)


COMMAND = Command("app", explore_command, "Find your way", "Move sliders in the browser, offline.", 20)
