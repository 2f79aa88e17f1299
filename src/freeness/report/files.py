"""Writing files whole or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from importlib import metadata
from pathlib import Path

from freeness.errors import InputError


def require_writable(directory: Path) -> None:
    """Refuse a directory that cannot be written, or made, before long work is begun; leaves nothing behind.

    Raises:
        InputError: it or its nearest existing parent is a file or not writable.
    """
    nearest = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise _unwritable(directory, error) from error


def write_atomically(path: Path, text: str) -> Path:
    """Write ``text`` to ``path`` by a temporary file beside it: readers see the old file or the whole new one.

    Raises:
        InputError: the directory cannot be made or written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    return path


def version() -> str:
    """The installed version of freeness."""
    try:
        return metadata.version("freeness")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _unwritable(directory: Path, error: OSError) -> InputError:
    return InputError(
        f"expected a directory to write into, got {str(directory)!r} ({error.strerror or error}); choose another one."
    )
