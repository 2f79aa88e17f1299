"""Work that runs beside the page: its progress, and a button that ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nicegui import ui

from freeness.app.worker import Worker
from freeness.errors import FreenessError


class Cancelled(FreenessError):
    """Somebody pressed the button."""


class Background:
    """One job at a time, for one page; it is ended with the page."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._task: asyncio.Task[Any] | None = None
        with ui.element("div").classes("row-of-buttons").props('role="status"') as self._row:
            self._words = ui.label("")
            self._bar = ui.linear_progress(0.0, show_value=False).style("width: 160px").props('aria-label="Progress"')
            ui.button("Cancel", color=None, on_click=self.cancel).props("outline dense")
        self._row.set_visibility(False)
        ui.context.client.on_delete(self.cancel)

    async def run(self, job: str, arguments: Mapping[str, Any]) -> Any:
        """What the job answers.

        Raises:
            Cancelled: it was ended by the button.
            FreenessError: it has no answer; a sentence why.
        """
        self.cancel()
        self._stage("waiting for its turn", 0.0)
        self._row.set_visibility(True)
        task = self._task = asyncio.create_task(self._worker.run(job, arguments, self._stage))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                task.cancel()
                raise
            raise Cancelled("Cancelled; the last answer is shown.") from None
        finally:
            if self._task is task:
                self._task = None
                self._row.set_visibility(False)

    def cancel(self) -> None:
        """End the job that is under way, if there is one."""
        if self._task is not None:
            self._task.cancel()

    def _stage(self, words: str, share: float) -> None:
        self._words.set_text(words)
        self._bar.set_value(share)
