"""What every reader of files asks first: an ordinary file of a bearable size, so that nothing is allocated for a lie."""

from __future__ import annotations

import math
import os
import secrets
import tomllib
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np

from freeness.errors import InputError

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_FREE = 2**29  # bytes of float64 that any file may unpack to
_FACTOR = 50  # of its own size that a larger one may unpack to; numbers that mean something compress by less


def ordinary_file(path: Path | str, wanted: str) -> Path:
    """The path, if there is an ordinary file with content: no folder, no device such as /dev/zero."""
    found = Path(path)
    try:
        if found.is_file() and found.stat().st_size:
            return found
        if found.is_file():
            raise InputError(f"expected {wanted}, got the empty file {str(path)!r}; write it again.")
        lacks = "is a folder" if found.is_dir() else "is no ordinary file" if found.exists() else "does not exist"
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a name too long, no access, a zero byte
        lacks = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
    raise InputError(f"expected {wanted}, got {str(path)!r}, which {lacks}; check the path.")


def read_text(path: Path | str, wanted: str, most: int = 2**24) -> str:
    """The text of an ordinary file in UTF-8."""
    file = ordinary_file(path, wanted)
    if file.stat().st_size > most:
        raise InputError(f"expected {wanted} of at most {most} bytes, got {file.stat().st_size}; check the path.")
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InputError(f"expected {wanted}, got {str(path)!r} ({reason}); check the path.") from error


def read_toml(path: Path | str, wanted: str) -> dict[str, Any]:
    """The entries of an ordinary file in TOML."""
    text = read_text(path, wanted)
    try:
        told = tomllib.loads(text)
        hidden = any("\0" in text for text in _texts(told))
    except ValueError as error:  # a fault, or a number of thousands of digits
        raise InputError(f"expected {wanted}, got a fault in {str(path)!r}: {error}; correct it.") from error
    except RecursionError as error:
        raise InputError(
            f"expected {wanted}, got lists or tables too deep in one another in {str(path)!r}; unfold them."
        ) from error
    if hidden:
        raise InputError(f"expected {wanted}, got a text with a null character in {str(path)!r}; take it out.")
    return told


def _texts(value: Any) -> Iterator[str]:
    """The names and texts in what was read."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in cast("dict[str, Any]", value).items():
            yield name
            yield from _texts(part)
    elif isinstance(value, list):
        for part in cast("list[Any]", value):
            yield from _texts(part)


@contextmanager
def whole_files(*paths: Path) -> Generator[list[Path], None, None]:
    """A block that writes to other names beside the paths; at its end these files are put there, and none where it raises.

    Readers see the old file or the whole new one.
    """
    temporaries = [path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp") for path in paths]
    try:
        yield temporaries
        for temporary, path in zip(temporaries, paths, strict=True):
            os.replace(temporary, path)
    finally:
        for temporary in temporaries:
            with suppress(OSError):  # the folder may be a file
                temporary.unlink(missing_ok=True)


def check_unpacked(count: int, itemsize: int, stored: int, name: str) -> None:
    """Refuse an array that is far larger in memory than in its file, before memory is taken for it.

    Example:
        >>> check_unpacked(10**6, 8, 100, "zeros.npz")
        >>> check_unpacked(2**40, 8, 2**20, "bomb.npz")
        Traceback (most recent call last):
        ...
        freeness.errors.InputError: expected numbers in 'bomb.npz', got 1048576 stored bytes that unpack to 8796093022208; ...
    """
    if 8 * count > _FREE and count * itemsize > _FACTOR * stored:
        raise InputError(
            f"expected numbers in {name!r}, got {stored} stored bytes that unpack to {count * itemsize}; store them uncompressed."
        )


def mapped_array(path: Path) -> np.ndarray:
    """The array of a .npy file, read where it is looked at.

    Raises:
        InputError: no ordinary file, an archive of several, Python objects, or fewer bytes than its header tells.
        ValueError: another format.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/x.npy", np.eye(2))
        ...     mapped_array(Path(folder) / "x.npy").tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    file = ordinary_file(path, "a .npy file")
    if zipfile.is_zipfile(file):
        raise InputError(f"expected one array in {path.name!r}, got an archive of arrays; name the file .npz.")
    with file.open("rb") as stream:
        dtype, shape, order = array_header(stream, file.stat().st_size, path.name)
        offset = stream.tell()
    if math.prod(shape) == 0:
        return np.zeros(shape, dtype)
    return np.memmap(file, dtype=dtype, mode="r", offset=offset, shape=shape, order=order)


def array_header(stream: IO[bytes], size: int, name: str) -> tuple[np.dtype, tuple[int, ...], Literal["C", "F"]]:
    """Dtype, shape and order ("C" or "F") of numpy's format, if there are as many bytes as they need; no memory is taken.

    Raises:
        InputError: Python objects, named fields, or fewer bytes than the shape needs.
        ValueError: another format.

    Source: numpy, NEP 1 (magic string, version, a header with dtype, order and shape, then the numbers).
    """
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise InputError(f"expected numbers in {name!r}, got an array of named fields; store one array of numbers.")
    shape, fortran, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise InputError(f"expected numbers in {name!r}, got Python objects; store an array of numbers.")
    needed, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if min(shape, default=0) < 0 or needed > there:
        raise InputError(
            f"expected {needed} bytes of numbers for shape {shape} in {name!r}, got {there}; write the file again."
        )
    return dtype, shape, "F" if fortran else "C"
