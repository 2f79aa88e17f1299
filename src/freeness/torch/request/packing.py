"""A model of several inputs as a model of one tensor, so that all that reads and measures models of one input does."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.fx import Node

from freeness.errors import InputError
from freeness.torch.request.batch import Batch

_EXACT = (torch.float32, torch.float64)  # that hold whole numbers up to 2²⁴ and beyond


@dataclass(frozen=True, eq=False)
class _Slot:
    """Where an argument lies in the packed rows; one that is the same for all samples is kept as it is."""

    start: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    constant: Any = None
    whole: bool = False  # handed over in one piece of memory, which models ask of labels
    repeated: bool = False  # the constant is one row, which all samples have

    def taken(self, rows: Tensor, samples: torch.Size, alone: bool) -> Any:
        """The argument of ``samples``; ``alone``: the rows are one argument itself."""
        if self.start < 0:
            shared = self._shared(rows)
            return shared.expand(*samples, *self.shape) if self.repeated else shared
        if alone:
            return rows
        part = rows[..., self.start : self.start + math.prod(self.shape)]
        part = part.reshape(*rows.shape[:-1], *self.shape)
        part = part.contiguous() if self.whole else part
        return part.to(part.dtype if self.dtype.is_floating_point else self.dtype)

    def _shared(self, rows: Tensor) -> Any:
        """What is the same for all samples, where the rows are and in their precision."""
        if not isinstance(self.constant, Tensor):
            return self.constant
        floating = self.constant.is_floating_point() and rows.is_floating_point()
        return self.constant.to(rows.device, rows.dtype if floating else self.constant.dtype)


@dataclass(frozen=True, eq=False)
class _Layout:
    """The slots of all arguments."""

    args: tuple[_Slot, ...]
    kwargs: Mapping[str, _Slot]
    whole: bool

    @property
    def varying(self) -> list[_Slot]:
        """Those that lie in the rows."""
        return [slot for slot in (*self.args, *self.kwargs.values()) if slot.start >= 0]

    @property
    def alone(self) -> bool:
        """Whether the rows are one argument, in its own shape."""
        return len(self.varying) == 1


class _OneInput:
    """Mixed into the class of a model: its forward takes the packed rows."""

    _freeness_layout: _Layout

    def forward(self, rows: Tensor) -> Any:
        layout = self._freeness_layout
        if layout.whole and rows.is_floating_point():  # a derivative through them would be 0
            raise TypeError(f"expected whole numbers, got {rows.dtype}")
        axes = len(layout.varying[0].shape) if layout.alone else 1
        samples = rows.shape[: rows.ndim - axes]
        args = [slot.taken(rows, samples, layout.alone) for slot in layout.args]
        kwargs = {name: slot.taken(rows, samples, layout.alone) for name, slot in layout.kwargs.items()}
        return super().forward(*args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]


def packed(model: nn.Module, batch: Batch) -> tuple[nn.Module, Shaped[Tensor, "samples ..."]]:
    """The model as one of a single tensor, and that tensor: (samples, numbers of all its inputs), one row a sample.

    What is the same for all samples is no part of it: a tensor that has not one row a sample, and whole numbers with equal rows,
    such as a mask of ones or numbers of positions. Where one input is left, the tensor is that input.

    The model that is returned shares parameters, buffers and modules with the given one, under the same names; a model of one
    tensor is given back as it is. All inputs that are whole numbers stay whole; beside floating ones they are carried as these,
    and no derivative goes through them.

    Args:
        model: any module.
        batch: from :func:`~freeness.torch.batch_of`.

    Raises:
        InputError: whole numbers beside floating ones of half precision, or nothing that has one row a sample.

    Example:
        >>> from freeness.torch import batch_of
        >>> model = nn.Bilinear(2, 3, 1)
        >>> one, rows = packed(model, batch_of((torch.ones(4, 2), torch.ones(4, 3)), model))
        >>> rows.shape, torch.equal(one(rows), model(torch.ones(4, 2), torch.ones(4, 3)))
        (torch.Size([4, 5]), True)
    """
    if batch.single:
        return model, batch.args[0]
    values = [*batch.args, *batch.kwargs.values()]
    labels = [False] * len(batch.args) + [name == batch.labels or "label" in name for name in batch.kwargs]
    varying = _varying(batch, values, labels)
    rows = [value for value, varies in zip(values, varying, strict=True) if varies]
    dtype = _common(rows)
    slots, start = [], 0
    for value, label, varies in zip(values, labels, varying, strict=True):
        if not batch.has_rows(value):
            slots.append(_Slot(-1, (), torch.int64, value))
            continue
        shape = tuple(value.shape[1:])
        slots.append(
            _Slot(start, shape, value.dtype, whole=label)
            if varies
            else _Slot(-1, shape, value.dtype, value[:1].clone(), repeated=True)
        )
        start += math.prod(shape) if varies else 0
    args, named = slots[: len(batch.args)], slots[len(batch.args) :]
    layout = _Layout(tuple(args), dict(zip(batch.kwargs, named, strict=True)), not dtype.is_floating_point)
    if layout.alone:
        return _with_layout(model, layout), rows[0]
    return _with_layout(model, layout), torch.cat([value.reshape(batch.count, -1).to(dtype) for value in rows], 1)


def _varying(batch: Batch, values: list[Any], labels: list[bool]) -> list[bool]:
    """Which arguments differ from sample to sample; of one sample all but a mask of ones or zeros."""

    def held(value: Any, label: bool) -> bool:
        whole = not label and not value.is_floating_point() and not value.is_complex() and value.numel() > 0
        if not whole or value.layout is not torch.strided:
            return False
        first = value[:1] if batch.count > 1 else value.reshape(-1)[:1]
        return bool((value == first).all()) and (batch.count > 1 or int(first) in (0, 1))

    rows = [batch.has_rows(value) for value in values]
    varying = [row and not held(value, label) for value, label, row in zip(values, labels, rows, strict=True)]
    told = any(varies and not label for varies, label in zip(varying, labels, strict=True))
    return varying if told else rows


def numbers_in(model: nn.Module, rows: Shaped[Tensor, "samples ..."]) -> Tensor:
    """Those entries of inputs that are numbers: packed beside them may be tokens, steps of time and labels, which are whole.

    Example:
        >>> from freeness.torch import batch_of
        >>> class Timed(nn.Linear):
        ...     def forward(self, x, step):
        ...         return super().forward(x) * step[:, None]
        >>> numbers_in(*packed(model := Timed(2, 1), batch_of((torch.ones(3, 2), torch.full((3,), 900)), model))).max()
        tensor(1.)
    """
    layout = getattr(model, "_freeness_layout", None)
    if not rows.is_floating_point():
        return rows.new_zeros(0)
    if not isinstance(layout, _Layout) or layout.alone:
        return rows
    slots = [one for one in layout.varying if one.dtype.is_floating_point]
    parts = [rows[:, slot.start : slot.start + math.prod(slot.shape)] for slot in slots]
    return torch.cat(parts, 1) if parts else rows.new_zeros(0)


def takes_apart(node: Node) -> bool:
    """Whether a call of a graph is one of those that take packed rows apart, none of the user's.

    Example:
        >>> takes_apart(torch.fx.Graph().placeholder("x"))
        False
    """
    trace = node.meta.get("stack_trace") or ""
    return trace.rpartition('File "')[2].startswith(__file__)


def cropped(model: nn.Module, rows: Tensor, places: int, length: int) -> tuple[nn.Module, Tensor]:
    """The model and its inputs with fewer places: of every argument that has so many along its first axis, the first ones.

    Example:
        >>> cropped(nn.Identity(), torch.ones(2, 5, 3), 5, 2)[1].shape
        torch.Size([2, 2, 3])
    """
    layout = getattr(model, "_freeness_layout", None)
    if not isinstance(layout, _Layout):
        return model, rows[:, :length]
    slots, parts, start = [], [], 0
    for slot in (*layout.args, *layout.kwargs.values()):
        if slot.start < 0:
            short = slot.repeated and slot.shape[:1] == (places,)
            kept = replace(slot, constant=slot.constant[:, :length], shape=(length, *slot.shape[1:])) if short else slot
            slots.append(kept)
            continue
        part = rows.reshape(len(rows), -1)[:, slot.start : slot.start + math.prod(slot.shape)]
        part = part.reshape(len(rows), *slot.shape)
        part = part[:, :length] if slot.shape[:1] == (places,) else part
        shape = tuple(part.shape[1:])
        slots.append(replace(slot, start=start, shape=shape))
        parts.append(part)
        start += math.prod(shape)
    count, one = len(layout.args), copy.copy(model)
    named = dict(zip(layout.kwargs, slots[count:], strict=True))
    object.__setattr__(one, "_freeness_layout", _Layout(tuple(slots[:count]), named, layout.whole))
    return one, parts[0] if layout.alone else torch.cat([part.reshape(len(rows), -1) for part in parts], 1)


def _common(rows: list[Tensor]) -> torch.dtype:
    floating = {value.dtype for value in rows if value.is_floating_point()}
    if not rows:
        raise InputError("expected inputs with one row a sample, got none; put the samples first.")
    if not floating:
        return torch.int64
    dtype = floating.pop()
    if dtype not in _EXACT and any(not value.is_floating_point() for value in rows):
        raise InputError(
            f"expected float32 beside whole numbers, got {dtype}, which holds few of them; use model.float()."
        )
    return dtype


def _with_layout(model: nn.Module, layout: _Layout) -> nn.Module:
    one = as_another(model, _OneInput)
    object.__setattr__(one, "_freeness_layout", layout)
    return one


def as_another(model: nn.Module, mixin: type) -> nn.Module:
    """A shallow copy of the model, whose forward is that of ``mixin``: modules and parameters are the same, so are all names.

    Raises:
        InputError: its forward is one of the object, which the copy's class could not replace.

    Example:
        >>> class Twice:
        ...     def forward(self, x):
        ...         return 2 * super().forward(x)
        >>> model = nn.Identity()
        >>> as_another(model, Twice)(3), model(3), type(as_another(model, Twice)).__name__
        (6, 3, 'Identity')
    """
    if "forward" in vars(model):
        raise InputError(
            "expected a model whose class has its forward, got one whose forward was replaced; pass the model inside."
        )
    return _of_class(copy.copy(model), mixin)


def without_own(model: nn.Module, mixin: type) -> nn.Module:
    """As :func:`as_another`, without the hooks of the model and a forward that was replaced: those run where it runs itself.

    Example:
        >>> class Twice:
        ...     def forward(self, x):
        ...         return 2 * x
        >>> model = nn.Identity()
        >>> model.forward, hook = (lambda x: -x), model.register_forward_hook(lambda *_: 5)
        >>> without_own(model, Twice)(3), model(3)
        (6, 5)
    """
    one = copy.copy(model)
    one.__dict__.pop("forward", None)
    for name, value in list(vars(one).items()):
        if "hooks" in name and isinstance(value, dict):  # as torch names them all; a shallow copy has the same dicts
            one.__dict__[name] = type(value)()
    return _of_class(one, mixin)


def _of_class(one: nn.Module, mixin: type) -> nn.Module:
    kind = type(one)
    one.__class__ = type(kind.__name__, (mixin, kind), {"__module__": kind.__module__})
    return one
