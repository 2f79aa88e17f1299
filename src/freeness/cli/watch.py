"""``freeness watch``: a run that ``freeness.torch.Watch`` logs, while it trains or afterwards."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from freeness.advice import WatchedRun, read_run
from freeness.cli.command import Command
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, check_picture
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs, stdout
from freeness.errors import InputError
from freeness.show import (
    answer_of,
    document_of,
    print_answer,
    watched_layers_picture,
    watched_rate_picture,
    write_bytes,
)


@reports_errors
def watch_command(
    log: Annotated[Path, typer.Argument(metavar="RUN.jsonl", help="What Watch(…, log=RUN.jsonl) writes.")],
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="The report as one HTML page.")] = None,
    out: Annotated[Path | None, typer.Option(help="Rate and critical rate as a picture, .png or .svg.")] = None,
    layers: Annotated[Path | None, typer.Option(help="Gradients of the layers as a picture, .png or .svg.")] = None,
    json: Annotated[str | None, JSON_OPTION] = None,
    follow: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", help="Look again so often, until Ctrl-C; pages reload too."),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Show it in the browser while it trains, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of that page.")] = 8080,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """Where a run stands: rate beside critical rate, warnings, layers.

    Your training loop writes RUN.jsonl: watch = Watch(model, optimizer, log="run.jsonl") before it, and
    watch.step(batch) after optimizer.step().

    Example:
      freeness watch run.jsonl --html run.html --follow 10
    """
    if live and (html or out or layers or json or follow is not None):
        raise InputError("expected --live with no option but --port, got more; leave it out to have files written.")
    if live:
        _shown(log, port)
        return
    if follow is not None and (out or layers or json):
        raise InputError("expected --follow with no file but --html, got more; leave it out to have them written.")
    for path in (out, layers):
        check_picture(path)
    check_files(html, out, layers, json, force=force)
    while follow is not None:
        run = read_run(log)
        stdout().clear()
        print_answer(stdout(), answer_of(run))
        if html is not None:
            write_bytes(html, _page(run, max(round(follow), 1)))
        time.sleep(follow)
    run = read_run(log)
    outputs = Outputs(json)
    outputs.picture(out, lambda: watched_rate_picture(run))
    outputs.picture(layers, lambda: watched_layers_picture(run))
    outputs.add("Report", html, lambda: _page(run, None))
    outputs.give({"log": str(log)} | document_of(run), run)


def _shown(log: Path, port: int) -> None:
    """In the browser, until the process is ended; the training may begin later."""
    with needs_extra("app"):
        from freeness.app import LOOPBACK, AppOptions, serve

    def started() -> None:
        stdout().print(f"Training: http://{LOOPBACK}:{port}/watch (Ctrl-C ends it)", soft_wrap=True)

    serve(AppOptions(port=port, runs=(log,)), started)


def _page(run: WatchedRun, refresh: int | None) -> bytes:
    with needs_extra("torch"):
        from freeness.show import render_watch
    return render_watch(run, refresh).encode()


COMMAND = Command("watch", watch_command, "Your own model", "Where a running training stands.", 40)
