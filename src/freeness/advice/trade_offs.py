"""The dial between isometry and nonlinearity: a deep network that passes gradients undistorted is nearly linear.

With φ = Σ a_k h_k in orthonormal Hermite polynomials, E φ² = Σ a_k² and E φ'² = Σ k a_k²: both 1 make φ's nonlinear energy at
most a_0² (theory.md §9). Over the whole depth the same is read from the kernel C(c) of two inputs of correlation c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float

from freeness.advice.capacity import checked_snr
from freeness.errors import InputError, is_real, is_size
from freeness.meanfield import (
    CriticalPoint,
    Signals,
    critical_point,
    derivative_law,
    derivative_spread,
    edge_of_chaos,
    hermite_coefficients,
    nonlinear_energy,
    second_moment,
    second_moment_slope,
)
from freeness.moves import nodes_of, subordination
from freeness.network import ActivationFunction, Network
from freeness.numerics import CANCELLED
from freeness.shown import Plotted
from freeness.spectra import Bending, Mixing, maps_of

_COEFFICIENTS = 64  # of the Hermite series
_TAIL = 96  # the degree at which the rest of its energy is put
_RULE = 24  # Gauss–Legendre nodes of the integral of ln S
_DIAL = (1e-4, 1e2, 61)  # variances among which a wanted nonlinearity is bracketed


class KernelShares(NamedTuple):
    """Of the output's energy: what all inputs have in common, what is linear in the input, and the rest; 1 in all."""

    common: float
    linear: float
    nonlinear: float

    @property
    def nonlinearity(self) -> float:
        """The nonlinear share of the energy that depends on the input."""
        varying = self.linear + self.nonlinear
        return self.nonlinear / varying if varying > 0 else 0.0


class _Series(NamedTuple):
    """E φ(u)φ(v) = Σ squares·c^degrees."""

    squares: np.ndarray
    degrees: np.ndarray

    def through(self, apart: float, slope: float) -> tuple[float, float]:
        """V(1) - V(c) and the derivative V'(c)·slope at c = 1 - apart, without cancellation near c = 1."""
        with np.errstate(divide="ignore", under="ignore"):
            lost = -np.expm1(self.degrees * np.log1p(-apart)) if apart < 1 else np.ones(self.degrees.size)
            lost[self.degrees == 0] = 0.0
            powers = (1 - apart) ** np.maximum(self.degrees - 1, 0)
            return float(self.squares @ lost), slope * float(self.squares @ (self.degrees * powers))


def _series(function: ActivationFunction, q: float) -> _Series:
    squares = hermite_coefficients(function, q, _COEFFICIENTS) ** 2
    rest = max(second_moment(function, q).value - float(squares.sum()), 0.0)
    return _Series(np.append(squares, rest), np.append(np.arange(_COEFFICIENTS), _TAIL))


def kernel_shares(network: Network, found: Signals) -> KernelShares:
    """What of a chain's output is common to all inputs, linear in them and neither, over the whole depth.

    The kernel of the layers is C(c) = Σ b_k c^k over the correlation c of two inputs of equal norm: b_0 = C(0) is common, b_1 =
    C'(0) is linear, the rest nonlinear. Behind one activation these are a_0², a_1² and its nonlinear energy.

    Args:
        network: a chain that begins with weights.
        found: its mean-field signals.

    Source: Martens et al. (2021) for C; Daniely, Frostig, Singer (2016) for the coefficients; theory.md §9.

    Example:
        >>> from freeness.meanfield import signals
        >>> from freeness.network import mlp
        >>> net = mlp(2, 100, "relu", "gaussian", sigma_w=2**0.5)
        >>> [round(share, 6) for share in kernel_shares(net, signals(net))]  # 1/π, ½, ½ - 1/π of one ReLU
        [0.31831, 0.5, 0.18169]
    """
    maps = maps_of(network, found)
    if not isinstance(maps[0], Mixing):
        raise InputError("expected a chain that begins with weights, got an activation; take the part behind it.")
    apart = slope = q = maps[0].qhat  # V(1) - V(0) and V'(0), not yet divided by q: the input's own kernel is q̂c
    known: dict[Bending, _Series] = {}
    for step in maps:
        if isinstance(step, Mixing):
            apart, slope, q = step.gain * apart, step.gain * slope, step.q
        else:
            if step not in known:
                known[step] = _series(step.function, step.q)
            apart, slope = known[step].through(min(apart / step.q, 1.0), slope / step.q)
    return _shares(apart / q, slope / q)


def _shares(apart: float, slope: float) -> KernelShares:
    common = 1 - apart if 1 - apart > CANCELLED else 0.0
    return KernelShares(common, slope, max(apart - slope, 0.0))


def _alike(function: ActivationFunction, edge: tuple[float, float, float], activations: int) -> KernelShares:
    """:func:`kernel_shares` of n layers at one point (q, σ_w, σ_b) of the edge of chaos."""
    q, sigma_w, sigma_b = edge
    series = _series(function, q)
    apart = slope = 1 - sigma_b**2 / q  # behind the first weights
    for _ in range(activations):
        apart, slope = series.through(min(apart, 1.0), slope)
        apart, slope = sigma_w**2 * apart / q, sigma_w**2 * slope / q
    return _shares(apart, slope)


def isometric_capacity(function: ActivationFunction, q: float, activations: int, snr: float) -> float:
    """C(s) with equal power of n layers with Haar weights at variance q, JJᵀ scaled to mean 1, without its law.

    With u = -y, C = y ln s - y ln y - (1-y) ln(1-y) - ∫_0^y ln S(-t) dt at the y where s = y S(-y)/(1-y), for dC/d ln s = y.

    Source: Tulino, Verdú (2004), §2 for the S-transform and capacity; the integral is this project's.

    Example:
        >>> from freeness.network import activation
        >>> value = isometric_capacity(activation("relu"), 1.0, 1, 1.0)  # half the values 2: ½ ln 3
        >>> bool(abs(value - np.log(3) / 2) < 1e-12)
        True
    """
    positions, masses = nodes_of(derivative_law(function, q))
    mean = float(masses @ positions)
    alive = float(masses[positions > 0].sum())

    def log_s(y: np.ndarray) -> np.ndarray:
        """ln S(-y) of JJᵀ."""
        w = subordination(-y, positions, masses)
        return activations * np.log(mean * (1 - y) / (-y * w))

    def excess(logit: float) -> float:
        y = alive / (1 + np.exp(-logit))
        return float(np.log(y / (1 - y)) + log_s(np.array([y]))[0] - np.log(snr)) if y < 1 else np.inf

    low, high = -1.0, 1.0
    while excess(low) > 0:
        low -= 2.0
    while excess(high) < 0:
        high += 2.0
    y = float(alive / (1 + np.exp(-scipy.optimize.root_scalar(excess, bracket=(low, high), xtol=1e-14).root)))
    nodes, weights = np.polynomial.legendre.leggauss(_RULE)
    nodes, weights = (nodes + 1) * y / 2, weights * y / 2
    entropy = y * np.log(y) + (1 - y) * np.log1p(-y)
    return float(y * np.log(snr) - entropy - weights @ log_s(nodes))


@dataclass(frozen=True, eq=False)
class TradeOff(Plotted):
    """Along the edge of chaos, by the variance q: what isometry costs in nonlinearity.

    ``spread``: σ_JJ² = nδ of n layers with Haar weights. ``nonlinear_energy``: share of φ's energy that is not affine.
    ``common``, ``nonlinearity``: of all n layers together, as in :class:`KernelShares`. ``capacity``: with equal power at
    ``snr``, over that of an isometry. ``growth``: of a small error of the length over n layers.
    """

    q: Float[np.ndarray, " points"]
    sigma_w: Float[np.ndarray, " points"]
    sigma_b: Float[np.ndarray, " points"]
    spread: Float[np.ndarray, " points"]
    nonlinear_energy: Float[np.ndarray, " points"]
    common: Float[np.ndarray, " points"]
    nonlinearity: Float[np.ndarray, " points"]
    capacity: Float[np.ndarray, " points"]
    growth: Float[np.ndarray, " points"]
    activations: int
    snr: float


def trade_off(
    function: ActivationFunction,
    activations: int,
    q: Sequence[float] | Float[np.ndarray, " variances"],
    snr: float = 1.0,
) -> TradeOff:
    """Spread, nonlinearity and capacity of n layers at variances q of the edge of chaos.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        activations: n, layers of φ.
        q: variances > 0; those at which no biases make the network critical are left out.
        snr: at which the capacity is taken.

    Raises:
        InputError: no variance is left, or an argument out of range.

    Example:
        >>> from freeness.network import activation
        >>> found = trade_off(activation("tanh"), 50, [0.01, 0.1])
        >>> found.spread.round(3).tolist(), found.nonlinearity.round(3).tolist(), found.capacity.round(3).tolist()
        ([0.036, 1.985], [0.003, 0.203], [0.993, 0.745])
    """
    if not is_size(activations):
        raise InputError(f"expected at least one activation layer, got {activations!r}; count the activations.")
    s, count = checked_snr(snr), int(activations)
    edge = edge_of_chaos(function, q)
    energies = np.array([nonlinear_energy(function, float(value)) for value in edge.q])
    rows = list(zip(edge.q.tolist(), edge.sigma_w.tolist(), edge.sigma_b.tolist(), strict=True))
    shares = [_alike(function, row, count) for row in rows]
    return TradeOff(
        edge.q,
        edge.sigma_w,
        edge.sigma_b,
        count * derivative_spread(function, edge.q),
        energies,
        np.array([share.common for share in shares]),
        np.array([share.nonlinearity for share in shares]),
        np.array([isometric_capacity(function, v, count, s) for v, _, _ in rows]) / np.log1p(s),
        np.array([(w**2 * second_moment_slope(function, v)) ** count for v, w, _ in rows]),
        count,
        s,
    )


def dial(function: ActivationFunction, activations: int, nonlinearity: float) -> CriticalPoint:
    """The point of the edge of chaos at which n layers together are nonlinear to a wanted share: how much spread that costs.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        activations: n, layers of φ.
        nonlinearity: nonlinear share of the energy that depends on the input, in (0, 1).

    Raises:
        InputError: no variance has it; the message says what is reachable.

    Example:
        >>> from freeness.network import activation
        >>> point = dial(activation("tanh"), 50, 0.1)
        >>> round(50 * point.delta, 2)  # σ_JJ²
        1.0
    """
    if not is_size(activations):
        raise InputError(f"expected at least one activation layer, got {activations!r}; count the activations.")
    if not (is_real(nonlinearity) and 0 < nonlinearity < 1):
        raise InputError(
            f"expected a share of nonlinearity in (0, 1), got {nonlinearity!r}; it is a share of the energy."
        )

    def excess(q: float) -> float:
        edge = edge_of_chaos(function, [q])
        row = (q, float(edge.sigma_w[0]), float(edge.sigma_b[0]))
        return _alike(function, row, int(activations)).nonlinearity - nonlinearity

    q = edge_of_chaos(function, np.geomspace(*_DIAL)).q
    values = np.array([excess(float(value)) for value in q])
    crossings = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    if crossings.size == 0:
        low, high = values.min() + nonlinearity, values.max() + nonlinearity
        raise InputError(
            f"expected a nonlinearity that {function.name} can have in {activations} layers, {low:.3g} to {high:.3g}, got "
            f"{nonlinearity:g}; choose one between, or another depth."
        )
    ends = np.log(q[crossings[0] : crossings[0] + 2])
    found = scipy.optimize.root_scalar(lambda v: excess(float(np.exp(v))), bracket=tuple(ends), xtol=1e-13)
    return critical_point(function, float(np.exp(found.root)))
