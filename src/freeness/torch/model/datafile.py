"""What a .pt file holds, read as plain tensors: its inputs and targets for :func:`freeness.data.read_arrays`."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from freeness.data import named_arrays, register_reader
from freeness.errors import InputError
from freeness.files import check_unpacked, ordinary_file


def load_plain(path: Path) -> object:
    """What a .pt file holds, as long as it is plain tensors in plain containers; no code of the file is run.

    Raises:
        InputError: it holds something else, is damaged, or unpacks to far more than it holds.
    """
    ordinary_file(path, "a .pt file")
    try:
        if zipfile.is_zipfile(path):  # the parts are stored uncompressed by torch.save, but a file may be anybody's
            with zipfile.ZipFile(path) as archive:
                for part in archive.infolist():
                    check_unpacked(part.file_size, 1, part.compress_size, path.name)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own text is a page of advice, partly in escape codes
        named = re.search(r"GLOBAL (\S+)", str(error))
        got = f"an object of {named.group(1)}" if named else "something else"
        raise InputError(
            f"expected a readable .pt file of plain tensors, got {got} in {path.name!r}; write tensors by torch.save."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"expected a readable .pt file, got a damaged one in {path.name!r}; write it again by torch.save."
        ) from error


def _read_pt(path: Path) -> Mapping[str, object]:
    found = load_plain(path)
    if isinstance(found, Tensor):
        found = {"inputs": found}
    if isinstance(found, (tuple, list)) and len(found) == 2:
        found = {"inputs": found[0], "targets": found[1]}
    if not isinstance(found, dict):
        raise InputError(
            f"expected a tensor, a pair or a dict in {path.name!r}, got {type(found).__name__}; write one of these."
        )
    return {name: _array(value, name, path) for name, value in named_arrays(found, path.name).items()}


def _array(value: object, name: str, path: Path) -> np.ndarray:
    if not isinstance(value, Tensor):
        raise InputError(f"expected an array as {name} in {path.name!r}, got {type(value).__name__}; convert it.")
    if value.layout != torch.strided or value.is_nested or value.is_quantized or value.device.type != "cpu":
        raise InputError(
            f"expected dense {name} in {path.name!r}, got a tensor of another layout (sparse, nested, quantized or without "
            "data); store it as a plain tensor."
        )
    check_unpacked(value.numel(), value.element_size(), path.stat().st_size, path.name)  # a view may repeat one number
    value = value.detach().resolve_conj().resolve_neg()
    return (value.double() if value.is_floating_point() else value).numpy()


register_reader(".pt", _read_pt)
