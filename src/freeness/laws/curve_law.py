"""The law of a spectral curve: everything solved on the curve itself."""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from typing import Literal, Self

import numpy as np
from jaxtyping import Complex, Float, Inexact
from numpy.typing import ArrayLike

from freeness.errors import ConvergenceError
from freeness.laws.band_ends import polish_edges
from freeness.laws.banded_law import BandedLaw
from freeness.laws.beside_atoms import LOST, NEAR, beside_atoms, transforms_beside_atoms
from freeness.laws.cauchy_law import TransformLaw, outer_root
from freeness.laws.curve import NOISE, CurvePoint, Margin, SpectralCurve, Transform, directions, settled
from freeness.laws.law import Atom, Boundary, Law, real_points
from freeness.laws.nearby import Nearby, stepped
from freeness.laws.neighbours import Neighbours, put
from freeness.laws.outside import walk_end
from freeness.numerics import ROUNDING, Solution, Standard, Update, confirmed, follow, improved, nearest, question

_HEIGHT = 30.0  # the continuation starts at this multiple of the support's radius
_NEAR = 0.1  # share of that height at which it is tried first
_TIED = 2  # Newton steps of the inner unknowns alone before the potential is read
_RETIED = 0.5  # most that they change relative to their size; more is none of rounding
_SHALLOW = 10  # stages of a curve, each of which rounds, that the tolerance of one point allows for
_MANY = 200  # points from which on most start from their neighbours' solutions
_COSTLY = 4  # unknowns from which that pays; products of closed laws are long where they are made of many
_BESIDE = 1e-9  # of the law's size: so near 0 is an even density read, and one beside an atom
_EVEN = 1e-6  # relative change there of one that is finite and not 0
_ABOVE = 1e-6  # relative imaginary part of G, and of a potential beyond [0, π], that is of a mirror image, not rounding
_BEYOND = 1e3  # times its noise, from which on a density is one
_TINY = (
    1e-8  # of the height from which points are continued: nearer to a hard edge at 0 they are solved for in logarithms
)
_ROUNDED_BELOW = -1e-9  # margin of a stage that is rounding: behind the last, z is real
_RESTING = 1e-3  # relative change of unknowns by the height that is left, as none at a soft edge
_DEEP = 1e-6  # relative depth below the axis of points that nothing is continued to
_SETTLED = 1e-12  # relative size of a Newton step that is rounding
_INSIDE = 1e-12  # relative imaginary part from which a solution lies inside the upper half-plane beyond rounding


class CurveLaw(BandedLaw, TransformLaw):
    """A law given by its curve, its variance and its atoms (which follow from exact rules).

    Densities, distribution functions and transforms are one Newton solve a point, continued down to the real axis.
    """

    def __init__(
        self,
        curve: SpectralCurve,
        variance: float,
        atoms: tuple[Atom, ...],
        lower_bound: float,
        symmetric: bool = False,
    ) -> None:
        self._curve, self._variance, self._atoms = curve, variance, atoms
        self._lower_bound, self._symmetric = lower_bound, symmetric
        self._neighbours: Neighbours | None = None
        self._last: tuple[np.ndarray, Boundary] | None = (
            None  # of a law that remembers: points, and what was found there
        )
        self._nearby = Nearby()
        self._tiny = 0.0  # below which points are solved for in logarithms

    @property
    def curve(self) -> SpectralCurve:
        return self._curve

    @property
    def mean(self) -> float:
        return self._curve.mean

    @property
    def variance(self) -> float:
        return self._variance

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return self._atoms

    @property
    def lower_bound(self) -> float:
        return self._lower_bound

    @property
    def symmetric(self) -> bool:
        return self._symmetric

    @property
    def hull(self) -> tuple[float, float]:
        return self._hull

    @cached_property
    def continuous_hull(self) -> tuple[float, float]:
        """Where the two walks along the real axis from outside end: at the outermost bands or atoms."""
        with question():
            high = walk_end(self._curve, 1, self._quantity).position
            if self._lower_bound == 0 and self._curve.reaches_zero:
                return 0.0, high
            low = -high if self._symmetric else walk_end(self._curve, -1, self._quantity).position
        # (the square of a symmetric law has no walk on its left: the parameter is imaginary there)
        return (self._lower_bound if np.isnan(low) else max(low, self._lower_bound)), high

    @cached_property
    def _hull(self) -> tuple[float, float]:
        low, high = self.continuous_hull
        for position, _ in self._atoms:
            near = 2e-9 * max(abs(low), abs(high))  # a walk that ends in an atom ends there to 1e-9, see outside._SHARP
            low = position if position < low + near else low
            high = position if position > high - near else high
        near = 1e-9 * max(abs(low), abs(high))
        if not low - near <= self.mean <= high + near:
            raise ConvergenceError(
                f"expected the support around the mean {self.mean:.6g}, got ends {low:.6g} and {high:.6g}; the law is too close "
                "to a point mass, or spans too many orders of magnitude."
            )
        return low, high

    def polished_edges(
        self, bright: Float[np.ndarray, " edges"], dark: Float[np.ndarray, " edges"]
    ) -> Float[np.ndarray, " edges"]:
        """The ends of bands between points inside and points outside, as critical values of the curve; NaN if none is there."""
        sign = np.where((bright + dark < 0) & self._symmetric, -1.0, 1.0)
        solution = self._solve((np.concatenate([bright, dark]) * np.tile(sign, 2)).astype(complex))
        inside, outside = np.split(solution.parameters, 2, axis=1)
        found = sign * polish_edges(self._curve, inside, outside, np.abs(bright - dark))
        near = 1e-13 * max(map(abs, self.continuous_hull))
        between = np.abs(2 * found - bright - dark) <= np.abs(bright - dark) + near
        return np.where(between & solution.converged.reshape(2, -1).all(axis=0), found, np.nan)

    def density(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        points = real_points(x)
        flat = points.ravel()
        boundary = self._boundary(flat, potential=False)
        height = -boundary.g.imag
        known = np.where(height > _INSIDE * np.abs(boundary.g), height / np.pi, 0.0)
        doubtful = ~boundary.converged | ((height > 0) & ((height <= boundary.error) | (known == 0)))
        if doubtful.any():
            known, converged = self._beside_atoms(flat, doubtful, known)
            boundary = replace(boundary, converged=boundary.converged | converged)
        return self._checked(known, boundary, throw).reshape(points.shape)

    def _beside_atoms(self, x: np.ndarray, doubtful: np.ndarray, density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Densities where G is w/x but for less than its rounding, and where that is an answer.

        There is none in a gap; at a hard edge at 0 imaginary parts keep their own digits.
        """
        gap = doubtful & self._in_gaps(x)
        found = np.where(gap, 0.0, density)
        edge = doubtful & ~gap & (density == 0) & (np.abs(x) < _BESIDE * self._scale)
        if edge.any() and 0.0 in self.continuous_hull:
            found[edge] = np.nan_to_num(self.lit(x[edge]))
        return found, gap

    def lit(self, x: Float[np.ndarray, "*points"]) -> Float[np.ndarray, "*points"]:
        """The density beyond its own rounding; the imaginary parts of nearly real numbers keep their digits among themselves."""
        flat = x.ravel()
        mirrored = (flat < 0) & self._symmetric
        target = np.where(mirrored, -flat, flat).astype(complex)
        solution = self._solve(target)
        with np.errstate(all="ignore"):
            point = self._curve.evaluate(solution.parameters, directions(self._curve))
            height = np.abs(np.imag(point.g.value))
            noise = np.abs(np.imag(_left(point, target)))
        height = np.where(height > _BEYOND * noise, height / np.pi, 0.0)
        known = solution.converged & np.isfinite(height)
        return np.where(known, height, np.nan).reshape(x.shape)

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        found = self._boundary(x, potential=True)
        g, error, told = self._beside_poles(x.astype(complex), found.g)
        known = np.isfinite(g) & np.isfinite(error) & (found.converged | told)
        return replace(found, g=g, error=np.where(told, error, np.maximum(error, found.error)), converged=known)

    def _boundary(self, x: np.ndarray, potential: bool) -> Boundary:
        """Boundary values; without ``potential``, which costs as much as the rest, that is NaN, or what was found there last."""
        if not potential and self._last is not None and np.array_equal(x, self._last[0]):
            return self._last[1]
        mirrored = (x < 0) & self._symmetric
        target = np.where(mirrored, -x, x)
        solution = self._solve(target.astype(complex))
        with np.errstate(all="ignore"):
            # on an edge the unknowns are known to √eps each; tied to each other again, they leave the cdf all its digits
            point = self._upper_point(solution.parameters, _TIED if potential else 0, potential)
            sensitivity = np.abs(point.g.change[0] / point.z.change[0])
            noise = np.abs(point.g.change[0] * solution.parameters[0]) * solution.noise
        g = np.where(mirrored, -point.g.value.conj(), point.g.value)
        own = np.full(x.shape, np.nan, complex) if point.potential is None else point.potential
        own = np.where(mirrored, own.conj() + 1j * np.pi, own)
        rounding = self._scaled(target.astype(complex))[2] * ROUNDING
        error = sensitivity * (rounding + solution.height) + np.abs(g) * ROUNDING + noise
        above = np.imag(g) > _ABOVE * np.abs(g)
        turned = np.abs(np.imag(own) - np.pi / 2) > np.pi / 2 + _ABOVE  # NaN is none
        found = Boundary(g, own, error, solution.converged & np.isfinite(g) & ~above & ~turned)
        middle = (x == 0) & ~found.converged
        found = self._centred(found, middle) if self._symmetric and middle.any() else found
        if potential and self._neighbours is not None:
            self._last = x, found
        return found

    def _upper_point(self, parameters: np.ndarray, steps: int = _TIED, potential: bool = False) -> CurvePoint:
        """The curve's points with G below the axis: where all unknowns are near to it, mirror images are solutions as well."""
        point = self._tied(parameters, steps, potential)
        below = (np.imag(point.g.value) > ROUNDING * np.abs(point.g.value)) & ~_interior(parameters)
        return self._tied(np.where(below, parameters.conj(), parameters), steps, potential) if below.any() else point

    def _tied(self, parameters: np.ndarray, steps: int, potential: bool) -> CurvePoint:
        """Unknowns whose sign or angle is rounding, as beside a hard edge behind a shift, are left as they are."""
        if self._curve.size == 1:
            return self._curve.evaluate(parameters, 1, potential)
        found, point = settled(self._curve, parameters, steps, potential)
        crossed = (np.imag(found) * np.imag(parameters) < 0) & (np.abs(np.imag(found)) > NOISE * np.abs(found))
        lost = np.any(crossed | (np.abs(found - parameters) > _RETIED * np.abs(parameters)), axis=0)
        if not lost.any():
            return point
        return self._curve.evaluate(np.where(lost, parameters, found), directions(self._curve), potential)

    def _centred(self, found: Boundary, middle: np.ndarray) -> Boundary:
        """Boundary values where 0 is the centre of a symmetric law whose curve has no point there, as behind a root.

        The density is even, so beside 0 it has its value there to the square of the distance; where it still changes, by a power,
        it is 0 or infinite at 0, and infinity is no value. The potential is even but for its imaginary part, π/2 at 0.
        """
        beside = self._boundary(_BESIDE * self.continuous_hull[1] * np.array([1.0, 2.0]), potential=True)
        near, far = np.maximum(-beside.g.imag, 0.0)
        g, potential, error, converged = (
            found.g.copy(),
            found.potential.copy(),
            found.error.copy(),
            found.converged.copy(),
        )
        level = near if abs(near - far) <= _EVEN * near else 0.0 if near < far else np.inf
        g[middle], potential[middle] = -1j * level, beside.potential[0].real + 0.5j * np.pi
        error[middle], converged[middle] = beside.error[0], bool(beside.converged.all() and np.isfinite(level))
        return Boundary(g, potential, error, converged)

    def _cdf_off_atoms(self, x: np.ndarray, throw: bool) -> np.ndarray:
        """As of any law; a symmetric one has half its mass below 0, whatever its density does there."""
        value, middle = np.full(x.shape, 0.5), (x == 0) & self._symmetric
        value[~middle] = super()._cdf_off_atoms(x[~middle], throw)
        return value

    def above(self, z: Complex[np.ndarray, " points"]) -> Boundary:
        """G and the potential at complex points of the upper half-plane."""
        mirrored = (np.real(z) < 0) & self._symmetric
        with np.errstate(all="ignore"):
            point, converged = self._met(np.where(mirrored, -z.conj(), z), potential=True)
        assert point.potential is not None
        g = np.where(mirrored, -point.g.value.conj(), point.g.value)
        potential = np.where(mirrored, point.potential.conj() + 1j * np.pi, point.potential)
        g, error, _ = self._beside_poles(z, g)
        known = converged & np.isfinite(g) & np.isfinite(error)
        return Boundary(g, potential, np.maximum(error, np.abs(g) * ROUNDING), known)

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """(G, G') and (u, u') at points of the closed upper half-plane; NaN where they did not converge, and on atoms."""
        target = z.astype(complex)
        mirrored = (np.real(target) < 0) & self._symmetric
        with np.errstate(all="ignore"):
            point, converged = self._met(np.where(mirrored, -target.conj(), target))
            slope = np.where(converged, point.z.change[0], np.nan)
            found = (point.g.value, point.g.change[0] / slope), (point.u.value, point.u.change[0] / slope)
        (g, dg), (u, du) = found
        g, dg = np.where(mirrored, -g.conj(), g), np.where(mirrored, dg.conj(), dg)
        u, du = np.where(mirrored, u.conj(), u), np.where(mirrored, -du.conj(), du)
        values: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] = (g, dg), (u, du)
        if poles := self._poles_near(target):
            values = transforms_beside_atoms(poles, self._scale, target, values, self._g)
        if np.isrealobj(z):
            return tuple((np.real(value), np.real(slope)) for value, slope in values)  # type: ignore[return-value]
        return values

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """∫ log(z - x) dμ at points of the closed upper half-plane."""
        return self.above(z.astype(complex)).potential

    def remembering(self) -> Self:
        law = copy(self)
        law._neighbours = self._solver()
        return law

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        points = np.asarray(z).astype(complex)
        flat = points.ravel()
        below = np.imag(flat) < 0
        target = np.where(below, flat.conj(), flat)
        g, error, _ = self._beside_poles(target, self._g(target))
        lost = ~np.isfinite(g) | (error > LOST * np.abs(g))
        if lost.any():
            raise ConvergenceError(
                f"expected G at {flat.size} points, {int(lost.sum())} did not converge; "
                "they may lie on an edge or an atom, so move them off the support."
            )
        return np.where(below, g.conj(), g).reshape(points.shape)

    def _g(self, z: np.ndarray) -> np.ndarray:
        """G at points of the closed upper half-plane, NaN where it did not converge."""
        mirrored = (np.real(z) < 0) & self._symmetric
        solution = self._solve(np.where(mirrored, -z.conj(), z))
        with np.errstate(all="ignore"):
            g = self._upper_point(solution.parameters, 0).g.value
        return np.where(solution.converged, np.where(mirrored, -g.conj(), g), np.nan)

    def _beside_poles(self, z: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """G, its error and whether the pole told it, beside atoms."""
        return beside_atoms(self._poles_near(z), self._scale, z, g, self._g)

    def _poles_near(self, z: np.ndarray) -> list[Atom]:
        """The atoms near to points, but for one at 0 beside which solutions keep their digits."""
        near = [atom for atom in self._atoms if np.any(np.abs(z - atom.position) <= NEAR * self._scale)]
        return [atom for atom in near if atom.position != 0 or not self._clear_at_zero]

    @property
    def _quantity(self) -> Literal["g", "u"]:
        return "g" if self._curve.additive else "u"

    @property
    def _clear_at_zero(self) -> bool:
        return self._curve.logarithmic or self._down_to_zero

    @cached_property
    def _down_to_zero(self) -> bool:
        """Whether mass reaches down to 0, where z then is a power of the base parameter, whatever the base law."""
        if not self._curve.keeps_zero or self._symmetric or self._lower_bound < 0:
            return False
        if self._curve.additive and any(position == 0 for position, _ in self._atoms):  # the walk ends there
            return False
        low, high = self.continuous_hull
        return low < ROUNDING * high

    @cached_property
    def _light(self) -> SpectralCurve:
        return self._curve.light()

    def _solve(self, target: np.ndarray) -> Solution:
        """The points over ``target``; of many on the real axis, most from the solutions at their neighbours."""
        with question(target.size):
            if self._neighbours is not None and not np.imag(target).any():
                return self._neighbours.solve(np.real(target))
            if np.imag(target).any() or target.size < _MANY or not self._dear:
                return self._continued(target)
            return self._solver().solve(np.real(target))

    def _met(self, target: np.ndarray, potential: bool = False) -> tuple[CurvePoint, np.ndarray]:
        """The curve's points over ``target`` and which are known, for laws that this one is inside of.

        They ask again and again at points that move little, so most are found from those found before, in a few steps.
        """
        if not self._curve.certain:
            solution = self._solve(target)
            return self._upper_point(solution.parameters, potential=potential), solution.converged
        aim = self._scaled(target)[0]
        start = self._nearby.nearest(aim)
        if start is None:
            found = self._searched(target)
            self._nearby.add(aim, found)
            return self._upper_point(found.parameters, potential=potential), found.converged
        found = stepped(self._update(self._curve), start, aim)
        point = self._curve.evaluate(found.parameters, directions(self._curve), potential)
        left = np.abs(self._step_from(point, aim) / found.parameters).max(axis=0)
        found.converged[:] &= (left <= _SETTLED) & self._sound(found.parameters, _margin(point, aim), aim)
        rest = np.flatnonzero(
            ~found.converged & (np.imag(target) >= -_INSIDE * np.maximum(np.abs(target), self._scale))
        )
        if rest.size:
            put(found, rest, self._searched(target[rest]))
            point = self._upper_point(found.parameters, potential=potential)
        self._nearby.add(aim, found)
        return point, found.converged

    def _searched(self, target: np.ndarray) -> Solution:
        """The points over ``target``: at once from two rough starts each, or from far above the axis."""
        reach = 2 * self.standard_deviation
        with question(target.size):
            found = self._guessed(target, self.mean - reach, self.mean + reach)
            rest = np.flatnonzero(~found.converged)
            if rest.size:
                put(found, rest, self._continued(target[rest]))
            return found

    def _step_from(self, point: CurvePoint, target: np.ndarray) -> np.ndarray:
        """The Newton step of all unknowns from a point."""
        return newton_step(point, target, np.inf if self._curve.logarithmic else self._tiny)

    @property
    def _dear(self) -> bool:
        """Whether starts between neighbours are cheaper than continuing all points together; not with few unknowns in gaps."""
        return self._curve.size == 1 or self._curve.size >= _COSTLY or self._curve.logarithmic

    def _solver(self) -> Neighbours:
        found = Neighbours(lambda x: self._continued(x.astype(complex)), self._near, inner=_startable, stones=True)
        return found.guessing(lambda x: self._guessed(x, *self.continuous_hull)) if self._curve.certain else found

    def _guessed(self, x: np.ndarray, low: float, high: float) -> Solution:
        """Solutions to which a few Newton steps lead at once; by the standards of :meth:`_near` there is only one.

        Two starts are tried for each: where 1/G is that of the arcsine law on [low, high], and a deviation above the axis.
        """
        curve, z = self._light, x.astype(complex)
        root = outer_root(z, low, high)
        with np.errstate(all="ignore"):
            starts = np.stack([curve.start(at) for at in (self.mean + root, z + 1j * self._scale)])
            return self._near(nearest(self._update(curve), starts, self._scaled(z)[0]), x)

    def _near(self, start: np.ndarray, x: np.ndarray) -> Solution:
        """Solutions near rough guesses, kept where all subordination functions lie inside the half-plane: there is one.

        Where it is nearly a multiple one, only those to which Newton contracts at once. Real ones are kept where all rise at
        every stage. Of several fixed points on the boundary of a half-plane the attracting one is the solution (Denjoy, Wolff),
        and ω₁ ↦ z + (F₂ - id)(z + (F₁ - id)(ω₁)) attracts where dω₁/dz > 0.
        """
        aim, _, magnitude = self._scaled(x.astype(complex))
        update = self._update(self._curve)
        found = improved(update, start, aim, magnitude)
        rest = np.flatnonzero(~found.converged)
        if rest.size:
            put(found, rest, confirmed(update, start[:, rest], aim[rest], magnitude[rest]))
        found.converged[~_startable(found.parameters)] = False
        kept = np.flatnonzero(found.converged)
        with np.errstate(all="ignore"):
            margin = update(found.parameters[:, kept], aim[kept])[1]()
        found.converged[kept] = self._sound(found.parameters[:, kept], margin, aim[kept])
        return found

    def _sound(self, parameters: np.ndarray, margin: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Which solutions are the only ones, by their least margin; see :meth:`_near`.

        Just below the axis those are kept that continue one above: nothing is followed to there.
        """
        inner, height, least = _interior(parameters), np.imag(target), np.nextafter(0, 1)
        on_axis = np.abs(height) <= _INSIDE * np.maximum(np.abs(target), self._scale)
        least = np.where(on_axis & (height != 0), -NOISE, least)  # of real unknowns imaginary parts are rounding
        least = np.where(inner & on_axis, _ROUNDED_BELOW, least)
        sound = _startable(parameters) & (inner | on_axis) & (margin >= least)
        return np.where((height < 0) & ~on_axis, margin >= -_DEEP, sound)

    def _scaled(self, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The target, the height from which it is continued, and the magnitude of its rounding."""
        size = np.abs(target)
        magnitude = np.maximum(size, self._scale)
        height = _HEIGHT * magnitude
        if self._curve.logarithmic:
            magnitude = size
        elif (tiny := (size < _TINY * height) & (size > 0)).any() and self._clear_at_zero:
            magnitude, self._tiny = np.where(tiny, size, magnitude), _TINY * _HEIGHT * self._scale
        else:
            target = np.where(size < ROUNDING * height, 0.0, target)
        return target, height, magnitude * max(1.0, self._curve.stages / _SHALLOW)

    @property
    def _scale(self) -> float:
        return max(abs(self.mean), self.variance**0.5)

    def _continued(self, target: np.ndarray) -> Solution:
        """The points over ``target``: where a lighter curve exists, first on that, then by Newton on this one from there.

        Nearest to a hard edge at 0 a lighter one, of few atoms, is none.
        """
        target, height, magnitude = self._scaled(target)
        if self._light is self._curve or (np.abs(target) < self._tiny).all():
            return self._followed(self._curve, target, height, magnitude)
        rough = self._followed(self._light, target, height, magnitude)
        solution = confirmed(self._update(self._curve), rough.parameters, target, magnitude)
        rest = np.flatnonzero(~(solution.converged & rough.converged & (rough.height == 0)))
        if rest.size:
            put(solution, rest, self._followed(self._curve, target[rest], height[rest], magnitude[rest]))
        return solution

    def _followed(
        self, curve: SpectralCurve, target: np.ndarray, height: np.ndarray, magnitude: np.ndarray
    ) -> Solution:
        wary = not self.atoms  # beside an atom its steps end on another branch
        standard = Standard(near=_NEAR if curve.certain else 1.0, powers=self._tiny, wary=wary)
        update = self._update(curve)

        def start(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return curve.start(x + 1j * y)

        found = follow(update, start, target, height, magnitude, standard)
        careful = replace(standard, near=1.0, guesses=False, wary=False)
        for way in (partial(tied_change, update, curve), update) if curve.size > 1 else (update,):
            lost = np.flatnonzero(~found.converged)
            if lost.size:  # beside the ends of very narrow bands leaps miss
                at, size = target[lost], magnitude[lost]
                slow = follow(way, start, at, height[lost], size, careful)
                put(found, lost, slow if way is update else _settled_at(update, slow, at, size))
        return found

    def _update(self, curve: SpectralCurve) -> Update:
        """Newton's step on a curve, in logarithms where z is a power of the base parameter."""
        return partial(newton_change, curve, tiny=np.inf if curve.logarithmic else self._tiny)

    def __repr__(self) -> str:
        return f"CurveLaw(mean={self.mean:.6g}, variance={self.variance:.6g}, atoms={len(self.atoms)})"


def _left(point: CurvePoint, target: np.ndarray) -> np.ndarray:
    """What one more Newton step would change in g."""
    pending = point.z.change.shape[0] > 1
    z = point.z.value + point.z.change[1] if pending else point.z.value
    step = point.g.change[0] * (target - z) / point.z.change[0]
    return step + point.g.change[1] if pending else step


def _interior(parameters: np.ndarray) -> np.ndarray:
    """Which solutions lie inside the upper half-plane with all their unknowns."""
    return np.all(np.imag(parameters) > _INSIDE * np.abs(parameters), axis=0)


def _startable(parameters: np.ndarray) -> np.ndarray:
    """Which solutions lie inside the upper half-plane, or on the real axis, with all their unknowns."""
    return _interior(parameters) | np.all(np.abs(np.imag(parameters)) <= _INSIDE * np.abs(parameters), axis=0)


def solver_of(law: Law) -> CurveLaw:
    """The law as its curve, which can be solved at complex points as well."""
    return law if isinstance(law, CurveLaw) else CurveLaw(law.curve, law.variance, law.atoms, law.lower_bound)


def newton_change(
    curve: SpectralCurve, parameters: np.ndarray, target: np.ndarray, tiny: float = 0.0
) -> tuple[np.ndarray, Margin]:
    """One joint Newton step of all unknowns towards z = target, and the physical margin: what :func:`follow` takes.

    Targets below ``tiny`` are stepped to in logarithms.
    """
    point = curve.evaluate(parameters, directions(curve))
    return newton_step(point, target, tiny), partial(_margin, point, target)


def newton_step(point: CurvePoint, target: np.ndarray, tiny: float) -> np.ndarray:
    """That step from a point of the curve."""
    z = point.z.value + point.z.change[1] if point.updates else point.z.value
    base = _base_change(point, target, z, np.abs(target) < tiny)
    return np.stack([base, *(slope * base + pending for slope, pending in point.updates)])


def tied_change(
    update: Update, curve: SpectralCurve, parameters: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, Margin]:
    """The joint step from where the inner unknowns are solved for once more, at the same base parameter.

    Where z depends little on the base, what inner equations lack behind one joint step, by its square, moves the base far in
    the next: only each second one contracts. Tied, they are steps of one unknown (nonlinear elimination: Lanzkron, Rose and
    Wilkes 1996).
    """
    pending = np.stack([row[1] for row in curve.evaluate(parameters, 2).updates])
    moved = np.concatenate([parameters[:1], parameters[1:] + pending])
    change, margin = update(moved, target)
    return moved - parameters + change, margin


def _settled_at(update: Update, solution: Solution, target: np.ndarray, magnitude: np.ndarray) -> Solution:
    """What plain joint steps make of solutions that others found, kept where the height that is left moves them by nothing.

    Beside a hard edge it does, and tied steps stop farther above it.
    """
    found = improved(update, solution.parameters, target + 1j * solution.height, magnitude, rounding=np.inf)
    with np.errstate(all="ignore"):
        left = np.abs(update(found.parameters, target)[0] / found.parameters).max(axis=0)
    resting = (solution.height == 0) | (left <= _RESTING)
    return replace(found, height=solution.height, converged=solution.converged & found.converged & resting)


def _margin(point: CurvePoint, target: np.ndarray) -> np.ndarray:
    """Of all stages; off the axis G is below it: other roots of z = target may lie near, but not there."""
    margin, g, upper = point.margin, point.g.value, np.imag(target) > 0
    return np.where(upper, np.minimum(margin, -np.imag(g) / np.abs(g)), margin) if upper.any() else margin


def _base_change(point: CurvePoint, target: np.ndarray, z: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Newton's change of the base parameter; in logarithms where z is a power of it, and the step then as long as any."""
    change = (target - z) / point.z.change[0]
    if logs.any():
        power = z * np.log(target / z) / (point.base * point.z.change[0])
        change = np.where(logs, point.base * np.expm1(power), change)
    return change
