"""Anderson's iteration for fixed points, of many points at once."""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Inexact, Int

_DEPTH = 8  # steps that are remembered
_RIDGE = 1e-14  # of the mean square of remembered changes
_DAMPED = 0.5  # of a plain step, where Anderson's would leave the domain


class Iterated(NamedTuple):
    """Where it ended (k, m), the relative size of the last residual (m,), and how many steps were taken."""

    point: Complex[np.ndarray, "unknowns points"]
    residual: Float[np.ndarray, " points"]
    steps: int


def fixed_point(
    sweep: Callable[
        [Complex[np.ndarray, "unknowns points"], Int[np.ndarray, " points"]], Complex[np.ndarray, "unknowns points"]
    ],
    start: Inexact[np.ndarray, "unknowns points"],
    size_of: Callable[[Complex[np.ndarray, "unknowns points"]], Float[np.ndarray, "unknowns points"]],
    sound: Callable[[Complex[np.ndarray, "unknowns points"]], Bool[np.ndarray, " points"]],
    *,
    tolerance: float = 1e-10,
    most: int = 200,
) -> Iterated:
    """x with sweep(x) = x for each column, by combinations of the last steps whose residuals cancel best.

    Source: Anderson (1965); Walker, Ni (2011).

    Example:
        >>> found = fixed_point(lambda x, _: np.cos(x), np.ones((1, 2)), np.abs, lambda x: np.ones(2, bool)[: x.shape[1]])
        >>> bool(np.allclose(np.cos(found.point), found.point, rtol=0, atol=1e-9)), found.steps < 12
        (True, True)
    """
    point, residual = start.astype(complex), np.full(start.shape[1], np.inf)
    running = np.arange(start.shape[1])
    x = point.copy()
    moves: list[np.ndarray] = []
    changes: list[np.ndarray] = []
    before: tuple[np.ndarray, np.ndarray] | None = None
    steps = 0
    for _ in range(most):
        if running.size == 0:
            break
        steps += 1
        missing = sweep(x, running) - x
        sizes = np.maximum(size_of(x), size_of(x + missing))
        sizes = np.where(sizes > 0, sizes, 1.0)
        residual[running] = np.abs(missing / sizes).max(axis=0)
        point[:, running] = x
        if before is not None:
            moves, changes = [*moves, x - before[0]][-_DEPTH:], [*changes, missing - before[1]][-_DEPTH:]
        proposed = x + missing - _combined(moves, changes, missing, sizes)
        plain = x + _DAMPED * missing
        fine = sound(proposed)
        following = np.where(fine, proposed, plain)
        before = x, missing
        left = ~(residual[running] <= tolerance)
        if not left.all():
            running, following = running[left], following[:, left]
            before = before[0][:, left], before[1][:, left]
            moves, changes = [one[:, left] for one in moves], [one[:, left] for one in changes]
        x = following
    return Iterated(point, residual, steps)


def _combined(
    moves: list[np.ndarray], changes: list[np.ndarray], missing: np.ndarray, sizes: np.ndarray
) -> np.ndarray | float:
    """What the remembered steps say of the rest of the way."""
    if not moves:
        return 0.0
    scaled = np.stack([change / sizes for change in changes])  # (steps, k, m)
    gram = np.einsum("ikm,jkm->mij", scaled.conj(), scaled)
    right = np.einsum("ikm,km->mi", scaled.conj(), missing / sizes)
    lift = _RIDGE * np.trace(gram, axis1=1, axis2=2).real / len(moves) + np.finfo(float).tiny
    shares = np.linalg.solve(gram + lift[:, None, None] * np.eye(len(moves)), right[:, :, None])[:, :, 0]
    found = np.zeros_like(missing)
    for index, (move, change) in enumerate(zip(moves, changes, strict=True)):
        found += shares[:, index] * (move + change)
    return found
