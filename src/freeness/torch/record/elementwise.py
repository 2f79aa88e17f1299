"""Elementwise functions as torch runs them, and their translation to the table of activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._ops import OpOverload

from freeness.gaussian import ActivationFunction, Program, TorchNames, activation, entries, find_kinks, stretched

_DIGITS = 1e-6  # relative distance at which constants of a program count as those of the table: a model may round them


@dataclass(frozen=True)
class Slot:
    """The result of an earlier operation: 0 is the input, k the k-th operation."""

    index: int


@dataclass(frozen=True)
class PointwiseCall:
    """One ATen call; tensors among its arguments are slots, everything else is a constant."""

    target: OpOverload
    arguments: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name without namespace, overload and the mark of in-place variants: "relu" for aten.relu_.default."""
        return operation_name(self.target)

    @property
    def bound(self) -> dict[str, Any]:
        """Arguments by the names of the schema, defaults filled in."""
        names = [argument.name for argument in self.target._schema.arguments]
        defaults = {a.name: a.default_value for a in self.target._schema.arguments if a.has_default_value()}
        return {**defaults, **dict(zip(names, self.arguments, strict=False)), **self.options}

    def __call__(self, *values: Tensor) -> Tensor:
        """The call with tensors in the place of its slots; constant tensors are taken in their dtype."""

        def filled(argument: Any) -> Any:
            if isinstance(argument, Slot):
                return values[argument.index]
            return argument.detach().to(values[0]) if isinstance(argument, Tensor) else argument

        return self.target(*map(filled, self.arguments), **{key: filled(value) for key, value in self.options.items()})


@dataclass(frozen=True)
class PointwiseProgram:
    """An elementwise function of one tensor, as the straight-line program of ATen calls that the model runs."""

    operations: tuple[PointwiseCall, ...]
    result: Slot

    def __call__(self, h: Tensor) -> Tensor:
        """φ(h), the same shape as h; h itself is never written to."""
        values = [h]
        for operation in self.operations:
            arguments = [values[a.index] if isinstance(a, Slot) else a for a in operation.arguments]
            options = {k: values[v.index] if isinstance(v, Slot) else v for k, v in operation.options.items()}
            if operation.target._schema.is_mutable:
                arguments[0] = arguments[0].clone()
            values.append(operation.target(**_as_declared(operation.target, arguments, options, h)))
        return values[self.result.index]

    def then(self, after: PointwiseProgram) -> PointwiseProgram:
        """The composition after(self(h)) as one program."""

        def moved(value: Any) -> Any:
            if not isinstance(value, Slot):
                return value
            return self.result if value.index == 0 else Slot(value.index + len(self.operations))

        shifted = tuple(
            PointwiseCall(op.target, tuple(map(moved, op.arguments)), {k: moved(v) for k, v in op.options.items()})
            for op in after.operations
        )
        return PointwiseProgram(self.operations + shifted, moved(after.result))


def _as_declared(target: OpOverload, arguments: list[Any], options: dict[str, Any], like: Tensor) -> dict[str, Any]:
    """All arguments by name, numbers as tensors where the call declares one: ``where`` and ``maximum`` take no others."""
    declared = _declared(target)
    named = dict(zip(declared, arguments, strict=False)) | options
    real = like.dtype if like.is_floating_point() else None
    return {
        name: torch.tensor(one, dtype=real if isinstance(one, float) else None, device=like.device)
        if isinstance(one, int | float) and declared[name]
        else one
        for name, one in named.items()
    }


@cache
def _declared(target: OpOverload) -> dict[str, bool]:
    """The names of the arguments of a call, and which of them are tensors."""
    return {a.name: str(a.type) in ("Tensor", "Optional[Tensor]") for a in target._schema.arguments}


def operation_name(target: OpOverload) -> str:
    """The name without namespace, overload and in-place mark: ``relu`` for aten.relu_.default."""
    return target._schema.name.split("::")[-1].rstrip("_")


def is_elementwise(target: OpOverload) -> bool:
    """Whether torch declares the call pointwise (or it is one of the few without the tag) and deterministic."""
    pointwise = torch.Tag.pointwise in target.tags or operation_name(target) in _UNTAGGED
    return pointwise and torch.Tag.nondeterministic_seeded not in target.tags


def activation_function(expression: PointwiseProgram) -> ActivationFunction:
    """The entry of the activation table that computes ``expression``, or a record that runs it through torch.

    A function that is not in the table keeps the kinks that :func:`~freeness.gaussian.find_kinks` sees.

    Example:
        >>> relu = PointwiseProgram((PointwiseCall(torch.ops.aten.relu.default, (Slot(0),)),), Slot(1))
        >>> activation_function(relu).name
        'relu'
    """
    known = _entry(expression) or _stretched(expression)
    if known is not None:
        return known
    function, slope = TorchFunction(expression), TorchDerivative(expression)
    name = "∘".join(operation.name for operation in reversed(expression.operations))
    return ActivationFunction(name, function, slope, kinks=find_kinks(function))


def _entry(expression: PointwiseProgram) -> ActivationFunction | None:
    for entry in entries():
        parameters = _read(entry.torch, expression)
        if parameters is not None:
            return activation(entry.name, **parameters)
    return None


def _stretched(expression: PointwiseProgram) -> ActivationFunction | None:
    """φ of a multiple of x, where the means of φ are known in closed form."""
    first, *rest = expression.operations or (None,)
    if first is None or first.name != "mul" or not rest or first.options:
        return None
    factors = [one for one in first.arguments if isinstance(one, int | float) and not isinstance(one, bool)]
    used = [one for call in rest for one in (*call.arguments, *call.options.values()) if isinstance(one, Slot)]
    if len(factors) != 1 or any(one.index == 0 for one in used):
        return None

    def moved(value: Any) -> Any:
        return Slot(value.index - 1) if isinstance(value, Slot) else value

    calls = tuple(
        PointwiseCall(call.target, tuple(map(moved, call.arguments)), {k: moved(v) for k, v in call.options.items()})
        for call in rest
    )
    inner = _entry(PointwiseProgram(calls, moved(expression.result)))
    return None if inner is None else stretched(inner, float(factors[0]))


def _read(names: TorchNames, expression: PointwiseProgram) -> dict[str, float] | None:
    """The parameters with which an entry of the table computes the expression; None where it does not."""
    operations = expression.operations
    if len(operations) == 1 and operations[0].name in names.calls:
        return names.calls[operations[0].name](operations[0].bound)
    same = len(operations) == len(names.program) and expression.result.index == len(operations)
    return {} if same and operations and all(map(_is_call, operations, names.program)) else None


def _is_call(operation: PointwiseCall, call: tuple[str | float, ...]) -> bool:
    name, *wanted = call
    found = [_value_name(argument) for argument in operation.arguments]
    return (
        operation.name == name
        and not operation.options
        and len(found) == len(wanted)
        and all(
            math.isclose(a, b, rel_tol=_DIGITS) if isinstance(a, int | float) and isinstance(b, int | float) else a == b
            for a, b in zip(found, wanted, strict=True)
        )
    )


def _value_name(argument: Any) -> Any:
    """As :data:`~freeness.gaussian.Program` calls it: ``x`` is the input, ``r0`` the first result."""
    if not isinstance(argument, Slot):
        return argument
    return f"r{argument.index - 1}" if argument.index else "x"


def program_function(program: Program, *names: str) -> Callable[..., Tensor]:
    """The function of tensors that the calls of a program of the table compute; it takes them in the order of the names.

    Operators are looked up once, for a sweep calls the function in every layer of every step.

    Example:
        >>> softsign = program_function((("abs", "x"), ("add", "r0", 1), ("div", "x", "r1")), "x")
        >>> softsign(torch.tensor([-1.0, 3.0]))
        tensor([-0.5000,  0.7500])
    """
    known = (*names, *(f"r{place}" for place in range(len(program))))
    slots: dict[Any, Slot] = {name: Slot(place) for place, name in enumerate(known)}
    calls = [
        (getattr(torch.ops.aten, str(name)), [slots.get(argument, argument) for argument in arguments])
        for name, *arguments in program
    ]

    def computed(*values: Tensor) -> Tensor:
        results = list(values)
        for call, arguments in calls:
            results.append(call(*[results[given.index] if isinstance(given, Slot) else given for given in arguments]))
        return results[-1]

    return computed


def derivative(function: PointwiseProgram, h: Tensor) -> Tensor:
    """φ'(h) by automatic differentiation, the same shape as h; works under ``no_grad`` and ``inference_mode``.

    Where φ has a kink the value is torch's convention (0 for ReLU at 0).
    """
    return derivatives([(function, h)])[0]


def derivatives(calls: Sequence[tuple[PointwiseProgram, Tensor]]) -> list[Tensor]:
    """:func:`derivative` of several functions, each at its own points, by one backward pass."""
    with torch.inference_mode(False), torch.enable_grad():
        points = [h.detach().clone().requires_grad_() for _, h in calls]
        values = [function(point) for (function, _), point in zip(calls, points, strict=True)]
        slopes = [torch.zeros_like(point) for point in points]  # of constants
        rising = [k for k, value in enumerate(values) if value.requires_grad]
        if rising:
            ends, starts = [values[k].sum() for k in rising], [points[k] for k in rising]
            for k, slope in zip(rising, torch.autograd.grad(ends, starts, allow_unused=True), strict=True):
                slopes[k] = slopes[k] if slope is None else slope
    return slopes


@dataclass(frozen=True)
class TorchFunction:
    """φ on numpy arrays, run by torch in float64."""

    expression: PointwiseProgram

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """φ(x), the same shape as x."""
        return self.expression(_tensor(x)).numpy()


@dataclass(frozen=True)
class TorchDerivative:
    """φ' on numpy arrays, by automatic differentiation in float64."""

    expression: PointwiseProgram

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """φ'(x), the same shape as x."""
        return derivative(self.expression, _tensor(x)).numpy()


def _tensor(x: np.ndarray) -> Tensor:
    return torch.tensor(np.asarray(x, dtype=np.float64))


_UNTAGGED = {"where", "special_erf", "special_expit", "hardswish", "log_sigmoid", "square"}
