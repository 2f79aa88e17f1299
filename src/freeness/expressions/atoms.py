"""Atoms of the law of an expression: where matrices have repeated eigenvalues, with masses that follow from the variables'."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from freeness.laws import Atom, TransformLaw

_EQUAL = 1e-12  # eigenvalues nearer than this, relatively, are one
_ZERO = 1e-10  # a position below this, relatively, is 0
_HEIGHTS = 10.0 ** -np.arange(2, 8)  # relative to the radius, at which iy·G is read, as far as it converges
_LOWER = 10.0 ** -np.arange(8, 11)  # where it still falls at the last of them: a narrow band may lie beside an atom
_FALLS = 1e-3  # change over the last of them that is not settled
_NEAR = 5e-3  # largest deviation of the mass read from that computed
_LIGHT = 1e-5
_SAFE = 10.0  # the mass read errs by at most so many of its last changes over a decade of heights, and
_READ = 1e-5  # by at least this
_TERMS = 5  # the heaviest atoms of the variables that masses are made of
_FACTORS = (0, 1, -1, 2, -2)


def expression_atoms(
    law: TransformLaw, eigenvalues: np.ndarray, parts: Sequence[tuple[int, float]]
) -> tuple[Atom, ...]:
    """The atoms of a law, given a random matrix of it.

    Ranks of generic matrices are piecewise linear in the multiplicities of the variables' eigenvalues with small integer
    coefficients, and the mass is the same combination of their masses; which one is decided by the multiplicity in the
    matrix and by the limit of iy·G(λ + iy): the simplest within its error, as multiplicities may agree by chance.

    ``parts``: of every atom of a variable, its multiplicity in that matrix and its mass.

    Source: Arizmendi, Cébron, Speicher, Yin, Universality of free random variables: atoms for non-commutative rational
    functions (2024).
    """
    scale = float(np.abs(eigenvalues).max())
    runs = np.split(eigenvalues, np.flatnonzero(np.diff(eigenvalues) > _EQUAL * scale) + 1)
    found: list[Atom] = []
    for run in runs:
        if run.size < 2:
            continue
        position = 0.0 if abs(run.mean()) <= _ZERO * scale else float(run.mean())
        mass = _mass(*_limit(law, position, scale), run.size, eigenvalues.size, parts)
        if mass > _LIGHT:
            found.append(Atom(position, mass))
    return tuple(found)


def _limit(law: TransformLaw, position: float, scale: float) -> tuple[float, float]:
    """lim iy·G(λ + iy), extrapolated for an error that is a power of y, and its error."""
    mass = _at_heights(law, position, _HEIGHTS * scale)
    if mass[-2] - mass[-1] > _FALLS:
        mass = np.append(mass, _at_heights(law, position, _LOWER * scale))
    a, b, c = mass[-3:]
    bend = (c - b) - (b - a)
    limit = float(c - (c - b) ** 2 / bend) if abs(c - b) < abs(b - a) and bend != 0 else float(c)
    return limit, max(_SAFE * abs(float(c - b)), _READ)


def _at_heights(law: TransformLaw, position: float, y: np.ndarray) -> np.ndarray:
    """iy·G(λ + iy) ≥ the mass of the atom, falling with y."""
    (g, _), _ = law.transforms(position + 1j * y)
    return np.real(1j * y * g)[np.isfinite(g)]


def _mass(read: float, error: float, multiplicity: int, size: int, parts: Sequence[tuple[int, float]]) -> float:
    """The simplest combination of masses with this multiplicity and the mass read within its error, else the nearest."""
    heaviest = sorted(parts, key=lambda part: -part[1])[:_TERMS]
    counts = np.array([size, *(count for count, _ in heaviest)])
    masses = np.array([1.0, *(mass for _, mass in heaviest)])
    factors = np.array(list(product(_FACTORS, repeat=counts.size)))
    factors = factors[np.argsort(np.abs(factors).sum(axis=1), kind="stable")]
    values = factors @ masses
    fitting = values[(factors @ counts == multiplicity) & (np.abs(values - read) < _NEAR)]
    if fitting.size:
        return float(fitting[np.argmin(np.maximum(np.abs(fitting - read), error))])  # the first within the error
    return read if len(parts) > _TERMS else 0.0  # a repeated eigenvalue that no rank explains is rounding
