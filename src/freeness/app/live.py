"""Answers that follow the inputs: one computation at a time, and once more if something changed meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from freeness.app.frame import Refusals
from freeness.errors import FreenessError, brief


class Live:
    """Keeps what is shown up to date; while it is not, it is greyed."""

    def __init__(self, compute: Callable[[], Awaitable[None]], panel: ui.element, refusals: Refusals) -> None:
        self._compute, self._panel, self._refusals = compute, panel, refusals
        self._wanted = self._running = False
        panel.classes(add="unanswered")  # headings wait for what they head

    async def request(self) -> None:
        """Ask for the answer to the inputs as they are now."""
        self._wanted = True
        if self._running:
            return
        self._running = True
        self._panel.classes(add="stale").props("aria-busy=true")
        try:
            while self._wanted:
                self._wanted = False
                try:
                    await self._compute()
                    self._refusals.say()
                except FreenessError as error:
                    self._refusals.say(str(error))
                    if not self._wanted:
                        return
                except (ArithmeticError, ValueError) as error:
                    self._refusals.say(
                        f"expected numbers that can be computed with, got {brief(error)}; change an input."
                    )
                    if not self._wanted:
                        return
        finally:
            self._running = False
            self._panel.props(remove="aria-busy")
        self._panel.classes(remove="stale unanswered")
