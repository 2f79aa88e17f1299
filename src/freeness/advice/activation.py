"""Which activation for which depth: its width, slope, scale or shape, solved for a wanted isometry.

All are made for pre-activations of variance 1, so that inputs of variance 1 fit: the linear region is widened instead of the
signal being made small.

Sources: Murray, Abrol, Tanner (2021) for the wide linear region; Hayase, Karakida (AISTATS 2021) for the shifted ReLU; Martens et
al. (DKS, 2021); Zhang, Botev, Martens (TAT, 2022); theory.md §8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from scipy.special import ndtri

from freeness.errors import InputError, is_real, is_size
from freeness.meanfield import (
    derivative_spread,
    edge_of_chaos,
    isometric_point,
    nonlinear_energy,
    normalised,
    second_moment_slope,
    shaped,
    squared_slope,
)
from freeness.network import Activation, ActivationFunction, Network
from freeness.network import activation as activation_of

Shape = Literal["normalised", "dks", "tat"]
_SHAPES = ("normalised", "dks", "tat")
_STARTS = {"dks": 7.6, "tat": 4.0}  # σ_JJ² over ln ζ, over τ: theory.md §8 (3.1 at ζ = 1.5, 1.18 at τ = 0.3)
_SMALLEST = 1e-9  # σ_JJ² below which the linear region takes all neurons to rounding


@dataclass(frozen=True)
class ChosenActivation:
    """An activation for pre-activations of variance 1, with the gains that keep it.

    ``numbers``: what was solved for, by name. ``spread``: σ_JJ² = nδ of ``activations`` layers with Haar weights.
    ``sigma_w``, ``sigma_b``: of weights and biases. ``growth``: of a small error of the length over all layers.
    ``nonlinear_energy``: share of φ's energy that is not affine.
    """

    function: ActivationFunction
    sigma_w: float
    sigma_b: float
    delta: float
    activations: int
    growth: float
    nonlinear_energy: float
    numbers: tuple[tuple[str, float], ...]
    reason: str

    @property
    def spread(self) -> float:
        """σ_JJ² = nδ."""
        return self.activations * self.delta


def choose_activation(
    function: str | ActivationFunction,
    layers: int | Network,
    isometry: float | None = 0.25,
    shape: Shape = "normalised",
) -> ChosenActivation:
    """The activation of a family that has a wanted isometry at a depth, in one call.

    ``normalised`` solves for: the half-width of hard-tanh; the shift of ``shifted_relu``, max(x, -shift); the negative slope of
    ``leaky_relu``; for others the variance v and gain g of φ_n(x) = φ(√v g x)/√v (so for the scales of GELU and SiLU).
    ``dks`` and ``tat`` solve for their target, and take their authors' where ``isometry`` is None.

    Args:
        function: a name of the table or a function.
        layers: n, how many layers of φ in a chain; for dks and tat also the record of a network.
        isometry: σ_JJ² = nδ > 0, the relative variance of the squared singular values of J.
        shape: what is solved for: "normalised", "dks" or "tat".

    Raises:
        InputError: no member of the family has it; the message says why.

    Example:
        >>> chosen = choose_activation("hardtanh", 100, 0.25)
        >>> [(name, round(value, 4)) for name, value in chosen.numbers], round(chosen.sigma_w, 5)
        ([('half_width', 3.0241)], 1.00125)
    """
    phi = function if isinstance(function, ActivationFunction) else activation_of(function)
    count = _count(layers)
    if shape not in _SHAPES:
        raise InputError(f"expected a shape among {', '.join(_SHAPES)}, got {shape!r}; choose one.")
    if isometry is not None and not (is_real(isometry) and isometry > _SMALLEST):
        raise InputError(
            f"expected an isometry σ_JJ² > {_SMALLEST:g}, got {isometry!r}; only a linear network has 0: start with 0.25."
        )
    if shape != "normalised":
        return _shaped(phi, layers, isometry, shape)
    if isometry is None:
        raise InputError("expected an isometry σ_JJ² for a normalised activation, got None; 0.25 is a good start.")
    wanted = float(isometry)
    if phi.name in _FAMILIES:
        return _FAMILIES[phi.name](count, wanted)
    point = isometric_point(phi, count, wanted)
    variance = point.q / point.sigma_w**2
    numbers = (("variance", variance), ("gain", point.sigma_w))
    reason = (
        f"φ_n(x) = φ(√v g x)/√v with v = {variance:.4g}, g = {point.sigma_w:.4g} reads {phi.name} where its derivative varies "
        f"little: δ = σ_JJ²/n = {point.delta:.3g}"
    )
    made = normalised(phi, variance, point.sigma_w)
    return _chosen(made, (1.0, point.sigma_b / float(np.sqrt(point.q))), count, numbers, reason)


def _count(layers: int | Network) -> int:
    if isinstance(layers, Network):
        count = sum(isinstance(layer, Activation) for layer in layers.walk())
    elif is_size(layers):
        count = int(layers)
    else:
        raise InputError(f"expected a number of activation layers ≥ 1 or a network's record, got {layers!r}.")
    if count == 0:
        raise InputError("expected at least one activation layer, got a network without any; nothing is to choose.")
    return count


def _chosen(
    function: ActivationFunction,
    gains: tuple[float, float],
    count: int,
    numbers: tuple[tuple[str, float], ...],
    reason: str,
) -> ChosenActivation:
    sigma_w, sigma_b = gains
    delta = float(derivative_spread(function, np.ones(1))[0])
    growth = (sigma_w**2 * second_moment_slope(function, 1.0)) ** count
    energy = nonlinear_energy(function, 1.0)
    return ChosenActivation(function, sigma_w, sigma_b, delta, count, float(growth), energy, numbers, reason)


# --- families with one number -------------------------------------------------------------------------------------


def _critical(function: ActivationFunction) -> tuple[float, float]:
    """σ_w and σ_b of the critical network at q = 1."""
    edge = edge_of_chaos(function, [1.0])
    return float(edge.sigma_w[0]), float(edge.sigma_b[0])


def _hardtanh(count: int, wanted: float) -> ChosenActivation:
    """D² is Bernoulli of trace α = P(|z| < w), so δ = 1/α - 1."""
    active = 1 / (1 + wanted / count)
    width = float(ndtri((1 + active) / 2))
    made = activation_of("hardtanh", min_val=-width, max_val=width)
    reason = f"half-width {width:.4g} leaves {active:.4%} of the neurons in the linear region, as δ = 1/α - 1 asks"
    return _chosen(made, _critical(made), count, (("half_width", width),), reason)


def _shifted_relu(count: int, wanted: float) -> ChosenActivation:
    """D² is Bernoulli of trace α = P(z > -s)."""
    active = 1 / (1 + wanted / count)
    shift = float(ndtri(active))
    made = activation_of("shifted_relu", shift=shift)
    reason = f"shift {shift:.4g} leaves {active:.4%} of the neurons in the linear region, as δ = 1/α - 1 asks"
    return _chosen(made, _critical(made), count, (("shift", shift),), reason)


def _leaky_relu(count: int, wanted: float) -> ChosenActivation:
    """δ = ((1 - a²)/(1 + a²))² at every variance."""
    if wanted > count:
        raise InputError(
            f"expected an isometry that leaky ReLU can have in {count} layers, at most {count} (ReLU), got {wanted:g}; take a "
            "smaller one."
        )
    ratio = float(np.sqrt(wanted / count))
    slope = float(np.sqrt((1 - ratio) / (1 + ratio)))
    made = activation_of("leaky_relu", negative_slope=slope)
    reason = f"slope a = {slope:.4g} on the left makes δ = ((1-a²)/(1+a²))² = {ratio**2:.3g}, at every variance"
    return _chosen(
        made, (float(1 / np.sqrt(squared_slope(made, 1.0))), 0.0), count, (("negative_slope", slope),), reason
    )


_FAMILIES = {"hardtanh": _hardtanh, "shifted_relu": _shifted_relu, "leaky_relu": _leaky_relu, "relu": _leaky_relu}


# --- shaping ------------------------------------------------------------------------------------------------------


def _shaped(
    function: ActivationFunction, layers: int | Network, isometry: float | None, shape: Literal["dks", "tat"]
) -> ChosenActivation:
    """DKS or TAT with the target at which nδ is as wanted; leaky ReLU by its slope, which is TAT's way as well."""
    count = _count(layers)
    if function.slopes is not None and isometry is not None and not isinstance(layers, Network):
        if function.kinks != (0.0,):
            shaped(function, layers, shape)  # refuses
        return _leaky_relu(count, isometry)
    target = None if isometry is None else _target(function, layers, float(isometry), shape)
    made = shaped(function, layers, shape, target)
    numbers = (("gain", made.gain), ("shift", made.shift), ("offset", made.offset), ("scale", made.scale))
    if function.slopes is not None:
        assert made.function.slopes is not None
        numbers = (("negative_slope", made.function.slopes[0] / made.function.slopes[1]), ("scale", made.scale))
    usual = {"dks": ("slope ζ", 1.5), "tat": ("curvature τ", 0.3)}[shape]
    value = usual[1] if target is None else target
    what = (
        "0.9 kept of correlation 0" if function.slopes is not None else f"{usual[0]} = {value:.4g} of the whole network"
    )
    reason = f"{shape.upper()}: a(φ(gx + b) + d) keeps variance 1 and has the {what}"
    return _chosen(made.function, (1.0, 0.0), count, numbers, reason)


def _target(
    function: ActivationFunction, layers: int | Network, isometry: float, shape: Literal["dks", "tat"]
) -> float:
    """ζ or τ at which nδ = σ_JJ²; nearly proportional to ln ζ and τ, so a secant in logarithms finds it."""
    count = _count(layers)

    def target_of(log_size: float) -> float:
        size = float(np.exp(log_size))
        return float(np.exp(size)) if shape == "dks" else size

    def excess(log_size: float) -> float:
        made = shaped(function, layers, shape, target_of(log_size)).function
        return float(np.log(count * derivative_spread(made, np.ones(1))[0] / isometry))

    first = float(np.log(isometry / _STARTS[shape]))
    found = scipy.optimize.root_scalar(excess, x0=first, x1=first + 0.1, method="secant", xtol=1e-10, maxiter=40)
    if not found.converged:
        raise InputError(
            f"expected an isometry that {shape.upper()} can give {function.name} in {count} layers, got {isometry:g}; take "
            "another, or the normalised shape."
        )
    return target_of(float(found.root))
