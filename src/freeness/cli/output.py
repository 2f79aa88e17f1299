"""What all commands print with: consoles, and files beside what is printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.console import Console

from freeness.bars import progress_bar as progress_bar
from freeness.show import Picture, json_text, picture_bytes, print_answer, write_bytes

SCHEMA_VERSION = 1  # of what commands write


def stdout() -> Console:
    """Where results go: plain text unless it is a terminal; nothing in it is read as markup."""
    return Console(markup=False, highlight=False, emoji=False)


def stderr() -> Console:
    """Where progress, notes and errors go."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def of_user() -> redirect_stdout[TextIO]:
    """Where the user's code runs: what it prints is not a result."""
    return redirect_stdout(sys.stderr)


def numbers(document: dict[str, Any]) -> bytes:
    """A document as JSON, with the version of its schema in front."""
    return json_text({"schema_version": SCHEMA_VERSION} | document).encode()


class Outputs:
    """What a command writes beside what it prints: its numbers as JSON, a picture, tables; whole files or none."""

    def __init__(self, json: str | None = None) -> None:
        self._json = json
        self._files: list[tuple[str, Path, bytes]] = []

    def add(self, name: str, path: Path | None, content: Callable[[], bytes]) -> None:
        """A file that was asked for."""
        if path is not None:
            self._files.append((name, path, content()))

    def picture(self, path: Path | None, picture: Callable[[], Picture]) -> None:
        """A picture that was asked for."""
        if path is not None:
            self.add("Picture", path, lambda: picture_bytes(picture(), path.suffix.lower()[1:]))

    def give(self, document: dict[str, Any], *answers: Any) -> None:
        """Print the answers, or the document where JSON goes to stdout; write the files and say where they are."""
        told = numbers(document) if self._json is not None else b""
        if self._json not in (None, "-"):
            self._files.insert(0, ("Numbers", Path(self._json), told))
        for _, path, content in self._files:
            write_bytes(path, content)
        if self._json == "-":
            typer.echo(told.decode(), nl=False)
        else:
            for answer in answers:
                print_answer(stdout(), answer)
        console = stderr() if self._json == "-" else stdout()
        for name, path, _ in self._files:
            console.print(f"{name}: {path}", soft_wrap=True)
