"""The law of a network's equations that are solved by sweeps: read on a ray just above the positive axis.

On z = e^{s + iε} with a small angle ε the equations are solved at some seventy s, closer where there is mass. The equations'
own potential gives U at some of them, U' = zG between them, and Taylor's series in ε leads both down to the axis,

    U(s) = U - iε zG - ε²/2 (zG)' + O(ε³)

where the law is smooth at the scale ε; at its ends it errs like ε^{3/2}. The upper end is a critical value, told by
points about it (:mod:`freeness.operators.critical_end`), and where they tell none, the zero of 1/G'², by secants from outside.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike

from freeness.errors import ConvergenceError, InputError
from freeness.laws import Atom, Boundary, Empirical, Law, SpectralCurve, levels_of, real_points
from freeness.operators.critical_end import critical_end
from freeness.operators.wired_equation import WiredEquation

_ANGLES = (0.5, 0.03)  # of rays, one after the other; the law is read on the last one
_SLOWLY = (0.8, 0.4, 0.15, 0.06, 0.03)  # where a hard edge makes that difficult
_FAR = 40.0  # m₂/m₁ times: where the potential is that of two moments
_STEP = 0.5  # of s between the first points
_DEEP = 30.0  # in s below m₂/m₁, where the search for the lower end stops
_LITTLE = 5e-3  # a distribution function below that need not be followed to smaller x
_FLAT = 3e-4  # a gain of the distribution function over three steps that is none: an atom at 0 below
_FINEST = 0.02  # in s: least distance of points
_CONVERGED = 0.6  # share of points that must converge
_SWEEPS, _DESCENDING = 100, 40  # sweeps at most, and where a hard edge may be
_DOWN = 3  # points of one step towards it
_LIGHT = 0.07  # mass at most where a power law goes on, if it did so far
_FOLLOWED = 0.15  # mass at most below the lowest point
_DENSE = 2000
_STRIDE, _TOLD = 32, 5e-6  # one of so many points of the table is taken first; to what others have to be told
_HALVINGS = 40  # of the distance of two such points, in which a quantile is found
_EMPTY = 1e-3  # mass beyond an end that is first guessed
_TAIL = 0.03  # mass near the upper end
_MEETING = 0.1  # mass below the tail over which the first table is led to it
_CLOSER = 0.004  # angle of the ray there
_ROUNDS = 2  # of points between those that much mass lies between
_ANCHORS = 16  # points of the ray at which the potential is known by itself
_NOTHING = 1e-14
_LEAST_POWER = 0.05
_SLACK = 20.0  # times the residual of fields: imaginary part of G over its size, above 0, that is rounding
_ASTRAY = 0.3  # imaginary part by which a potential departs from the integral of zG only on another branch
_STRAY, _STRAYED = 0.05, 12  # then it stems from points with more, and so many of these are left out at most
_START = 3e-3  # of those from which a smaller angle starts
_PRECISE = 1e-10
_STIFF, _OUT = 1e-8, 1e-6  # residual of fields outside, of which a part in 10⁴ is felt; to tell that they are real
_COMPLEX_STEP = 1e-4
_OUTSIDE = 8  # points from far away to where there is mass
_OWN = 0.02  # imaginary part of xG that is no longer that of the step
_BEYOND = 1e-5  # mass above a point in a gap
_TOP = 1e-4  # mass above a first guess of the end
_AROUND, _CLOSER_BY, _NARROWED = 0.3, 0.2, 5  # of points about the end, in s; by which these are closer, and how often
_ABOUT, _INSIDE, _RAISED = (
    8,
    0.1,
    0.08,
)  # of these; how far below the guess they begin; angle; both in units of their width
_FARTHEST = 0.2  # from a guess of the end to the next, in s
_DEGREES = (4, 3), (3, 2)  # of fits there, which must agree
_SHARP = 1e-5  # residual of fields there
_CLOSE = 0.02  # beyond the end, relative, where no mass is above
_SECANTS = 14
_MANY = 1000  # unknowns of an equation of which every point costs


class _Care(NamedTuple):
    """How closely a law is followed.

    ``share``: mass between two points at most, and ``bend``: change of zG times that of s. ``points``: of the ray, and ``tail``:
    near the upper end, twice, with at most ``between`` two. ``tolerance``: relative residual of fields, of whose squares the
    potential errs. ``arrived``: relative error of the upper end. ``extended``: error of a distribution function that is
    followed further down by a power.
    """

    share: float
    bend: float
    points: int
    tail: int
    between: float
    tolerance: float
    arrived: float
    extended: float


_CLOSELY = _Care(0.02, 0.01, 72, 8, 5e-4, 3e-5, 1e-4, 0.0)
_COSTLY = _Care(0.04, 0.02, 40, 6, 3e-3, 3e-4, 2e-3, 2e-3)


class _Ray(NamedTuple):
    """Points s, ascending, zG there, and the fields (k, m)."""

    s: np.ndarray
    zg: np.ndarray
    fields: np.ndarray


class WiredLaw(Law):
    """The law with G of a :class:`~freeness.operators.WiredEquation`, of positive matrices.

    Args:
        equation: of the network.

    Raises:
        ConvergenceError: a point that could not be solved, when the law is asked.
        InputError: a spectrum of no finite positive size.
    """

    def __init__(self, equation: WiredEquation) -> None:
        self._equation = equation
        self._care = _COSTLY if equation.unknowns > _MANY else _CLOSELY
        first, second = equation.moments()
        if not (np.isfinite(first) and np.isfinite(second) and first > 0 and second > 0):
            raise InputError(
                f"expected a spectrum of finite positive size, got the mean {first}; the signal or the gradient vanished."
            )
        self._moments = first, second

    def __repr__(self) -> str:
        return f"WiredLaw({len(self._equation.matrices)} random matrices)"

    @property
    def curve(self) -> SpectralCurve:
        """Of as many equal atoms as the law has points: about what it is, for operations with other laws."""
        return Empirical(self.quantile((np.arange(_DENSE) + 0.5) / _DENSE)).curve

    @property
    def mean(self) -> float:
        return self._moments[0]

    @property
    def variance(self) -> float:
        return max(self._moments[1] - self._moments[0] ** 2, 0.0)

    @property
    def lower_bound(self) -> float:
        return 0.0

    @property
    def upper_end(self) -> float:
        return self._upper

    # --- the ray ----------------------------------------------------------------------------------------------------

    @cached_property
    def _ray(self) -> _Ray:
        centre = float(np.log(self._moments[1] / self._moments[0]))
        top = centre + np.log(_FAR)
        s = top - _STEP * np.arange(
            int((top - centre) / _STEP) + 8 | 1
        )  # an odd number, of which every second is followed first
        above = self._solved(s[::-2], None, _ANGLES[0], _START)
        s = np.sort(s[(s >= above.s[0]) & (s <= above.s[-1])])
        found = self._refined(self._solved(s, self._guessed(above, s, 0.0), _ANGLES[-1]), self._care.points // 2)
        while not self._reaches_down(found) and found.s[0] > centre - _DEEP:
            further = self._descended(found)
            if further.s.size == 0:
                break
            before, found = found, _merged(found, further)
            if (further.s.size < _DOWN and self._rest_below(found) < _LIGHT) or self._is_extended(before, found):
                break
        if self._rest_below(found) > _FOLLOWED:
            raise ConvergenceError(
                f"expected all but {_FOLLOWED:.0%} of the law to be solved for, more lies below {np.exp(found.s[0]):.2g}, "
                "where the equations did not converge; measure the spectrum instead."
            )
        found = self._refined(found, self._care.points)
        kept = self._on_branch(found)
        return found if kept is found else self._on_branch(self._refined(kept, self._care.points))

    def _on_branch(self, ray: _Ray) -> _Ray:
        """Without points on another branch: from the top down the potential is the integral of zG until the first of them."""
        places = np.unique(np.linspace(0, ray.s.size - 1, _ANCHORS).astype(int))
        z = np.exp(ray.s + 1j * _ANGLES[-1])
        known = self._equation.potential(z[places], ray.fields[:, places])
        if np.abs(np.imag(known - self._along(ray, ray.s[places])[1])).max() < _ASTRAY:
            return ray
        known = self._equation.potential(z, ray.fields)
        for _ in range(_STRAYED):
            stray = np.flatnonzero(np.abs(np.imag(known - self._along(ray, ray.s)[1])) > _STRAY)
            if stray.size == 0:
                break
            known = np.delete(known, stray[-1])
            ray = _Ray(*(np.delete(one, stray[-1], axis=-1) for one in ray))
        return ray

    @cached_property
    def _drift(self) -> tuple[np.ndarray, np.ndarray]:
        """At some s of the ray, what the integral of zG has lost of the potential."""
        ray = self._ray
        places = np.unique(np.linspace(0, ray.s.size - 1, _ANCHORS).astype(int))
        z = np.exp(ray.s[places] + 1j * _ANGLES[-1])
        drift = self._equation.potential(z, ray.fields[:, places]) - self._along(ray, ray.s[places])[1]
        if not np.abs(np.imag(drift)).max() < _ASTRAY:
            raise ConvergenceError(
                f"expected one distribution function from G and from its potential, got masses that differ by "
                f"{np.abs(np.imag(drift)).max() / np.pi:.2g}; measure the spectrum instead."
            )
        return ray.s[places], drift

    def _descended(self, ray: _Ray) -> _Ray:
        """Some points below those that are known, or none where the equations cannot be solved any more."""
        s = ray.s[0] - _STEP * np.arange(1, _DOWN + 1)
        with suppress(ConvergenceError):
            return self._solved(s, _continued(ray, s), _ANGLES[-1], most=_DESCENDING)
        if self._rest_below(ray) > _LIGHT:
            with suppress(ConvergenceError):
                return self._lowered(s[:2], _SLOWLY)
        return _Ray(ray.s[:0], ray.zg[:0], ray.fields[:, :0])

    def _reaches_down(self, ray: _Ray) -> bool:
        """Whether there is little below, or an atom at 0 only."""
        below = _below(np.imag(self._potentials(ray)))
        flat = below[3] - below[0] < _FLAT and below[0] < 1 - self._care.share
        return bool(below[0] - self._rankless < _LITTLE or flat)

    def _rest_below(self, ray: _Ray) -> float:
        """Mass below the lowest point beside the atom that is known."""
        return float(_below(np.imag(self._potentials(ray)))[0]) - self._rankless

    def _is_extended(self, before: _Ray, ray: _Ray) -> bool:
        """Whether the power by which the distribution function fell before has told how it falls now."""
        known, found = (_below(np.imag(self._potentials(one))) - self._rankless for one in (before, ray))
        low, further = known[0], float(before.s[0] - ray.s[0])
        step = int(np.searchsorted(before.s, before.s[0] + further))
        power = np.log(max(known[step], _NOTHING) / max(low, _NOTHING)) / (before.s[step] - before.s[0])
        told = max(low, 0.0) * np.exp(-max(power, _LEAST_POWER) * further)
        return bool(found[0] < _LIGHT and abs(told - found[0]) < self._care.extended)

    @cached_property
    def _rankless(self) -> float:
        """Mass at 0 where fewer columns than rows lead to the end; what the equations say to lie nearer to 0 is there, too."""
        return self._equation.rankless

    def _refined(self, ray: _Ray, most: int) -> _Ray:
        """With points between those that much mass, or a bend, lies between, ``most`` in all."""
        while ray.s.size < most:
            mass, width = np.diff(_below(np.imag(self._potentials(ray)))), np.diff(ray.s)
            need = np.maximum(np.abs(mass) / self._care.share, width * np.abs(np.diff(ray.zg)) / self._care.bend)
            wide = np.flatnonzero((need > 1) & (width > _FINEST))
            if wide.size == 0:
                break
            wide = wide[np.argsort(-need[wide])][: most - ray.s.size]
            s = (ray.s[wide] + ray.s[wide + 1]) / 2
            ray = _merged(ray, self._solved(s, self._guessed(ray, s, 0.0), _ANGLES[-1]))
        return ray

    def _lowered(self, s: np.ndarray, angles: tuple[float, ...]) -> _Ray:
        """At points that are known from nowhere, by rays of smaller and smaller angles."""
        found = None
        for angle in angles:
            fine = None if angle == angles[-1] else _START
            found = self._solved(s if found is None else found.s, None if found is None else found.fields, angle, fine)
        assert found is not None
        return _merged(found, _Ray(found.s[:0], found.zg[:0], found.fields[:, :0]))

    def _solved(
        self,
        s: np.ndarray,
        start: np.ndarray | None,
        angle: float,
        tolerance: float | None = None,
        most: int = _SWEEPS,
    ) -> _Ray:
        """On one ray; a few points that did not converge, or to a G that no law has, are left out."""
        z = np.exp(s + 1j * angle)
        tolerance = self._care.tolerance if tolerance is None else tolerance
        found = self._equation.solved(z, start, tolerance, most)
        good = found.converged & (np.imag(found.cauchy) <= _SLACK * self._care.tolerance * np.abs(found.cauchy))
        if good.mean() < _CONVERGED:
            raise ConvergenceError(
                f"expected {s.size} points of the law to converge, {int((~good).sum())} did not; the network's signal may "
                "vanish or explode, so scale it, or measure the spectrum."
            )
        return _Ray(s[good], (z * found.cauchy)[good], found.fields[:, good])

    def _potentials(self, ray: _Ray) -> np.ndarray:
        """U on the axis at the points of a ray."""
        return self._on_axis(ray, ray.s)[1]

    def _on_axis(self, ray: _Ray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """zG and U on the axis."""
        angle = _ANGLES[-1]
        spline, along = self._along(ray, s)
        zg, slope, curved = spline(s), spline(s, 1), spline(s, 2)
        return zg - 1j * angle * slope - angle**2 / 2 * curved, along - 1j * angle * zg - angle**2 / 2 * slope

    def _along(self, ray: _Ray, s: np.ndarray) -> tuple[scipy.interpolate.CubicSpline, np.ndarray]:
        """zG as a spline along the ray, and U there, from the top downwards."""
        spline = scipy.interpolate.CubicSpline(ray.s, ray.zg)
        first, second = self._moments
        z = np.exp(ray.s[-1] + 1j * _ANGLES[-1])
        top = ray.s[-1] + 1j * _ANGLES[-1] - first / z - second / (2 * z**2)
        integral = spline.antiderivative()
        return spline, top + integral(s) - integral(ray.s[-1])

    def _near(self, s: np.ndarray, angle: float) -> np.ndarray:
        """Fields at another angle, guessed from the ray."""
        return self._guessed(self._ray, s, angle - _ANGLES[-1])

    def _guessed(self, ray: _Ray, s: np.ndarray, shift: float) -> np.ndarray:
        """Fields between points of a ray and, as they are functions of s + i·angle, beside it; plain means where that fails."""
        spline = scipy.interpolate.CubicSpline(ray.s, ray.fields, axis=1)
        found = spline(s) + 1j * shift * spline(s, 1)
        plain = scipy.interpolate.interp1d(ray.s, ray.fields, axis=1)(s)
        return np.where(self._equation.sound(found), found, plain)

    @cached_property
    def _coarse(self) -> tuple[np.ndarray, np.ndarray]:
        """Dense s and the distribution function there, which ascends."""
        ray = self._ray
        s = np.linspace(ray.s[0], ray.s[-1], _DENSE)
        phase = np.imag(self._on_axis(ray, s)[1]) + np.interp(s, self._drift[0], np.imag(self._drift[1]))
        return s, np.maximum.accumulate(np.clip(_below(phase), 0.0, 1.0))

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """The same, where near the upper end x₊ it is taken from closer to the axis.

        What lies above x is τ³ times something smooth at a soft edge, for which there are some points in τ = √(x₊ - x); so a few
        eigenvalues far above the others are not missed, and others where the first table has as much mass between them.
        """
        s, below = self._coarse
        start, end = float(np.exp(s[np.searchsorted(below, 1 - _TAIL)])), self._upper
        if not start < end:
            return s, below
        tail = self._care.tail
        falling = np.linspace(1.0, 0.0, tail + 1)[:-1] ** 2
        rising = np.diff(below, prepend=-1.0) > 0
        level = np.exp(np.interp(1 - _TAIL * falling, below[rising], s[rising]))
        known, above = self._above(np.log(np.unique(np.append(end - (end - start) * falling, level[level < end]))))
        for _ in range(_ROUNDS):
            wide = (-np.diff(above) > self._care.between) & (np.diff(known) > _FINEST)
            if not wide.any():
                break
            more = self._above((known[:-1] + known[1:])[wide] / 2)
            order = np.argsort(np.append(known, more[0]))
            known, above = (np.append(one, other)[order] for one, other in zip((known, above), more, strict=True))
        above = np.minimum.accumulate(above)
        near = s > known[0]
        tau, wanted = (np.sqrt(np.maximum(end - np.exp(one), 0.0)) for one in (known[::-1], s[near]))
        tau, beyond = np.append(0.0, tau), np.append(0.0, above[::-1])
        if not (np.diff(tau) > 0).all():
            raise ConvergenceError(
                f"expected points below the upper end {end:.3g} of the law, got some at it or that meet; measure the "
                "spectrum instead."
            )
        found = scipy.interpolate.PchipInterpolator(tau, beyond)(wanted)
        met = float(np.interp(known[0], s, below))
        shares = np.clip((below[~near] - met + _MEETING) / _MEETING, 0.0, 1.0) ** 2
        coarse = below[~near] + (1 - above[0] - met) * shares  # the tables differ a little where they meet
        return s, np.maximum.accumulate(np.concatenate([np.clip(coarse, 0.0, 1 - above[0]), 1 - found]))

    def _above(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of some s could be solved close to the axis, and the mass above."""
        solved = self._solved(s, self._near(s, _CLOSER), _CLOSER)
        z = np.exp(solved.s + 1j * _CLOSER)
        phase = np.imag(self._equation.potential(z, solved.fields) - 1j * _CLOSER * solved.zg)
        return solved.s, np.clip(phase / np.pi, 0.0, 1.0)

    # --- the support --------------------------------------------------------------------------------------------------

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return self._atoms

    @cached_property
    def _atoms(self) -> tuple[Atom, ...]:
        """The atom at 0, if there is one: what sizes leave out, or clearly more below points where no mass is gained."""
        below = np.interp(self._ray.s[:4], *self._coarse)
        flat = below[0] > _LITTLE and below[3] - below[0] < _FLAT
        mass = float(below[0]) if flat and below[0] > self._rankless + _FLAT else self._rankless
        return (Atom(0.0, mass),) if mass > 0 else ()

    @property
    def _at_zero(self) -> float:
        return sum(atom.mass for atom in self.atoms)

    @property
    def bands_error(self) -> float:
        """The mass beyond both ends: below a lower end that is only followed until little mass is left, mostly under 0.5 %."""
        s, below = self._table
        low, high = np.interp(np.log(np.maximum(self.hull, np.exp(s[0]))), s, below)
        return float(1 - high) + (0.0 if self.atoms else float(low))

    @property
    def hull(self) -> tuple[float, float]:
        return self._hull

    @cached_property
    def _hull(self) -> tuple[float, float]:
        if self.atoms:
            return 0.0, self._upper
        s, below = self._table
        return float(np.exp(s[np.searchsorted(below, _EMPTY)])), self._upper

    @cached_property
    def _upper(self) -> float:
        found = self._critical()
        return self._met_from_outside() if found is None else found

    def _critical(self) -> float | None:
        """The upper end from points about it that lie closer and closer; None where it is not told, or mass lies above."""
        s, below = self._coarse
        middle, around = float(s[min(np.searchsorted(below, 1 - _TOP), s.size - 1)]), _AROUND
        for _ in range(_NARROWED):
            s = middle + around * np.linspace(-_INSIDE, 1.0, _ABOUT)
            if not self._ray.s[0] < s[0] < s[-1] < self._ray.s[-1]:
                return None
            try:
                known = self._solved(s, self._near(s, _RAISED * around), _RAISED * around, _SHARP)
            except ConvergenceError:
                return None
            z = np.exp(known.s + 1j * _RAISED * around)
            found, other = (critical_end(z, known.zg / z, degrees) for degrees in _DEGREES)
            if found is None or other is None or not abs(np.log(found) - middle) < _FARTHEST:
                return None
            near = abs(np.log(found) - middle) < around
            if near and abs(other / found - 1) < self._care.arrived:
                outside = self._stiffness(np.array([found * (1 + _CLOSE)]), _SWEEPS, _OUT)
                return None if np.isnan(outside[0]) else found
            middle, around = float(np.log(found)), around * (_CLOSER_BY if near else 1.0)
        return None

    def _met_from_outside(self) -> float:
        """The upper end, where 1/G'² vanishes; from outside, where all fields are real and no mass is above."""
        s, below = self._coarse
        x = np.exp(np.linspace(self._ray.s[-1], s[np.searchsorted(below, 1 - _EMPTY)], _OUTSIDE))
        stiff = self._stiffness(x, _DESCENDING, _STIFF)
        inside = np.flatnonzero(np.isnan(stiff))
        last = (int(inside[0]) if inside.size else x.size) - 1
        far, near = float(x[last - 1]), float(x[last])
        at_far, at_near = float(stiff[last - 1]), float(stiff[last])
        floor = 0.0  # a point inside
        for _ in range(_SECANTS):
            if not at_far > at_near > 0:
                break
            found = max(near - at_near * (far - near) / (at_far - at_near), floor)
            if near - found < self._care.arrived * near:
                return found
            trial = near - (0.8 if found > floor else 0.5) * (near - found)
            value = float(self._stiffness(np.array([trial]), _SWEEPS, _STIFF)[0])
            if np.isnan(value):
                floor = trial
            else:
                far, near, at_far, at_near = near, trial, at_near, value
        return near

    def _stiffness(self, x: np.ndarray, most: int, residual: float) -> np.ndarray:
        """1/G'² above the support, by a complex step; NaN inside it, where G has an imaginary part of its own, and in gaps."""
        z = x * (1 + 1j * _COMPLEX_STEP)
        found = self._equation.solved(z, self._near(np.log(x), 0.0), residual, most)
        lost = -np.imag(found.cauchy)
        beyond = (
            np.imag(self._equation.potential(z, found.fields)) - _COMPLEX_STEP * np.real(z * found.cauchy)
        ) / np.pi
        outside = found.converged & (lost > 0) & (lost * x < _OWN) & (beyond < _BEYOND)
        return np.where(outside, (x * _COMPLEX_STEP / np.where(outside, lost, 1.0)) ** 2, np.nan)

    # --- values -------------------------------------------------------------------------------------------------------

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        inside = (x > np.exp(self._ray.s[0])) & (x < np.exp(self._ray.s[-1]))
        s = np.log(np.where(inside, x, np.exp(self._ray.s[-1])))
        zg, potential = self._on_axis(self._ray, s)
        potential = potential + np.interp(s, *self._drift)
        lit = (x > self.hull[0]) & (x < self.hull[1])
        g = np.real(zg) / np.where(x == 0, 1.0, x) + 1j * np.where(
            lit, np.minimum(np.imag(zg), 0.0) / np.where(x == 0, 1.0, x), 0.0
        )
        whole = np.real(potential) + 1j * np.pi * (1 - self._distribution(x))
        return Boundary(g, whole, _ANGLES[-1] ** 2 * np.abs(g), inside)

    def _distribution(self, x: np.ndarray) -> np.ndarray:
        s, below = self._table
        with np.errstate(divide="ignore"):
            logs = np.log(np.maximum(x, 0.0))
        value = self._smooth(np.clip(logs, s[0], s[-1]))
        mass = self._at_zero
        lower = np.minimum(logs - s[0], 0.0)
        value = np.where(logs < s[0], mass + (below[0] - mass) * np.exp(self._power * lower), value)
        return np.where(x < 0, 0.0, np.maximum(value, mass))

    @cached_property
    def _smooth(self) -> scipy.interpolate.PchipInterpolator:
        """The distribution function over s, and by its slope the density, through as few points of the table as tell the others.

        Slopes between the nearest points are those of what the table was put together of.
        """
        s, below = self._table
        with np.errstate(divide="ignore"):
            ends = np.clip(np.searchsorted(s, np.log(self._upper)), 1, s.size - 1)
        kept = np.unique([*range(0, s.size, _STRIDE), ends, s.size - 1])
        while True:
            found = scipy.interpolate.PchipInterpolator(s[kept], below[kept])
            off = np.maximum.reduceat(np.abs(found(s) - below), kept[:-1])
            middles = (kept[:-1] + kept[1:]) // 2
            more = middles[(off > _TOLD) & (middles > kept[:-1])]
            if more.size == 0:
                return found
            kept = np.union1d(kept, more)

    @cached_property
    def _power(self) -> float:
        """κ of F ~ x^κ at the lowest points."""
        s, below = self._table
        rest = np.maximum(below - self._at_zero, _NOTHING)
        step = int(np.searchsorted(s, s[0] + _STEP))
        return float(np.clip(np.log(max(rest[step], rest[0]) / rest[0]) / (s[step] - s[0]), _LEAST_POWER, np.inf))

    def density(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        points = real_points(x)
        flat = points.ravel()
        first, last = np.exp(self._table[0][[0, -1]])
        inside = (flat >= first) & (flat <= min(last, self.hull[1]))
        value = np.zeros(flat.shape)
        value[inside] = self._smooth(np.log(flat[inside]), 1) / flat[inside]
        lowest = (flat > 0) & (flat < first)  # where the distribution function is continued by a power
        value[lowest] = self._power * (self._distribution(flat[lowest]) - self._at_zero) / flat[lowest]
        return value.reshape(points.shape)

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        points = real_points(x)
        value = self._distribution(points.ravel())
        low, high = self.hull
        value = np.where(points.ravel() >= high, 1.0, value)
        return np.where(points.ravel() < min(low, 0.0), 0.0, value).reshape(points.shape)

    def quantile(self, p: ArrayLike, *, tolerance: float = 0.0) -> Float[np.ndarray, "*points"]:
        levels = levels_of(p)
        s, below = self._table
        rising = np.concatenate([[True], np.diff(below) > 0])
        found = np.exp(self._risen(levels, below[rising], s[rising]))
        mass = self._at_zero
        lower = np.clip((levels - mass) / max(below[0] - mass, _NOTHING), 0.0, 1.0) ** (1 / self._power)
        found = np.where(levels < below[0], np.exp(s[0]) * lower, np.minimum(found, self.hull[1]))
        return np.where(levels <= mass, 0.0, found)

    def _risen(self, levels: np.ndarray, below: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Where the distribution function reaches levels, halved between two points of the table."""
        place = np.clip(np.searchsorted(below, levels), 1, s.size - 1)
        low, high = s[place - 1], s[place]
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            short = self._smooth(middle) < levels
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return high

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        points = np.asarray(z).astype(complex)
        flat = points.ravel()
        below = np.imag(flat) < 0
        upper = np.where(below, flat.conj(), flat)
        start = None
        for angle in _ANGLES[:-1]:
            raised = np.abs(upper) * np.exp(1j * np.maximum(np.angle(upper), angle))
            start = self._equation.solved(raised, start).fields
        found = self._equation.solved(upper, start, _PRECISE)
        if not found.converged.all():
            raise ConvergenceError(
                f"expected all {flat.size} points to converge, {int((~found.converged).sum())} did not; move them off the "
                "support."
            )
        return np.where(below, found.cauchy.conj(), found.cauchy).reshape(points.shape)


def _below(phase: np.ndarray) -> np.ndarray:
    """The distribution function from the imaginary part of the potential."""
    return 1.0 - phase / np.pi


def _continued(ray: _Ray, s: np.ndarray) -> np.ndarray:
    """Fields below the lowest points, by the power laws that they follow towards a hard edge."""
    last, before = ray.fields[:, 0], ray.fields[:, 1]
    largest = np.abs(ray.fields[:, :2]).max()
    known = (np.abs(last) > _NOTHING * largest) & (np.abs(before) > _NOTHING * largest)
    ratio = np.where(known, last, 1.0) / np.where(known, before, 1.0)
    powers = (ray.s[0] - s) / (ray.s[1] - ray.s[0])
    return np.where(known, last, 0.0)[:, None] * ratio[:, None] ** powers


def _merged(one: _Ray, other: _Ray) -> _Ray:
    s = np.concatenate([one.s, other.s])
    order = np.argsort(s)
    zg, fields = np.concatenate([one.zg, other.zg]), np.concatenate([one.fields, other.fields], axis=1)
    return _Ray(s[order], zg[order], fields[:, order])
