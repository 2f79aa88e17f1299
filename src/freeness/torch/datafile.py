"""A user's inputs and targets from a file .npy, .npz or .pt."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from freeness.errors import InputError, brief

_KINDS = {"b": np.int64, "i": np.int64, "u": np.int64, "f": np.float64}  # of numpy's arrays, and what they become


def read_data(path: Path) -> tuple[Tensor, Tensor | None]:
    """Inputs (samples, …) in float64, and targets with as many samples, in float64 or int64, where the file has them.

    Args:
        path: .npy (inputs only), .npz (``inputs`` and ``targets``) or .pt (a tensor, a pair, or a dict with these keys).

    Raises:
        InputError: no such file, one that cannot be read, or arrays that are not finite dense real numbers of that shape.
    """
    if not path.is_file():
        raise InputError(
            f"expected data as fashion-mnist, gaussian or a file .npy, .npz, .pt, got {str(path)!r}, which does not exist."
        )
    readers = {".npy": _read_npy, ".npz": _read_npz, ".pt": _read_pt}
    if path.suffix not in readers:
        raise InputError(f"expected a file ending in .npy, .npz or .pt, got {path.name!r}; convert it.")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"expected data, got the empty file {path.name!r}; write it again.")
        found = readers[path.suffix](path)
    except InputError:
        raise
    except Exception as error:  # a damaged file makes its reader raise almost anything
        raise InputError(
            f"expected a readable {path.suffix} file, got {brief(error)} from {path.name!r}; write it again."
        ) from error
    inputs = _checked(found["inputs"], "inputs", path.name).double()
    if inputs.ndim < 2:
        raise InputError(
            f"expected inputs of shape (samples, …), got {tuple(inputs.shape)} in {path.name!r}; add a leading dimension."
        )
    return inputs, _targets(found.get("targets"), len(inputs), path.name)


def _targets(found: object, samples: int, file: str) -> Tensor | None:
    if found is None:
        return None
    targets = _checked(found, "targets", file)
    if targets.ndim == 0 or len(targets) != samples:
        raise InputError(
            f"expected targets for the {samples} inputs, got shape {tuple(targets.shape)} in {file!r}; make one a sample."
        )
    return targets.double() if targets.is_floating_point() else targets.long()


def _checked(value: object, name: str, file: str) -> Tensor:
    """A dense real tensor with elements, all finite."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc":
            raise InputError(f"expected numbers as {name} in {file!r}, got {value.dtype} entries; convert them.")
        value = torch.from_numpy(value.astype(_KINDS.get(value.dtype.kind, np.complex128)))
    if not isinstance(value, Tensor):
        raise InputError(f"expected an array as {name} in {file!r}, got {type(value).__name__}; convert it.")
    if value.layout != torch.strided or value.is_nested or value.is_quantized or value.device.type != "cpu":
        raise InputError(
            f"expected dense {name} in {file!r}, got a tensor of another layout (sparse, nested, quantized or without "
            "data); store it as a plain tensor."
        )
    if value.is_complex():
        raise InputError(
            f"expected real {name} in {file!r}, got complex numbers; pass real and imaginary parts as features."
        )
    if value.numel() == 0:
        raise InputError(
            f"expected {name} with elements in {file!r}, got shape {tuple(value.shape)}; store some samples."
        )
    if not bool(torch.isfinite(value).all()):
        raise InputError(f"expected finite {name}, got NaN or infinity in {file!r}; clean the data.")
    return value.detach()


def _read_npy(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        found = np.load(file, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise InputError(f"expected one array in {path.name!r}, got an archive of arrays; name the file .npz.")
    return {"inputs": found}


def _read_npz(path: Path) -> dict[str, object]:
    with path.open("rb") as file:  # numpy itself leaves a damaged archive open
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise InputError(f"expected an archive of arrays in {path.name!r}, got one array; name the file .npy.")
        return _named({key: archive[key] for key in archive.files}, path.name)


def load_plain(path: Path) -> object:
    """What a .pt file holds, as long as it is plain tensors in plain containers; no code of the file is run.

    Args:
        path: of the file.

    Raises:
        InputError: it holds something else, or is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own text is a page of advice, partly in escape codes
        named = re.search(r"GLOBAL (\S+)", str(error))
        got = f"an object of {named.group(1)}" if named else "something else"
        raise InputError(
            f"expected a readable .pt file of plain tensors, got {got} in {path.name!r}; write tensors by torch.save."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(
            f"expected a readable .pt file, got a damaged one in {path.name!r}; write it again by torch.save."
        ) from error


def _read_pt(path: Path) -> dict[str, object]:
    found = load_plain(path)
    if isinstance(found, Tensor):
        return {"inputs": found}
    if isinstance(found, (tuple, list)) and len(found) == 2:
        found = {"inputs": found[0], "targets": found[1]}
    if not isinstance(found, dict):
        raise InputError(
            f"expected a tensor, a pair or a dict in {path.name!r}, got {type(found).__name__}; write one of these."
        )
    return _named(found, path.name)


def _named(found: dict[str, object], file: str) -> dict[str, object]:
    if "inputs" not in found:
        names = ", ".join(map(str, list(found)[:8])) or "none"
        raise InputError(f"expected arrays named inputs and targets in {file!r}, got {names}; rename them.")
    return found
