"""The table of activations: φ, φ' and where φ' jumps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import special

from freeness.errors import InputError, is_real

Elementwise = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ActivationFunction:
    """An elementwise φ with its derivative; ``kinks`` are the points where φ' jumps.

    ``slopes`` is set for piecewise-linear φ: the slope on each of the len(kinks)+1 pieces, so that D² has finitely many
    atoms. ``parameters`` are those the table was asked with.

    Example:
        >>> activation("leaky_relu", negative_slope=0.2).slopes
        (0.2, 1.0)
    """

    name: str
    function: Elementwise = field(repr=False, compare=False)
    derivative: Elementwise = field(repr=False, compare=False)
    kinks: tuple[float, ...] = ()
    slopes: tuple[float, ...] | None = None
    parameters: tuple[tuple[str, float], ...] = ()


def activation(name: str, **parameters: float) -> ActivationFunction:
    """The activation called ``name`` (the names of ``torch.nn.functional``; ``erf_unit`` is erf(√π x/2)).

    Args:
        name: one of :func:`activation_names`.
        **parameters: the activation's own, by torch's names, e.g. ``negative_slope``.

    Raises:
        InputError: an unknown name or parameter, or a parameter that is not a finite number.

    Example:
        >>> activation("hardtanh").kinks
        (-1.0, 1.0)
    """
    if not isinstance(name, str) or name not in _TABLE:
        raise InputError(f"expected an activation among {', '.join(activation_names())}, got {name!r}; choose one.")
    for key, value in parameters.items():
        if not is_real(value):
            raise InputError(f"expected a finite number as {key} of {name}, got {value!r}; correct it.")
    try:
        return replace(_TABLE[name](**parameters), parameters=tuple(sorted(parameters.items())))
    except TypeError as error:
        raise InputError(f"expected parameters that {name} knows, got {sorted(parameters)}; leave them out.") from error


def activation_names() -> tuple[str, ...]:
    """Names that :func:`activation` knows, sorted."""
    return tuple(sorted(_TABLE))


def _piecewise_linear(name: str, kinks: tuple[float, ...], slopes: tuple[float, ...], at_zero: float = 0.0):
    """φ continuous with the given slopes and φ(0) = at_zero; slopes[i] holds left of kinks[i].

    Each piece is a line through one of its points: the piece with 0 through 0, the others through the kink nearest to 0.
    So φ(x) = φ(0) + slope·x near 0 without cancellation, however small x is.
    """
    k, s = np.array(kinks), np.array(slopes)
    home = int(np.searchsorted(k, 0.0, side="left"))  # the piece with 0
    points = np.concatenate([k[:home], [0.0], k[home:]])  # by piece
    rises = np.diff(points) * np.concatenate([s[1 : home + 1], s[home:-1]])  # of φ from each point to the next
    values = np.concatenate([[0.0], np.cumsum(rises)])
    values += at_zero - values[home]

    def function(x: np.ndarray) -> np.ndarray:
        piece = np.searchsorted(k, x, side="left")
        return values[piece] + s[piece] * (x - points[piece])

    return ActivationFunction(name, function, lambda x: s[np.searchsorted(k, x, side="left")], kinks, slopes)


def _smooth(name: str, function: Elementwise, derivative: Elementwise, kinks: tuple[float, ...] = ()):
    return lambda: ActivationFunction(name, function, derivative, kinks)


def _identity(x: np.ndarray) -> np.ndarray:
    return x


def _linear() -> ActivationFunction:
    return ActivationFunction("linear", _identity, np.ones_like, (), (1.0,))


def _relu() -> ActivationFunction:
    return _piecewise_linear("relu", (0.0,), (0.0, 1.0))


def _leaky_relu(negative_slope: float = 0.01) -> ActivationFunction:
    return _piecewise_linear("leaky_relu", (0.0,), (negative_slope, 1.0))


def _shifted_relu(shift: float = 1.0) -> ActivationFunction:
    """max(x, -shift)."""
    return _piecewise_linear("shifted_relu", (-shift,), (0.0, 1.0), at_zero=max(0.0, -shift))


def _hardtanh(min_val: float = -1.0, max_val: float = 1.0) -> ActivationFunction:
    if not min_val < max_val:
        raise InputError(f"expected min_val < max_val, got {min_val} and {max_val}; swap them.")
    at_zero = float(np.clip(0.0, min_val, max_val))
    return _piecewise_linear("hardtanh", (min_val, max_val), (0.0, 1.0, 0.0), at_zero)


def _relu6() -> ActivationFunction:
    return _piecewise_linear("relu6", (0.0, 6.0), (0.0, 1.0, 0.0))


def _elu(alpha: float = 1.0) -> ActivationFunction:
    def function(x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))

    def derivative(x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0)))

    return ActivationFunction("elu", function, derivative, (0.0,))


def _selu() -> ActivationFunction:
    """Klambauer et al. (2017): scale·elu with the constants at which q = 1 is a stable fixed point at σ_w = 1."""
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    inner = _elu(alpha)
    return ActivationFunction(
        "selu", lambda x: scale * inner.function(x), lambda x: scale * inner.derivative(x), inner.kinks
    )


def _celu(alpha: float = 1.0) -> ActivationFunction:
    if not alpha > 0:
        raise InputError(f"expected an alpha > 0 of celu, got {alpha}; correct it.")
    return ActivationFunction(
        "celu",
        lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0) / alpha)),
        lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0.0) / alpha)),
        (0.0,),
    )


def _hardsigmoid() -> ActivationFunction:
    return _piecewise_linear("hardsigmoid", (-3.0, 3.0), (0.0, 1 / 6, 0.0), at_zero=0.5)


def _hardswish() -> ActivationFunction:
    return ActivationFunction(
        "hardswish",
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, (2 * x + 3) / 6)),
        (-3.0, 3.0),
    )


def _softshrink(lambd: float = 0.5) -> ActivationFunction:
    if not lambd >= 0:
        raise InputError(f"expected a lambd ≥ 0 of softshrink, got {lambd}; correct it.")
    return (
        _piecewise_linear("softshrink", (-lambd, lambd), (1.0, 0.0, 1.0))
        if lambd
        else replace(_linear(), name="softshrink")
    )


def _mish_derivative(x: np.ndarray) -> np.ndarray:
    t = np.tanh(np.logaddexp(0.0, x))
    return t + x * (1 - t**2) * special.expit(x)


def _softplus(beta: float = 1.0) -> ActivationFunction:
    if beta == 0:
        raise InputError("expected a beta of softplus other than 0, got 0; leave it out for beta = 1.")
    return ActivationFunction(
        "softplus", lambda x: np.logaddexp(0.0, beta * x) / beta, lambda x: special.expit(beta * x)
    )


def _normal_pdf(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def _gelu_tanh_inner(x: np.ndarray) -> np.ndarray:
    return np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


def _gelu_tanh_derivative(x: np.ndarray) -> np.ndarray:
    t = _gelu_tanh_inner(x)
    return (1 + t) / 2 + x / 2 * (1 - t**2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)


def _silu_derivative(x: np.ndarray) -> np.ndarray:
    s = special.expit(x)
    return s * (1 + x * (1 - s))


_TABLE: dict[str, Callable[..., ActivationFunction]] = {
    "linear": _linear,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "shifted_relu": _shifted_relu,
    "hardtanh": _hardtanh,
    "relu6": _relu6,
    "elu": _elu,
    "selu": _selu,
    "celu": _celu,
    "softplus": _softplus,
    "hardsigmoid": _hardsigmoid,
    "hardswish": _hardswish,
    "softshrink": _softshrink,
    "tanh": _smooth("tanh", np.tanh, lambda x: 1 / np.cosh(np.minimum(np.abs(x), 350.0)) ** 2),
    "erf": _smooth("erf", special.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-(x**2))),
    "erf_unit": _smooth("erf_unit", lambda x: special.erf(np.sqrt(np.pi) / 2 * x), lambda x: np.exp(-np.pi / 4 * x**2)),
    "sigmoid": _smooth("sigmoid", special.expit, lambda x: special.expit(x) * special.expit(-x)),
    "gelu": _smooth("gelu", lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * _normal_pdf(x)),
    "gelu_tanh": _smooth("gelu_tanh", lambda x: x / 2 * (1 + _gelu_tanh_inner(x)), _gelu_tanh_derivative),
    "silu": _smooth("silu", lambda x: x * special.expit(x), _silu_derivative),
    "mish": _smooth("mish", lambda x: x * np.tanh(np.logaddexp(0.0, x)), _mish_derivative),
    "logsigmoid": _smooth("logsigmoid", lambda x: -np.logaddexp(0.0, -x), lambda x: special.expit(-x)),
    "tanhshrink": _smooth("tanhshrink", lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2),
    "softsign": _smooth("softsign", lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2, (0.0,)),
    "sin": _smooth("sin", np.sin, np.cos),
}
