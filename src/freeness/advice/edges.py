"""The upper ends of the spectra of a chain without the spectra: one walk along the real curve, all its points at once.

Right of the support the curve is real: from z = ∞ the moves of the layers (theory.md §1) take each start u₀ > 0 to a point z
of the final law, and the first minimum of z(u₀) is the edge; where z falls for ever the end is an atom, which has a closed form.
Fifty different layers cost some milliseconds so, and up to seconds as densities.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from freeness.laws import Law
from freeness.laws.atomic import AtomicLaw
from freeness.meanfield import ActivationSignal, DenseSignal, Signals
from freeness.network import ActivationFunction, Dense, Gaussian, Haar, Network
from freeness.network.layers import Activation
from freeness.numerics.quadrature import gaussian_nodes
from freeness.spectra import fisher_law, fisher_top_atom, jacobian_law, jacobian_top_atom
from freeness.spectra.backward import layers_and_signals

_TINY = 1e-250  # u₀ far outside the support
_NEAR = 1e-6  # u of the final law at the first point of the walk
_STEP, _COUNT, _LAST = 0.25, 49, 250.0  # decimal logarithms of u₀, so many at once, until the minimum is among them
_FINER = 33  # points of a refinement; three of them place the minimum to 1e-4 and its value to 1e-8
_REFINEMENTS = 3
_STEPS = 60  # of Newton's method at most
_SETTLED = 1e-13
_LIGHT = 1e-18  # Gaussian weight of a node that is left out
_QUANTILES = 400
_CLOSE, _CLOSER = 1e-9, 0.9  # to 0 from below: where Newton's method starts, and the part of the way that a step may go

_Points = tuple[np.ndarray, np.ndarray]


def upper_end(network: Network, found: Signals, of: Literal["jacobian", "fisher"] = "fisher") -> float:
    """λ_max of the law of JJᵀ or of the one-sample Fisher dual Θ of a chain.

    Args:
        network: a chain.
        found: its signals; of activations in the mean field, their law is taken at the nodes of the Gaussian.
        of: which law.

    Source: theory.md §3.1, §3.2; agrees with the laws of ``freeness.spectra``, from which it is independent but for atoms.

    Example:
        >>> from freeness.meanfield import signals
        >>> from freeness.network import mlp
        >>> net = mlp(10, 100, "relu", sigma_w=2**0.5)  # 2·9⁹/8⁸, theory.md §3.1
        >>> round(upper_end(net, signals(net), "jacobian") / (2 * 9**9 / 8**8), 9)
        1.0
    """
    atom = (jacobian_top_atom if of == "jacobian" else fisher_top_atom)(network, realised=found)
    if atom is not None:
        return atom.position
    moves = _moves(network, found, of)
    if moves is None:  # an ensemble whose curve is not written down here
        return float((jacobian_law if of == "jacobian" else fisher_law)(network, realised=found).hull[1])
    growth = float(_walked(moves, np.array([_TINY]))[1][0]) / _TINY  # of u through the layers, far out
    logs = np.log10(_NEAR / growth) + _STEP * np.arange(_COUNT)
    z = _walked(moves, 10.0**logs)[0]
    while not (z[1:] >= z[:-1]).any() and logs[-1] < _LAST:
        logs = logs[-2] + _STEP * np.arange(_COUNT)
        z = _walked(moves, 10.0**logs)[0]
    for _ in range(_REFINEMENTS):
        rising = np.flatnonzero(~(z[1:] < z[:-1]))
        place = int(rising[0]) if rising.size else z.size - 1
        logs = np.linspace(logs[max(place - 1, 0)], logs[min(place + 1, z.size - 1)], _FINER)
        z = _walked(moves, 10.0**logs)[0]
    return float(np.nanmin(z))


_Move = Callable[[np.ndarray, np.ndarray], _Points]


def _walked(moves: list[_Move], start: np.ndarray) -> _Points:
    z, u = np.zeros(0), start
    with np.errstate(all="ignore"):
        for move in moves:
            z, u = move(z, u)
    return z, u


def _moves(network: Network, found: Signals, of: Literal["jacobian", "fisher"]) -> list[_Move] | None:
    moves: list[_Move] = [_base(1.0)] if of == "jacobian" else []
    known: dict[int, _Move] = {}  # layers of one law share it
    for layer, signal in layers_and_signals(network, found):
        if isinstance(layer, Dense) and isinstance(signal, DenseSignal):
            norm = signal.squared_norm + layer.bias
            if of == "fisher" and not moves:
                moves.append(_base(norm))
                continue
            if not isinstance(layer.weights, (Haar, Gaussian)):
                return None
            moves.append(_matrix(layer.weights, layer.fan_in, layer.fan_out))
            if of == "fisher":
                moves.append(_shift(norm))
        elif moves:
            assert isinstance(layer, Activation) and isinstance(signal, ActivationSignal)
            law = signal.derivative_law
            if id(law) not in known:
                known[id(law)] = _factor(*derivative_nodes(layer.function, signal.q, law, found.source))
            moves.append(known[id(law)])
    return moves


def _base(position: float) -> _Move:
    """δ(position): z = position(1 + u)/u."""
    return lambda z, u: (position * (1 + u) / u, u)


def _shift(norm: float) -> _Move:
    """X + norm: g = (1 + u)/z is kept, so u grows by norm·g."""
    return lambda z, u: (z + norm, u + norm * (1 + u) / z)


def _matrix(weights: Haar | Gaussian, fan_in: int, fan_out: int) -> _Move:
    """W X Wᵀ over fan_out dimensions."""
    variance, ratio = weights.sigma_w**2, fan_out / fan_in
    if isinstance(weights, Gaussian):
        return lambda z, u: (z * variance * (ratio + u), u / ratio)
    if ratio >= 1:
        return lambda z, u: (z * variance, u / ratio)
    return lambda z, u: (z * variance * (ratio + u) / (1 + u), u / ratio)


def derivative_nodes(function: ActivationFunction, q: float, law: Law, source: str = "mean-field") -> _Points:
    """Positions and masses that stand for the law of D² = φ'(h)².

    Args:
        function: φ.
        q: variance of h.
        law: of D².
        source: of the signals; a realised law without atoms is taken by its quantiles.

    Example:
        >>> from freeness.laws import Projection
        >>> from freeness.network import activation
        >>> positions, masses = derivative_nodes(activation("relu"), 1.0, Projection(0.5))
        >>> positions.tolist(), masses.tolist()
        ([0.0, 1.0], [0.5, 0.5])
    """
    if isinstance(law, AtomicLaw):
        return law.positions, law.masses
    if source == "mean-field":
        nodes, weights = gaussian_nodes(q, function.kinks)
        kept = weights > _LIGHT
        return function.derivative(nodes[kept]) ** 2, weights[kept]
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return law.quantile(levels), np.full(_QUANTILES, 1 / _QUANTILES)


def subordination(u: np.ndarray, positions: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """w outside the support of a law on [0, top] with E v/(w - v) = u: above it for u > 0, below 0 for -P(v > 0) < u < 0.

    1/E v/(w - v) is increasing in w, concave above the law and convex below 0 (Nevanlinna), so Newton's method climbs to the
    root from the left above it and comes down from the right below; the first two moments give a start.

    Args:
        u: values of one sign, one-dimensional.
        positions: of the law.
        masses: of the law.

    Example:
        >>> subordination(np.array([1.0, -0.25]), np.array([1.0]), np.array([1.0])).tolist()
        [2.0, -3.0]
    """
    kept = positions > 0
    v, p = positions[kept], masses[kept]
    top, mean = float(v.max()), float(p @ v)
    w = mean / u + float(p @ v**2) / mean
    above = u > 0
    with np.errstate(all="ignore"):
        w = np.where(above, np.maximum(w, top * (1 + float(p[v == top].sum()) / u)), np.minimum(w, -_CLOSE * top))
        for _ in range(_STEPS):
            terms = v / (w[:, None] - v)
            value = terms @ p
            step = value * (value / u - 1) / ((terms / (w[:, None] - v)) @ p)
            step = np.where(above, np.maximum(step, 0.0), np.minimum(step, -_CLOSER * w))  # on the right side of 0
            w = np.where(np.isfinite(step), w + step, w)
            if not (np.abs(step) > _SETTLED * np.abs(w)).any():
                break
    return w


def _factor(positions: np.ndarray, masses: np.ndarray) -> _Move:
    """⊠ a law on [0, top]: z ← z u w/(1 + u)."""
    kept = positions > 0
    if kept.sum() == 1:
        height, mass = float(positions[kept][0]), float(masses[kept][0])
        return lambda z, u: (z * height * (mass + u) / (1 + u), u)
    return lambda z, u: (z * u * subordination(u, positions, masses) / (1 + u), u)
