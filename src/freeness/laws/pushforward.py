"""The law of f(√variance·ξ) for a standard Gaussian ξ, such as D² = φ'(h)² over the neurons of a wide layer."""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike
from scipy.special import ndtr

from freeness.errors import InputError
from freeness.laws.atoms import Atoms
from freeness.laws.curve import CauchyCurve, CauchyLaw, SpectralCurve, Transform
from freeness.laws.gauss_rules import GaussRules, RulesTogether
from freeness.laws.law import Atom, Boundary, Law, real_points
from freeness.laws.panel_sums import PanelSums
from freeness.laws.panels import Stretch
from freeness.numerics import RANGE, gaussian_nodes

_SAMPLES = 400  # points a piece on which f's monotone stretches are looked for
_DRIFT = 1e-3  # relative; a smooth function has 1e-12, a jump left out 1e-2
_INSIDE = 1e-12  # of a stretch: the distance from its ends at which the one-sided limits are read


class GaussianPushforward(Law):
    """Law of f(√variance·ξ), ξ ~ N(0, 1).

    Density Σ_k p(h_k)/|f'(h_k)| over the solutions of f(h_k) = x; where f is constant between two kinks it has an atom.
    Off the real axis, and right up to it, G(z) = E 1/(z - f) by quadrature split at the kinks, with its poles taken out.

    Args:
        function: f, elementwise and vectorised.
        variance: of the Gaussian, > 0.
        kinks: where f or its derivative jumps.

    Example:
        >>> law = GaussianPushforward(lambda h: np.exp(-h**2), 0.5)
        >>> round(law.mean, 12) == round(2**-0.5, 12)
        True
    """

    def __init__(
        self,
        function: Callable[[Float[np.ndarray, "*points"]], Float[np.ndarray, "*points"]],
        variance: float,
        kinks: Sequence[float] = (),
    ):
        self._function, self._variance_of_h = function, float(variance)
        nodes, weights = gaussian_nodes(variance, kinks)
        values = np.asarray(function(nodes), dtype=float)
        if values.shape != nodes.shape or not np.isfinite(values).all():
            raise InputError(
                f"expected an elementwise function with finite values, got shape {values.shape} for {nodes.shape} "
                "points or NaN; check the activation's derivative."
            )
        self._discrete = Atoms(np.where(np.abs(values) < 1e-300, 0.0, values), weights)
        coarse = gaussian_nodes(variance, kinks, order=11)
        square = self._discrete.moment(2)
        drift = abs(float(coarse[1] @ function(coarse[0]) ** 2) - square)
        if drift > _DRIFT * square:
            raise InputError(
                f"expected a function whose Gaussian mean square quadrature finds, got one that changes by {drift:.2g} with the "
                "number of nodes; declare its jumps as kinks, or take another."
            )
        self._kinks, self._stretches = tuple(kinks), tuple(self._monotone_stretches(kinks))

    @property
    def curve(self) -> SpectralCurve:
        return CauchyCurve(self)

    @property
    def mean(self) -> float:
        return self._discrete.mean

    @property
    def variance(self) -> float:
        return self._discrete.variance

    def moment(self, order: int) -> float:
        return self._discrete.moment(order)

    @property
    def atoms(self) -> tuple[Atom, ...]:
        masses: dict[float, float] = {}
        for stretch in self._stretches:
            if stretch.start == stretch.end:
                masses[stretch.start] = masses.get(stretch.start, 0.0) + float(
                    self._probability(stretch.low, stretch.high)
                )
        return tuple(Atom(x, mass) for x, mass in sorted(masses.items()) if mass > 0)

    @property
    def hull(self) -> tuple[float, float]:
        ends = [value for stretch in self._stretches for value in (stretch.start, stretch.end)]
        return min(ends), max(ends)

    @property
    def nonzero_hull(self) -> tuple[float, float]:
        """Hull of the support without an isolated 0."""
        ends = [v for s in self._stretches for v in (s.start, s.end) if s.start != s.end or s.start != 0]
        return min(ends), max(ends)

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """G = E 1/(z - f) and u = E f/(z - f), each with its derivative."""
        g, dg, u, du = (row[0] for row in self._alone.transforms(z[None]))
        return (g, dg), (u, du)

    @cached_property
    def rules(self) -> GaussRules:
        """Gauss rules for points away from the support, and for others the panels of the quadrature."""
        flat = all(stretch.start == stretch.end for stretch in self._stretches)
        return GaussRules(self._discrete.positions, self._discrete.masses, None if flat else self.sums)

    @cached_property
    def _alone(self) -> RulesTogether:
        return RulesTogether([self.rules])

    @cached_property
    def sums(self) -> PanelSums:
        """The transforms from the panels of the quadrature, right up to the real axis."""
        return PanelSums(self._function, self._variance_of_h, self._kinks, self._stretches)

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """Where f is monotone, with its values at their ends."""
        return self._stretches

    @property
    def discrete(self) -> Atoms:
        """The atoms of the quadrature, by which moments, and transforms away from the support, are computed."""
        return self._discrete

    def light(self) -> CauchyLaw:
        """A Gauss rule of the law."""
        return self._discrete.light()

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """E log(z - f)."""
        return self._discrete.potential(z) if self.rules.full is None else self.sums.potential(z)

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        points = np.asarray(z)
        points = points if np.iscomplexobj(points) else points.astype(float)
        return self.transforms(points.ravel())[0][0].reshape(points.shape)

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        points = real_points(x)
        return self._density_and_cdf(points.ravel())[1].reshape(points.shape)

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        """Density and cdf are exact (change of variables); the real parts are those of the panels."""
        density, below = self._density_and_cdf(x)
        z = x.astype(complex)
        g, potential = np.real(self.transforms(z)[0][0]), np.real(self.potential(z))
        g = np.where(np.isfinite(g), g, 0.0) - 1j * np.pi * density
        potential = np.where(np.isfinite(potential), potential, 0.0) + 1j * np.pi * (1 - below)
        return Boundary(g, potential, 1e-10 * density, np.isfinite(density))

    def _density_and_cdf(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        density, below = np.zeros(x.shape), np.zeros(x.shape)
        for stretch in self._stretches:
            low, high = sorted((stretch.start, stretch.end))
            mass = self._probability(stretch.low, stretch.high)
            below += np.where(x >= high, mass, 0.0)
            inside = (x > low) & (x < high)
            if not inside.any():
                continue
            h = self._solve(stretch, x[inside])
            rising = stretch.end > stretch.start
            start, end = (stretch.low, h) if rising else (h, stretch.high)
            below[inside] += self._probability(start, end)
            density[inside] += self._gaussian_density(h) / self.sums.slope(h)
        return density, np.minimum(below, 1.0)

    def _probability(self, low: ArrayLike, high: ArrayLike) -> np.ndarray:
        deviation = np.sqrt(self._variance_of_h)
        return ndtr(np.asarray(high) / deviation) - ndtr(np.asarray(low) / deviation)

    def _gaussian_density(self, h: np.ndarray) -> np.ndarray:
        return np.exp(-(h**2) / (2 * self._variance_of_h)) / np.sqrt(2 * np.pi * self._variance_of_h)

    def _solve(self, stretch: Stretch, x: np.ndarray) -> np.ndarray:
        from scipy.optimize import elementwise  # loads much: not before it is asked for

        beside = _INSIDE * (stretch.high - stretch.low)  # f may jump at a kink
        low, high = np.full(x.shape, stretch.low + beside), np.full(x.shape, stretch.high - beside)
        reached = np.clip(x, *sorted((self._function(low[:1])[0], self._function(high[:1])[0])))
        result = elementwise.find_root(lambda h, level: self._function(h) - level, (low, high), args=(reached,))
        return np.asarray(result.x)

    def _monotone_stretches(self, kinks: Sequence[float]) -> list[Stretch]:
        reach = RANGE * np.sqrt(self._variance_of_h)
        breaks = [-reach, *sorted(k for k in kinks if abs(k) < reach), reach]
        stretches: list[Stretch] = []
        for low, high in pairwise(breaks):
            width = high - low
            h = low + width * np.linspace(_INSIDE, 1 - _INSIDE, _SAMPLES)  # one-sided limits at the kinks
            values = self._function(h)
            ends = [0, *self._turns(values), _SAMPLES - 1]
            points = [low, *(self._extremum(h, values, i) for i in ends[1:-1]), high]
            for left, right in pairwise(points):
                beside = _INSIDE * (right - left)
                stretches.append(
                    Stretch(left, right, self._limit(left, beside, kinks), self._limit(right, -beside, kinks))
                )
        return stretches

    def _limit(self, place: float, beside: float, kinks: Sequence[float]) -> float:
        """f at the end of a stretch, read beside it; on a kink, where it need not be flat, extrapolated from there."""
        near, far = (float(v) for v in self._function(place + beside * np.array([1.0, 2.0])))
        limit = 2 * near - far
        return limit if place in kinks and limit * near > 0 else near

    @staticmethod
    def _turns(values: np.ndarray) -> list[int]:
        """Indices at which the sampled f stops rising, falling or being flat."""
        direction = np.sign(np.diff(values)) * (np.abs(np.diff(values)) > 1e-15 * np.abs(values).max(initial=0.0))
        return [int(i) + 1 for i in np.flatnonzero(np.diff(direction) != 0)]

    def _extremum(self, h: np.ndarray, values: np.ndarray, index: int) -> float:
        sign = 1.0 if values[index] >= max(values[index - 1], values[index + 1]) else -1.0
        found = scipy.optimize.minimize_scalar(
            lambda t: -sign * float(self._function(np.array([t]))[0]),
            bounds=(h[index - 1], h[index + 1]),
            method="bounded",
            options={"xatol": 1e-12 * (h[-1] - h[0])},
        )
        return float(found.x)
