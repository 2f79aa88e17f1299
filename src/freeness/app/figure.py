"""A picture on a page: what is drawn, what it says in words, and the files that can be taken away."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

from nicegui import ui

from freeness.errors import FreenessError, InputError
from freeness.show import Axis, Picture, to_plotly

_TYPES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
}
_SIZE = {"width": 960, "height": 600, "scale": 2}
_LOADED = """new Promise((done) => {
    const timer = setInterval(() => { if (getElement(%d)?.Plotly) { clearInterval(timer); done(true); } }, 50);
})"""
_PATIENCE = 20.0  # seconds for the browser to make a file of a picture
Producer = Callable[[], Awaitable[bytes]]


class Figure:
    """A plotly figure with its text alternative."""

    def __init__(self) -> None:
        self._frame = ui.element("div").props('role="img" aria-label="nothing computed yet"').classes("w-full")
        with self._frame:
            self.plot = ui.plotly(_nothing()).classes("figure")
        self._drawn = False  # by the browser, which loads its library first
        self.plot.on("plotly_afterplot", self._was_drawn, js_handler="() => emit()")

    def show(self, picture: Picture) -> None:
        """Draw this in place of what was drawn, and say its sentence."""
        self.describe(picture.sentence)
        self.plot.update_figure(to_plotly(picture))

    def describe(self, words: str) -> None:
        """Say this of the picture."""
        self._frame._props["aria-label"] = words
        self._frame.update()

    def move(self, to: tuple[float, float]) -> None:
        """Put the one point of the last trace elsewhere, without drawing the rest again."""
        assert isinstance(self.plot.figure, dict)
        point = self.plot.figure["data"][-1]
        point["x"], point["y"] = [to[0]], [to[1]]
        if self._drawn:
            self.plot.run_plot_method("restyle", {"x": [[to[0]]], "y": [[to[1]]]}, [len(self.plot.figure["data"]) - 1])
        else:
            self.plot.update()

    async def exported(self, kind: str) -> bytes:
        """The picture as the browser draws it."""
        try:
            await self.plot.client.run_javascript(_LOADED % self.plot.id, timeout=_PATIENCE)
            address = await self.plot.run_plot_method("toImage", {"format": kind} | _SIZE, timeout=_PATIENCE)
        except TimeoutError:
            raise InputError("expected a picture from the browser, got none; wait a moment and try again.") from None
        head, _, content = str(address).partition(",")
        return base64.b64decode(content) if head.endswith("base64") else unquote_to_bytes(content)

    def _was_drawn(self) -> None:
        self._drawn = True

    def set_visible(self, visible: bool) -> None:
        """Show or hide the picture."""
        self._frame.set_visibility(visible)


def pictures(produce: Callable[[str], Awaitable[bytes]]) -> dict[str, Producer]:
    """What :func:`download_buttons` takes of a picture, by what makes it in either format."""
    return {kind: partial(produce, kind) for kind in ("png", "svg")}


def _nothing() -> dict[str, Any]:
    empty = to_plotly(Picture((), Axis(), Axis()))
    for axis in ("xaxis", "yaxis"):
        empty["layout"][axis]["visible"] = False
    return empty


def download_buttons(name: str, producers: Mapping[str, Producer], refuse: Callable[[str], None]) -> None:
    """A button for each kind of file."""

    async def send(kind: str) -> None:
        try:
            content = await producers[kind]()
        except FreenessError as error:
            refuse(str(error))
            return
        ui.download.content(content, f"{name}.{kind}", _TYPES[kind])

    with ui.element("div").classes("row-of-buttons").props('role="group" aria-label="Downloads"'):
        for kind in producers:
            button = ui.button(kind.upper(), icon="download", color=None).props(
                f'outline dense aria-label="Download {kind.upper()}"'
            )
            button.on_click(partial(send, kind))
