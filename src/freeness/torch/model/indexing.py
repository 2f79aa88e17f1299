"""Loops that index a tensor place by place, as scans over time do: its gradient is put together once, not place by place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from freeness.torch.model.compiled import uncompiled

_OFTEN = 4  # places of one tensor that are read before all of them are taken at once
_PLAIN = (Tensor, nn.Parameter)
_WRITTEN = "inplace"  # in what torch says of views of several places that are written to


@contextmanager
def read_at_once(model: nn.Module) -> Iterator[None]:
    """A block in which ``x[:, t]`` of a loop over t in the model's forward pass is one place of ``x.unbind(1)``.

    Values and gradients are the same. But backward each index alone makes a tensor of zeros of the size of x: time and memory
    grow with the square of the length, and with more where that is differentiated again. Where the model writes to such a place,
    or to x behind it, the block does nothing.

    Example:
        >>> class Last(nn.Module):
        ...     def forward(self, x):
        ...         return sum(x[:, t] for t in range(x.shape[1]))
        >>> x = torch.ones(2, 9, requires_grad=True)
        >>> with read_at_once(model := Last()):
        ...     total = model(x)
        >>> torch.autograd.grad(total.sum(), x)[0].sum()
        tensor(18.)
    """
    if isinstance(model, torch.jit.ScriptModule) or uncompiled(model) is not model:  # no loop of Python's
        yield
        return
    inner, own, writes = model.forward, model.__dict__.get("forward"), False

    def forward(*args: Any, **kwargs: Any) -> Any:
        nonlocal writes
        if not writes:
            try:
                with _ReadAtOnce():
                    return inner(*args, **kwargs)
            except RuntimeError as error:
                if _WRITTEN not in str(error).replace("-", ""):
                    raise
                writes = True
        return inner(*args, **kwargs)

    model.__dict__["forward"] = forward
    try:
        yield
    finally:
        del model.__dict__["forward"]
        if own is not None:
            model.__dict__["forward"] = own


class _ReadAtOnce(TorchFunctionMode):
    """Counts how often places of a tensor are read one by one."""

    def __init__(self) -> None:
        super().__init__()
        self._read: dict[tuple[int, int, int], int] = {}
        self._parts: dict[tuple[int, int, int], tuple[Tensor, ...]] = {}
        self._kept: list[Tensor] = []  # so that no other tensor gets the number of one of these

    def __torch_function__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        found = None
        if func is Tensor.__getitem__ and type(args[0]) in _PLAIN:
            found = self._place(args[0], _indexed(args[0], args[1]))
        elif func in (Tensor.select, torch.select) and len(args) == 3 and type(args[0]) in _PLAIN:
            found = self._place(*_selected(*args))
        return func(*args, **(kwargs or {})) if found is None else found

    def _place(self, x: Tensor, place: tuple[int, int] | None) -> Tensor | None:
        """One of all places along an axis; None where these are not taken at once."""
        if place is None or not x.requires_grad or not torch.is_grad_enabled():
            return None
        axis, index = place
        if not -x.shape[axis] <= index < x.shape[axis]:
            return None  # torch says what is wrong
        key = (id(x), axis, x._version)
        if key not in self._parts:
            self._read[key] = self._read.get(key, 0) + 1
            if self._read[key] == 1:
                self._kept.append(x)
            if self._read[key] < _OFTEN:
                return None
            self._parts[key] = x.unbind(axis)
        return self._parts[key][index]


def _indexed(x: Tensor, index: Any) -> tuple[int, int] | None:
    """Axis and place where an index is one whole number, and takes all of the other axes."""
    parts = index if isinstance(index, tuple) else (index,)
    places = [where for where, part in enumerate(parts) if type(part) is int]
    dots = sum(part is Ellipsis for part in parts)
    if len(places) != 1 or dots > 1 or len(parts) - dots > x.ndim:
        return None
    others = [part for where, part in enumerate(parts) if where != places[0]]
    if not all(part is Ellipsis or (isinstance(part, slice) and part == slice(None)) for part in others):
        return None
    before = parts[: places[0]]
    axis = places[0] - len(parts) if any(part is Ellipsis for part in before) else places[0]
    return axis % x.ndim, parts[places[0]]


def _selected(x: Tensor, axis: Any, index: Any) -> tuple[Tensor, tuple[int, int] | None]:
    return x, (axis % x.ndim, index) if type(axis) is int and type(index) is int and x.ndim else None
