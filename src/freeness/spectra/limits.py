"""Spectra of infinitely deep near-isometric networks: what is left of them is one number, σ² = lim L·δ.

JJᵀ of critical networks with Haar weights has S → e^{-σ²u} for smooth activations with q* ~ 1/L, and S → e^{-σ²u/(1+u)} where
D² is Bernoulli; the Fisher dual over L has a law of its own. Use the finite-L laws for a network, these for design curves.

Sources: Pennington, Schoenholz, Ganguli (2018) for the two classes; the Fisher limit is this project's (theory.md §3.2).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError
from freeness.laws import (
    Atom,
    ClosedCurve,
    CurveLaw,
    CurvePoint,
    Law,
    PointMass,
    Projection,
    Side,
    SpectralCurve,
    base_jet,
    stage_margin,
)
from freeness.meanfield import Signals, signals
from freeness.moves import Multiply, free_product, mean_variance_after, scale
from freeness.network import Haar, Network
from freeness.numerics import Jet, Number, lower_log, plain
from freeness.spectra.chain_moves import moves_of


def _check(**numbers: float) -> None:
    for name, value in numbers.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"expected {name} > 0, got {value}; 0 is the isometric network, a point mass.")


def smooth_jacobian_limit(spread: float) -> Law:
    """JJᵀ of the smooth class: S(u) = e^{-σ²u}; mean 1, variance σ².

    Args:
        spread: σ² = σ_JJ².

    Example:
        >>> round(smooth_jacobian_limit(0.5).moment(2), 9)
        1.5
    """
    _check(spread=spread)
    return CurveLaw(ClosedCurve(_SmoothForm(float(spread))), float(spread), (), 0.0)


@dataclass(frozen=True)
class _Form(ABC):
    """ψ⁻¹ of a class: (1 + u) e^{σ²f(u)}/u."""

    spread: float
    mean: float = 1.0
    rank: float = 1.0

    @abstractmethod
    def exponent(self, u: Number) -> Number:
        """f(u)."""

    def moment_inverse(self, u: Number) -> Number:
        return (u + 1.0) * _exp(self.spread * self.exponent(u))

    def cauchy_of_u(self, u: Number) -> Number:
        return u * _exp(-self.spread * self.exponent(u))


class _SmoothForm(_Form):
    def exponent(self, u: Number) -> Number:
        return u

    def potential_of_u(self, u: np.ndarray | Jet) -> np.ndarray:
        value = plain(u)
        return self.spread * (value + value**2 / 2) - lower_log(value)


def bernoulli_jacobian_limit(spread: float) -> Law:
    """JJᵀ of the Bernoulli class (hard-tanh): S(u) = e^{-σ²u/(1+u)}: a free Poisson number of jumps, seen multiplicatively.

    For σ² < 1 an atom of mass 1 - σ² sits at the upper end e^{σ²}.

    Args:
        spread: σ² = σ_JJ².

    Example:
        >>> law = bernoulli_jacobian_limit(0.25)
        >>> round(law.atoms[-1].position, 9) == round(float(np.exp(0.25)), 9), round(law.atoms[-1].mass, 9)
        (True, 0.75)
    """
    _check(spread=spread)
    top = float(np.exp(spread))
    atoms = (Atom(top, 1.0 - spread),) if spread < 1 else ()
    return CurveLaw(ClosedCurve(_BernoulliForm(float(spread))), float(spread), atoms, 0.0)


def jacobian_limit(network: Network, qhat0: float = 1.0, *, realised: Signals | None = None) -> Law:
    """What JJᵀ of a chain would be if its spread came from infinitely many layers: mean and σ_JJ² are kept.

    Activations with D² on {0, γ} add their δ to the spread of the Bernoulli class, all others to that of the smooth class, and
    the limit is the free product of both.

    Args:
        network: a chain of equal widths with Haar weights.
        qhat0: ‖x⁰‖²/N_0; not used with ``realised``.
        realised: signals of one forward pass instead of the mean field.

    Raises:
        InputError: the network is no such chain.

    Source: Pennington, Schoenholz, Ganguli (2018); S-transforms multiply.

    Example:
        >>> from freeness.network import mlp
        >>> limit = jacobian_limit(mlp(11, 100, "relu", sigma_w=2**0.5))  # ten times δ = 1
        >>> round(limit.mean, 9), round(limit.variance, 9)
        (2.0, 40.0)
    """
    if any(not isinstance(layer.weights, Haar) or layer.fan_in != layer.fan_out for layer in network.dense):
        raise InputError(
            "expected a chain of equal widths with Haar weights, got others; their limits are not near-isometric."
        )
    listed = moves_of(network, realised or signals(network, qhat0), "jacobian")
    spreads = {True: 0.0, False: 0.0}
    for move in listed.moves:
        if isinstance(move, Multiply):
            spreads[isinstance(move.law, Projection)] += move.law.variance / move.law.mean**2
    limits = [bernoulli_jacobian_limit(spreads[True])] if spreads[True] else []
    limits += [smooth_jacobian_limit(spreads[False])] if spreads[False] else []
    return scale(free_product(PointMass(1.0), *limits), mean_variance_after(listed).mean)


class _BernoulliForm(_Form):
    def exponent(self, u: Number) -> Number:
        return u / (u + 1.0)

    def potential_of_u(self, u: np.ndarray | Jet) -> np.ndarray:
        value = plain(u)
        return self.spread * lower_log(1 + value) - lower_log(value)


def _exp(x: Number) -> Number:
    if isinstance(x, Jet):
        value = np.exp(x.value)
        return x.apply(value, value)
    return np.exp(x)


def fisher_limit(spread: float, qhat: float = 1.0) -> Law:
    """The Fisher dual over depth, H/L with H = Θ/N, of the smooth class at criticality: mean q̂, variance q̂²σ²/3.

    With κ² = w: z = q̂[(σ²/2)cosh²κ/κ² + sinh(2κ)/(2κ)], G = 2κ²sech²κ/(q̂σ²), U = log(q̂σ²/2) + 2 log cosh κ - 2 log κ +
    (2/σ²)(κ² - κ tanh κ). The right edge is the least z over κ > 0.

    Args:
        spread: σ² = lim L·δ.
        qhat: q̂, ‖x‖²/N of every layer.

    Example:
        >>> round(fisher_limit(0.8).hull[1], 5)
        2.60251
    """
    _check(spread=spread, qhat=qhat)
    return CurveLaw(_FisherCurve(float(spread), float(qhat)), qhat**2 * spread / 3, (), 0.0)


class _FisherCurve(SpectralCurve):
    """The curve in t = 1/κ², about proportional to z."""

    size = 1
    additive = True

    def __init__(self, spread: float, qhat: float) -> None:
        self.spread, self.mean = spread, qhat

    def evaluate(self, parameters: np.ndarray, directions: int, potential: bool = False) -> CurvePoint:
        t = base_jet(parameters[0], directions)
        w = 1.0 / t
        kappa = np.sqrt(w.value.astype(complex))
        with np.errstate(all="ignore"):
            cosh, sinh, tanh = np.cosh(kappa), np.sinh(kappa), np.tanh(kappa)
            ratio = np.where(kappa == 0, 1.0, sinh * cosh / np.where(kappa == 0, 1.0, kappa))  # sinh(2κ)/2κ
            square, sech = cosh**2, 1 / cosh**2
            z_value = self.mean * (self.spread / 2 * square / w.value + ratio)
            by_w = (np.cosh(2 * kappa) - ratio) / (2 * w.value)
            z_slope = self.mean * (self.spread / 2 * (ratio - square / w.value) / w.value + by_w)
            factor = 2 / (self.mean * self.spread)
            g_value, g_slope = factor * w.value * sech, factor * sech * (1 - kappa * tanh)
        real = not np.iscomplexobj(parameters)
        z = w.apply(*(np.real(v) if real else v for v in (z_value, z_slope)))
        g = w.apply(*(np.real(v) if real else v for v in (g_value, g_slope)))
        own = None
        if potential:
            rest = 2 / self.spread * (w.value - kappa * tanh)
            own = np.log(self.mean * self.spread / 2) + 2 * np.log(cosh) - lower_log(w.value) + rest
        return CurvePoint(z, g, z * g - 1.0, own, (stage_margin(z, parameters[0], g),), parameters[0])

    def start(self, z: np.ndarray) -> np.ndarray:
        return (2 * z / (self.mean * self.spread))[None]

    def anchor(self, side: Side) -> tuple[float, float]:
        return 0.0, 1.0

    def real_parameters(self, base: np.ndarray, side: Side) -> np.ndarray:
        return base[None]
