"""A file that a visitor hands in: kept while the page is open, if it is what is asked for."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nicegui import ui
from nicegui.events import UploadEventArguments

from freeness.app.frame import Refusals
from freeness.errors import FreenessError, InputError

MOST_BYTES = 64 * 2**20
_LONGEST = 60  # characters of a file's name
_NAME = (
    "setTimeout(() => getElement(%d)?.$el?.querySelector('input[type=file]')?.setAttribute('aria-label', '%s'), 200)"
)


_REJECTED = "(files) => emit([files[0].failedPropValidation, files[0].file.name])"


@dataclass(frozen=True)
class FileKind:
    """What a visitor may hand in: its name as in "trained weights", the endings, and what stands for it where there is none."""

    what: str
    endings: tuple[str, ...]
    none: str

    @property
    def label(self) -> str:
        """Of the input."""
        return f"{self.what[0].upper()}{self.what[1:]}, {' or '.join(self.endings)}"


class FileInput:
    """An input of one file; a refused one leaves none, and that stays said.

    ``check`` says of a file (path, shown name) what it holds.
    """

    def __init__(
        self, asked: FileKind, folder: Path, check: Callable[[Path, str], Awaitable[str]], refusals: Refusals
    ) -> None:
        self._asked, self._folder, self._check, self._refusals = asked, folder, check, refusals
        self.file: tuple[Path, str] | None = None  # and the name that is shown
        self._changed: list[Callable[[], None]] = []
        self._upload = ui.upload(
            label=asked.label,
            auto_upload=True,
            max_files=1,
            max_file_size=MOST_BYTES,
            on_upload=self._uploaded,
        )
        self._upload.on("rejected", lambda event: refusals.say(self._rejected(event.args)), js_handler=_REJECTED)
        self._upload.props(f'accept="{",".join(asked.endings)}" flat bordered').classes("w-full")
        ui.timer(0.5, self._say_name, once=True)
        self._said = ui.label(asked.none).props('role="status"').classes("quiet")
        self._button = ui.button(f"Remove the {asked.what}", color=None, on_click=self.remove).props("outline dense")
        self._button.set_visibility(False)

    def on_change(self, told: Callable[[], None]) -> None:
        """Call this whenever there is another file, or none any more."""
        self._changed.append(told)

    def remove(self) -> None:
        """Take no file."""
        self._take(None, self._asked.none)

    async def _uploaded(self, event: UploadEventArguments) -> None:
        self._upload.reset()
        self._say_name()
        name, ending = shown_name(event.file.name), Path(event.file.name).suffix
        path = self._folder / f"{secrets.token_hex(8)}{ending}"  # the name that was sent is not used
        try:
            if ending not in self._asked.endings:
                raise InputError(why_rejected(self._asked, "accept", name))
            if event.file.size() > MOST_BYTES:
                raise InputError(why_rejected(self._asked, "max-file-size", name))
            path.write_bytes(await event.file.read())
            words = await self._check(path, name)
        except FreenessError as error:
            self._refusals.say(str(error).replace(path.name, name))
            words = f"{name} was refused and no {self._asked.what} {_are(self._asked.what)} loaded. {self._asked.none}"
            self._take(None, words, refused=True)
            return
        self._refusals.say()
        self._take((path, name), words)

    def _say_name(self) -> None:
        """To screen readers: the input is drawn anew after every file, and Quasar gives it no label."""
        self._upload.client.run_javascript(_NAME % (self._upload.id, self._asked.label))

    def _take(self, file: tuple[Path, str] | None, words: str, *, refused: bool = False) -> None:
        self.file = file
        self._said.set_text(words)
        self._said.classes(replace="refused" if refused else "quiet")
        self._button.set_visibility(file is not None)
        for told in self._changed:
            told()

    def _rejected(self, told: Any) -> str:
        """What the browser refused by itself; ``told`` are the failed test and the file's name, or what else a browser sends."""
        test, name = map(str, told) if isinstance(told, list) and len(told) == 2 else ("", "")
        return why_rejected(self._asked, test, shown_name(name))


def why_rejected(asked: FileKind, test: str, name: str) -> str:
    """In one sentence why a file is not taken; ``test`` is Quasar's name of what failed.

    Example:
        >>> why_rejected(FileKind("data", (".npz", ".npy"), "none"), "accept", "cat.png")
        'expected data as .npz or .npy, got cat.png; choose such a file.'
    """
    if test == "accept":
        return f"expected {asked.what} as {' or '.join(asked.endings)}, got {name}; choose such a file."
    if test == "max-file-size":
        return (
            f"expected a file of at most {MOST_BYTES // 2**20} MB, got {name}, which is larger; choose a smaller one."
        )
    return f"expected one file for {asked.what}, got others; choose one."


def shown_name(name: str) -> str:
    """A file's name as it may stand in a sentence.

    Example:
        >>> shown_name("folder/trained.pt")
        'trained.pt'
    """
    plain = "".join(character for character in Path(name).name if character.isprintable())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def _are(what: str) -> str:
    return "are" if what.endswith("weights") else "is"
