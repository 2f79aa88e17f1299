"""Solutions at complex points, remembered: a law inside another is asked at points that move little between Newton steps."""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Complex

from freeness.numerics import HUGE, Solution, Update

_KEPT = 2048  # points
_STEPS = 6  # of Newton's method from the nearest of them at most
_LONGEST, _CONTRACTION = 0.5, 0.25  # of a first step, relative, and of each that follows over the one before
_ARRIVED = 1e-8  # relative size of a step behind which nothing but rounding is left
_TINY = np.finfo(float).tiny


class Nearby:
    """Points of the closed upper half-plane and the unknowns there, from the nearest of which Newton starts at others."""

    def __init__(self) -> None:
        self._points: np.ndarray = np.empty(0, complex)
        self._known: np.ndarray = np.empty((0, 0), complex)

    def add(self, z: Complex[np.ndarray, " points"], found: Solution) -> None:
        """Remembers what was found, and forgets what is oldest."""
        kept = np.flatnonzero(found.converged & (found.height == 0) & (np.abs(z) < HUGE))
        before = self._known if self._points.size else found.parameters[:, :0]
        self._points = np.append(self._points, z[kept])[-_KEPT:]
        self._known = np.append(before, found.parameters[:, kept], axis=1)[:, -_KEPT:]

    def nearest(self, z: Complex[np.ndarray, " points"]) -> Complex[np.ndarray, "unknowns points"] | None:
        """The unknowns at the nearest points that are remembered, NaN far out; None where there is none."""
        if self._points.size == 0:
            return None
        from scipy.spatial import cKDTree  # loads much: not before it is asked for

        here = np.flatnonzero(np.abs(z) < HUGE)
        found = np.full((len(self._known), z.size), np.nan, complex)
        found[:, here] = self._known[:, cKDTree(_plane(self._points)).query(_plane(z[here]))[1]]
        return found


def stepped(
    update: Update,
    start: Complex[np.ndarray, "unknowns points"],
    z: Complex[np.ndarray, " points"],
    size_of: Callable[[np.ndarray], np.ndarray] = np.abs,
) -> Solution:
    """Where Newton comes to, converged where it contracts all the way; whether that is the solution is for others to say."""
    parameters, noise, converged = start.copy(), np.full(z.shape, _LONGEST / _CONTRACTION), np.zeros(z.shape, bool)
    running = np.flatnonzero(np.isfinite(start).all(axis=0))
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            if running.size == 0:
                break
            change, _ = update(parameters[:, running], z[running])
            size = (np.abs(change) / np.maximum(size_of(parameters[:, running]), _TINY)).max(axis=0)
            near = (size <= _CONTRACTION * noise[running]) | (size <= _ARRIVED**2)
            parameters[:, running[near]] += change[:, near]
            noise[running] = size
            converged[running] = near & (size <= _ARRIVED)
            running = running[near & (size > _ARRIVED)]
    return Solution(parameters, np.zeros(z.shape), noise, converged)


def _plane(z: np.ndarray) -> np.ndarray:
    return np.stack([np.real(z), np.imag(z)], axis=1)
