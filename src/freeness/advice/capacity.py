"""How much of a signal a Jacobian lets through: the capacity of back-propagation.

The back-propagated signal passes the channel δ ↦ Jᵀδ with Gaussian noise. With equal power on all directions its capacity per
direction is C(s) = ∫ log(1 + sλ) dμ(λ), μ the law of JJᵀ and s the signal-to-noise ratio; at mean 1 it is largest when all
singular values are 1 (Jensen). A transmitter that knows J pours its power like water over the levels 1/(sλ), and gains from
spread at low s. Natural logarithms: nats per direction.

Source: Telatar (1999) for both capacities of a known matrix; the use on Jacobians is this project's (theory.md §9).
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from freeness.errors import InputError, is_real
from freeness.laws import AtomicLaw, Law

_NODES = 48  # Gauss–Legendre nodes a band, bunched at both ends by a sine
_NOTHING = 1e-200  # of the largest eigenvalue: one below it takes no power at any signal-to-noise ratio in floats
_NEGATIVE = 1e-9  # relative; eigenvalues of a measured JJᵀ below 0 by less are rounding


def equal_power_capacity(spectrum: Law | ArrayLike, snr: float) -> float:
    """C(s) = ∫ log(1 + sλ) dμ(λ).

    Args:
        spectrum: law of JJᵀ, or its measured eigenvalues (squared singular values of J).
        snr: s > 0, signal power over noise power in each direction at gain 1.

    Raises:
        InputError: a spectrum with negative part, or s ≤ 0.

    Example:
        >>> round(equal_power_capacity([1.0, 1.0], 1.0), 6), round(equal_power_capacity([0.5, 1.5], 1.0), 6)
        (0.693147, 0.660878)
    """
    s = checked_snr(snr)
    points = _points(spectrum)
    if points is not None:
        values, masses = points
        return float(masses @ np.log1p(s * values))
    assert isinstance(spectrum, Law)
    _check_positive(spectrum)
    return float(np.log(s) + spectrum.log_potential(np.array([-1 / s]))[0])


def water_filling_capacity(spectrum: Law | ArrayLike, snr: float) -> float:
    """The capacity when the transmitter knows J: max ∫ log(1 + s p(λ) λ) dμ over powers p ≥ 0 with ∫ p dμ = 1.

    Power flows where λ exceeds a threshold t: p = (1/t - 1/λ)/s, with ∫_{λ>t} (1/t - 1/λ) dμ = s, and C = ∫_{λ>t} log(λ/t) dμ.
    Atoms are summed exactly; the rest is integrated by parts against 1 - cdf, which has no jump at t.

    Args:
        spectrum: law of JJᵀ, or its measured eigenvalues.
        snr: s > 0.

    Raises:
        InputError: a spectrum with negative part or without a positive one, or s ≤ 0.

    Example:
        >>> round(water_filling_capacity([0.5, 1.5], 0.1), 6)  # all power into the stronger half
        0.131182
    """
    s = checked_snr(snr)
    points = _points(spectrum)
    if points is not None:
        return _filled(*points, s)
    assert isinstance(spectrum, Law)
    _check_positive(spectrum)
    top = spectrum.hull[1]
    if top <= 0:
        raise InputError(_NOTHING_PASSES)

    def excess(log_t: float) -> float:
        return _poured(spectrum, float(np.exp(log_t))) - s

    high = float(np.log(top))
    low = high - 1.0
    while excess(low) < 0:
        low -= 1.0
    threshold = float(np.exp(scipy.optimize.root_scalar(excess, bracket=(low, high), xtol=1e-14).root))
    points, weights, beyond = _tail(spectrum, threshold)
    return float(weights @ (beyond / points))


def _filled(values: np.ndarray, masses: np.ndarray, s: float) -> float:
    """The water level of atoms: the k strongest take part, for the k at which the threshold falls between two of them."""
    order = np.argsort(values)[::-1]
    values, masses = values[order], masses[order]
    if values[0] <= 0:
        raise InputError(_NOTHING_PASSES)
    kept = values > _NOTHING * values[0]
    values, masses = values[kept], masses[kept]
    threshold = np.cumsum(masses) / (s + np.cumsum(masses / values))  # if the first k take part
    active = int(np.flatnonzero(values > threshold)[-1]) + 1
    return float(masses[:active] @ np.log(values[:active] / threshold[active - 1]))


def _poured(law: Law, threshold: float) -> float:
    """∫_{λ>t} (1/t - 1/λ) dμ = ∫_t^∞ (1 - cdf(λ))/λ² dλ."""
    points, weights, beyond = _tail(law, threshold)
    return float(weights @ (beyond / points**2))


def _tail(law: Law, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes and weights on [t, top], panels that end where the cdf bends or jumps, and 1 - cdf there."""
    top = law.hull[1]
    if threshold >= top:
        return np.ones(1), np.zeros(1), np.zeros(1)
    places = [end for band in law.bands for end in band] + [atom.position for atom in law.atoms]
    breaks = np.unique([threshold, top, *(place for place in places if threshold < place < top)])
    angles, weights = np.polynomial.legendre.leggauss(_NODES)
    angles, weights = (angles + 1) * np.pi / 2, weights * np.pi / 2
    half = np.diff(breaks)[:, None] / 2
    points = (breaks[:-1, None] + half * (1 - np.cos(angles))).ravel()  # a square root's end is smooth in the angle
    return points, (half * weights * np.sin(angles)).ravel(), 1.0 - law.cdf(points)


_NOTHING_PASSES = "expected a spectrum with a positive part, got only 0; nothing passes such a Jacobian."


def checked_snr(snr: float) -> float:
    """The signal-to-noise ratio, if it is positive.

    Example:
        >>> checked_snr(2)
        2.0
    """
    if not (is_real(snr) and snr > 0):
        raise InputError(
            f"expected a signal-to-noise ratio > 0, got {snr!r}; it is a ratio of powers, not in decibels."
        )
    return float(snr)


def _points(spectrum: Law | ArrayLike) -> tuple[np.ndarray, np.ndarray] | None:
    """Positions and masses of a discrete spectrum, None for a law with a continuous part."""
    if isinstance(spectrum, AtomicLaw):
        values, masses = spectrum.positions, spectrum.masses
    elif isinstance(spectrum, Law):
        return None
    else:
        try:
            values = np.asarray(spectrum, dtype=float).ravel()
        except (TypeError, ValueError):
            values = np.empty(0)
        masses = np.full(values.size, 1 / max(values.size, 1))
    if values.size == 0 or not np.isfinite(values).all():
        raise InputError("expected a law or finite eigenvalues, got others; pass the squared singular values of J.")
    if values.min() < -_NEGATIVE * np.abs(values).max():
        raise InputError(
            f"expected eigenvalues ≥ 0, got {values.min():.3g}; pass those of JJᵀ, the squared singular values of J."
        )
    return np.maximum(values, 0.0), masses


def _check_positive(law: Law) -> None:
    if law.lower_bound < 0 and law.hull[0] < 0:
        raise InputError(f"expected a law on [0, ∞), got one that reaches down to {law.hull[0]:.3g}; take that of JJᵀ.")
