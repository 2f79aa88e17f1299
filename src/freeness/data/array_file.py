"""Arrays from files that may come from anybody: .npy, .npz, idx, and what other rooms register (.pt).

A header may lie about the size, an archive may unpack to anything: the claim is compared with the file before memory is taken.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from freeness.data.idx import read_idx
from freeness.errors import InputError, brief
from freeness.files import array_header, check_unpacked, mapped_array, ordinary_file

Reader = Callable[[Path], Mapping[str, object]]
_Kind = TypeVar("_Kind")
_NAMES = ("inputs", "targets", "test_inputs", "test_targets")


def read_arrays(path: Path | str) -> Mapping[str, object]:
    """The arrays of a file by name: ``inputs``, and where the file has them ``targets``, ``test_inputs``, ``test_targets``.

    Args:
        path: .npy (inputs alone), .npz, an idx file (with labels where a file of that name stands beside it), or an ending that
            was registered (:func:`register_reader`): .pt once :mod:`freeness.torch` is imported.

    Raises:
        InputError: no such file, one that cannot be read, one that unpacks to far more than it holds, or another ending.
    """
    file = ordinary_file(path, "a file of data")
    ending = ending_of(file)
    if ending == ".pt" and ending not in _READERS:
        raise InputError(
            f"expected .npy, .npz or idx, got {file.name!r}, which PyTorch reads; import freeness.torch first, or convert it."
        )
    if ending not in _READERS:
        raise InputError(f"expected a file ending in .npy, .npz or .pt, or an idx file, got {file.name!r}; convert it.")
    try:
        return _READERS[ending](file)
    except InputError:
        raise
    except Exception as error:  # a damaged file makes its reader raise almost anything
        raise InputError(
            f"expected a readable {ending} file, got {brief(error)} from {file.name!r}; write it again."
        ) from error


def register_reader(ending: str, reader: Reader) -> None:
    """Let :func:`read_arrays` read files of another ending, and :func:`~freeness.data.source_of` know it.

    Args:
        ending: with its point.
        reader: path → arrays by name, ``inputs`` among them. What it raises becomes one sentence.

    Example:
        >>> register_reader(".numbers", lambda path: {"inputs": np.loadtxt(path, ndmin=2)})
        >>> ending_of(Path("mine.numbers"))
        '.numbers'
    """
    _READERS[ending] = reader


def ending_of(path: Path) -> str:
    """The ending that decides who reads a file; ".idx" for the names of the MNIST family; "" if nobody knows it."""
    ending = path.suffix.lower()
    if ending in _READERS or ending == ".pt":
        return ending
    return ".idx" if "-idx" in path.name and ending in ("", ".gz") else ""


def named_arrays(found: Mapping[str, _Kind], name: str) -> dict[str, _Kind]:
    """Those among ``inputs``, ``targets``, ``test_inputs``, ``test_targets`` that are there.

    Raises:
        InputError: no ``inputs``.

    Example:
        >>> named_arrays({"inputs": 1, "notes": 2}, "data.npz")
        {'inputs': 1}
    """
    if "inputs" not in found:
        names = ", ".join(map(str, list(found)[:8])) or "none"
        raise InputError(f"expected arrays named inputs and targets in {name!r}, got {names}; rename them.")
    return {key: found[key] for key in _NAMES if key in found}


def _read_npz(path: Path) -> Mapping[str, object]:
    with path.open("rb") as file:
        if file.read(6) == b"\x93NUMPY":
            raise InputError(f"expected an archive of arrays in {path.name!r}, got one array; name the file .npy.")
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        return {name: _member(archive, info, path.name) for name, info in named_arrays(members, path.name).items()}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> np.ndarray:
    with archive.open(info) as stream:
        dtype, shape, _ = array_header(stream, info.file_size, name)
    check_unpacked(math.prod(shape), dtype.itemsize, info.compress_size, name)
    with archive.open(info) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _read_idx(path: Path) -> Mapping[str, object]:
    labels = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    found = {"inputs": read_idx(path)}
    return found | {"targets": read_idx(labels)} if labels != path and labels.is_file() else found


_READERS: dict[str, Reader] = {
    ".npy": lambda path: {"inputs": mapped_array(path)},
    ".npz": _read_npz,
    ".idx": _read_idx,
}
