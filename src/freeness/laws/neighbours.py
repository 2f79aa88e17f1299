"""Solutions over real points, remembered, so that points between them start there instead of far above the axis."""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Inexact, Shaped

from freeness.laws.end_series import EndSeries
from freeness.numerics import Solution

_TURN, _GROWTH = (
    1.0,
    5.0,
)  # most that the logarithm of an unknown changes between neighbours between which others start; or x
_FAR = 3.0  # quotient of neighbours from which on unknowns between them are taken as powers of x
_SMALL = 1e-3  # in units of its like: a smaller unknown may pass 0
_APART = 1e-6  # relative distance of points that tell how unknowns change
_CLOSE = 0.1  # relative distance that is near in any case
_SPREAD = 8  # one of so many points that nothing near leads to is followed, before others start from these
_STONES, _HALF, _SHORTEST = (
    6,
    0.5,
    0.1,
)  # on the way to a point at most; the share of it that a step takes, and the least
_BEYOND = 8.0  # of the distance between the last two: so far do others start beyond them
_UNEVEN = 8.0  # ratio of gaps between four points up to which a cubic goes through them
_BACK = 0.25  # of the way beyond the last one, which the other lies away from it
_TRIED, _FOUND = 40, 4  # about how many of the first points are guessed; fewer that are found are no beginning


Led = Callable[[EndSeries, np.ndarray, np.ndarray], Solution]


class Neighbours:
    """What solves over real points that come closer and closer to those asked for before.

    Within a band the unknowns are analytic over x, so Newton that contracts from between two near solutions stays on their
    branch; all other points are followed from far away.

    Args:
        followed: x (m,) ↦ solutions from far above the axis.
        confirmed: (start (k, m), x (m,)) ↦ solutions near approximate ones, not converged where none is certain.
        size_of: (k, m) ↦ (k, m), what a change of each unknown is compared with.
        inner: (k, m) ↦ (m,), whether solutions lie inside a band, so that others may start there; all, when left out.
        stones: whether what ``confirmed`` finds is the solution, from however far it started: then others on the way are tried.
        first: about how many of the first points are followed.
    """

    def __init__(
        self,
        followed: Callable[[Float[np.ndarray, " points"]], Solution],
        confirmed: Callable[[Inexact[np.ndarray, "unknowns points"], Float[np.ndarray, " points"]], Solution],
        size_of: Callable[[Inexact[np.ndarray, "unknowns points"]], Float[np.ndarray, "unknowns points"]] = np.abs,
        inner: Callable[[Inexact[np.ndarray, "unknowns points"]], Bool[np.ndarray, " points"]] | None = None,
        stones: bool = False,
        first: int = 5,
    ) -> None:
        self._followed, self._confirmed = followed, confirmed
        self._size_of, self._inner, self._stones, self._first = size_of, inner, stones, first
        self._guessed: Callable[[np.ndarray], Solution] | None = None
        self._series: Sequence[EndSeries] = ()
        self._led: Led | None = None
        self._x = np.empty(0)
        self._known: Solution | None = None

    def guessing(self, guessed: Callable[[Float[np.ndarray, " points"]], Solution]) -> Self:
        """These, with x (m,) ↦ solutions found at once, not converged elsewhere: the first points are so, if possible."""
        self._guessed = guessed
        return self

    def beside(self, series: Sequence[EndSeries], led: Led) -> Self:
        """These, with what is known of the ends of bands: many points beside one are ``led`` to by its series.

        (series, unknowns at its nodes (k, nodes), x (m,)) ↦ solutions, not converged where it leads to none.
        """
        self._series, self._led = series, led
        return self

    def solve(self, x: Float[np.ndarray, " points"]) -> Solution:
        """The unknowns over x (m,), solved where they are not known."""
        points, place = np.unique(x, return_inverse=True)
        fresh = points[~np.isin(points, self._x)]
        nowhere, fresh = fresh[np.isnan(fresh)], fresh[~np.isnan(fresh)]  # NaN is in no list, and stays unknown
        self._ask(self._beside(fresh) if self._series else fresh)
        assert self._known is not None
        if nowhere.size and not np.isnan(self._x).any():
            self._add(nowhere, self._followed(nowhere))
        return taken(self._known, np.searchsorted(self._x, points)[place])

    def _ask(self, x: np.ndarray) -> None:
        """Adds points from near ones, or from far away."""
        fresh = x[~np.isin(x, self._x)]
        if self._known is None:
            self._begin(fresh)
        elif fresh.size:
            self._extend(fresh)

    def _beside(self, x: np.ndarray) -> np.ndarray:
        """Adds points, those beside ends of bands, where there are many, by the series of these ends; returns those it misses."""
        led = [(series, own) for series in self._series if np.sum(own := series.reaches(x)) > series.nodes.size]
        rest = np.any([own for _, own in led], axis=0) if led else np.zeros(x.shape, bool)
        if not rest.all():
            self._ask(x[~rest])
        for finer in (True, True, False):
            if led:
                self._ask(np.unique(np.concatenate([series.nodes for series, _ in led])))
            nearer: list[tuple[EndSeries, np.ndarray]] = []
            for series, own in led:
                assert self._known is not None and self._led is not None
                nodes = taken(self._known, np.searchsorted(self._x, series.nodes))
                if not (nodes.converged & (nodes.height == 0)).all():
                    continue
                within = series.nearer(nodes.parameters, self._size_of(nodes.parameters)) if finer else None
                inner = np.zeros(x.shape, bool) if within is None else own & within.reaches(x)
                if within is not None and inner.any():
                    nearer.append((within, inner))
                fresh = np.flatnonzero(own & ~inner & ~np.isin(x, self._x))
                found = self._led(series, nodes.parameters, x[fresh])
                kept = np.flatnonzero(found.converged)
                self._add(x[fresh[kept]], taken(found, kept))
                rest[fresh[kept]] = False
            led = nearer
        return x[rest]

    def _begin(self, x: np.ndarray) -> None:
        """The first points: some from far away, the others between these, ever closer; at both ends points are hardest."""
        if self._guessed is not None and self._begun(x, self._guessed):
            return
        stride = 2 ** max(0, (x.size // self._first).bit_length() - 1)
        places = np.arange(stride // 2, x.size, stride)
        self._x, self._known = x[places], self._followed(x[places])
        rest = np.delete(np.arange(x.size), places)
        while rest.size and stride > 1:  # what is not found at once may be between nearer neighbours
            stride //= 2
            tried = rest[rest % stride == 0]
            left = self._add_near(x[tried])
            rest = rest[~np.isin(rest, tried) | np.isin(x[rest], left)]
        self._extend(x[rest])

    def _begun(self, x: np.ndarray, guessed: Callable[[np.ndarray], Solution]) -> bool:
        """Whether enough of the first points are found at once, from which the others then are."""
        stride = max(1, x.size // _TRIED)
        places = np.arange(stride // 2, x.size, stride)
        found = guessed(x[places])
        kept = np.flatnonzero(found.converged)
        if kept.size < _FOUND:
            return False
        self._x, self._known = x[places[kept]], taken(found, kept)
        self._extend(np.delete(x, places[kept]))
        return True

    def _extend(self, x: np.ndarray) -> None:
        """Further points: from between known ones, by stepping stones, or from far away; of many, as in gaps, some first."""
        rest = self._approached(self._add_near(x))
        stride = _SPREAD if rest.size > _SPREAD**2 else 1
        while rest.size:
            chosen = np.arange(stride // 2, rest.size, stride)
            self._add(rest[chosen], self._followed(rest[chosen]))
            rest, stride = np.delete(rest, chosen), 1
            if rest.size:
                rest = self._add_near(rest)

    def _add_near(self, x: np.ndarray) -> np.ndarray:
        """Adds those of the points that solutions at known ones lead to; returns the others."""
        found, kept = self._near(x)
        self._add(x[kept], found)
        return np.delete(x, kept)

    def _approached(self, x: np.ndarray) -> np.ndarray:
        """Adds points by others on the way from known ones, each halfway to the target; returns those that are not reached."""
        if not self._stones:
            return x
        share = np.full(x.shape, _HALF)
        for _ in range(_STONES):
            if x.size == 0:
                break
            start = self._nearest(x)
            with np.errstate(all="ignore"):
                stones = np.where(start * x > 0, start * (x / start) ** share, start + share * (x - start))
            going = (share >= _SHORTEST) & np.isfinite(stones) & ~np.isin(stones, self._x)
            missed = self._add_near(np.unique(stones[going]))
            stepped = going & ~np.isin(stones, missed)
            share = np.where(stepped, _HALF, share / 4)
            if 2 * np.count_nonzero(share < _SHORTEST) > x.size:  # these are followed, all in as many steps as one
                break
            rest = np.isin(x, self._add_near(x)) if stepped.any() else np.ones(x.shape, bool)
            x, share = x[rest], share[rest]
            if not going.any():
                break
        return x

    def _nearest(self, x: np.ndarray) -> np.ndarray:
        """The known point inside a band next to each point, NaN where there is none."""
        known = self._x[self._sound]
        if known.size == 0:
            return np.full(x.shape, np.nan)
        place = np.clip(np.searchsorted(known, x), 1, max(known.size - 1, 1))
        low, high = known[place - 1], known[np.minimum(place, known.size - 1)]
        return np.where(np.abs(x - low) <= np.abs(high - x), low, high)

    @property
    def _sound(self) -> np.ndarray:
        """Which known solutions others may start from."""
        assert self._known is not None
        sound = self._known.converged & (self._known.height == 0)
        return sound if self._inner is None else sound & self._inner(self._known.parameters)

    def _near(self, x: np.ndarray) -> tuple[Solution, np.ndarray]:
        """Solutions from between known ones, and of which of the points."""
        start, close = self._between(x)
        near = np.flatnonzero(close)
        trial = self._confirmed(start[:, near], x[near])
        kept = np.flatnonzero(trial.converged)
        return taken(trial, kept), near[kept]

    def _between(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unknowns between the known neighbours, or beyond the last two, as powers of x; where they are alike or one is close."""
        assert self._known is not None
        apart = np.flatnonzero(self._sound)
        apart = apart[np.diff(self._x[apart], prepend=-np.inf) > _APART * np.abs(self._x[apart])]
        if apart.size < 2:
            return np.empty((len(self._known.parameters), x.size), complex), np.zeros(x.shape, bool)
        before, after = (apart[place] for place in _around(self._x[apart], x))
        low, high = self._x[before], self._x[after]
        left, right = self._known.parameters[:, before], self._known.parameters[:, after]
        with np.errstate(all="ignore"):
            far = ((high > _FAR * low) | (x < low) | (x > high)) & (low > 0) & (x > 0)
            share = np.where(far, np.log(x / low) / np.log(high / low), (x - low) / (high - low))
            close = (np.abs(share) <= _BEYOND) | (np.abs(x - low) <= _CLOSE * np.abs(x))
            size = np.maximum(self._size_of(left), self._size_of(right))
            turn = np.where(np.abs(left) + np.abs(right) > _SMALL * size, np.log(right / left), 0.0)
            growth = np.where(far, np.maximum(np.log(high / low), _GROWTH), _GROWTH)
            alike = (np.abs(np.imag(turn)) < _TURN).all(axis=0) & (np.abs(np.real(turn)) < growth).all(axis=0)
            share = np.clip(share, -_BEYOND, _BEYOND)
            turned = share * turn + self._bent(x, apart, before, left, turn)
            start = np.where(turn == 0, left + share * (right - left), left * np.exp(turned))
            nearest = np.where(np.abs(x - low) <= np.abs(x - high), low, high)
            beside = ~alike & (np.abs(x - nearest) <= _CLOSE * np.abs(x))
            start = np.where(beside, np.where(nearest == low, left, right), start)
        return start, ((close & alike) | beside) & np.isfinite(start).all(axis=0)

    def _bent(
        self, x: np.ndarray, sound: np.ndarray, before: np.ndarray, left: np.ndarray, turn: np.ndarray
    ) -> np.ndarray:
        """What the next points on both sides add to a logarithm on a line between two, by Newton's cubic; 0 at the ends."""
        assert self._known is not None
        found = np.zeros(left.shape, complex)
        place = np.searchsorted(sound, before)
        inner = np.flatnonzero((place > 0) & (place + 2 < sound.size))
        if inner.size == 0:
            return found
        at = sound[place[inner] + np.array([[-1], [0], [1], [2]])]
        (far, low, high, farther), here = self._x[at], x[inner]
        gaps = np.array([low - far, high - low, farther - high])
        even = (gaps.max(axis=0) <= _UNEVEN * gaps.min(axis=0)) & (low < here) & (here < high)
        values = self._known.parameters
        with np.errstate(all="ignore"):
            back = np.log(values[:, at[0]] / left[:, inner]) / (far - low)
            on = np.log(values[:, at[3]] / left[:, inner]) / (farther - low)
            slope = turn[:, inner] / (high - low)
            first, second = (back - slope) / (far - high), (on - slope) / (farther - high)
            bend = first + (here - far) * (second - first) / (farther - far)
            added = (here - low) * (here - high) * bend
        kept = even & np.isfinite(added) & (np.abs(added) <= np.abs(turn[:, inner]))
        found[:, inner] = np.where(kept, added, 0.0)
        return found

    def _add(self, x: np.ndarray, found: Solution) -> None:
        assert self._known is not None
        together = np.concatenate([self._x, x])
        order = np.argsort(together, kind="stable")
        self._x, self._known = together[order], taken(_joined(self._known, found), order)


def _around(known: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of two of the ascending ``known`` points around each x; beyond these, of two not much nearer to one another.

    Distances are ratios among positive numbers.
    """
    after = np.clip(np.searchsorted(known, x), 1, known.size - 1)
    before = after - 1
    with np.errstate(all="ignore"):
        for end, beyond in ((known[0], x < known[0]), (known[-1], x > known[-1])):
            inner = np.where((end > 0) & (x > 0), end * (end / x) ** _BACK, end + _BACK * (end - x))
            place = np.clip(np.searchsorted(known, inner), 1, known.size - 1)
            after = np.where(beyond & (end == known[0]), place, after)
            before = np.where(beyond & (end == known[-1]), place - 1, before)
    return before, after


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


def put(solution: Solution, where: Shaped[np.ndarray, " changed"], part: Solution) -> None:
    """Writes the solutions of some points into those of all."""
    solution.parameters[:, where], solution.height[where] = part.parameters, part.height
    solution.noise[where], solution.converged[where] = part.noise, part.converged
