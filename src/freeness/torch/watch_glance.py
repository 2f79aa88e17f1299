"""What a batch itself tells for some microseconds: how large its largest sample is, and whether all is finite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from freeness.torch.batch import Batch

_MOST = 4  # entries of a batch that are looked at


def sample_sizes(data: object) -> dict[str, float]:
    """The root mean square of the largest sample of every entry with floating numbers; NaN or infinite where one number is.

    Args:
        data: a batch in any form that :func:`~freeness.torch.batch_of` takes. Entries are named by their key, or "inputs" and
            "targets" for the first and the last of several.

    Example:
        >>> x = torch.ones(3, 4)
        >>> sample_sizes((2 * x, torch.arange(3))), sample_sizes({"x": x, "y": x[:, 0] / 0.0})
        ({'inputs': 2.0}, {'x': 1.0, 'y': inf})
    """
    found = [(name, tensor) for name, tensor in _entries(data) if tensor.is_floating_point() and tensor.numel()][:_MOST]
    if not found:
        return {}
    with torch.no_grad():
        sizes = [_largest(tensor) for _, tensor in found]
        values: list[float] = [float(sizes[0])] if len(sizes) == 1 else torch.stack(sizes).tolist()
    return {name: value for (name, _), value in zip(found, values, strict=True)}


def _largest(tensor: Tensor) -> Tensor:
    rows = tensor.detach().reshape(len(tensor), -1) if tensor.ndim > 1 else tensor.detach().reshape(-1, 1)
    norms = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float32 if rows.dtype.itemsize < 4 else None)
    return norms.max().float() / rows.shape[1] ** 0.5


def _entries(data: object) -> Iterator[tuple[str, Tensor]]:
    match data:
        case Batch():
            yield from _entries(dict(data.kwargs) | {"inputs": data.args, "targets": data.targets})
        case Tensor():
            yield "inputs", data
        case np.ndarray():
            if data.dtype.kind == "f":
                yield "inputs", torch.from_numpy(data)
        case Mapping():
            for key, value in data.items():
                for _, tensor in _entries(value):
                    yield str(key), tensor
        case tuple() | list():
            for place, value in enumerate(data):
                for name, tensor in _entries(value):
                    yield ("targets" if name == "inputs" and 0 < place == len(data) - 1 else name), tensor
        case _:
            pass
