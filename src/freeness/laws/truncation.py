"""The law of X given that it lies in an interval."""

from __future__ import annotations

import numpy as np

from freeness.errors import InputError
from freeness.laws.atoms import Atoms, simplify
from freeness.laws.density import Density
from freeness.laws.law import Law, require_laws
from freeness.laws.mixture import Mixture

_LEAST = 1e-7  # a smaller mass is a difference of distribution functions without digits


def truncated(law: Law, low: float, high: float) -> Law:
    """The law conditioned on [low, high]: its density there, divided by its mass, and its atoms.

    Args:
        law: with or without bounded support.
        low: left end of what is kept, finite.
        high: right end, finite; the law must have mass between.

    Example:
        >>> from freeness.laws import Semicircle
        >>> round(truncated(Semicircle(1.0), 0.0, 3.0).mean, 9)  # of the quarter circle: 8/(3π)
        0.848826363
    """
    require_laws(law)
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(f"expected a finite interval with low < high, got [{low}, {high}]; order its ends.")
    atoms = [(x, mass) for x, mass in law.atoms if low <= x <= high]
    heavy = sum(mass for _, mass in atoms)
    bands = [(max(a, low), min(b, high)) for a, b in law.bands if max(a, low) < min(b, high)]
    light = sum(_mass(law, a, b) for a, b in bands)
    light = light if light > _LEAST else 0.0
    if heavy + light <= 0:
        raise InputError(f"expected an interval that holds mass of {law!r}, got [{low}, {high}]; see its support.")
    parts: list[tuple[Law, float]] = []
    if atoms:
        positions, masses = np.array(atoms).T
        parts.append((simplify(Atoms(positions, masses / heavy)), heavy))
    if light > 0:
        inner = sorted({end for band in bands for end in band})[1:-1]
        density = Density(
            lambda x: np.where(_within(x, bands), law.density(x), 0.0) / light, bands[0][0], bands[-1][1], inner
        )
        parts.append((density, light))
    if len(parts) == 1:
        return parts[0][0]
    return Mixture([part for part, _ in parts], np.array([mass for _, mass in parts]) / (heavy + light))


def _mass(law: Law, low: float, high: float) -> float:
    """Of the open interval, in which no atom of the law need lie apart from others."""
    inside = sum(mass for x, mass in law.atoms if low < x <= high)
    return float(law.cdf(high) - law.cdf(low)) - inside


def _within(x: np.ndarray, bands: list[tuple[float, float]]) -> np.ndarray:
    return np.any([(x > low) & (x < high) for low, high in bands], axis=0)
