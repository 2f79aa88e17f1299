"""Anderson's iteration for fixed points, of many points at once."""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Inexact, Int

_DEPTH = 8  # steps that are remembered
_SEEN = 1000  # unknowns at most by whose residuals these are combined: few numbers are sought
_RIDGE = 1e-14  # of the mean square of remembered changes
_DAMPED = 0.5  # of a plain step, where Anderson's would leave the domain


class Iterated(NamedTuple):
    """Where it ended (m, k), the relative size of the last residual (m,), and how many steps were taken."""

    point: Complex[np.ndarray, "points unknowns"]
    residual: Float[np.ndarray, " points"]
    steps: int


class _Past:
    """What the last steps moved, with what residuals changed by (m, steps, k), and these changes where they are seen."""

    def __init__(self, points: int, unknowns: int) -> None:
        count = min(unknowns, _SEEN)
        self._seen = np.sort(np.random.default_rng(0).permutation(unknowns)[:count])
        self._moved = np.empty((points, _DEPTH, unknowns), complex)
        self._changed = np.empty((points, _DEPTH, count), complex)
        self._steps = 0

    def add(self, moved: np.ndarray, changed: np.ndarray) -> None:
        """In the place of the earliest, once there are many."""
        slot = self._steps % _DEPTH
        np.add(moved, changed, out=self._moved[:, slot])
        self._changed[:, slot] = changed[:, self._seen]
        self._steps += 1

    def keep(self, which: np.ndarray) -> None:
        """Only some points."""
        self._moved, self._changed = self._moved[which], self._changed[which]

    def combined(self, missing: np.ndarray, sizes: np.ndarray) -> np.ndarray | float:
        """What they say of the rest of the way (m, k)."""
        steps = min(self._steps, _DEPTH)
        if not steps:
            return 0.0
        scaled = self._changed[:, :steps] / sizes[:, None, self._seen]
        gram = scaled.conj() @ scaled.swapaxes(1, 2)
        right = scaled.conj() @ (missing / sizes)[:, self._seen, None]
        lift = _RIDGE * np.trace(gram, axis1=1, axis2=2).real / steps + np.finfo(float).tiny
        shares = np.linalg.solve(gram + lift[:, None, None] * np.eye(steps), right)
        return (shares.swapaxes(1, 2) @ self._moved[:, :steps])[:, 0]


def fixed_point(
    sweep: Callable[
        [Complex[np.ndarray, "points unknowns"], Int[np.ndarray, " points"]], Complex[np.ndarray, "points unknowns"]
    ],
    start: Inexact[np.ndarray, "points unknowns"],
    size_of: Callable[[Complex[np.ndarray, "points unknowns"]], Float[np.ndarray, "points unknowns"]],
    sound: Callable[[Complex[np.ndarray, "points unknowns"]], Bool[np.ndarray, " points"]],
    *,
    tolerance: float = 1e-10,
    most: int = 200,
) -> Iterated:
    """x with sweep(x) = x for each row, by combinations of the last steps whose residuals cancel best.

    Source: Anderson (1965); Walker, Ni (2011). Not scipy's ``anderson``, which takes one real point: here many complex ones go
    on together, each until it is there, and none leaves the domain.

    Example:
        >>> found = fixed_point(lambda x, _: np.cos(x), np.ones((2, 1)), np.abs, lambda x: np.ones(2, bool)[: len(x)])
        >>> bool(np.allclose(np.cos(found.point), found.point, rtol=0, atol=1e-9)), found.steps < 12
        (True, True)
    """
    point, residual = start.astype(complex), np.full(len(start), np.inf)
    running, x = np.arange(len(start)), point.copy()
    past = _Past(*start.shape)
    before: tuple[np.ndarray, np.ndarray] | None = None
    steps = 0
    for _ in range(most):
        if running.size == 0:
            break
        steps += 1
        missing = sweep(x, running) - x
        sizes = np.maximum(size_of(x), size_of(x + missing))
        sizes = np.where(sizes > 0, sizes, 1.0)
        residual[running] = np.abs(missing / sizes).max(axis=1, initial=0.0)
        point[running] = x
        left = ~(residual[running] <= tolerance)
        if not left.all():
            running, x, missing, sizes = running[left], x[left], missing[left], sizes[left]
            past.keep(left)
            before = None if before is None else (before[0][left], before[1][left])
        if before is not None:
            past.add(x - before[0], missing - before[1])
        proposed = x + missing - past.combined(missing, sizes)
        before = x, missing
        x = np.where(sound(proposed)[:, None], proposed, x + _DAMPED * missing)
    return Iterated(point, residual, steps)
