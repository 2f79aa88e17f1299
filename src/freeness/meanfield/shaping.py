"""Activation shaping: φ̂(x) = a(φ(gx + b) + d) with kernel maps that a deep plain network needs.

With z ~ N(0, 1): Q(1) = E φ̂², Q'(1) = E φ̂φ̂'z, C(0) = (E φ̂)², C'(1) = E φ̂'², C''(1) = E φ̂''². What a condition on the whole
network asks of one activation follows from its record: activations compose their maps, a normalised residual layer
(skip² + scale² = 1) mixes c ↦ skip²·c + scale²·B(c), and the largest value over all subnetworks counts. A chain of L
activations has the slope C'(1)^L and, at C'(1) = 1, the curvature L·C''(1).

Source: Martens et al., Rapid training of deep neural networks without skip connections or normalization layers using deep
kernel shaping (DKS, 2021); Zhang, Botev, Martens, Deep learning without shortcuts (TAT, 2022).
"""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from freeness.errors import ConvergenceError, InputError, is_real
from freeness.gaussian import covariance
from freeness.network import (
    INPUT,
    Activation,
    ActivationFunction,
    AffineImage,
    Convolution,
    Dense,
    Flatten,
    Network,
    Sum,
    Weights,
    activation,
    affine_image,
    described,
)
from freeness.numerics import gaussian_nodes

_ZETA = 1.5  # slope of the whole network's correlation map at 1, DKS
_TAU = 0.3  # its curvature there, TAT
_KEPT = 0.9  # C_f(0) of the whole network, TAT for leaky ReLU
_STARTS = [(g, b) for g in (0.1, 0.3, 0.03, 1.0, 0.6) for b in (0.5, -0.5, 1.0, 0.0, -1.0)]
_STEP = 1e-4  # of the difference quotient for φ''
_SOLVED = 1e-10
_HUGE = 1e6
_NORMALISED = 1e-6  # |skip² + scale² - 1| of a residual layer that keeps q


@dataclass(frozen=True)
class Shaped:
    """φ̂(x) = scale·(φ(gain·x + shift) + offset), as numbers and as an activation; ``layers``: the L it was made for."""

    function: ActivationFunction
    gain: float
    shift: float
    offset: float
    scale: float
    layers: int


def shaped(
    function: ActivationFunction,
    network: Network | int,
    method: Literal["dks", "tat"] = "tat",
    target: float | None = None,
) -> Shaped:
    """The activation made for a deep chain of layers.

    DKS: Q(1) = Q'(1) = 1, C(0) = 0, slope of the network's correlation map 1.5 at 1. TAT: Q(1) = Q'(1) = C'(1) = 1, its
    curvature 0.3; for the ReLU family a leaky ReLU with which that map takes 0 to 0.9. Each is the largest over subnetworks.

    Args:
        function: φ, smooth, or of the ReLU family for TAT.
        network: the record, whose residual layers must be normalised (skip² + scale² = 1); or L, for a chain of L activations.
        method: "dks" or "tat".
        target: another number than the authors' 1.5 (DKS, > 1), 0.3 (TAT, > 0) or 0.9 (leaky ReLU, in (0, 1)).

    Raises:
        InputError: the method does not know the activation, or a target out of range.
        ConvergenceError: no constants were found.

    Example:
        >>> from freeness.network import activation
        >>> found = shaped(activation("tanh"), 50, "tat")
        >>> [round(v, 4) for v in (found.gain, found.shift, found.offset)]
        [0.0817, 0.5258, -0.4832]
    """
    if not isinstance(network, (int, Network)):
        raise InputError(f"expected a network's record or a number of layers, got {network!r}.")
    record = _chain(network) if isinstance(network, int) else network
    _check(record)
    if method not in ("dks", "tat"):
        raise InputError(f'expected the method "dks" or "tat", got {method!r}; choose one.')
    if function.slopes is not None:
        if method == "dks" or function.kinks != (0.0,):
            raise InputError(
                f"expected a smooth activation for {method.upper()}, got {function.name}; TAT shapes the ReLU family."
            )
        return _leaky(record, _target(target, _KEPT, 0.0, 1.0))
    layers = _count(record)
    if method == "dks":
        residual = _dks(function, record, _target(target, _ZETA, 1.0, _HUGE))
    else:
        residual = _tat(function, record, _target(target, _TAU, 0.0, _HUGE))
    for start in _STARTS:
        with np.errstate(all="ignore"):
            found = scipy.optimize.root(lambda p: residual(*p)[0], start, tol=1e-13)
            if found.success or np.abs(found.fun).max() < _SOLVED:
                _, offset, scale = residual(*found.x)
                if (
                    np.isfinite([offset, scale]).all()
                    and np.abs(residual(*found.x)[0]).max() < _SOLVED
                    and found.x[0] > 0
                ):
                    return _made(function, float(found.x[0]), float(found.x[1]), offset, scale, layers)
    raise ConvergenceError(
        f"expected constants that shape {function.name} for {layers} layers by {method.upper()}, got none from "
        f"{len(_STARTS)} starts; the activation may be linear, or too far from what the conditions ask."
    )


def _target(given: float | None, usual: float, low: float, high: float) -> float:
    if given is not None and not (is_real(given) and low < given < high):
        raise InputError(f"expected a target between {low:g} and {high:g}, got {given!r}; the usual one is {usual:g}.")
    return usual if given is None else float(given)


def _chain(layers: int) -> Network:
    if isinstance(layers, bool) or layers < 1:
        raise InputError(f"expected at least one activation layer, got {layers}; count the activations.")
    return Network((Activation(activation("linear")),) * layers)


def _count(network: Network) -> int:
    return sum(operation.bends for operation in network.walk())


def _check(network: Network) -> None:
    """Activations behind weights, and sums that keep q = 1."""
    if _count(network) < 1:
        raise InputError("expected at least one activation layer, got none; count the activations.")
    of = {node.name: node.operation for node in network.nodes}
    for node in network.nodes:
        layer = node.operation
        if isinstance(layer, Sum) and abs(sum(scale**2 for scale in layer.scales) - 1) > _NORMALISED:
            raise InputError(
                f"expected sums whose squared scales add to 1 (skip² + scale² = 1), which keep the variance at 1, got "
                f"{', '.join(f'{scale:g}' for scale in layer.scales)} in {described(layer)}; rescale them."
            )
        if isinstance(layer, (Dense, Convolution)) and not (
            abs(layer.weights.sigma_w - 1) <= _NORMALISED and layer.sigma_b == 0
        ):
            raise InputError(
                f"expected weights with sigma_w = 1 and sigma_b = 0, which keep the variance at 1, got {layer.weights.sigma_w:g} "
                f"and {layer.sigma_b:g} in {described(layer)}; the shaped activation does the rest."
            )
        bent = [name for name in node.inputs if not isinstance(of.get(name), Weights)]
        if isinstance(layer, Sum) and len(bent) > 1:
            raise InputError(
                f"expected branches that end in weights, whose outputs have mean 0, got {bent[-1]!r} in front of "
                f"{described(layer)}; put the activation before the weights."
            )
        if not isinstance(layer, (Activation, Dense, Convolution, Flatten, Sum)):
            raise InputError(
                f"expected weights, activations and residual layers, got {described(layer)}; shaping covers no others."
            )


def largest(network: Network, start: float, step: Callable[[float], float]) -> float:
    """The largest value over subnetworks of what starts as ``start`` and goes by ``step`` through every activation.

    Sums mix it by their squared scales. DKS: start 1 and step x ↦ ψx give the slope. TAT: 0 and x ↦ x + κ give the curvature,
    0 and the correlation map itself C_f(0).

    ``step`` is increasing, and not below the identity.

    Source: Martens et al. (2021), "maximal slope function"; Zhang, Botev, Martens (2022), "subnetwork maximizing function".

    Example:
        >>> from freeness.network import Gaussian, Residual
        >>> branch = (Activation(activation("tanh")), Dense(1, 1, Gaussian(1.0)))
        >>> blocks = Network([Residual(branch, 0.6, 0.8)] * 3)
        >>> round(largest(blocks, 1.0, lambda x: 2 * x), 9)  # (0.64 + 0.36·2)²·2, in the last branch
        3.6992
    """
    values = {INPUT: start}
    for node in network.nodes:
        given = [values[name] for name in node.inputs]
        scales = node.operation.sums or (1.0,)
        found = sum(scale**2 * value for scale, value in zip(scales, given, strict=False))
        values[node.name] = step(found) if node.operation.bends else found
    return max(values.values())


_Residual = Callable[[float, float], tuple[np.ndarray, float, float]]


def _dks(function: ActivationFunction, network: Network, zeta: float = _ZETA) -> _Residual:
    """(Q'(1) - 1, C'(1) - ψ) with the slope ψ that makes the network's ζ, d from C(0) = 0 and a from Q(1) = 1."""
    psi = float(
        scipy.optimize.root_scalar(
            lambda p: np.log(largest(network, 1.0, lambda x: p * x) / zeta), bracket=(1.0, zeta), xtol=1e-14
        ).root
    )

    def residual(gain: float, shift: float) -> tuple[np.ndarray, float, float]:
        z, weights, h = _nodes(function, gain, shift)
        value, slope = function.function(h), gain * function.derivative(h)
        offset = -float(weights @ value)
        scale = float(1 / np.sqrt(weights @ (value + offset) ** 2))
        q_slope = scale**2 * weights @ ((value + offset) * slope * z)
        c_slope = scale**2 * weights @ slope**2
        return np.array([q_slope - 1, c_slope - psi]), offset, scale

    return residual


def _tat(function: ActivationFunction, network: Network, tau: float = _TAU) -> _Residual:
    """(Q(1) - 1, n·C''(1)/τ - 1), n·C''(1) the network's curvature, with a from C'(1) = 1 and d from Q'(1) = 1, linear in it."""
    effective = largest(network, 0.0, lambda x: x + 1)

    def residual(gain: float, shift: float) -> tuple[np.ndarray, float, float]:
        z, weights, h = _nodes(function, gain, shift)
        value, slope = function.function(h), gain * function.derivative(h)
        bend = gain**2 * (function.derivative(h + _STEP) - function.derivative(h - _STEP)) / (2 * _STEP)
        scale = float(1 / np.sqrt(weights @ slope**2))
        offset = float((weights @ slope**2 - weights @ (value * slope * z)) / (weights @ (slope * z)))
        q = scale**2 * weights @ (value + offset) ** 2
        return np.array([q - 1, effective * scale**2 * (weights @ bend**2) / tau - 1]), offset, scale

    return residual


def _nodes(function: ActivationFunction, gain: float, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z, weights and gz + b, panels split where that meets a kink."""
    kinks = [(kink - shift) / gain for kink in function.kinks] if gain else []
    z, weights = gaussian_nodes(1.0, kinks)
    return z, weights, gain * z + shift


def _made(function: ActivationFunction, gain: float, shift: float, offset: float, scale: float, layers: int) -> Shaped:
    made = affine_image(AffineImage(function, gain, shift, offset, scale), f"shaped {function.name}")
    return Shaped(made, gain, shift, offset, scale, layers)


def _leaky(network: Network, kept_at_zero: float) -> Shaped:
    """max(x, 0) + s·min(x, 0), scaled by √(2/(1 + s²)), with s from C_f(0), 0.9 for the authors."""

    def kept(slope: float) -> float:
        leaky = activation("leaky_relu", negative_slope=slope)
        return (
            largest(
                network,
                0.0,
                lambda c: min(float(covariance(leaky, 1.0, 1.0, c).value) * 2 / (1 + slope**2), 1.0),
            )
            - kept_at_zero
        )

    if kept(0.0) < 0:
        raise InputError(
            f"expected a network that needs shaping, got {_count(network)} activations, whose ReLU map takes 0 to less "
            f"than {kept_at_zero:g}; use ReLU."
        )
    slope = float(scipy.optimize.root_scalar(kept, bracket=(0.0, 1.0 - 1e-9), xtol=1e-14).root)
    leaky, scale = activation("leaky_relu", negative_slope=slope), float(np.sqrt(2 / (1 + slope**2)))
    made = affine_image(AffineImage(leaky, scale=scale), "shaped leaky_relu")
    return Shaped(made, 1.0, 0.0, 0.0, scale, _count(network))
