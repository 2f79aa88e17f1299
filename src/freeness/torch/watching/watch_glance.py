"""What a batch itself tells for some microseconds: how large its largest sample is, and whether all is finite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from freeness.torch.request.batch import Batch

_MOST = 4  # entries of a batch that are looked at


def sample_sizes(data: object) -> dict[str, float]:
    """The root mean square of the largest sample of every entry with floating numbers; NaN or infinite where one number is.

    Entries are named by their key, or "inputs" and "targets" for the first and the last of several.

    Example:
        >>> x = torch.ones(3, 4)
        >>> sample_sizes((2 * x, torch.arange(3))), sample_sizes({"x": x, "y": x[:, 0] / 0.0})
        ({'inputs': 2.0}, {'x': 1.0, 'y': inf})
    """
    found: dict[str, float] = {}
    for name, tensor in _entries(data, "inputs"):
        if len(found) < _MOST and tensor.ndim and tensor.numel():
            size, known = _largest(tensor), found.get(name, 0.0)
            found[name] = known if size <= known else size  # NaN wins
    return found


def _largest(tensor: Tensor) -> float:
    rows = tensor.detach().flatten(1) if tensor.ndim > 1 else tensor.detach()[:, None]
    if rows.dtype.itemsize < 4:
        rows = rows.float()
    return float(torch.linalg.vector_norm(rows, dim=1).max()) / rows.shape[1] ** 0.5


def _entries(data: object, name: str) -> Iterable[tuple[str, Tensor]]:
    """Floating tensors; the usual pair comes first, for every step of a training asks."""
    if isinstance(data, Tensor):
        return ((name, data),) if data.is_floating_point() else ()
    if isinstance(data, tuple | list):
        return _several(data, name)
    if isinstance(data, Batch):
        return _entries(dict(data.kwargs) | {"inputs": data.args, "targets": data.targets}, name)
    if isinstance(data, Mapping):
        return (entry for key, value in data.items() for entry in _entries(value, str(key)))
    if isinstance(data, np.ndarray) and data.dtype.kind == "f":
        return ((name, torch.from_numpy(data)),)
    return ()


def _several(data: tuple[object, ...] | list[object], name: str) -> Iterator[tuple[str, Tensor]]:
    last = len(data) - 1
    for place, value in enumerate(data):
        yield from _entries(value, "targets" if name == "inputs" and 0 < place == last else name)
