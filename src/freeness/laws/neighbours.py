"""Solutions over real points, remembered, so that points between them start there instead of far above the axis."""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from freeness.numerics import Solution

_TURN, _GROWTH = 1.0, 5.0  # most that the logarithm of an unknown changes between neighbours between which others start
_FAR, _FARTHEST = 3.0, 1e4  # quotients of neighbours between which unknowns are taken as powers of x
_SMALL = 1e-3  # in units of its like: a smaller unknown may pass 0
_APART = 1e-6  # relative distance of points that tell how unknowns change
_CLOSE = 0.1  # relative distance that is near in any case
_BEYOND = 8.0  # of the distance between the last two: so far do others start beyond them


class Neighbours:
    """What solves over real points that come closer and closer to those asked for before.

    Within a band the unknowns are analytic over x, so Newton that contracts from between two near solutions stays on their
    branch; all other points are followed from far away.

    Args:
        followed: x (m,) ↦ solutions from far above the axis.
        confirmed: (start (k, m), x (m,)) ↦ solutions near approximate ones, not converged where none is certain.
        size_of: (k, m) ↦ (k, m), what a change of each unknown is compared with.
        inner: (k, m) ↦ (m,), whether solutions lie inside a band, so that others may start there; all, when left out.
        first: about how many of the first points are followed; fewer where a point costs more than the call.
    """

    def __init__(
        self,
        followed: Callable[[np.ndarray], Solution],
        confirmed: Callable[[np.ndarray, np.ndarray], Solution],
        size_of: Callable[[np.ndarray], np.ndarray] = np.abs,
        inner: Callable[[np.ndarray], np.ndarray] | None = None,
        first: int = 64,
    ) -> None:
        self._followed, self._confirmed = followed, confirmed
        self._size_of, self._inner, self._first = size_of, inner, first
        self._x = np.empty(0)
        self._known: Solution | None = None

    def solve(self, x: np.ndarray) -> Solution:
        """The unknowns over x (m,), solved where they are not known."""
        points, place = np.unique(x, return_inverse=True)
        fresh = points[~np.isin(points, self._x)]
        if self._known is None:
            self._begin(fresh)
        elif fresh.size:
            self._add(fresh, self._solved(fresh))
        assert self._known is not None
        return taken(self._known, np.searchsorted(self._x, points)[place])

    def _begin(self, x: np.ndarray) -> None:
        """The first points: some from far away, the others between these, ever closer."""
        stride = 2 ** max(0, (x.size // self._first).bit_length() - 1)
        places = np.unique(np.append(np.arange(0, x.size, stride), x.size - 1))
        self._x, self._known = x[places], self._followed(x[places])
        rest = np.delete(np.arange(x.size), places)
        while rest.size:  # what is not found at once may be between nearer neighbours
            stride //= 2
            tried = rest[rest % max(stride, 1) == 0]
            found, kept = self._near(x[tried])
            self._add(x[tried[kept]], found)
            rest = np.setdiff1d(rest, tried[kept])
            if stride <= 1:
                self._add(x[rest], self._followed(x[rest]))
                break

    def _solved(self, x: np.ndarray) -> Solution:
        found, kept = self._near(x)
        rest = np.delete(np.arange(x.size), kept)
        return found if rest.size == 0 else _merged(kept, found, rest, self._followed(x[rest]))

    def _near(self, x: np.ndarray) -> tuple[Solution, np.ndarray]:
        """Solutions from between known ones, and of which of the points."""
        start, close = self._between(x)
        near = np.flatnonzero(close)
        trial = self._confirmed(start[:, near], x[near])
        kept = np.flatnonzero(trial.converged)
        return taken(trial, kept), near[kept]

    def _between(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unknowns between the known neighbours, or beyond the last two, as powers of x; and where these are alike."""
        assert self._known is not None
        sound = self._known.converged & (self._known.height == 0)
        if self._inner is not None:
            sound &= self._inner(self._known.parameters)
        apart = np.flatnonzero(sound)
        apart = apart[np.diff(self._x[apart], prepend=-np.inf) > _APART * np.abs(self._x[apart])]
        if apart.size < 2:
            return np.empty((len(self._known.parameters), x.size), complex), np.zeros(x.shape, bool)
        place = np.clip(np.searchsorted(self._x[apart], x), 1, apart.size - 1)
        before, after = apart[place - 1], apart[place]
        low, high = self._x[before], self._x[after]
        left, right = self._known.parameters[:, before], self._known.parameters[:, after]
        with np.errstate(all="ignore"):
            far = (high > _FAR * low) & (high < _FARTHEST * low)
            share = np.where(far, np.log(x / low) / np.log(high / low), (x - low) / (high - low))
            close = (np.abs(share) <= _BEYOND) | (np.abs(x - low) <= _CLOSE * np.abs(x))
            size = np.maximum(self._size_of(left), self._size_of(right))
            turn = np.where(np.abs(left) + np.abs(right) > _SMALL * size, np.log(right / left), 0.0)
            alike = (np.abs(np.imag(turn)) < _TURN).all(axis=0) & (np.abs(np.real(turn)) < _GROWTH).all(axis=0)
            share = np.clip(share, -_BEYOND, _BEYOND)
            start = np.where(turn == 0, left + share * (right - left), left * np.exp(share * turn))
        return start, close & alike & np.isfinite(start).all(axis=0)

    def _add(self, x: np.ndarray, found: Solution) -> None:
        assert self._known is not None
        order = np.argsort(np.concatenate([self._x, x]), kind="stable")
        self._x = np.concatenate([self._x, x])[order]
        self._known = taken(_joined(self._known, found), order)


def taken(solution: Solution, where: np.ndarray) -> Solution:
    """The solutions of some points."""
    return Solution(
        solution.parameters[:, where], solution.height[where], solution.noise[where], solution.converged[where]
    )


def _joined(first: Solution, second: Solution) -> Solution:
    """The solutions of all points, those of the second behind those of the first."""
    return Solution(
        np.concatenate([first.parameters, second.parameters], axis=1),
        np.concatenate([first.height, second.height]),
        np.concatenate([first.noise, second.noise]),
        np.concatenate([first.converged, second.converged]),
    )


def _merged(here: np.ndarray, first: Solution, there: np.ndarray, second: Solution) -> Solution:
    """The solutions of all points in order, from those at the places ``here`` and ``there``."""
    return taken(_joined(first, second), np.argsort(np.concatenate([here, there])))
