"""Writing files whole or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from freeness.errors import InputError


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
    temporary = _beside(path)
    try:
        if path.exists() and not path.is_file():  # /dev/null must not become a file
            path.write_bytes(content)
            return
        _put(temporary, content)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"expected a file to write, got {str(path)!r} ({error.strerror or error}); choose another one."
        ) from error
    finally:
        with suppress(OSError):  # the folder may be a file
            temporary.unlink(missing_ok=True)


def write_together(texts: Mapping[Path, str]) -> None:
    """Write several files like :func:`write_atomically`: all texts are on the disk before the first file is replaced.

    Raises:
        InputError: a directory cannot be made or written, or a directory stands where a file is to be; no file has changed.
    """
    temporaries = {path: _beside(path) for path in texts}
    path = Path()
    try:
        for path, text in texts.items():
            _put(temporaries[path], text.encode())
        for path in texts:
            _require_file(path)
        for path, temporary in temporaries.items():
            os.replace(temporary, path)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    finally:
        for temporary in temporaries.values():
            with suppress(OSError):  # the folder may be a file
                temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


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
