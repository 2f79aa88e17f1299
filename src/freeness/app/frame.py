"""What surrounds every page: navigation, light and dark, title, and the place where refusals are said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from html import escape
from importlib import resources

from nicegui import ui

PAGES = {
    "/phase": "Phase diagram",
    "/spectra": "Spectra",
    "/design": "Design",
    "/sweeps": "Sweeps",
    "/watch": "Training",
    "/law": "Law calculator",
    "/report": "Report",
}
_THEMES = {"light": False, "dark": True}  # anything else follows the system


@contextmanager
def frame(path: str, title: str, lead: str) -> Iterator[None]:
    """A page around what is built inside the block."""
    ui.add_css(_css())
    ui.colors(primary="#0b5cad")
    theme = ui.context.client.request.cookies.get("theme", "")
    dark = ui.dark_mode(_THEMES.get(theme))
    ui.html('<a class="skip" href="#main">Skip to the page</a>', sanitize=False)
    with ui.element("header").classes("bar"):
        ui.html('<a class="name" href="/">freeness</a>', sanitize=False)
        with ui.element("nav").props('aria-label="Pages"'):
            ui.html(_links(path), sanitize=False).style("display: contents")
        button = ui.button(icon="contrast", color=None).props('flat round dense aria-label="Light or dark"')
        button.on_click(lambda: _toggle(dark))
    with ui.element("div").classes("page").props('id="main" tabindex="-1"'):
        ui.html(f"<h1>{escape(title)}</h1><p class='quiet'>{escape(lead)}</p>", sanitize=False)
        yield


def halves(label: str) -> tuple[ui.element, ui.element]:
    """The place of a page's inputs, and beside it that of what they give."""
    with ui.element("div").classes("split"):
        return ui.element("div").classes("inputs"), ui.element("section").props(f'aria-label="{label}"')


class Refusals:
    """The place where a page says what it cannot do; screen readers hear it."""

    def __init__(self, lasting: Sequence[str] = ()) -> None:
        self._lasting = tuple(lasting)
        self._place = ui.element("div").props('role="alert"')
        self.say()

    def say(self, *sentences: str) -> None:
        """Show these sentences in place of the last ones, behind those that stay."""
        if self._place.is_deleted:  # the page was closed meanwhile
            return
        self._place.clear()
        with self._place:
            for sentence in (*self._lasting, *sentences):
                ui.label(sentence).classes("refused")


def _links(current: str) -> str:
    return "".join(
        f'<a href="{path}"{" aria-current=page" if path == current else ""}>{name}</a>' for path, name in PAGES.items()
    )


async def _toggle(dark: ui.dark_mode) -> None:
    seen = dark.value
    if seen is None:  # what the system says
        seen = await ui.run_javascript("document.body.classList.contains('body--dark')", timeout=10.0)
    dark.value = not seen
    word = "dark" if dark.value else "light"
    ui.run_javascript(f"document.cookie = 'theme={word}; path=/; SameSite=Strict'")


@lru_cache(maxsize=1)
def _css() -> str:
    return resources.files("freeness.app").joinpath("frame.css").read_text(encoding="utf-8")
