"""What several commands check before anything is computed: pictures and files to write, named numbers."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import typer

from freeness.cli.errors import needs_extra
from freeness.errors import InputError

_FORMATS = (".png", ".svg")

FORCE_OPTION = typer.Option("--force", help="Replace files that are there already.")


def free_folder(folder: Path, *names: str) -> Path:
    """The folder, or the first of ``folder-2``, ``folder-3``, … that holds none of these files.

    Example:
        >>> free_folder(Path("no-such-folder"), "report.html")
        PosixPath('no-such-folder')
    """
    tried = (folder if number == 1 else folder.with_name(f"{folder.name}-{number}") for number in count(1))
    return next(path for path in tried if not any((path / name).exists() for name in names))


def check_picture(out: Path | None) -> None:
    """Refuse a picture that could not be drawn before anything is computed."""
    if out is None:
        return
    if out.suffix.lower() not in _FORMATS:
        raise InputError(f"expected a picture {' or '.join(_FORMATS)}, got {out.name!r}; change the ending.")
    with needs_extra("plot"):
        from freeness.show import figure_of  # noqa: F401


def check_files(*paths: Path | str | None, force: bool = False) -> None:
    """Refuse files that could not be written, or would be replaced unasked, before anything is computed.

    Of the paths None writes nothing, and - is stdout.
    """
    given = [Path(path) for path in paths if path is not None and path != "-"]
    for index, path in enumerate(given):
        if path.is_dir() or not path.name:
            raise InputError(f"expected a file to write, got the folder {str(path)!r}; add a file name.")
        if path.is_file() and not force:
            raise InputError(f"expected a new file, got {str(path)!r}, which is there; add --force to replace it.")
        if path.resolve() in {other.resolve() for other in given[:index]}:
            raise InputError(f"expected different files to write, got {str(path)!r} twice; rename one.")
        folder = next(parent for parent in path.resolve().parents if parent.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise InputError(
                f"expected a file to write, got {str(path)!r} below {str(folder)!r}, which is closed; move it."
            )


def pair_of(text: str, option: str, example: str) -> tuple[float, float]:
    """Two numbers with a comma between them."""
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"expected two numbers for {option}, separated by a comma, got {text!r}; write {option} {example}."
        ) from None
    return first, second


def named_numbers(pairs: list[str] | None) -> dict[str, float]:
    """The numbers of ``--parameter NAME=VALUE``, by name."""
    found = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not (equals and name.strip().isidentifier()):
            raise InputError(
                f"expected --parameter NAME=VALUE with a number, got {pair!r}; write for instance negative_slope=0.2."
            )
    return found
