"""A list of moves read along the real axis outside the support, where nothing is solved for but single inverses.

Right of the support the curve is real: from z = ∞ the moves (theory.md §1) take each start u₀ > 0 to a point z of the final law,
and the first minimum of z(u₀) is the end of the support. All points are walked at once.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import singledispatch

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.laws import AtomicLaw, GaussianPushforward, Law
from freeness.moves.drowned import without_drowned
from freeness.moves.move import Move, Resize, Scale, Shift
from freeness.moves.move_list import MoveList
from freeness.moves.multiply import Multiply

_TINY = 1e-250  # u₀ far outside the support
_NEAR = 1e-6  # u of the final law at the first point of the walk
_STEP, _COUNT, _LAST = 0.25, 49, 250.0  # decimal logarithms of u₀, so many at once, until the minimum is among them
_FINER = 33  # points of a refinement; three of them place the minimum to 1e-4 and its value to 1e-8
_REFINEMENTS = 3
_STEPS = 60  # of Newton's method at most
_SETTLED = 1e-13
_LIGHT = 1e-18  # mass of a node that is left out
_QUANTILES = 400
_CLOSE, _CLOSER = 1e-9, 0.9  # to 0 from below: where Newton's method starts, and the part of the way that a step may go

Points = tuple[np.ndarray, np.ndarray]
Step = Callable[[np.ndarray, np.ndarray], Points]


def end_of_walk(listed: MoveList) -> float:
    """The upper end of the support of the law behind the moves, where it is an edge without mass.

    Example:
        >>> from freeness.laws import MarchenkoPastur
        >>> round(end_of_walk(MoveList(1.0, (Multiply(MarchenkoPastur(1.0)),))), 7)
        4.0
    """
    listed = without_drowned(listed)
    steps = steps_of(listed.moves)

    def z_of(logs: np.ndarray) -> np.ndarray:
        u = 10.0**logs
        return walked(steps, (listed.start * (1 + u) / u, u))[0]

    far = np.array([_TINY])
    growth = float(walked(steps, (listed.start * (1 + far) / far, far))[1][0]) / _TINY  # of u through the moves
    logs = np.log10(_NEAR / growth) + _STEP * np.arange(_COUNT)
    z = z_of(logs)
    while not (z[1:] >= z[:-1]).any() and logs[-1] < _LAST:
        logs = logs[-2] + _STEP * np.arange(_COUNT)
        z = z_of(logs)
    for _ in range(_REFINEMENTS):
        rising = np.flatnonzero(~(z[1:] < z[:-1]))
        place = int(rising[0]) if rising.size else z.size - 1
        logs = np.linspace(logs[max(place - 1, 0)], logs[min(place + 1, z.size - 1)], _FINER)
        z = z_of(logs)
    return float(np.nanmin(z))


def walked(steps: Iterable[Step], at: Points) -> Points:
    """The points (z, u = zG - 1) behind the steps of some moves, from real ones outside the support before them.

    Example:
        >>> walked(steps_of([Scale(2.0), Shift(1.0)]), (np.array([3.0]), np.array([0.5])))
        (array([7.]), array([0.75]))
    """
    z, u = at
    with np.errstate(all="ignore"):
        for step in steps:
            z, u = step(z, u)
    return z, u


def steps_of(moves: Iterable[Move]) -> list[Step]:
    """What each move does to real points outside the support."""
    known: dict[int, Step] = {}  # equal layers share their moves
    return [known.setdefault(id(move), _step(move)) for move in moves]


@singledispatch
def _step(move: Move) -> Step:
    raise InputError(f"expected scales, factors, shifts and changes of dimension, got {move!r}; take the law's hull.")


@_step.register
def _(move: Scale) -> Step:
    return lambda z, u: (z * move.factor, u)


@_step.register
def _(move: Shift) -> Step:
    """g = (1 + u)/z is kept."""
    return lambda z, u: (z + move.constant, u + move.constant * (1 + u) / z)


@_step.register
def _(move: Resize) -> Step:
    return lambda z, u: (z, u * move.ratio)


@_step.register
def _(move: Multiply) -> Step:
    """z ← z/S(u) = z·u w(u)/(1 + u)."""
    closed = move.closed_law
    if closed is not None:
        return lambda z, u: (z * closed.moment_inverse(u) / (1 + u), u)
    positions, masses = nodes_of(move.law)
    return lambda z, u: (z * u * subordination(u, positions, masses) / (1 + u), u)


def nodes_of(law: Law) -> Points:
    """Positions and masses that stand for a law: its atoms, the nodes of the Gaussian it is a function of, or quantiles.

    Example:
        >>> from freeness.laws import Projection
        >>> positions, masses = nodes_of(Projection(0.5))
        >>> positions.tolist(), masses.tolist()
        ([0.0, 1.0], [0.5, 0.5])
    """
    if isinstance(law, AtomicLaw):
        return law.positions, law.masses
    if isinstance(law, GaussianPushforward):
        kept = law.discrete.masses > _LIGHT
        return law.discrete.positions[kept], law.discrete.masses[kept]
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return law.quantile(levels), np.full(_QUANTILES, 1 / _QUANTILES)


def subordination(
    u: Float[np.ndarray, " points"], positions: Float[np.ndarray, " atoms"], masses: Float[np.ndarray, " atoms"]
) -> Float[np.ndarray, " points"]:
    """w outside the support of a law on [0, top] with E v/(w - v) = u: above it for u > 0, below 0 for -P(v > 0) < u < 0.

    1/E v/(w - v) is increasing in w, concave above the law and convex below 0 (Nevanlinna), so Newton's method climbs to the
    root from the left above it and comes down from the right below; the first two moments give a start.

    Args:
        u: values of one sign, one-dimensional.
        positions: where the law has mass, (atoms,).
        masses: there, adding up to 1.

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
