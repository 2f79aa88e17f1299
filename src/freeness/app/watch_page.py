"""Trainings under a watch, also while they go on: where the rate stands, what was said, what the layers do."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from nicegui import run, ui

from freeness.advice import WatchedRun, read_run
from freeness.app.address import Choice
from freeness.app.figure import Figure, download_buttons, pictures
from freeness.app.form import Form
from freeness.app.frame import Refusals, frame, halves
from freeness.app.live import Live
from freeness.show import Table, answer_of, parts_html, watched_layers_picture, watched_rate_picture

_PERIOD = 2.0  # seconds between looks at the log


def watch_page(logs: Mapping[str, Path]) -> None:
    """Build the page."""
    with frame("/watch", "Training", "Where a training stands: its rate beside the critical one, warnings, layers."):
        if not logs:
            ui.label(
                "No log is open. In the training loop: watch = Watch(model, optimizer, log='run.jsonl'); "
                "then freeness watch run.jsonl --live."
            )
            return
        _Page(logs)


class _Page:
    """One view of one log."""

    def __init__(self, logs: Mapping[str, Path]) -> None:
        self._logs = logs
        self._seen: tuple[object, ...] = ()
        self._form = Form("/watch", {"run": Choice(next(iter(logs)), tuple(logs))}, self._look)
        left, right = halves("Pictures")
        with left:
            self._form.choice("run", "Run")
            self._words = ui.html("", sanitize=False).props('aria-live="polite"')
        with right:
            refusals = Refusals(self._form.complaints)
            panel = ui.element("div")
            with panel:
                self._rates, self._layers = Figure(), Figure()
            download_buttons("training", pictures(self._picture), refusals.say)
            self._tables = ui.html("", sanitize=False).classes("wide").props('aria-live="polite"')
        self._live = Live(self._compute, panel, refusals)
        ui.timer(_PERIOD, self._look, immediate=True)

    def _log(self) -> tuple[str, Path]:
        name = str(self._form.values["run"])
        return name, self._logs[name]

    async def _look(self) -> None:
        """Read the log again if it has grown."""
        name, path = self._log()
        found = path.stat() if path.exists() else None
        seen = (name, None if found is None else (found.st_mtime_ns, found.st_size))
        if seen != self._seen:
            self._seen = seen
            await self._live.request()

    async def _compute(self) -> None:
        found = await run.io_bound(read_run, self._log()[1])
        if found is not None:  # as it is when the server ends meanwhile
            self._show(found)

    def _show(self, found: WatchedRun) -> None:
        self._rates.show(watched_rate_picture(found))
        self._layers.show(watched_layers_picture(found))
        answer = answer_of(found)
        shown = {True: "", False: ""}
        for section in answer.sections:
            wide = any(isinstance(part, Table) for part in section.parts)
            shown[wide] += f"<h2>{escape(section.title or answer.title)}</h2>{parts_html(section.parts)}"
        self._words.set_content(shown[False])
        self._tables.set_content(shown[True])

    async def _picture(self, kind: str) -> bytes:
        return await self._rates.exported(kind)
