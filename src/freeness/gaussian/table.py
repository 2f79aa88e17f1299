"""The one table of activations. An entry is a function: its arguments are the parameters, its docstring is the formula.

It states φ, φ', the kinks, the limits of φ' and the closed covariance where there is one; the line above it says how torch calls
it. Where torch makes one call for several entries, the first that reads it has it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

from freeness.errors import InputError, is_real
from freeness.gaussian.activations import ActivationFunction, ClosedCovariance, Elementwise, tabulated
from freeness.gaussian.closed_covariances import of_erf, of_identity, of_sine
from freeness.gaussian.pieces import piecewise_linear
from freeness.gaussian.torch_names import TorchNames, reads

_UNIT = math.sqrt(math.pi) / 2
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_SOFTPLUS_EXACT = 20.0  # threshold from which torch's softplus is log(1 + e^βx) to 2e-9

_Tails = tuple[float, float]


def _smooth(
    function: Elementwise,
    derivative: Elementwise,
    tails: _Tails | None,
    kinks: tuple[float, ...] = (),
    covariance: ClosedCovariance | None = None,
) -> ActivationFunction:
    return ActivationFunction("", function, derivative, kinks, covariance=covariance, tails=tails)


# --- piecewise linear ---------------------------------------------------------------------------------------------


@tabulated(TorchNames("Identity"))
def linear() -> ActivationFunction:
    """x."""
    return ActivationFunction("", lambda x: x, np.ones_like, (), (1.0,), covariance=of_identity, tails=(1.0, 1.0))


@tabulated(TorchNames("ReLU", {"relu": reads()}, pull=(("threshold_backward", "g", "h", 0),)))
def relu() -> ActivationFunction:
    """max(x, 0)."""
    return piecewise_linear((0.0,), (0.0, 1.0))


@tabulated(TorchNames("LeakyReLU", {"leaky_relu": reads("negative_slope")}))
def leaky_relu(negative_slope: float = 0.01) -> ActivationFunction:
    """max(x, 0) + negative_slope·min(x, 0)."""
    return piecewise_linear((0.0,), (negative_slope, 1.0))


def _threshold(given: Mapping[str, Any]) -> dict[str, float] | None:
    return {"shift": -float(given["value"])} if given["threshold"] == given["value"] else None


def _clamp_below(given: Mapping[str, Any]) -> dict[str, float] | None:
    return {"shift": -float(given["min"])} if is_real(given["min"]) and given["max"] is None else None


def _shifted(shift: float) -> dict[str, float]:
    return {"threshold": -shift, "value": -shift}


@tabulated(
    TorchNames(
        "Threshold",
        {"threshold": _threshold, "clamp": _clamp_below},
        arguments=_shifted,
    )
)
def shifted_relu(shift: float = 1.0) -> ActivationFunction:
    """max(x, -shift)."""
    return piecewise_linear((-shift,), (0.0, 1.0), at_zero=max(0.0, -shift))


@tabulated(
    TorchNames(
        "ReLU6",
        {"relu6": reads(), "hardtanh": reads(min_val=0.0, max_val=6.0), "clamp": reads(min=0.0, max=6.0)},
        pull=(("hardtanh_backward", "g", "h", 0.0, 6.0),),
    )
)
def relu6() -> ActivationFunction:
    """min(max(x, 0), 6)."""
    return piecewise_linear((0.0, 6.0), (0.0, 1.0, 0.0))


def _clamp(given: Mapping[str, Any]) -> dict[str, float] | None:
    low, high = given["min"], given["max"]
    return {"min_val": float(low), "max_val": float(high)} if is_real(low) and is_real(high) else None


@tabulated(
    TorchNames(
        "Hardtanh",
        {"hardtanh": reads("min_val", "max_val"), "clamp": _clamp},
        pull=(("hardtanh_backward", "g", "h", "min_val", "max_val"),),
    )
)
def hardtanh(min_val: float = -1.0, max_val: float = 1.0) -> ActivationFunction:
    """min(max(x, min_val), max_val)."""
    if not min_val < max_val:
        raise InputError(f"expected min_val < max_val, got {min_val} and {max_val}; swap them.")
    at_zero = float(np.clip(0.0, min_val, max_val))
    return piecewise_linear((min_val, max_val), (0.0, 1.0, 0.0), at_zero)


@tabulated(TorchNames("Hardsigmoid", {"hardsigmoid": reads()}))
def hardsigmoid() -> ActivationFunction:
    """min(max(x/6 + 1/2, 0), 1)."""
    return piecewise_linear((-3.0, 3.0), (0.0, 1 / 6, 0.0), at_zero=0.5)


@tabulated(TorchNames("Softshrink", {"softshrink": reads("lambd")}))
def softshrink(lambd: float = 0.5) -> ActivationFunction:
    """x - lambd beyond lambd, x + lambd below -lambd, 0 between."""
    if not lambd >= 0:
        raise InputError(f"expected a lambd ≥ 0 of softshrink, got {lambd}; correct it.")
    return piecewise_linear((-lambd, lambd), (1.0, 0.0, 1.0)) if lambd else linear()


# --- with kinks ---------------------------------------------------------------------------------------------------


@tabulated(TorchNames("ELU", {"elu": reads("alpha", scale=1.0, input_scale=1.0)}))
def elu(alpha: float = 1.0) -> ActivationFunction:
    """x above 0, alpha·(eˣ - 1) below."""

    def function(x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))

    def derivative(x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0)))

    return _smooth(function, derivative, (0.0, 1.0), (0.0,))


@tabulated(
    TorchNames("SELU", {"selu": reads(), "elu": reads(alpha=_SELU_ALPHA, scale=_SELU_SCALE, input_scale=1.0)}),
)
def selu() -> ActivationFunction:
    """Klambauer et al. (2017): scale·elu with the constants at which q = 1 is a stable fixed point at σ_w = 1."""
    scale, inner = _SELU_SCALE, elu(_SELU_ALPHA)
    return _smooth(
        lambda x: scale * inner.function(x), lambda x: scale * inner.derivative(x), (0.0, scale), inner.kinks
    )


def _elu_as_celu(given: Mapping[str, Any]) -> dict[str, float] | None:
    alpha = float(given["alpha"])
    known = given["scale"] == 1 and math.isclose(alpha * given["input_scale"], 1.0, rel_tol=1e-12)
    return {"alpha": alpha} if known else None


@tabulated(TorchNames("CELU", {"celu": reads("alpha"), "elu": _elu_as_celu}))
def celu(alpha: float = 1.0) -> ActivationFunction:
    """x above 0, alpha·(e^(x/alpha) - 1) below."""
    if not alpha > 0:
        raise InputError(f"expected an alpha > 0 of celu, got {alpha}; correct it.")
    return _smooth(
        lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0) / alpha)),
        lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0.0) / alpha)),
        (0.0, 1.0),
        (0.0,),
    )


@tabulated(TorchNames("Hardswish", {"hardswish": reads()}))
def hardswish() -> ActivationFunction:
    """x·min(max(x + 3, 0), 6)/6."""
    return _smooth(
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, (2 * x + 3) / 6)),
        (0.0, 1.0),
        (-3.0, 3.0),
    )


@tabulated(TorchNames("Softsign", program=(("abs", "x"), ("add", "r0", 1), ("div", "x", "r1"))))
def softsign() -> ActivationFunction:
    """x/(1 + |x|)."""
    return _smooth(lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2, (0.0, 0.0), (0.0,))


# --- smooth -------------------------------------------------------------------------------------------------------


@tabulated(TorchNames("Tanh", {"tanh": reads()}, pull=(("square", "y"), ("rsub", "r0", 1), ("mul", "g", "r1"))))
def tanh() -> ActivationFunction:
    """tanh x."""
    return _smooth(np.tanh, lambda x: 1 / np.cosh(np.minimum(np.abs(x), 350.0)) ** 2, (0.0, 0.0))


@tabulated(TorchNames(calls={"erf": reads(), "special_erf": reads()}))
def erf() -> ActivationFunction:
    """erf x."""
    return _smooth(special.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-(x**2)), (0.0, 0.0), covariance=of_erf(1.0))


@tabulated(TorchNames(program=(("mul", "x", _UNIT), ("erf", "r0"))))
def erf_unit() -> ActivationFunction:
    """erf(√π x/2), whose slope at 0 is 1."""
    return _smooth(
        lambda x: special.erf(_UNIT * x), lambda x: np.exp(-np.pi / 4 * x**2), (0.0, 0.0), covariance=of_erf(_UNIT)
    )


@tabulated(TorchNames("Sigmoid", {"sigmoid": reads(), "special_expit": reads()}))
def sigmoid() -> ActivationFunction:
    """1/(1 + e⁻ˣ)."""
    return _smooth(special.expit, lambda x: special.expit(x) * special.expit(-x), (0.0, 0.0))


def _softplus(given: Mapping[str, Any]) -> dict[str, float] | None:
    return {"beta": float(given["beta"])} if given["threshold"] >= _SOFTPLUS_EXACT else None


@tabulated(TorchNames("Softplus", {"softplus": _softplus}))
def softplus(beta: float = 1.0) -> ActivationFunction:
    """log(1 + e^(beta·x))/beta."""
    if beta == 0:
        raise InputError("expected a beta of softplus other than 0, got 0; leave it out for beta = 1.")
    tails = (0.0, 1.0) if beta > 0 else (1.0, 0.0)
    return _smooth(lambda x: np.logaddexp(0.0, beta * x) / beta, lambda x: special.expit(beta * x), tails)


@tabulated(TorchNames("GELU", {"gelu": reads(approximate="none")}))
def gelu() -> ActivationFunction:
    """x·Φ(x), with the normal distribution function Φ."""
    return _smooth(lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * _normal_density(x), (0.0, 1.0))


def _normal_density(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


@tabulated(TorchNames("GELU", {"gelu": reads(approximate="tanh")}, arguments=lambda: {"approximate": "tanh"}))
def gelu_tanh() -> ActivationFunction:
    """x/2·(1 + tanh(√(2/π)(x + 0.044715x³)))."""

    def inner(x: np.ndarray) -> np.ndarray:
        return np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))

    def derivative(x: np.ndarray) -> np.ndarray:
        t = inner(x)
        return (1 + t) / 2 + x / 2 * (1 - t**2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)

    return _smooth(lambda x: x / 2 * (1 + inner(x)), derivative, (0.0, 1.0))


@tabulated(TorchNames("SiLU", {"silu": reads()}))
def silu() -> ActivationFunction:
    """x/(1 + e⁻ˣ)."""

    def derivative(x: np.ndarray) -> np.ndarray:
        s = special.expit(x)
        return s * (1 + x * (1 - s))

    return _smooth(lambda x: x * special.expit(x), derivative, (0.0, 1.0))


@tabulated(TorchNames("Mish", {"mish": reads()}))
def mish() -> ActivationFunction:
    """x·tanh(log(1 + eˣ))."""

    def derivative(x: np.ndarray) -> np.ndarray:
        t = np.tanh(np.logaddexp(0.0, x))
        return t + x * (1 - t**2) * special.expit(x)

    return _smooth(lambda x: x * np.tanh(np.logaddexp(0.0, x)), derivative, (0.0, 1.0))


@tabulated(TorchNames("LogSigmoid", {"log_sigmoid": reads()}))
def logsigmoid() -> ActivationFunction:
    """-log(1 + e⁻ˣ)."""
    return _smooth(lambda x: -np.logaddexp(0.0, -x), lambda x: special.expit(-x), (1.0, 0.0))


@tabulated(TorchNames("Tanhshrink", program=(("tanh", "x"), ("sub", "x", "r0"))))
def tanhshrink() -> ActivationFunction:
    """x - tanh x."""
    return _smooth(lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2, (1.0, 1.0))


@tabulated(TorchNames(calls={"sin": reads()}))
def sin() -> ActivationFunction:
    """sin x."""
    return _smooth(np.sin, np.cos, None, covariance=of_sine)
