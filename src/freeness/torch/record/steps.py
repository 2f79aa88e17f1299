"""What a traced model is made of: one step a node of the record, computed by the model's own tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from freeness.network import INPUT, Operation
from freeness.torch.record.by_sample import SampleRows, at_hand
from freeness.torch.record.elementwise import PointwiseProgram, Slot
from freeness.torch.record.layout import Dims, Typing

_STRIP = 1 << 15  # entries of W that are converted at a time, about


@dataclass(frozen=True)
class Reshaped:
    """Another shape of a tensor; one size is -1, that of the axis with the samples."""

    sizes: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """x in this shape."""
        return x.reshape(self.sizes)


@dataclass(frozen=True)
class Permuted:
    """The axes of a tensor in another order."""

    axes: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """x with its axes permuted."""
        return x.permute(self.axes)


Move = Reshaped | Permuted


@dataclass(frozen=True, eq=False)
class GivenTensor:
    """A tensor beside the signals: the model's own, or computed anew whenever ``value`` is called.

    ``by_sample``: of the batch at hand, as masks are; no gradient goes through it.
    """

    value: Callable[[], Tensor]
    name: str = ""
    tensor: Tensor | None = None
    trained: bool = False
    by_sample: bool = False

    def live(self, own: Mapping[int, Tensor]) -> Tensor:
        """The tensor as a variable, or what stands in its place by its id."""
        if not isinstance(self.tensor, nn.Parameter):
            return self.value()
        return own.get(id(self.tensor), self.tensor)

    @property
    def what(self) -> str:
        """For a message."""
        if self.trained or isinstance(self.tensor, nn.Parameter):
            return f"the trained parameter {self.name!r}"
        if self.by_sample:
            return "a tensor of each sample's own"
        return f"the tensor {self.name!r}" if self.name else "a computed tensor"


@dataclass(frozen=True, eq=False)
class Read:
    """A signal that a step reads: the name of the step that gives it, how the tensor is moved on the way, and lies then."""

    name: str
    typing: Typing
    dims: Dims
    moves: tuple[Move, ...] = ()

    def canonical(self, value: Tensor) -> Tensor:
        """What is read, as (samples, channels, *positions)."""
        return self.typing.canonical(value, self.dims)

    def __call__(self, values: Mapping[str, Tensor]) -> Tensor:
        """The tensor as the step takes it."""
        found = values[self.name]
        for move in self.moves:
            found = move(found)
        return found


@dataclass(frozen=True, eq=False)
class DenseStep:
    """h = W x + b with the model's own tensors: weight (fan_out, fan_in), bias (fan_out) or None."""

    name: str
    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """W x + b over the last dimension, in the dtype and on the device of x; no whole copy of W is made for that."""
        bias = None if self.bias is None else self.bias.to(x)
        if (self.weight.dtype, self.weight.device) == (x.dtype, x.device):
            return functional.linear(x, self.weight, bias)
        found = x.new_empty(*x.shape[:-1], len(self.weight))
        height = min(max(_STRIP // self.weight.shape[1], 1), len(self.weight))
        strip = x.new_empty(height, self.weight.shape[1])
        for start in range(0, len(self.weight), height):
            rows = self.weight.detach()[start : start + height]
            found[..., start : start + height] = functional.linear(x, strip[: len(rows)].copy_(rows))
        return found if bias is None else found + bias


@dataclass(frozen=True, eq=False)
class DropoutStep:
    """The signal itself, as in eval mode, and the masks of training; ``channels``: of whole channels, on axis 1."""

    rate: float
    channels: bool

    def __call__(self, x: Tensor) -> Tensor:
        """x."""
        return x

    def mask(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """0 or 1/(1 - rate), as x or one for a channel of a sample."""
        shape = (*x.shape[:2], *(1 for _ in x.shape[2:])) if self.channels else x.shape
        kept = torch.rand(shape, generator=generator) >= self.rate
        return (kept / (1 - self.rate)).to(x).expand(x.shape)


@dataclass(frozen=True, eq=False)
class ElementwiseStep:
    """x = φ(h), elementwise; ``function`` runs the model's own operations."""

    name: str
    function: PointwiseProgram

    def __call__(self, x: Tensor) -> Tensor:
        """φ(x)."""
        return self.function(x)


@dataclass(frozen=True, eq=False)
class Calls:
    """torch's calls, one after the other: slots 0, 1, … are the signals that the step reads, then the results.

    ``weight`` and ``bias`` are the model's own tensors where the calls multiply by them, ``item`` the one that is looked at of
    several results.
    """

    calls: tuple[Call, ...]
    weight: Tensor | None = None
    bias: Tensor | None = None
    item: int | None = None

    def __call__(self, *values: Tensor) -> Tensor:
        """The last result."""
        return self.with_own(None, *values)

    def with_own(self, own: Mapping[int, Tensor] | None, *values: Tensor) -> Tensor:
        """The last result, as :meth:`Call.with_own` has each."""
        known: list[Any] = list(values)
        for call in self.calls:
            known.append(call.with_own(own, known))
        return known[-1] if self.item is None else known[-1][self.item]


@dataclass(frozen=True, eq=False)
class Call:
    """One call with slots in the place of signals; the model's tensors are taken in the dtype of the signals."""

    target: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def with_own(self, own: Mapping[int, Tensor] | None, values: Sequence[Tensor]) -> Any:
        """Its result; what it would write to is copied before.

        ``own``: in the place of the model's tensors, by their id. Then the others are variables, too, and constants for None.
        """
        dtype = next((value.dtype for value in values if value.is_floating_point()), None)

        def filled(argument: Any) -> Any:
            if isinstance(argument, Slot):
                return values[argument.index]
            if isinstance(argument, list | tuple):
                return type(argument)(filled(part) for part in argument)
            if isinstance(argument, GivenTensor):
                argument = argument.value() if own is None else argument.live(own)
            if not isinstance(argument, Tensor):
                return argument
            found = argument.detach() if own is None else argument
            return found.to(dtype) if dtype is not None and found.is_floating_point() else found

        arguments = [filled(argument) for argument in self.arguments]
        mutable = isinstance(self.target, torch._ops.OpOverload) and self.target._schema.is_mutable
        if mutable and isinstance(arguments[0], Tensor):
            arguments[0] = arguments[0].clone()
        return self.target(*arguments, **{key: filled(value) for key, value in self.options.items()})


@dataclass(frozen=True, eq=False)
class Step:
    """A node of the record: what it reads, what computes it, and the record itself, made when it is asked for.

    ``record`` is None of a call that has none; ``typing`` and ``dims`` say how the tensor that is computed lies.
    """

    name: str
    reads: tuple[Read, ...]
    compute: Callable[..., Tensor]
    record: Callable[[], Operation] | None
    typing: Typing
    dims: Dims

    @property
    def weight(self) -> Tensor | None:
        """The random matrix, where there is one."""
        return self.compute.weight if isinstance(self.compute, DenseStep | Calls) else None

    @property
    def place(self) -> tuple[int, int]:
        """Where the random matrix lies in memory, and its size: equal for a matrix and its transpose; (0, 0) without one."""
        return (0, 0) if self.weight is None else (self.weight.data_ptr(), self.weight.numel())

    @property
    def bias(self) -> Tensor | None:
        """Its bias."""
        return self.compute.bias if isinstance(self.compute, DenseStep | Calls) else None

    def canonical(self, value: Tensor) -> Tensor:
        """What it computes, as (samples, channels, *positions)."""
        return self.typing.canonical(value, self.dims)


@dataclass(frozen=True, eq=False)
class Passed:
    """A step with the tensors that it was given and the one that it computed."""

    step: Step
    given: tuple[Tensor, ...]
    value: Tensor


def run_steps(steps: Sequence[Step], x: Tensor, dtype: torch.dtype | None = None) -> Iterator[Passed]:
    """Every step with what it computes, in order; each sees only what it reads by name.

    ``dtype``: of the computation; that of ``x`` or, of tokens, of the model when left out.
    """
    values = {INPUT: x.to(dtype) if dtype is not None and x.is_floating_point() else x}
    rows = SampleRows(values[INPUT])
    left = Counter(read.name for step in steps for read in step.reads)
    for step in steps:
        given = tuple(read(values) for read in step.reads)
        with at_hand(rows):
            value = step.compute(*given)
        values[step.name] = value.to(dtype) if dtype is not None and value.is_floating_point() else value
        for read in step.reads:
            left[read.name] -= 1
            if not left[read.name]:
                values.pop(read.name, None)
        yield Passed(step, given, values[step.name])
