"""G beside an atom, where the place of a point among floating-point numbers decides over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Complex, Float, Inexact

from freeness.numerics import ROUNDING

NEAR = 1e-7  # of the law's size: so near to an atom a solution loses eight digits
_FAR = np.array([[1e-5], [4e-5]])  # there it still tells what G is beside the pole
LOST = 1e-3  # relative error from which on a value is none


def beside_atoms(
    atoms: Sequence[tuple[float, float]],
    size: float | Float[np.ndarray, " points"],
    z: Inexact[np.ndarray, " points"],
    g: Inexact[np.ndarray, " points"],
    solved: Callable[[Inexact[np.ndarray, " far"]], Inexact[np.ndarray, " far"]],
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
    g, error, sizes = g.astype(complex), np.zeros(z.shape), np.broadcast_to(size, z.shape)
    told = np.zeros(z.shape, bool)
    for position, mass in atoms:
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
            pole = (unsure < lost) & (distance > 0)
            g[near] = np.where(pole, mass / away + rest[0], g[near])
        told[near] |= pole
        error[near] = np.maximum(error[near], np.where(pole, unsure, np.where(distance > 0, lost, np.inf)))
    return g, error, told
