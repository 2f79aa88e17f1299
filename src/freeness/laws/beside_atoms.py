"""G beside an atom, where the place of a point among floating-point numbers decides over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Inexact

from freeness.numerics import ROUNDING

NEAR = 1e-7  # of the law's size: so near to an atom a solution loses eight digits
_FAR = np.array([[1e-5], [4e-5]])  # there it still tells what G is beside the pole
LOST = 1e-3  # relative error from which on a value is none

Atoms = Sequence[tuple[float, float]]
Solved = Callable[[Inexact[np.ndarray, " far"]], Inexact[np.ndarray, " far"]]


def beside_atoms(
    atoms: Atoms,
    size: float | Float[np.ndarray, " points"],
    z: Inexact[np.ndarray, " points"],
    g: Inexact[np.ndarray, " points"],
    solved: Solved,
) -> tuple[Complex[np.ndarray, " points"], Float[np.ndarray, " points"], Bool[np.ndarray, " points"]]:
    """G with the digits that a pole w/(z - a) has, its error there, and where the pole told it.

    The error is 0 away from atoms, and infinite on one.

    Beside a, G = w/(z - a) + r with z·r → 0, for an atom is what (z - a)G tends to. r is read farther away in the same direction;
    if it grows towards a by a power, as beside a hard edge, it is as uncertain as it is large.

    Args:
        atoms: positions and masses.
        size: in which z is rounded, of the law or of each point.
        z: points of the closed upper half-plane.
        g: solutions there.
        solved: G at other points, NaN where that is not known.
    """
    known, error, told = g.astype(complex), np.zeros(z.shape), np.zeros(z.shape, bool)
    for pole in _poles(atoms, np.broadcast_to(size, z.shape), z, known, solved):
        known[pole.here] = pole.mass / pole.away + pole.rest
        told[pole.here] = True
        error[pole.near] = np.maximum(error[pole.near], pole.error)
    return known, error, told


def transforms_beside_atoms(
    atoms: Atoms,
    size: float | Float[np.ndarray, " points"],
    z: Inexact[np.ndarray, " points"],
    found: Sequence[Sequence[Inexact[np.ndarray, " points"]]],
    solved: Solved,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """(G, G') and (u, u') with the digits of the pole where it tells them: u = zG - 1 = w - 1 + aw/(z - a) + z·r.

    Of r' = O(r/(z - a)) beside w/(z - a)² a difference of r is enough.

    Args:
        atoms: positions and masses.
        size: in which z is rounded.
        z: points of the closed upper half-plane.
        found: what is known of the transforms there.
        solved: G at other points, NaN where that is not known.
    """
    (g, dg), (u, du) = ((value.astype(complex), slope.astype(complex)) for value, slope in found)
    for pole in _poles(atoms, np.broadcast_to(size, z.shape), z, g, solved):
        here, away, rest, slope = pole.here, pole.away, pole.rest, pole.slope
        term, a = pole.mass / away, pole.position
        g[here], dg[here] = term + rest, slope - term / away
        if a != 0:  # at 0 u has no pole
            u[here], du[here] = pole.mass - 1.0 + a * term + z[here] * rest, rest + z[here] * slope - a * term / away
    return (g, dg), (u, du)


class _Pole(NamedTuple):
    """Points ``near`` an atom and errors there; ``here`` G is told by the pole, so far ``away``, a ``rest`` and its slope."""

    position: float
    mass: float
    near: np.ndarray
    error: np.ndarray
    here: np.ndarray
    away: np.ndarray
    rest: np.ndarray
    slope: np.ndarray


def _reached(atoms: Atoms, sizes: np.ndarray, z: np.ndarray) -> Atoms:
    """Of ascending atoms, which may be many, those between the first and the last that some real part is near to."""
    positions = np.array([position for position, _ in atoms])
    first = np.searchsorted(positions, np.real(z) - NEAR * sizes, side="left")
    last = np.searchsorted(positions, np.real(z) + NEAR * sizes, side="right")
    some = last > first
    return atoms[int(first[some].min()) : int(last[some].max())] if some.any() else ()


def _poles(atoms: Atoms, sizes: np.ndarray, z: np.ndarray, g: np.ndarray, solved: Solved) -> Iterator[_Pole]:
    for position, mass in _reached(atoms, sizes, z):
        near = np.flatnonzero(np.abs(z - position) <= NEAR * sizes)
        if near.size == 0:
            continue
        away = z[near] - position
        distance = np.abs(away)
        with np.errstate(all="ignore"):
            step = sizes[near] * _FAR * (away / distance)
            places, which = np.unique(position + step, return_inverse=True)
            rest = solved(places)[which.reshape(step.shape)] - mass / step
            power = np.maximum(np.log(np.abs(rest[0] / rest[1])) / np.log(_FAR[1, 0] / _FAR[0, 0]), 0.0)
            unsure = np.abs(rest[0]) * (np.abs(step[0]) / distance) ** power
            lost = np.where(np.isfinite(g[near]), np.abs(g[near]) * ROUNDING * sizes[near] / distance, np.inf)
            told = (unsure < lost) & (distance > 0)
            error = np.where(told, unsure, np.where(distance > 0, lost, np.inf))
            slope = (rest[1] - rest[0]) / (step[1] - step[0])
        yield _Pole(position, mass, near, error, near[told], away[told], rest[0, told], slope[told])
