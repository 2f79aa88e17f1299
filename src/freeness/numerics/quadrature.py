"""Expectations under a Gaussian, exact for kinked integrands: Gauss–Legendre panels that end at the kinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal

from freeness.errors import InputError

RANGE = 12.0  # standard deviations; the Gaussian mass outside is 4e-33
_PANEL = 0.75  # widest panel in standard deviations: 16 nodes resolve e^{-h²/2} on it to machine precision
_FEATURE = 1.0  # widest panel in units of h: activations change on that scale
_PANELS = 4000
_KEPT = 256  # rules: a deep network asks for as many
_MODEST = 16.0  # variance up to which rules are kept: at most 60 kB each
_ORDER = 16
_CHECKS = (11, 8)  # lower orders whose deviation estimates the error; one alone may agree by chance at a kink


class Estimate(NamedTuple):
    """A number with an estimate of its absolute error."""

    value: float
    error: float


def gaussian_nodes(
    variance: float, kinks: Sequence[float] = (), order: int = _ORDER
) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, " nodes"]]:
    """Nodes h and weights w with Σ w f(h) = E f(√variance·ξ), panels split at ``kinks``.

    Example:
        >>> h, w = gaussian_nodes(4.0, kinks=(0.0,))
        >>> round(float(w @ np.maximum(h, 0.0) ** 2), 12)
        2.0
    """
    inner, count = _panels(variance, kinks)
    xi, weights = _even_rule(count, order) if not inner and variance <= _MODEST else _rule(_breaks(inner, count), order)
    return np.sqrt(variance) * xi, weights


def _rule(breaks: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a standard Gaussian."""
    nodes, weights = legendre_rule(order)
    half = np.diff(breaks)[:, None] / 2
    xi = (breaks[:-1, None] + half + half * nodes).ravel()
    density = np.exp(-(xi**2) / 2) / np.sqrt(2 * np.pi)
    return xi, (half * weights).ravel() * density


@cache
def _even_rule(count: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """:func:`_rule` without kinks, one of few whatever the variance; shared, so it must not be written to."""
    xi, weights = _rule(_breaks([], count), order)
    xi.flags.writeable = weights.flags.writeable = False
    return xi, weights


@lru_cache(maxsize=_KEPT)
def _rules(variance: float, kinks: tuple[float, ...]) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Nodes and weights of every order; several expectations are asked for at one variance. Shared, so not to be written to."""
    rules = tuple(gaussian_nodes(variance, kinks, order) for order in (_ORDER, *_CHECKS))
    for array in (each for rule in rules for each in rule):
        array.flags.writeable = False
    return rules


def gaussian_breaks(variance: float, kinks: Sequence[float] = ()) -> Float[np.ndarray, " breaks"]:
    """Where the panels of :func:`gaussian_nodes` meet, in standard deviations: evenly, at 0, and at the kinks.

    Example:
        >>> breaks = gaussian_breaks(4.0, kinks=(1.0,))
        >>> bool(0.0 in breaks), bool(0.5 in breaks), float(np.diff(breaks).max())
        (True, True, 0.5)
    """
    return _breaks(*_panels(variance, kinks))


def _panels(variance: float, kinks: Sequence[float]) -> tuple[list[float], int]:
    """The kinks within reach, in standard deviations, and how many even panels lie on either side of 0."""
    if not (np.isfinite(variance) and variance > 0):
        raise InputError(f"expected a Gaussian variance > 0, got {variance}; check q and the layer's input.")
    deviation = np.sqrt(variance)
    inner = [k / deviation for k in kinks if abs(k) < RANGE * deviation]
    return inner, min(int(np.ceil(RANGE / min(_PANEL, _FEATURE / deviation))), _PANELS // 2)


def _breaks(inner: Sequence[float], count: int) -> np.ndarray:
    above = np.linspace(0.0, RANGE, count + 1)
    return np.unique(np.concatenate([-above, above, inner]))


@cache
def legendre_rule(order: int) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, " nodes"]]:
    """The rule on [-1, 1], which costs more than an expectation does; shared, so it must not be written to."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights


def gaussian_expectation(
    function: Callable[[Float[np.ndarray, " nodes"]], Float[np.ndarray, " nodes"]],
    variance: float,
    kinks: Sequence[float] = (),
) -> Estimate:
    """E f(√variance·ξ) with an error estimate (the largest change when nodes are left out, plus rounding).

    Example:
        >>> round(gaussian_expectation(np.square, 3.0).value, 12)
        3.0
    """
    kept = _rules if variance <= _MODEST else _rules.__wrapped__
    fine, *coarse = (float(weights @ function(nodes)) for nodes, weights in kept(float(variance), tuple(kinks)))
    if not np.isfinite(fine):
        raise InputError(
            f"expected a function with a finite Gaussian mean at variance {variance:g}, got {fine}; "
            "it grows too fast or returns NaN, so choose another activation or a smaller variance."
        )
    return Estimate(fine, max(abs(fine - value) for value in coarse) + 4e-16 * abs(fine))


def gauss_rule(
    positions: Float[np.ndarray, " atoms"], masses: Float[np.ndarray, " atoms"], count: int
) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, " nodes"]]:
    """Nodes and weights of the Gauss rule of a discrete measure: ``count`` atoms with its first 2·count moments (0, 1, …).

    Lanczos' method with full reorthogonalisation gives the Jacobi matrix, whose eigenvalues are the nodes; fewer nodes where
    the measure has no more.

    Example:
        >>> nodes, weights = gauss_rule(np.array([-1.0, 0.0, 1.0]), np.array([0.25, 0.5, 0.25]), 2)
        >>> [round(float(v), 12) for v in nodes**2], [round(float(v), 12) for v in weights]
        ([0.5, 0.5], [0.5, 0.5])

    Source: Golub, Welsch (1969).
    """
    total = float(masses.sum())
    basis = np.zeros((count + 1, positions.size))
    basis[0] = np.sqrt(masses / total)
    diagonal, beside = np.zeros(count), np.zeros(count)
    for k in range(count):
        image = positions * basis[k]
        diagonal[k] = image @ basis[k]
        for _ in range(2):
            image -= basis[: k + 1].T @ (basis[: k + 1] @ image)
        beside[k] = np.linalg.norm(image)
        if beside[k] <= 1e-14 * np.abs(positions).max(initial=0.0):
            diagonal, beside = diagonal[: k + 1], beside[: k + 1]
            break
        basis[k + 1] = image / beside[k]
    nodes, vectors = eigh_tridiagonal(diagonal, beside[:-1])
    return nodes, total * vectors[0] ** 2
