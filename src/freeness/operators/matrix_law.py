"""The law of a hermitian pencil's corner: of the polynomial or rational expression that the pencil linearises."""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike

from freeness.errors import ConvergenceError, InputError
from freeness.laws import (
    DARK,
    Atom,
    BandedLaw,
    Boundary,
    Gaps,
    Neighbours,
    Transform,
    TransformLaw,
    checked,
    put,
    real_points,
    sampled_cdf,
)
from freeness.numerics import LAST_DIGIT, Solution, Standard, confirmed, follow, question

_NOISE = (
    1e-8  # relative noise of unknowns up to which they count, as their error says; at a hard edge rounding is amplified
)
_RESTING = 0.1  # change of G by the height at which the way down stopped, relative: half or more at a hard edge
_NEARLY = 1e-9  # height in units of the magnitude below which a point that is given up is followed with other guesses
_DIRECTIONS = 12  # over which a mean errs by 2.6^-24: what holds the mass is 1.3 times as wide
_BEYOND = 1.3  # the support may reach so much further than its extent in a matrix
_MARGIN = 0.08  # in units of the extent, on its outer sides, where nothing is expected
_FIRST = 5  # about so many points of a grid are followed from far away, the others start between neighbours
_LEAST = 16  # points from which that is worth it
EMPTY = 1e-9  # a distribution function so near 0 or 1 is there
BESIDE = 1e-3  # of the way from an end to where the search for it began, a point with no mass beyond
_AROUND = 1e-4  # in units of the radius: an end found so near to 0 may be 0
_CLOSE = np.array([1e-8, 1e-7, 1e-6])
_TOTAL = 1e-7  # largest deviation of the total mass from 1
_APART = 1e-4  # of the hull: nearer to an atom the distribution function is read farther away, from a gap
_LOST = 1e-4  # so much of a distribution function may be rounding there
_DOUBLINGS = 6
_SECTIONS = 65
_UNEVEN = 1.05  # power that keeps sections off 0, where hard edges are
_ZOOMS = 12
_POLISH = 40
_ARRIVED = 1e-3  # a step to a point of the curve has arrived when its last Newton step is so much smaller
_PRECISE = 1e-8  # and precise when it is so much smaller
_GROWTH = 2.0  # of steps along the curve at most
_NEWTON = 6  # steps at most to a point of the curve
_INWARD = 0.97  # share of the way to the end of a band that a step goes at most
_SETTLED = 1e-13  # relative size of the last Newton step of an edge


class Equation(Protocol):
    """What a law follows from far above the support to the real axis: unknowns as functions of z, the last one unused or Im z.

    ``start_height``: where the continuation starts, in units of the magnitude. ``corners``: diagonal entries
    of the pencil with z. ``symmetric``: whether every eigenvalue comes with its negative.
    :class:`~freeness.operators.MatrixEquation` and :class:`~freeness.operators.GraphEquation` say what each method returns.
    """

    unknowns: int
    corners: int
    start_height: float

    @property
    def symmetric(self) -> bool: ...
    @property
    def size(self) -> int: ...
    @property
    def magnitude(self) -> float: ...
    def start(self, target: np.ndarray, height: np.ndarray) -> np.ndarray: ...
    def newton_change(self, parameters: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...
    def state(self, parameters: np.ndarray, target: np.ndarray, potential: bool = False) -> Any: ...
    def size_of(self, parameters: np.ndarray) -> np.ndarray: ...
    def corner(self, state: Any) -> tuple[np.ndarray, np.ndarray]: ...
    def potential(self, state: Any, height: np.ndarray | float = 0.0) -> np.ndarray: ...
    def hermitian(self, parameters: np.ndarray) -> np.ndarray: ...
    def rates(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray: ...
    def critical_step(
        self, parameters: np.ndarray, x: np.ndarray, direction: np.ndarray, wanted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...


class Moments(NamedTuple):
    """Mean and variance of a law."""

    mean: float
    variance: float


class MatrixLaw(BandedLaw, TransformLaw):
    """The law with G(z) = E[(diag(z, 0, …, 0) - L)⁻¹]₁₁, L = b₀ + Σ b_j ⊗ x_j with free x_j.

    Args:
        equation: of the pencil L.
        extent: about the ends of the support; a radius around 0 is enlarged until all mass lies inside.
        atoms: points of positive mass, known from elsewhere.
        moments: mean and variance where they are known exactly.
        symmetric: whether the law is known to be, beside that of [[0, A], [A*, 0]].
        rational: whether the pencil is that of an expression with inverses: its potential has a constant then.

    Source: Belinschi, Mai, Speicher (2013), see :mod:`freeness.operators.equation`.
    """

    def __init__(
        self,
        equation: Equation,
        extent: tuple[float, float],
        atoms: tuple[Atom, ...] = (),
        moments: Moments | None = None,
        symmetric: bool = False,
        rational: bool = False,
    ) -> None:
        self._equation, self._atoms, self._moments = equation, atoms, moments
        self._symmetric = symmetric or equation.symmetric
        self._extent = extent
        self._last: tuple[np.ndarray, Solution] | None = None
        self._neighbours: Neighbours | None = None
        self._read: tuple[np.ndarray, Boundary] | None = None
        self._radius, self._constant = self._enclosed(_BEYOND * max(map(abs, extent)), rational)

    def __repr__(self) -> str:
        return f"MatrixLaw({self._equation.size}×{self._equation.size} pencil)"

    @property
    def equation(self) -> Equation:
        return self._equation

    @property
    def mean(self) -> float:
        return self._known_moments.mean

    @property
    def variance(self) -> float:
        return self._known_moments.variance

    @cached_property
    def _known_moments(self) -> Moments:
        if self._moments is not None:
            return self._moments
        first, second = self.moments(2)
        return Moments(float(first), float(second - first**2))

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return self._atoms

    def with_atoms(self, atoms: tuple[Atom, ...]) -> Self:
        """The same law, its atoms known."""
        law = copy(self)
        law._atoms = atoms
        return law

    @property
    def hull(self) -> tuple[float, float]:
        return self._hull

    @cached_property
    def _hull(self) -> tuple[float, float]:
        ends = [*self.continuous_hull, *(position for position, _ in self._atoms)]
        return min(ends), max(ends)

    @cached_property
    def continuous_hull(self) -> tuple[float, float]:
        if self._discrete:
            position = self._atoms[0].position
            return position, position
        with question(costly=self.costly):
            low, high = self._guessed_ends()
            high = self._end(1.0) if np.isnan(high) else high
            return (-high if self.symmetric else self._end(-1.0) if np.isnan(low) else low), high

    @property
    def _discrete(self) -> bool:
        """Whether atoms hold all the mass."""
        return 1.0 - sum(mass for _, mass in self._atoms) <= _TOTAL

    def _guessed_ends(self) -> tuple[float, float]:
        """Both ends by folds near the extent, all the mass between them; NaN where that fails."""
        low, high = self._extent
        sides, ends = np.array([-1.0, 1.0]), np.array([low, high])
        dark, bright = ends + sides * _MARGIN * (high - low), ends - sides * _MARGIN / 4 * (high - low)
        found = self._folds(bright, dark)
        beside = found + BESIDE * (dark - found)  # nothing lies beyond: a narrow band may have been stepped over
        x = np.concatenate([np.where(np.isnan(found), dark, beside), bright])
        below = self._beyond(x, -1.0)
        above = self._beyond(x, 1.0)
        outside, inside = np.array([below[0], above[1]]), np.array([below[2], above[3]])
        sound = (outside <= EMPTY) & (inside > EMPTY)
        first, last = np.where(sound, found, np.nan)
        return float(first), float(last)

    def remembering(self) -> Self:
        law = copy(self)
        law._neighbours = self._solver()
        return law

    def _solver(self) -> Neighbours:
        return Neighbours(
            lambda x: self._followed(x.astype(complex)),
            lambda start, x: self._confirmed(start, x.astype(complex)),
            self._equation.size_of,
            first=_FIRST,
        )

    def cdf_on(self, x: Float[np.ndarray, "*points"]) -> Float[np.ndarray, "*points"]:
        return sampled_cdf(self if self._neighbours is not None else self.remembering(), x)

    # --- solving --------------------------------------------------------------------------------------------------

    def _solve(self, target: np.ndarray) -> Solution:
        """The unknowns over ``target``, remembered for the next question about the same points."""
        with question(target.size, self.costly):
            if self._neighbours is not None and not np.imag(target).any():
                return self._neighbours.solve(np.real(target))
            if self._last is None or not np.array_equal(self._last[0], target):
                self._last = target.copy(), self._solved(target)
            return self._last[1]

    def _solved(self, target: np.ndarray) -> Solution:
        """The unknowns over ``target``: on a grid some points from far away, others from between neighbours, finer and finer."""
        if np.imag(target).any() or target.size < _LEAST:
            return self._followed(target.astype(complex))
        return self._solver().solve(np.real(target))

    def _followed(self, target: np.ndarray) -> Solution:
        if target.size == 0:
            return Solution(
                np.zeros((self._equation.unknowns, 0), complex), np.zeros(0), np.zeros(0), np.zeros(0, bool)
            )
        magnitude = self._magnitude(target)
        height = self._equation.start_height * magnitude
        start, update = self._equation.start, self._update
        found = follow(update, start, target, height, magnitude, self._standard)
        again = np.flatnonzero(~found.converged & (found.height <= _NEARLY * magnitude))
        if again.size and self._standard.guesses:  # so far down rounding decides which way arrives
            apart, at = replace(self._standard, joint=False), target[again]
            put(found, again, follow(update, start, at, height[again], magnitude[again], apart))
        return found

    def _update(self, parameters: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
        change, margin = self._equation.newton_change(parameters, target)
        return change, lambda: margin

    def _confirmed(self, start: np.ndarray, target: np.ndarray) -> Solution:
        return confirmed(self._update, start, target, self._magnitude(target), self._standard)

    @property
    def _standard(self) -> Standard:
        return Standard(self._equation.size_of, _NOISE, joint=True)

    def _magnitude(self, target: np.ndarray) -> np.ndarray:
        return np.maximum(np.abs(target), self._equation.magnitude)

    @property
    def lower_bound(self) -> float:
        return -self._radius

    @property
    def symmetric(self) -> bool:
        """Whether that is known."""
        return self._symmetric

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        found = self._at(np.asarray(x, dtype=float).astype(complex), potential=True)
        self._read = np.array(x, dtype=float), replace(found, g=found.g.copy())
        return found

    def density(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        points = real_points(x)
        if self._discrete:
            return np.zeros(points.shape)
        low, high = vars(self).get(
            "continuous_hull", (-np.inf, np.inf)
        )  # where it is known, nothing is solved beyond it
        inside = (low <= points) & (points <= high)
        if np.isfinite(low) and self._atoms:  # (the hull itself is found by densities)
            inside &= ~self._in_gaps(points)
        flat = points[inside]
        if self._read is not None and np.array_equal(self._read[0], flat):  # as when quantiles ask for both
            boundary = self._read[1]
        else:
            boundary = self._at(flat.astype(complex), potential=False)
        known = np.where(-boundary.g.imag > boundary.error, -boundary.g.imag / np.pi, 0.0)
        value = np.zeros(points.shape)
        value[inside] = self._checked(known, boundary, throw)
        return value

    def _at(self, z: np.ndarray, potential: bool) -> Boundary:
        solution, state = self._solved_state(z, potential)
        with np.errstate(all="ignore"):
            g, slope = self._equation.corner(state)
            magnitude = self._magnitude(z)
            error = np.abs(slope) * (magnitude * LAST_DIGIT + solution.height) + np.abs(g) * (
                LAST_DIGIT + solution.noise
            )
            error = (
                error + np.sqrt(solution.height / magnitude) / magnitude
            )  # it stopped at a root that is nearly double
            moving = np.abs(slope) * solution.height > _RESTING * (np.abs(g) + 1 / magnitude)  # as at a hard edge
        own = np.full(z.shape, np.nan, complex)
        if potential:
            own = self._equation.potential(state, solution.height) - self._constant
        return Boundary(g, own, error, solution.converged & np.isfinite(g) & ~moving)

    def _solved_state(self, z: np.ndarray, potential: bool) -> tuple[Solution, Any]:
        solution = self._solve(z)
        with np.errstate(all="ignore"):
            return solution, self._equation.state(solution.parameters, z + 1j * solution.height, potential)

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        points = z.astype(complex)
        solution, state = self._solved_state(points, False)
        with np.errstate(all="ignore"):
            g, slope = self._equation.corner(state)
        g, slope = np.where(solution.converged, g, np.nan), np.where(solution.converged, slope, np.nan)
        u, du = points * g - 1, g + points * slope
        if np.isrealobj(z):
            return (np.real(g), np.real(slope)), (np.real(u), np.real(du))
        return (g, slope), (u, du)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        return self._at(z.astype(complex), potential=True).potential

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        points = np.asarray(z).astype(complex)
        flat = points.ravel()
        below = np.imag(flat) < 0
        boundary = self._at(np.where(below, flat.conj(), flat), potential=False)
        g = self._checked(boundary.g, boundary, True)
        return np.where(below, g.conj(), g).reshape(points.shape)

    # --- the support ----------------------------------------------------------------------------------------------

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        """As of any law; where atoms hold all the mass, by these alone."""
        if not self._discrete:
            return super().cdf(x, throw=throw)
        positions, masses = np.array(self._atoms).T
        below = np.append(0.0, np.cumsum(masses) / masses.sum())
        return below[np.searchsorted(positions, real_points(x), side="right")]

    def _cdf_off_atoms(self, x: np.ndarray, throw: bool) -> np.ndarray:
        """As of any law; so near to an atom that digits are lost, the value is that of a gap beside it, if there is one."""
        value = super()._cdf_off_atoms(x, False)
        for position, mass in self._atoms:
            near = (x != position) & (np.abs(x - position) < _APART * self._reach)
            gaps = self._gaps_beside(position, mass) if near.any() else Gaps()
            for side, in_gap in ((-1.0, gaps.below), (1.0, gaps.above)):
                if gaps.around == 0 and not np.isnan(in_gap):  # both are answered for as far as they go
                    value[near & (side * (x - position) > 0) & ~(np.abs(value - in_gap) > _LOST)] = in_gap
        lost, (low, high) = np.isnan(value), self.hull
        if lost[(low < x) & (x < high)].all():  # by themselves already
            return checked(value, ~lost, throw)
        if throw and lost.any():  # by themselves they may converge
            value[lost] = super()._cdf_off_atoms(x[lost], True)
        return value

    def _enclosed(self, radius: float, rational: bool) -> tuple[float, complex]:
        """A radius that holds all the mass, and what the pencil's potential to the right of it has beside ∫ log(x - t) dμ(t).

        A real part is told by half a circle of two radii, over which log|z - t| has the mean log|z| (Jensen).
        """
        if not (np.isfinite(radius) and radius > 0):
            raise InputError(f"expected a finite radius > 0, got {radius}; the expression may be a constant.")
        self._constant, mass = 0j, np.nan
        circle = np.exp(1j * np.pi * (np.arange(_DIRECTIONS) + 0.5) / _DIRECTIONS) if rational else np.empty(0)
        unit = np.pi / self._equation.corners  # of the phase outside the support, where it counts signs of the pencil
        for _ in range(_DOUBLINGS):
            asked = self._at(np.append([-radius, radius], 2 * radius * circle), potential=True)
            left, right = asked.potential.imag[:2]
            mass = (left - right) / np.pi
            if (
                asked.converged[:2].all()
                and abs(mass - 1) < _TOTAL
                and abs(right / unit - round(right / unit)) < _TOTAL
            ):
                around = np.where(asked.converged, asked.potential.real - np.log(2 * radius), np.nan)[2:]
                return radius, complex(around.mean() if rational else 0.0, round(right / unit) * unit)
            radius = 2 * radius
        raise ConvergenceError(
            f"expected all the mass within {radius:.3g}, got {mass:.9g} of it; the expression may be unbounded (an inverse of "
            "something with 0 in its support) or too large for double precision."
        )

    def _end(self, side: float) -> float:
        """The end of the continuous part on one side: the distribution function brackets it, and a fold of the unknowns is it."""
        lowest = self.lower_bound + _CLOSE[0] * self._radius  # (at 0 itself nothing is solved)
        outside, inside = (self._radius, lowest) if side > 0 else (-self._radius, self._radius)
        for zoom in range(_ZOOMS):
            x = outside + (inside - outside) * np.linspace(0.0, 1.0, _SECTIONS) ** _UNEVEN
            beyond = self._beyond(x, side)
            lit = np.flatnonzero(beyond > EMPTY)
            first = int(lit[0]) if lit.size else _SECTIONS - 1
            dark = np.flatnonzero(beyond[:first] <= EMPTY)
            outside, inside = x[int(dark[-1]) if dark.size else 0], x[first]
            found = self.polished_edges(np.array([inside]), np.array([outside]))[0] if zoom else np.nan
            if not np.isnan(found) and self._beyond(np.array([found + BESIDE * (outside - found)]), side)[0] <= EMPTY:
                return float(found)
            if abs(outside - inside) < 1e-12 * self._radius:
                break
        return float(inside)

    def _beyond(self, x: np.ndarray, side: float) -> np.ndarray:
        """The continuous mass on that side of x, NaN where it did not converge."""
        mass = self._raw_cdf(x)
        for atom in self._atoms:
            mass = mass - np.where(x >= atom.position, atom.mass, 0.0)
        return 1.0 - sum(mass for _, mass in self._atoms) - mass if side > 0 else mass

    def polished_edges(
        self, bright: Float[np.ndarray, " edges"], dark: Float[np.ndarray, " edges"]
    ) -> Float[np.ndarray, " edges"]:
        """The ends of bands between points inside and points outside: folds of the unknowns over x. NaN if none is there.

        Where there is no fold (a hard edge), v = Im G/Im G' vanishes, which is d/α where the density is ~ d^α.
        """
        found = self._folds(bright, dark)
        for i in np.flatnonzero(np.isnan(found)):
            found[i] = self._vanishing_point(float(bright[i]), float(dark[i]))
        straddling = (bright * dark < 0) & ~(np.abs(found) > _AROUND * self._radius)
        for i in np.flatnonzero(straddling):
            found[i] = 0.0 if self._ends_at_zero(float(np.sign(bright[i]))) else found[i]
        return found

    def _ends_at_zero(self, side: float) -> bool:
        """Whether there is density on that side of 0 and none on the other, as close as it converges: a hard edge at 0 itself."""
        for distance in _CLOSE * self._radius:
            lit, dark = self.density(side * distance * np.array([1.0, -1.0]), throw=False) * self._radius
            if not (np.isnan(lit) or np.isnan(dark)):
                return bool(lit > DARK >= dark)
        return False

    def _folds(
        self, bright: np.ndarray, dark: np.ndarray, known: Solution | None = None, size: float | None = None
    ) -> np.ndarray:
        """Where dx/ds vanishes along the real solutions from the dark points on, by secants in s; s is a sum of unknowns.

        ``known``: solutions at the dark points, where bright ones are known to lie beyond the end. ``size``: in units of which
        ends settle, the radius if not given.
        """
        size = self._radius if size is None else size
        solution = self._solve(dark.astype(complex)) if known is None else known
        found = np.full(dark.shape, np.nan)
        parameters, x = self._equation.hermitian(solution.parameters), dark.copy()
        with np.errstate(all="ignore"):
            rates = self._equation.rates(parameters, dark)
            direction = rates.conj() / np.abs(rates).max(axis=0) ** 2
            slope = 1.0 / np.einsum("km,km->m", direction, rates).real
            value = np.real(np.einsum("km,km->m", direction, parameters[:-1]))
            step = (bright - dark) / slope / 8
            for _ in range(_POLISH):
                wanted = value + step
                trial, there, after, move = self._at_sum(parameters, x, direction, wanted)
                lost = ~(np.abs(move) <= _ARRIVED * np.abs(there - x))  # then from the same point with a shorter step
                secant = step * after / (slope - after)
                error = np.abs(after * secant) + np.abs(move)
                arrived = np.isnan(found) & ((error <= _SETTLED * size) | (after == 0))
                found[arrived] = there[arrived]
                running = np.isnan(found) & (np.isfinite(secant) | lost)
                if not running.any():
                    break
                parameters, x = np.where(lost, parameters, trial), np.where(lost, x, there)
                value, slope = np.where(lost, value, wanted), np.where(lost, slope, after)
                longest = _GROWTH * np.abs(step)
                step = np.where(running, np.where(lost, step / 4, np.clip(secant, -longest, longest)), 0.0)
        between = (found - dark) * (bright - found) > 0
        found = np.where(solution.converged & (solution.height == 0) & between, found, np.nan)
        inward = np.isnan(found)
        if known is None:
            inward[~inward] = np.isnan(self._log_slope_inverse(found[~inward] + 1e-3 * (bright - found)[~inward]))
        return np.where(inward, np.nan, found)

    def _at_sum(
        self, parameters: np.ndarray, x: np.ndarray, direction: np.ndarray, wanted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Real solution with direction·unknowns = wanted: unknowns, x, d x/d wanted, and the last change of x."""
        slope = move = np.zeros(x.shape)
        start = x
        for _ in range(_NEWTON):
            change, step, rate = self._equation.critical_step(parameters, x, direction, wanted)
            slope, move = np.real(rate), np.real(step)
            parameters, x = self._equation.hermitian(parameters + change), x + move
            if (np.abs(move) <= _PRECISE * np.abs(x - start)).all():
                break
        return parameters, x, slope, move

    def _vanishing_point(self, bright: float, dark: float) -> float:
        """Where v = Im G/Im G' vanishes, by secants from the bright side; NaN where the search does not settle."""
        x = np.array([bright + (dark - bright) * share for share in (0.0, 0.05)])
        v = self._log_slope_inverse(x)
        guess = np.nan
        for _ in range(_POLISH):
            following = x[1] - v[1] * (x[1] - x[0]) / (v[1] - v[0]) if np.isfinite(v).all() and v[1] != v[0] else np.nan
            if not np.isfinite(following) or (following - x[1]) * (dark - bright) <= 0:
                break
            guess, before = following, guess
            if abs(guess - before) <= _SETTLED * self._radius:
                break
            x = np.array([x[1], x[1] + _INWARD * (guess - x[1])])  # stay on the bright side
            v = np.array([v[1], self._log_slope_inverse(x[1:])[0]])
        settled = np.isfinite(guess) and abs(guess - x[1]) <= 1e-5 * self._radius
        if not settled or (guess - dark) * (guess - bright) > 0:
            return np.nan
        return 0.0 if abs(guess) <= 1e-10 * self._radius else float(guess)

    def _log_slope_inverse(self, x: np.ndarray) -> np.ndarray:
        """Im G/Im G' at real points, NaN where there is no density."""
        solution, state = self._solved_state(x.astype(complex), False)
        with np.errstate(all="ignore"):
            g, slope = self._equation.corner(state)
            lit = solution.converged & (solution.height == 0) & (-np.imag(g) > 1e-9 / self._radius)
            return np.where(lit, np.imag(g) / np.imag(slope), np.nan)
