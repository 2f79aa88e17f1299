"""The law of a graph of random matrices: on the positive axis, over which its ends may lie many decades apart."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Self

import numpy as np
from jaxtyping import Complex, Float
from numpy.typing import ArrayLike

from freeness.errors import ConvergenceError, InputError
from freeness.laws import Atom, EndSeries, Neighbours, moments_on_circle, put, real_points
from freeness.numerics import LAST_DIGIT, Solution, Standard, follow, improved, question
from freeness.operators.field_equation import FieldEquation
from freeness.operators.graph_equation import Direction, GraphEquation, Outside
from freeness.operators.lower_end import COARSE, FAR, Seen, WalkedEnd, lower_end, upper_end
from freeness.operators.matrix_law import BESIDE, EMPTY, MatrixLaw, Moments

_NEARER, _FARTHER = (0.85, 1.1), (0.4, 1.3)  # of the guessed lower end: outside, and inside
_SHARP = 1e-8  # in the logarithm of the distance from the floor, to which an end is known that is no fold
_NEAR_FLOOR = 1e-6  # in units of the radius: ends nearer to a floor > 0 are not told from it
_MOUNTS = 1.3  # mass over distance × density: 2 behind an inverse root, at most 2/3 behind a root
_DECADES = 14
_PER_DECADE = 4
_ZOOMS = 6
_SECTIONS = 9
_HALVINGS = 14  # to 1e-4 of the radius
_HEIGHTS = np.array([1e-4, 1e-5, 1e-6])  # in units of the radius, where an atom at 0 is read if points are costly
_STEADY = 1e-4  # change of the mass read there that is none
_TOLD = 0.02  # lightest atom that is told beside a density that mounts towards 0
_DEEP = 1e-9  # relative depth of fields that is more than rounding
_STRAYED = 1e-6  # difference of fields that are known, relative, that is rounding
_SAME = 0.25  # of the half distance between two solutions: so near to a guess is the one that it is for
_ON_END, _END = (
    1e-14,
    1e-13,
)  # distance in units of the magnitude at which a point is on an end, and what ends are known to
_MOST_LOST = 0.5  # share of the points beside an end that its series may not lead to
_ABOVE = 1e-8  # height in them at which two solutions are told from one another in any case
_FAINT = 1e-3  # relative error of slopes of which the sign is sure
_CLEARLY = 1e3  # times the noise of unknowns, the same where rounding is felt
_CIRCLE, _POINTS = 1.5, 32  # where a point is costly: of the contour of moments, whose error is 1.5^-64


class GraphLaw(MatrixLaw):
    """The law with G of a :class:`GraphEquation` or a :class:`BlockEquation`.

    Source: see :mod:`freeness.operators.graph_equation`.
    """

    def __init__(self, equation: FieldEquation, extent: tuple[float, float]) -> None:
        self._read_zero = False
        first, second = equation.moments()
        self._graph = equation
        super().__init__(equation, extent, moments=Moments(first, second - first**2))

    @property
    def _standard(self) -> Standard:
        return replace(super()._standard, enough=self._graph.enough, wary=True)

    def _solver(self) -> Neighbours:
        if self.costly:
            return super()._solver()
        return Neighbours(
            lambda x: self._followed(x.astype(complex)),
            lambda start, x: self._near(start, x.astype(complex)),
            self._equation.size_of,
            stones=True,
        ).beside(self._known_ends(), self._led)

    def _known_ends(self) -> list[EndSeries]:
        """Of the bands, or of the continuous part, where they have been found."""
        known = vars(self)
        bands = known["_known_bands"].intervals if "_known_bands" in known else (known.get("continuous_hull"),)
        return EndSeries.of([band for band in bands if band], [0.0, self._graph.floor, *(at for at, _ in self._atoms)])

    def _near(self, start: np.ndarray, target: np.ndarray) -> Solution:
        """Solutions near rough guesses: with all fields inside the lower half-plane there is one; others by contraction.

        Towards a hard edge rounding moves them, by far less than they lie inside.
        """
        magnitude, standard = self._magnitude(target), self._standard
        found = improved(self._update, start, target, magnitude, standard, standard.negligible)
        there = np.flatnonzero(found.converged)
        deep = np.maximum(_DEEP, _CLEARLY * found.noise[there])
        found.converged[there] = self._graph.depth(found.parameters[:-1, there]) > deep
        self._outside(found, there[~found.converged[there]], np.real(target))
        rest = np.flatnonzero(~self._kept(found, target).converged)
        if rest.size:
            put(found, rest, self._kept(self._confirmed(start[:, rest], target[rest]), target[rest]))
        return found

    def _outside(self, found: Solution, where: np.ndarray, x: np.ndarray) -> None:
        """Marks those of the solutions that are real, with fields that fall over x: the one in a gap.

        Above such a point all fields are inside the lower half-plane, θ(x + iy) = θ + iyθ' + O(y²), where there is one solution.
        Beside the end of a band, where slopes are known to few digits, none is marked.
        """
        fields, size = found.parameters[:-1, where], self._equation.size_of(found.parameters[:, where])[:-1]
        real = (np.abs(np.imag(fields)) <= _DEEP * size).all(axis=0)
        where, size = where[real], size[:, real]
        if where.size == 0:
            return
        unknowns = self._equation.hermitian(found.parameters[:, where])
        with np.errstate(all="ignore"):
            rates = self._equation.rates(unknowns, x[where])
            steep = (np.abs(rates) / size).max(axis=0) * self._magnitude(x[where])
            above = self._graph.depth(unknowns[:-1] + 1j * np.abs(x[where]) * rates)
        sure = (above > _DEEP) & (LAST_DIGIT * steep**2 <= _FAINT)
        found.parameters[:, where[sure]] = unknowns[:, sure]
        found.converged[where[sure]] = True

    def _led(self, series: EndSeries, nodes: np.ndarray, x: np.ndarray) -> Solution:
        """Solutions beside the end of a band, whose unknowns at its ``nodes`` are known; see :mod:`freeness.laws.end_series`.

        Newton comes to that of two solutions which its guess is near to. On the end, within what it is known to, rounding does
        not tell them from one another: there the series is the solution.
        """
        target, magnitude = x.astype(complex), self._magnitude(x)
        middle, apart = series.sheets(nodes, target)
        found = improved(self._update, middle + apart, target, magnitude, self._standard, self._standard.negligible)
        found.converged[~self._same(found.parameters - middle - apart, apart, middle)[0]] = False
        on = np.flatnonzero(np.abs(x - series.end) <= _ON_END * magnitude)
        height = _END * magnitude[on]
        middle, apart = series.sheets(nodes, target[on] + 1j * height)
        same, noise = self._same(self._update(middle + apart, target[on] + 1j * height)[0], apart, middle)
        put(found, on, Solution(middle + apart, height, noise, same))
        found = self._kept(found, target)
        lost = np.flatnonzero(~found.converged)
        if 0 < lost.size <= _MOST_LOST * x.size:  # else the band is none: a narrower one may begin there
            above = np.maximum(np.abs(x[lost] - series.end), _ABOVE * magnitude[lost])
            middle, apart = series.sheets(nodes, target[lost] + 1j * above)
            put(found, lost, self._lowered(middle + apart, target[lost], above))
        return found

    def _same(self, change: np.ndarray, apart: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether a change of the unknowns is none beside the half distance between two solutions, and its relative size."""
        size = np.maximum(self._equation.size_of(near), np.finfo(float).tiny)
        change, apart = ((np.abs(part) / size).max(axis=0) for part in (change, apart))
        return change <= _SAME * apart, change

    def _lowered(self, start: np.ndarray, target: np.ndarray, height: np.ndarray) -> Solution:
        """Solutions from those near ``start`` so far above, where these lie inside the half-plane."""
        found = self._near(start, target + 1j * height)
        there = np.flatnonzero(found.converged)
        found.converged[:] = False
        if there.size:
            known, at, magnitude = found.parameters[:, there], target[there], self._magnitude(target[there])

            def begin(x: np.ndarray, y: np.ndarray) -> np.ndarray:
                return known

            down = follow(self._update, begin, at, height[there], magnitude, self._standard)
            put(found, there, self._kept(down, at))
        return found

    def _followed(self, target: np.ndarray) -> Solution:
        return self._kept(super()._followed(target), target)

    def _kept(self, found: Solution, target: np.ndarray) -> Solution:
        """Solutions in which fields that are known are what they have to be."""
        there = np.flatnonzero(found.converged)
        z = target[there] + 1j * found.height[there]
        found.converged[there] = self._graph.strayed(found.parameters[:-1, there], 1 / z) <= _STRAYED
        return found

    @property
    def costly(self) -> bool:
        """Whether a point takes seconds, its equations being many."""
        return self._graph.costly

    def __repr__(self) -> str:
        return f"GraphLaw({self._equation.size} nodes)"

    def moments(self, order: int) -> Float[np.ndarray, " order"]:
        """m_1, …, m_order; the first two from the equations, exactly."""
        first = self._known_moments.mean
        exact = np.array([first, self._known_moments.variance + first**2])
        if order <= 2:
            return exact[:order]
        if self.costly:
            return np.append(exact, moments_on_circle(self, int(order), _CIRCLE * self.upper_end, _POINTS)[2:])
        return np.append(exact, super().moments(order)[2:])

    def resolved(self, z: ArrayLike) -> Complex[np.ndarray, "*points positions positions"]:
        """G(z) between the P positions (or samples, or both) of the output, averaged over its channels, (*z.shape, P, P).

        Its trace over P is the Cauchy transform; with n samples the entry (a, b) is tr ((z - Θ)⁻¹)^{ab}.

        Raises:
            ConvergenceError: a point could not be reached.

        Source: theory.md §3.3 (Hayase, Karakida give n = 1).
        """
        points = np.asarray(z).astype(complex)
        self.cauchy(points)
        flat = points.ravel()
        upper = np.where(np.imag(flat) < 0, flat.conj(), flat)
        solution = self._solve(upper)
        blocks = self._graph.resolved(solution.parameters, upper + 1j * solution.height)
        found = np.where((np.imag(flat) < 0)[:, None, None], blocks.conj(), blocks)
        return found.reshape(*points.shape, *blocks.shape[1:])

    def outside(self, x: Float[np.ndarray, " points"], directions: Sequence[Direction]) -> Outside:
        """Fields, responses and bilinear forms of the averaged inverse at points above the support.

        Raises:
            ConvergenceError: a point could not be reached.
            InputError: a graph with positions or several samples.
        """
        if not isinstance(self._graph, GraphEquation):
            raise InputError(
                "expected a graph without positions and samples, got one with them; forms are not covered."
            )
        z = np.asarray(x, dtype=complex)
        self.cauchy(z)
        return self._graph.outside(np.real(self._solve(z).parameters[:-1]).astype(complex), 1 / z, directions)

    def with_atoms(self, atoms: tuple[Atom, ...]) -> Self:
        law = super().with_atoms(atoms)
        if any(position > self._graph.floor for position, _ in atoms):
            for known in ("_walk", "_lower", "_upper", "continuous_hull", "_hull"):  # the walk goes on behind them
                vars(law).pop(known, None)
        return law

    def with_atom_read_at_zero(self) -> Self:
        """The same law, whose atom at 0 is read when it is asked for, by three heights that a costly law can afford.

        Where the mass at these still falls, it is extrapolated by the power law of a density that mounts towards 0.
        """
        law = copy(self)
        law._read_zero = True
        return law

    @cached_property
    def _atom_at_zero(self) -> tuple[Atom, ...]:
        z = 1j * self._radius * _HEIGHTS
        first, second, third = np.real(z * self.cauchy(z))
        mass = third
        if abs(third - second) > _STEADY:
            mass = third - (third - second) ** 2 / (third - 2 * second + first)  # Aitken
            mass = mass if mass > _TOLD else 0.0
        return (Atom(0.0, float(mass)),) if mass > _STEADY else ()

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return self._atom_at_zero if self._read_zero else super().atoms

    def _beyond(self, x: np.ndarray, side: float) -> np.ndarray:
        """Above points > 0 nothing of an atom at 0 is seen, which need not be read then."""
        if self._read_zero and side > 0 and (x > 0).all():
            return 1.0 - self._raw_cdf(x)
        return super()._beyond(x, side)

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        """As of any law; where points are costly, without the lower end, which takes by far the longest."""
        if not self.costly:
            return super().cdf(x, throw=throw)
        points = real_points(x)
        floor, high = self._graph.floor, self.upper_end
        value = np.where(points < floor, 0.0, 1.0)
        at, inside = points == floor, (points > floor) & (points < high)
        value[at] = sum(mass for position, mass in self.atoms if position == floor) if at.any() else 0.0
        value[inside] = self._raw_cdf(points[inside])
        if throw and np.isnan(value).any():
            raise ConvergenceError(
                f"expected all {points.size} points to converge, {int(np.isnan(value).sum())} did not; move them, or pass "
                "throw=False."
            )
        return np.clip(value, 0.0, 1.0)

    @property
    def lower_bound(self) -> float:
        return 0.0

    @property
    def mass_at_floor(self) -> float:
        """Of the atom at the lower bound, NaN where the walk towards it ends before."""
        return np.nan if self._walk is None else self._walk.mass

    @property
    def upper_end(self) -> float:
        if self._read_zero:
            return self._upper
        return max(self._upper, *(position for position, _ in self.atoms)) if self.atoms else self._upper

    @cached_property
    def continuous_hull(self) -> tuple[float, float]:
        if self._discrete:
            return self._upper, self._upper
        return self._lower, self._upper

    @cached_property
    def _lower(self) -> float:
        """The lower end of the continuous part."""
        with question(costly=self.costly):
            if self._walk is None:
                first = self._first()
                return self._end(-1.0) if np.isnan(first) else first
            return self._settled(self._walk, -1.0)

    @cached_property
    def _upper(self) -> float:
        """The upper end of the continuous part."""
        if not self._read_zero and self._discrete:
            return self.atoms[0].position
        with question(costly=self.costly):
            walk = None if self._read_zero else self._walked(1.0)
            if walk is None:
                last = self._outer_fold(self._radius, self.mean, 1.0)
                return self._end(1.0) if np.isnan(last) else last
            return self._settled(walk, 1.0)

    def _settled(self, walk: WalkedEnd, side: float) -> float:
        """The end behind the last point of a walk: a fold, or where the walk itself ends."""
        if walk.dark == walk.bright:
            return walk.dark
        known = Solution(walk.unknowns, np.zeros(1), np.zeros(1), np.ones(1, bool))
        found = self._folds(np.array([walk.bright]), np.array([walk.dark]), known, max(walk.bright, walk.dark))[0]
        if np.isnan(found):
            found = (self._walked(side, _SHARP) or walk).dark
        return float(found)

    @cached_property
    def _walk(self) -> WalkedEnd | None:
        return self._walked(-1.0)

    def _walked(self, side: float, sharp: float = COARSE) -> WalkedEnd | None:
        """From outside the support to its end on that side."""
        floor = self._graph.floor

        def near(start: np.ndarray, x: float, tries: int = 1) -> np.ndarray | None:
            at, begin = np.array([x], complex), start
            for k in range(tries):
                found = self._confirmed(begin, at)
                if found.converged[0]:
                    return found.parameters
                with np.errstate(all="ignore"):  # what is lost in it is not found
                    begin = begin + self._update(begin, at)[0] if k < tries - 1 else begin
            return None

        def seen(unknowns: np.ndarray, x: float) -> Seen:
            state = self._equation.state(unknowns, np.array([x], complex), True)
            g, slope = self._equation.corner(state)
            phase = (self._equation.potential(state)[0] - self._constant).imag
            passed = sum(mass for position, mass in self._atoms if floor < position <= x)
            return Seen(float(g[0].real), float(slope[0].real), float(1 - phase / np.pi - passed))

        start = self._equation.start(np.array([floor + side * FAR * self._radius], complex), np.zeros(1))
        return (upper_end if side > 0 else lower_end)(start, near, seen, floor, self._radius, sharp)

    def _first(self) -> float:
        """The lower end, if it lies at the floor (a hard edge, or an atom there) or where the sampled matrix says."""
        floor, low = self._graph.floor, self._extent[0]
        if floor > 0 and self._mounts_at(floor):
            return floor
        if not low > floor:
            return np.nan
        for dark, bright in (_NEARER, _FARTHER):
            found = self._outer_fold(floor + dark * (low - floor), floor + bright * (low - floor), -1.0)
            if not np.isnan(found):
                return found
        return np.nan

    def _mounts_at(self, floor: float) -> bool:
        """Whether a hard edge or an atom is there, by the mass next to it."""
        distance = _NEAR_FLOOR * self._radius
        x = np.array([floor + distance])
        mass, density = self._beyond(x, -1.0)[0], self.density(x, throw=False)[0]
        return bool(mass > EMPTY and mass > _MOUNTS * distance * density)

    def _end(self, side: float) -> float:
        """The lower end by decades above the floor, the upper one as of any law."""
        if side > 0:
            return self._bisected_top() if self.costly else super()._end(side)
        floor = self._graph.floor
        x = floor + (self._radius - floor) * np.geomspace(10.0**-_DECADES, 1.0, _DECADES * _PER_DECADE + 1)
        for _ in range(_ZOOMS):
            first, lost = self._first_lit(x)
            if first in (0, x.size) or (lost and x[first] - floor <= _NEAR_FLOOR * self._radius):
                return floor
            dark, bright = float(x[first - 1]), float(x[first])
            found = self._outer_fold(dark, bright, -1.0)
            if not np.isnan(found):
                return found
            x = floor + np.geomspace(dark - floor, bright - floor, 9)
        return float(x[0])

    def _bisected_top(self) -> float:
        """The upper end where no fold is (a hard edge), by the mass beyond."""
        bright, dark = self._graph.floor, self._radius
        for _ in range(_HALVINGS):
            middle = (bright + dark) / 2
            bright, dark = (middle, dark) if self._beyond(np.array([middle]), 1.0)[0] > EMPTY else (bright, middle)
        return bright

    def _first_lit(self, x: np.ndarray) -> tuple[int, bool]:
        """The first of ascending points with mass below it, or how many there are: the lowest, then by sections.

        And whether the one before it did not converge. (At a hard edge mass is below the lowest, where points cost many steps.)
        """
        dark, lit, tried, lost = -1, x.size, np.array([0]), False
        while lit - dark > 1:
            mass = self._beyond(x[tried], -1.0)
            found = np.flatnonzero(mass > EMPTY)
            first = int(found[0]) if found.size else tried.size
            if first:
                dark, lost = int(tried[first - 1]), bool(np.isnan(mass[first - 1]))
            lit = int(tried[first]) if first < tried.size else lit
            between = np.linspace(dark, lit, 3 if self.costly else _SECTIONS)[1:-1]
            tried = np.unique(np.maximum(between.astype(int), dark + 1))
        return lit, lost

    def _outer_fold(self, dark: float, bright: float, side: float) -> float:
        """The end of the support on one side: a fold that the real unknowns reach from ``dark``, beyond which nothing lies.

        They are analytic from there to the first singularity of G. NaN where there is mass beyond, or no fold.
        """
        x = np.array([dark])
        found = self._folds(np.array([bright]), x)[0] if self._beyond(x, side)[0] <= EMPTY else np.nan
        beside = np.array([found + BESIDE * (dark - found)])
        return float(found) if not np.isnan(found) and self._beyond(beside, side)[0] <= EMPTY else np.nan
