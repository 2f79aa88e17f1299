"""Elementwise functions as torch runs them, and their translation to the table of activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._ops import OpOverload

from freeness.gaussian import ActivationFunction
from freeness.network import activation


@dataclass(frozen=True)
class Slot:
    """The result of an earlier operation: 0 is the input, k the k-th operation."""

    index: int


@dataclass(frozen=True)
class Operation:
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
class Expression:
    """An elementwise function of one tensor, as the straight-line program of ATen calls that the model runs."""

    operations: tuple[Operation, ...]
    result: Slot

    def __call__(self, h: Tensor) -> Tensor:
        """φ(h), the same shape as h; h itself is never written to."""
        values = [h]
        for operation in self.operations:
            arguments = [values[a.index] if isinstance(a, Slot) else a for a in operation.arguments]
            options = {k: values[v.index] if isinstance(v, Slot) else v for k, v in operation.options.items()}
            if operation.target._schema.is_mutable:
                arguments[0] = arguments[0].clone()
            values.append(operation.target(*arguments, **options))
        return values[self.result.index]

    def then(self, after: Expression) -> Expression:
        """The composition after(self(h)) as one program."""

        def moved(value: Any) -> Any:
            if not isinstance(value, Slot):
                return value
            return self.result if value.index == 0 else Slot(value.index + len(self.operations))

        shifted = tuple(
            Operation(op.target, tuple(map(moved, op.arguments)), {k: moved(v) for k, v in op.options.items()})
            for op in after.operations
        )
        return Expression(self.operations + shifted, moved(after.result))

    @property
    def program(self) -> str:
        """The calls in order, as text: ``abs(h0); add(h1, 1); div(h0, h2)`` is softsign."""
        calls = ((op.name, (*op.arguments, *op.options.items())) for op in self.operations)
        return "; ".join(f"{name}({', '.join(map(_text, arguments))})" for name, arguments in calls)


def _text(argument: Any) -> str:
    if isinstance(argument, Slot):
        return f"h{argument.index}"
    return f"{argument:g}" if isinstance(argument, int | float) else repr(argument)


def operation_name(target: OpOverload) -> str:
    """The name without namespace, overload and in-place mark: ``relu`` for aten.relu_.default."""
    return target._schema.name.split("::")[-1].rstrip("_")


def is_elementwise(target: OpOverload) -> bool:
    """Whether torch declares the call pointwise (or it is one of the few without the tag) and deterministic."""
    pointwise = torch.Tag.pointwise in target.tags or operation_name(target) in _UNTAGGED
    return pointwise and torch.Tag.nondeterministic_seeded not in target.tags


def activation_function(expression: Expression) -> ActivationFunction:
    """The entry of the activation table that computes ``expression``, or a record that runs it through torch.

    A function that is not in the table keeps its kinks: jumps of φ' are searched for in [-10, 10].

    Example:
        >>> relu = Expression((Operation(torch.ops.aten.relu.default, (Slot(0),)),), Slot(1))
        >>> activation_function(relu).name
        'relu'
    """
    if len(expression.operations) == 1 and expression.operations[0].name in _TABLE:
        operation = expression.operations[0]
        entry = _TABLE[operation.name](operation.bound)
        if entry is not None:
            return activation(entry[0], **entry[1])
    if expression.program in _PROGRAMS and expression.result.index == len(expression.operations):
        return activation(_PROGRAMS[expression.program])
    slope = TorchDerivative(expression)
    name = "∘".join(operation.name for operation in reversed(expression.operations))
    return ActivationFunction(name, TorchFunction(expression), slope, kinks=_kinks(slope))


def derivative(function: Expression, h: Tensor) -> Tensor:
    """φ'(h) by automatic differentiation, the same shape as h; works under ``no_grad`` and ``inference_mode``.

    Where φ has a kink the value is torch's convention (0 for ReLU at 0).
    """
    with torch.inference_mode(False), torch.enable_grad():
        point = h.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(function(point).sum() + 0.0 * point.sum(), point)
    return slope


@dataclass(frozen=True)
class TorchFunction:
    """φ on numpy arrays, run by torch in float64."""

    expression: Expression

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """φ(x), the same shape as x."""
        return self.expression(_tensor(x)).numpy()


@dataclass(frozen=True)
class TorchDerivative:
    """φ' on numpy arrays, by automatic differentiation in float64."""

    expression: Expression

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """φ'(x), the same shape as x."""
        return derivative(self.expression, _tensor(x)).numpy()


def _tensor(x: np.ndarray) -> Tensor:
    return torch.tensor(np.asarray(x, dtype=np.float64))


def _kinks(slope: Callable[[np.ndarray], np.ndarray]) -> tuple[float, ...]:
    """Points of [-10, 10] where φ' jumps: a change over a grid cell that bisection does not make smaller."""
    grid = np.linspace(-10.0, 10.0, 2001) + 1e-9 * math.pi
    values = slope(grid)
    scale = max(float(np.nanmax(np.abs(values))), 1e-300)
    found = []
    for i in np.flatnonzero(np.abs(np.diff(values)) > 1e-3 * scale):
        low, high, jump = grid[i], grid[i + 1], abs(values[i + 1] - values[i])
        left, right = values[i], values[i + 1]
        for _ in range(48):
            middle = (low + high) / 2
            value = float(slope(np.array([middle]))[0])
            low, left, high, right = (
                (middle, value, high, right) if abs(value - left) < abs(value - right) else (low, left, middle, value)
            )
        if abs(right - left) > 0.5 * jump:
            found.append(round(float(high), 12))
    return tuple(found)


_SELU = (1.6732632423543772, 1.0507009873554805)  # alpha and scale
_Entry = tuple[str, dict[str, float]]
_Bound = dict[str, Any]


def _named(name: str) -> Callable[[_Bound], _Entry]:
    return lambda bound: (name, {})


def _clip(low: float | None, high: float | None) -> _Entry | None:
    """min(max(h, low), high); torch runs ReLU6 as this, too."""
    if low is None:
        return None
    if high is None:
        return "shifted_relu", {"shift": -float(low)}
    return ("relu6", {}) if (low, high) == (0, 6) else ("hardtanh", {"min_val": float(low), "max_val": float(high)})


def _threshold(bound: _Bound) -> _Entry | None:
    return ("shifted_relu", {"shift": -float(bound["value"])}) if bound["threshold"] == bound["value"] else None


def _elu(bound: _Bound) -> _Entry | None:
    """torch runs SELU and CELU as this, too."""
    alpha, scale, inner = (float(bound[key]) for key in ("alpha", "scale", "input_scale"))
    if scale == 1 and inner == 1:
        return "elu", {"alpha": alpha}
    if scale == 1 and math.isclose(alpha * inner, 1.0, rel_tol=1e-12):
        return "celu", {"alpha": alpha}
    known = inner == 1 and math.isclose(alpha, _SELU[0], rel_tol=1e-12) and math.isclose(scale, _SELU[1], rel_tol=1e-12)
    return ("selu", {}) if known else None


def _softplus(bound: _Bound) -> _Entry | None:
    return ("softplus", {"beta": float(bound["beta"])}) if bound["threshold"] >= 20 else None


_TABLE: dict[str, Callable[[_Bound], _Entry | None]] = {
    **{
        name: _named(name)
        for name in (
            "relu",
            "relu6",
            "tanh",
            "erf",
            "sigmoid",
            "silu",
            "sin",
            "selu",
            "mish",
            "hardsigmoid",
            "hardswish",
        )
    },
    "log_sigmoid": _named("logsigmoid"),
    "celu": lambda bound: ("celu", {"alpha": float(bound["alpha"])}),
    "softshrink": lambda bound: ("softshrink", {"lambd": float(bound["lambd"])}),
    "special_erf": _named("erf"),
    "special_expit": _named("sigmoid"),
    "hardtanh": lambda bound: _clip(bound["min_val"], bound["max_val"]),
    "clamp": lambda bound: _clip(bound["min"], bound["max"]),
    "threshold": _threshold,
    "leaky_relu": lambda bound: ("leaky_relu", {"negative_slope": float(bound["negative_slope"])}),
    "gelu": lambda bound: ("gelu_tanh" if bound["approximate"] == "tanh" else "gelu", {}),
    "elu": _elu,
    "softplus": _softplus,
}
_PROGRAMS = {
    "abs(h0); add(h1, 1); div(h0, h2)": "softsign",
    "tanh(h0); sub(h0, h1)": "tanhshrink",
    f"mul(h0, {math.sqrt(math.pi) / 2:g}); erf(h1)": "erf_unit",
}
_UNTAGGED = {"special_erf", "special_expit", "hardswish", "log_sigmoid", "square"}
