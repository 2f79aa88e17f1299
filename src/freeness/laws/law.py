"""The abstract law: what every probability measure of this package can answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Inexact
from numpy.typing import ArrayLike, NDArray

from freeness.errors import ConvergenceError, InputError
from freeness.laws.band_ends import DARK
from freeness.laws.cumulants import free_cumulants, moments_on_circle, transform_on_axis
from freeness.laws.curve import SpectralCurve
from freeness.laws.quantiles import inverted
from freeness.laws.support import Edge, edges_of
from freeness.shown import Plotted, Shown

_NUDGE = 1e-6  # distance from an atom, relative to the support, at which its two sides are read
_BLIND = 4e-9  # closer to an atom than this the potential loses digits: one in ten for each tenth of the distance
_CLOSEST = 1e-12  # where it still has five
_EVEN = 1e-8  # the same where the density follows a power law
_LEAST_POWER, _MOST_POWER = 0.05, 20.0  # of the distance in the mass beside an atom
_BORNE_OUT = 3.0  # times the mass between two distances, above which what a density tells of it is none
_BETWEEN = 1e-5  # mass between distances that is more than rounding
_SANDWICHED = (1e-14, 1e-11, 1e-9, 1e-7)  # distances, relative to the support, of points that a lost one lies between
_FARTHEST = 0.3  # of its distance from 0, the farthest of these where it lies nearer to 0
_CROWD, _APART = 5, 8.0  # so many lost points, each less than so many times their reach from the next
_AWAY = (2.0, 8.0, 64.0, 1024.0)  # times its distance from an atom, where a lost one is looked for
_ALIKE = 1e-8  # their distribution functions where the one between is known
_GAPS = (1e-2, 1e-3, 1e-4, 1e-5)  # the same of points beside an atom that has a gap around it
_NEAREST = 1e-4  # so far at most are these the gap's where a little mass may lie between them
_TOTAL = 1e-7  # by which a distribution function rises by more than the atom in no gap
_NOTHING = 1e-9  # the same where nothing lies between the points beside the atom but itself
_AT_ATOM = 1e-14  # to which the levels of an atom are known
_UNKNOWN = 1e-4  # the same at an atom, of which it is not known on which side it lies


class Atom(NamedTuple):
    """A point of positive mass."""

    position: float
    mass: float


class Gaps(NamedTuple):
    """The distribution function to the left and right of an atom, NaN where no gap is; how far both of them go, 0: not both."""

    below: float = np.nan
    above: float = np.nan
    around: float = 0.0


@dataclass(frozen=True, eq=False)
class Boundary:
    """Values at x + i0: g = G(x + i0), ``potential`` = ∫ log(x + i0 - t) dμ(t), an error estimate for g, and which converged."""

    g: NDArray[np.complex128]
    potential: NDArray[np.complex128]
    error: NDArray[np.float64]
    converged: NDArray[np.bool_]


class Law(Shown, Plotted, ABC):
    """A probability measure on the real line.

    A law states its mean, variance, atoms, hull, boundary values and Cauchy transform, and its spectral curve
    (:mod:`freeness.laws.curve`), by which it is combined with others; the rest is derived here.
    """

    @property
    @abstractmethod
    def curve(self) -> SpectralCurve:
        """The law as a spectral curve, the form in which free operations take it."""

    @property
    @abstractmethod
    def mean(self) -> float:
        """∫ x dμ."""

    @property
    @abstractmethod
    def variance(self) -> float:
        """∫ (x - mean)² dμ."""

    @property
    @abstractmethod
    def atoms(self) -> tuple[Atom, ...]:
        """The points of positive mass, ascending."""

    @property
    @abstractmethod
    def hull(self) -> tuple[float, float]:
        """The smallest interval that holds the support, atoms included."""

    @property
    def lower_bound(self) -> float:
        """A lower bound of the support that costs nothing."""
        return self.hull[0]

    @property
    def upper_end(self) -> float:
        """``hull[1]``, without the work that the lower end may take."""
        return self.hull[1]

    @property
    def rank(self) -> float:
        """1 - μ({0}): the normalised rank of a matrix with this law."""
        return 1.0 - sum(mass for position, mass in self.atoms if position == 0)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """The intervals of the continuous part, ascending: by default the hull, or none where atoms hold all the mass."""
        return () if sum(mass for _, mass in self.atoms) > 1 - 1e-12 else (self.hull,)

    @property
    def bands_error(self) -> float:
        """The mass that is not known to lie in ``bands`` or atoms: rounding, or all of the continuous part.

        The latter says that its bands could not be told apart, so that ``bands`` holds its hull alone. Of a Transformer or
        Mixer, whose law is solved for at points, it is what lies beyond the ends found.
        """
        return 0.0

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Both ends of every band, with the way the density behaves there."""
        return edges_of(self)

    @property
    def support(self) -> tuple[tuple[float, float], ...]:
        """The closed support as intervals: bands, and the atoms outside them as intervals of length 0."""
        bands = self.bands
        alone = [(x, x) for x, _ in self.atoms if not any(low <= x <= high for low, high in bands)]
        return tuple(sorted([*bands, *alone]))

    @property
    def costly(self) -> bool:
        """Whether one point takes seconds."""
        return False

    @property
    def symmetric(self) -> bool:
        """Whether the law is known to be its own mirror image."""
        return False

    @abstractmethod
    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        """Boundary values at the real points ``x`` (one-dimensional)."""

    @abstractmethod
    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        """G(z) = ∫ dμ(x)/(z - x) for complex z off the real axis, and for real z outside the support."""

    def density(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        """The density of the continuous part at x, -Im G(x + i0)/π.

        Args:
            x: real points, any shape.
            throw: raise :class:`~freeness.errors.ConvergenceError` if a point did not converge; otherwise it is NaN.
        """
        points = real_points(x)
        boundary = self.boundary(points.ravel())
        return self._checked(np.maximum(-boundary.g.imag / np.pi, 0.0), boundary, throw).reshape(points.shape)

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        """μ((-∞, x]) = 1 - Im U(x + i0)/π with the potential U; no density is integrated.

        Args:
            x: real points, any shape.
            throw: raise on unconverged points; otherwise they are NaN.
        """
        points = real_points(x)
        flat = points.ravel()
        scale = self._reach
        read = (flat == 0) & self.symmetric  # where the density may be infinite
        value = np.where(read, 0.5, 0.0)
        for position, mass in self.atoms:  # U is singular at an atom, so its sides are read at a small distance
            distance = np.abs(flat - position)
            at, clear = distance == 0, position == 0 and self._clear_at_zero
            beside = (distance <= _GAPS[0] * scale) & ~at & (not clear)
            wanted = beside.any() or (at.any() and position not in self.hull)
            gaps = self._gaps_beside(position, mass) if wanted else Gaps()
            if at.any():
                value[at] = self._cdf_at_atom(position, mass, gaps, throw)
            beside &= distance <= max(gaps.around, _BLIND * scale)
            if gaps.around > 0:
                value[beside] = np.where(flat < position, gaps.below, gaps.above)[beside]
            elif beside.any():
                value[beside] = self._cdf_beside(position, flat[beside], gaps, throw)
            read |= at | beside
        value[~read] = self._cdf_off_atoms(flat[~read], throw)
        return self._between_atoms(flat, value).reshape(points.shape)

    def _between_atoms(self, x: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Values that leave room for the atoms on both sides, where rounding beside one takes some of its mass."""
        positions, masses = np.array(sorted(self.atoms)).reshape(-1, 2).T
        below = np.append(0.0, np.cumsum(masses))
        place = np.searchsorted(positions, x, side="right")
        low, high = np.clip(
            [below[place], 1.0 - below[-1] + below[place]], 0.0, 1.0
        )  # masses may add up to 1 + rounding
        return np.clip(value, low, high)

    @property
    def _reach(self) -> float:
        return max(*map(abs, self.hull), np.finfo(float).tiny)

    @property
    def _clear_at_zero(self) -> bool:
        """Whether the potential keeps its digits however close to an atom at 0."""
        return self.curve.logarithmic

    def cdf_on(self, x: Float[np.ndarray, "*points"]) -> Float[np.ndarray, "*points"]:
        """The distribution function at many ascending points, NaN where it did not converge; to 1e-7 where points cost much."""
        return self.cdf(x, throw=False)

    def _cdf_at_atom(self, position: float, mass: float, gaps: Gaps, throw: bool) -> float:
        """Between its limits from both sides; where other mass lies near on one of them, from the other."""
        if position == self.hull[0]:
            return mass
        if position == self.hull[1]:
            return 1.0
        if gaps.around > 0:
            return gaps.above
        scale = self._reach
        left, right = self._cdf_beside(position, position + _CLOSEST * scale * np.array([-1.0, 1.0]), gaps, throw)
        if not right - left - mass > _UNKNOWN or (position == 0 and self.symmetric):
            return float(left + right + mass) / 2
        far = self._cdf_off_atoms(position + _NUDGE * scale * np.array([-1.0, 1.0]), throw)
        gained = np.abs(far - (left, right))
        if gained.min() > _BETWEEN:
            if throw:
                raise ConvergenceError(
                    f"expected the distribution function at the atom {position:.6g}, got {left + mass:.6g} to {right:.6g}: mass "
                    "mounts towards it from both sides; move the point away."
                )
            return np.nan
        return float(left + mass if gained[0] <= gained[1] else right)

    def _cdf_beside(self, position: float, x: np.ndarray, gaps: Gaps, throw: bool) -> np.ndarray:
        """At points beside an atom, continued from two where the potential keeps its digits by the power law of the densities.

        At the points themselves where other mass lies in between, or farther away where these are not known.
        """
        sides, distance, scale = np.sign(x - position), np.abs(x - position), self._reach
        reach = np.array([_NUDGE, 2 * _BLIND]) * scale
        beside: np.ndarray = position + sides * reach[:, None]
        places, which = np.unique(beside, return_inverse=True)
        read = np.stack([self._raw_cdf(places), np.nan_to_num(self.density(places, throw=False))])[:, which]
        reached, density = read.reshape(2, *beside.shape)
        far: np.ndarray = reached[0]
        near: np.ndarray = reached[1]
        power = _power(density, reach)
        with np.errstate(all="ignore"):  # beside a pole the nearer density may be its rounding: mass that is not there
            told = np.abs(_mass_of_power(density[1], reach[1], reach[0], power))
        density[1] = np.where(told > _BORNE_OUT * np.abs(far - near) + _EVEN, density[0], density[1])
        power = _power(density, reach)
        between = [
            _mass_of_power(density[i], reach[i], to, power) for i, to in ((0, distance), (1, distance), (0, reach[1]))
        ]
        value, closer, expected = far - sides * between[0], near - sides * between[1], far - sides * between[2]
        gap = np.abs(expected - near)
        value = np.where(gap > _EVEN, closer, value)
        open_ = np.flatnonzero(np.isnan(value) | (gap > _BETWEEN))
        if open_.size:
            own = self._cdf_nearby(position, x[open_], reach[1], power[open_])
            value[open_] = np.where(sides[open_] > 0, np.fmin(own, near[open_]), np.fmax(own, near[open_]))
        value = np.where(np.isnan(value), np.where(sides < 0, gaps.below, gaps.above), value)
        if throw and np.isnan(value).any():
            return self._cdf_off_atoms(beside[0], throw)
        for side, nearest in ((1, np.fmin), (-1, np.fmax)):  # no more than farther away
            known = np.flatnonzero((sides == side) & ~np.isnan(value))
            order = known[np.argsort(-distance[known])]
            value[order] = nearest.accumulate(value[order])
        return value

    def _cdf_nearby(self, position: float, x: np.ndarray, reach: float, power: np.ndarray) -> np.ndarray:
        """At points beside an atom, or from farther away within a reach where that is not known; NaN where neither is."""
        own, distance = self._raw_cdf(x), np.abs(x - position)
        for away in _AWAY:
            lost = np.flatnonzero(np.isnan(own) & (away * distance < reach))
            if lost.size:
                own[lost] = self._cdf_from_afar(position, x[lost], away, power[lost])
        return own

    def _cdf_from_afar(self, position: float, x: np.ndarray, away: float, power: np.ndarray) -> np.ndarray:
        """At lost points beside an atom, from so many times their distance; at an end of the hull by the power of the mass."""
        there, distance = position + away * (x - position), np.abs(x - position)
        reached, density = self._raw_cdf(there), np.nan_to_num(self.density(there, throw=False))
        if position in self.hull:
            beside = dict(self.atoms)[position] if position == self.hull[0] else 1.0 - dict(self.atoms)[position]
            with np.errstate(all="ignore"):
                own = away * distance * density / np.abs(reached - beside)
            power = np.where((own > _LEAST_POWER) & (own < _MOST_POWER), own, power)
        return reached - np.sign(x - position) * _mass_of_power(density, away * distance, distance, power)

    def _raw_cdf(self, x: np.ndarray) -> np.ndarray:
        """The distribution function from the potential alone, NaN where it did not converge."""
        boundary = self.boundary(x)
        return np.where(boundary.converged, 1.0 - boundary.potential.imag / np.pi, np.nan)

    def _cdf_off_atoms(self, x: np.ndarray, throw: bool) -> np.ndarray:
        low, high = self.hull
        value = np.where(x <= low, 0.0, 1.0)
        inside = (x > low) & (x < high) & ~np.isin(x, [position for position, _ in self.atoms])
        if inside.any():
            boundary = self.boundary(x[inside])
            known = boundary.converged & np.isfinite(np.imag(boundary.potential))
            value[inside] = np.where(known, 1.0 - boundary.potential.imag / np.pi, np.nan)
            lost = np.flatnonzero(inside & np.isnan(value))
            if lost.size:
                value[lost] = self._sandwiched(x[lost])
                known[np.isin(np.flatnonzero(inside), lost)] = np.isfinite(value[lost])
            value[inside] = self._checked(value[inside], replace(boundary, converged=known), throw)
        return value

    def _sandwiched(self, x: np.ndarray) -> np.ndarray:
        """At points that did not converge, as on the end of a band: between the nearest on both sides that did.

        NaN where these have not the same value.
        """
        (below, above), scale = np.full((2, *x.shape), np.nan), self._reach
        tiny = (np.abs(x) < _SANDWICHED[-1] * scale) & (x != 0)  # bands may begin far down
        unit = np.where(tiny, _FARTHEST / _SANDWICHED[-1] * np.abs(x), scale)
        dark = self._lost_around(x, _SANDWICHED[-1] * unit)
        for distance in _SANDWICHED:
            sides = x + distance * unit * np.array([[-1.0], [1.0]])
            lit = ~((sides[..., None] >= dark[0]) & (sides[..., None] <= dark[1])).any(axis=(0, 2))
            left = np.flatnonzero(lit & (np.isnan(below) | np.isnan(above)))
            if left.size:
                read = self._raw_cdf(sides[:, left].ravel()).reshape(2, -1)
                for known, found in zip((below, above), read, strict=True):
                    known[left] = np.where(np.isnan(known[left]), found, known[left])
        return np.where(np.abs(above - below) <= _ALIKE, (below + above) / 2, np.nan)

    def _lost_around(self, x: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """The stretches (2, k) over crowds of lost points in which all is lost, as four points beside the middle of each tell."""
        found, order = list[tuple[float, float]](), np.argsort(x)
        gaps, least = np.diff(x[order]), np.minimum(reach[order][1:], reach[order][:-1])
        for crowd in np.split(order, np.flatnonzero(gaps > _APART * least) + 1):
            if crowd.size >= _CROWD:
                middle, near = x[crowd[crowd.size // 2]], reach[crowd].min()
                away = near * np.array([_SANDWICHED[0] / _SANDWICHED[-1], 1.0])
                if np.isnan(self._raw_cdf(middle + np.concatenate([-away, away]))).all():
                    found.append((float(x[crowd[0]]), float(x[crowd[-1]])))
        return np.array(found).reshape(-1, 2).T

    def _gaps_beside(self, position: float, mass: float) -> Gaps:
        """Where the distribution function rises by the atom's mass alone both gaps are; where by more, one without a density."""
        if position not in self._known_gaps:
            self._known_gaps[position] = self._found_gaps(position, mass)
        return self._known_gaps[position]

    def _in_gaps(self, x: np.ndarray) -> np.ndarray:
        """Which points lie so near to an atom with gaps on both sides that the distribution function is that of the gaps."""
        found = np.zeros(x.shape, bool)
        for position, mass in self.atoms:
            distance = np.abs(x - position)
            if (distance <= _GAPS[0] * self._reach).any() and not (position == 0 and self._clear_at_zero):
                around = self._gaps_beside(position, mass).around
                found |= (around > 0) & (distance <= around)
        return found

    @cached_property
    def _known_gaps(self) -> dict[float, Gaps]:
        return {}

    def _found_gaps(self, position: float, mass: float) -> Gaps:
        sides, alone, found = np.array([-1.0, 1.0]), np.full(2, np.nan), Gaps()
        for share in _GAPS:
            distance = share * self._reach
            beside = self.boundary(position + sides * distance)
            reached = np.where(beside.converged, 1.0 - beside.potential.imag / np.pi, np.nan)
            left, right = reached.tolist()
            if abs(right - left - mass) <= _NOTHING:
                return Gaps(left, right, distance)
            if abs(right - left - mass) <= _TOTAL and found.around == 0:
                found = Gaps(left, right, min(distance, _NEAREST * self._reach))
            if share >= _NEAREST:  # nearer a band may lie between
                alone = np.where(np.abs(beside.g.imag) * self._reach < DARK, reached, np.nan)
        return found if found.around > 0 else Gaps(*alone.tolist())

    def quantile(self, p: ArrayLike, *, tolerance: float = 0.0) -> Float[np.ndarray, "*points"]:
        """The smallest x with cdf(x) ≥ p, for p in [0, 1].

        It is 0 where it is so near to 0 that numbers lose their digits (1e-292). So near to another end of the support that its
        distance is lost in rounding (1e-12 of the width), it is the next point whose cdf is known.

        Args:
            p: probabilities, any shape.
            tolerance: |cdf(x) - p| that is near enough, so that the search may end sooner; 0 for all digits.
        """
        levels = levels_of(p)
        low, high = self.hull
        found = np.where(levels < 1, low, high)
        settled = (levels <= 0) | (levels >= 1)
        uppers = self.cdf([atom.position for atom in self.atoms]).tolist()
        for atom, upper in zip(self.atoms, uppers, strict=True):
            slack = min(_AT_ATOM, atom.mass / 2)  # at the lower level a gap before the atom may begin
            here = ~settled & (levels <= upper + _AT_ATOM) & (levels > upper - atom.mass + slack)
            found[here], settled = atom.position, settled | here
        if self.symmetric and (levels == 0.5).any() and self._reaches_zero:
            found[levels == 0.5], settled = 0.0, settled | (levels == 0.5)
        if not settled.all():
            found[~settled] = inverted(self, levels[~settled], tolerance)
        return found

    @property
    def _reaches_zero(self) -> bool:
        """Whether a symmetric law without an atom at 0 has mass as close to it as is known."""
        below = self.cdf(-self.hull[1] * np.array(_SANDWICHED), throw=False)
        known = below[np.isfinite(below)]
        return bool(known.size and known[0] < 0.5 - _ALIKE)

    def remembering(self) -> Self:
        """The same law for questions about points that come closer and closer: it may start from solutions found before."""
        return self

    def moment(self, order: int) -> float:
        """∫ x^order dμ, by the trapezoid rule on a circle around the support; relative error about 1e-15·1.1^order."""
        if order != int(order) or order < 0:
            raise InputError(f"expected a moment order 0, 1, 2, …, got {order}; negative moments need the inverse law.")
        return 1.0 if order == 0 else float(self.moments(int(order))[-1])

    def moments(self, order: int) -> Float[np.ndarray, " order"]:
        """m_1, …, m_order.

        Args:
            order: how many, ≥ 1.
        """
        if order != int(order) or order < 1:
            raise InputError(f"expected an order 1, 2, 3, …, got {order}.")
        return moments_on_circle(self, int(order))

    def free_cumulants(self, order: int) -> Float[np.ndarray, " order"]:
        """κ_1, …, κ_order by the exact recursion from the moments.

        Args:
            order: how many, ≥ 1; the relative error grows like 1e-15·C^order with C of order 4.
        """
        return free_cumulants(self.moments(order))

    def r_transform(self, g: ArrayLike) -> Float[np.ndarray, "*points"]:
        """R(g) = G⁻¹(g) - 1/g at real g ≠ 0 that G takes outside the support.

        Args:
            g: real values, any shape.
        """
        return transform_on_axis(self, g, "g") - 1.0 / np.asarray(g, dtype=float)

    def s_transform(self, u: ArrayLike) -> Float[np.ndarray, "*points"]:
        """S(u) = (1+u)/(u·w) with wG(w) - 1 = u, at real u ≠ 0 that zG(z) - 1 takes outside the support.

        Args:
            u: real values, any shape.
        """
        if self.lower_bound < 0 and self.hull[0] < 0:
            raise InputError(f"expected a law on [0, ∞) for the S-transform, got {self!r} on {self.hull}.")
        values = np.asarray(u, dtype=float)
        return (1 + values) / (values * transform_on_axis(self, values, "u"))

    def log_potential(self, x: ArrayLike) -> Float[np.ndarray, "*points"]:
        """∫ log|x - t| dμ(t) at real x.

        Args:
            x: real points, any shape.
        """
        points = real_points(x)
        boundary = self.boundary(points.ravel())
        known = replace(
            boundary, converged=boundary.converged & np.isfinite(boundary.potential)
        )  # beside an atom G may be alone
        return self._checked(boundary.potential.real, known, True).reshape(points.shape)

    @property
    def standard_deviation(self) -> float:
        """√variance."""
        return float(np.sqrt(self.variance))

    def _checked(self, values: np.ndarray, boundary: Boundary, throw: bool) -> np.ndarray:
        return checked(values, boundary.converged, throw)


def checked(
    values: Inexact[np.ndarray, "*points"], known: Bool[np.ndarray, "*points"], throw: bool
) -> Inexact[np.ndarray, "*points"]:
    """The values that are known, NaN for the others unless these are to be refused."""
    if throw and not known.all():
        missing = int((~known).sum())
        raise ConvergenceError(
            f"expected all {values.size} points to converge, {missing} did not; "
            "move them off edges and atoms, or pass throw=False to get NaN there."
        )
    return np.where(known, values, np.nan)


def _power(density: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """The power of the distance that the mass beside a point follows, by densities at two distances (2, points)."""
    with np.errstate(all="ignore"):
        power = 1 + np.log(density[0] / density[1]) / np.log(reach[0] / reach[1])
    return np.clip(np.where(np.isnan(power), 1.0, power), _LEAST_POWER, _MOST_POWER)


def _mass_of_power(
    density: np.ndarray, far: np.ndarray | float, near: np.ndarray | float, power: np.ndarray
) -> np.ndarray:
    """Between two distances from a point, of a density that is the given one at the farther and ~ distance^(power - 1)."""
    return density * far * (1 - (near / far) ** power) / power


def require_laws(*values: object) -> None:
    """Refuse anything that is no law, in one sentence."""
    for value in values:
        if not isinstance(value, Law):
            raise InputError(
                f"expected laws, got {value!r}; use PointMass for a number and Empirical for a list of eigenvalues."
            )


def real_points(x: ArrayLike) -> Float[np.ndarray, "*points"]:
    """x as a float array; refuses NaN and complex input in one sentence."""
    points = np.asarray(x)
    if np.iscomplexobj(points):
        raise InputError("expected real points, got complex ones; use cauchy(z) off the real axis.")
    points = points.astype(float)
    if not np.isfinite(points).all():
        raise InputError("expected finite points, got NaN or infinity; remove them from x.")
    return points


def levels_of(p: ArrayLike) -> Float[np.ndarray, "*points"]:
    """p as a float array; refuses what is no probability in one sentence."""
    levels = np.asarray(p, dtype=float)
    if not np.all((levels >= 0) & (levels <= 1)):
        raise InputError(f"expected probabilities in [0, 1], got {levels}; pass fractions, not percentages.")
    return levels


class CentredLaw(Law):
    """A law without atoms that is symmetric about 0."""

    @property
    def mean(self) -> float:
        return 0.0

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return ()

    @property
    def symmetric(self) -> bool:
        return True
