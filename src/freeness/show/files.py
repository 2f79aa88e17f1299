"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from freeness.errors import InputError
from freeness.files import whole_files


def require_writable(directory: Path, *names: str) -> None:
    """Refuse a directory that cannot be written, or made, before long work is begun; leaves nothing behind.

    Raises:
        InputError: it or its nearest existing parent is a file or not writable, or a directory stands where a file is to be.
    """
    try:
        nearest = next(path for path in (directory, *directory.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise _unwritable(directory, error) from error
    for name in names:
        _require_file(directory / name)


def write_atomically(path: Path, text: str) -> Path:
    """Write ``text`` to ``path`` by a temporary file beside it: readers see the old file or the whole new one.

    Raises:
        InputError: the directory cannot be made or written.
    """
    write_together({path: text})
    return path


def write_bytes(path: Path, content: bytes) -> None:
    """Write the content of a file as :func:`write_atomically` writes text; into a device or a pipe it goes as it is.

    Raises:
        InputError: it cannot be written.
    """
    if path.is_dir() or not path.name:
        raise InputError(f"expected a file to write, got the folder {str(path)!r}; add a file name.")
    try:
        if path.exists() and not path.is_file():  # /dev/null must not become a file
            _put_through(path, content)
            return
        with whole_files(path) as (temporary,):
            _put(temporary, content)
    except OSError as error:
        why = "a pipe that nothing reads" if error.errno == errno.ENXIO else error.strerror or error
        raise InputError(f"expected a file to write, got {str(path)!r} ({why}); choose another one.") from error


def _put_through(path: Path, content: bytes) -> None:
    """Into a device or a pipe; one that nothing reads would be waited for without an end."""
    opened = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    os.set_blocking(opened, True)
    with os.fdopen(opened, "wb") as stream:
        stream.write(content)


def write_together(texts: Mapping[Path, str]) -> None:
    """Write several files like :func:`write_atomically`: all texts are on the disk before the first file is replaced.

    Raises:
        InputError: a directory cannot be made or written, or a directory stands where a file is to be; no file has changed.
    """
    path = Path()
    try:
        with whole_files(*texts) as temporaries:
            for path, temporary in zip(texts, temporaries, strict=True):
                _put(temporary, texts[path].encode())
            for path in texts:
                _require_file(path)
    except OSError as error:
        raise _unwritable(path.parent, error) from error


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _require_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        kind = "directory" if path.is_dir() else "device or pipe"
        raise InputError(f"expected a file to write, got the {kind} {str(path)!r}; remove it or choose another folder.")


def _unwritable(directory: Path, error: OSError) -> InputError:
    return InputError(
        f"expected a directory to write into, got {str(directory)!r} ({error.strerror or error}); choose another one."
    )
