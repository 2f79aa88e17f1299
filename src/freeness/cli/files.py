"""What several commands read and write: pictures checked before anything is computed, files written atomically, named numbers."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from freeness.cli.errors import needs_extra
from freeness.errors import InputError

_FORMATS = (".png", ".svg")


def check_picture(out: Path | None) -> None:
    """Refuse a picture that could not be drawn before anything is computed."""
    if out is None:
        return
    if out.suffix.lower() not in _FORMATS:
        raise InputError(f"expected a picture {' or '.join(_FORMATS)}, got {out.name!r}; change the ending.")
    with needs_extra("plot"):
        import freeness.show.static  # noqa: F401


def check_files(*paths: Path | None) -> None:
    """Refuse files that could not be written before anything is computed."""
    given = [path for path in paths if path is not None]
    for index, path in enumerate(given):
        if path.is_dir() or not path.name:
            raise InputError(f"expected a file to write, got the folder {str(path)!r}; add a file name.")
        if path.resolve() in {other.resolve() for other in given[:index]}:
            raise InputError(f"expected different files to write, got {str(path)!r} twice; rename one.")
        folder = next(parent for parent in path.resolve().parents if parent.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise InputError(
                f"expected a file to write, got {str(path)!r} below {str(folder)!r}, which is closed; move it."
            )


def write_atomically(path: Path, content: bytes) -> None:
    """Like ``freeness.report``'s, for bytes and without the packages which that room needs."""
    if path.is_dir() or not path.name:
        raise InputError(f"expected a file to write, got the folder {str(path)!r}; add a file name.")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with _unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _unwritable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"expected a file to write, got {str(path)!r} ({error.strerror or error}); choose another one."
        ) from error


def named_numbers(pairs: list[str], option: str) -> dict[str, float]:
    """NAME=VALUE options as a dictionary.

    Args:
        pairs: as typed.
        option: its name, for messages.
    """
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not (equals and name.strip().isidentifier()):
            raise InputError(
                f"expected {option} NAME=VALUE with a number, got {pair!r}; write for instance negative_slope=0.2."
            )
    return found
