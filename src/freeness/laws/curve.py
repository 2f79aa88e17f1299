"""A law as a spectral curve: the points (z, g = G(z), u = zG(z) - 1) as explicit functions of a complex parameter.

Free operations move the curve explicitly (theory.md §1), so a law built from n others is n moves of one base parameter.
A law without a closed inverse brings an unknown of its own, tied by one equation; :class:`CurvePoint` carries what one
joint Newton step does to all unknowns, so that nothing is solved inside anything else and a step costs O(n).

Source: Voiculescu (1987); subordination form of Biane (1998) and Belinschi–Bercovici (2007).
"""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Inexact

from freeness.numerics import AnchoredJet, Jet, Number, lower_log

Margin = Callable[[], np.ndarray]
Side = Literal[1, -1]  # 1: the real axis to the right of the support, -1: to the left


@dataclass(frozen=True, eq=False)
class CurvePoint:
    """n points of a curve.

    ``z``, ``g``, ``u`` are jets whose row 0 is the derivative in the base parameter and whose row 1 (if the curve has
    inner unknowns) is the correction that solving the inner equations to first order brings. ``updates`` holds, for each
    inner unknown, its change in the same two directions. ``potential`` is U = ∫ log(z - x) dμ(x), whose imaginary part on
    the real axis is π(1 - cdf), computed only where asked for. ``margin``, computed so as well from ``margins``, is the smallest
    Im/|·| met on the way: negative means unphysical. ``base`` is the base parameter.
    """

    z: Jet
    g: Jet
    u: Jet
    potential: Inexact[np.ndarray, " points"] | None
    margins: tuple[Margin, ...]
    base: Inexact[np.ndarray, " points"]
    updates: tuple[Inexact[np.ndarray, "rows points"], ...] = ()

    @property
    def margin(self) -> Float[np.ndarray, " points"]:
        """The least at all stages."""
        with np.errstate(all="ignore"):
            return reduce(np.minimum, (margin() for margin in self.margins))


class SpectralCurve(ABC):
    """A spectral curve with ``size`` unknowns: the base parameter first, then those of the laws it was combined with."""

    size: int
    mean: float
    additive: bool = (
        False  # whether sums or shifts went into it, so that poles of g bound its real axis, not only those of u
    )
    stages: int = 1  # formulas in a row
    certain: bool = True  # whether a solution inside the half-plane is known to be the only one
    logarithmic: bool = False  # whether z is a power of the base parameter where both vanish, at a hard edge at 0
    keeps_zero: bool = False  # whether it is where a law on the half-line has mass right down to 0

    @cached_property
    def reaches_zero(self) -> bool:
        """Whether mass beside that at 0 itself is known to come arbitrarily near to 0, without a walk there."""
        return False

    @abstractmethod
    def evaluate(
        self, parameters: Inexact[np.ndarray, "unknowns points"], directions: int, potential: bool = False
    ) -> CurvePoint:
        """The points at ``parameters`` of shape (size, n); ``directions`` is 1 (closed throughout) or 2."""

    def light(self) -> SpectralCurve:
        """A cheaper curve close to this one, with the same unknowns, from whose solutions Newton starts; itself if none is."""
        return self

    @abstractmethod
    def start(self, z: Inexact[np.ndarray, " points"]) -> Inexact[np.ndarray, "unknowns points"]:
        """Parameters (size, n) of the points near ``z``, asymptotically for large |z|."""

    @abstractmethod
    def anchor(self, side: Side) -> tuple[float, float]:
        """(t₀, scale): on the real axis outside the support the base parameter runs over t₀ + side·scale·(0, ∞)."""

    @abstractmethod
    def real_parameters(self, base: Float[np.ndarray, " points"], side: Side) -> Float[np.ndarray, "unknowns points"]:
        """All parameters (size, n) for real base parameters outside the support; NaN where the base left the domain."""


REAL = 1e-8  # relative imaginary part of base parameter and g up to which a solution counts as real
_TINY = np.finfo(float).tiny
_STILL = 1e-9  # up to which relative steps that no longer shrink are rounding
NOISE = 1e-12  # relative rounding error of a base parameter, generously

Transform = tuple[np.ndarray, np.ndarray]  # values and derivatives


class ClosedLaw(Protocol):
    """A law of non-zero mean on one half-line whose ψ⁻¹ is known in closed form."""

    @property
    def mean(self) -> float: ...

    @property
    def rank(self) -> float:
        """1 - μ({0}), which is -u at z = 0 from the left: the constant c of every factor (c + u) of the law's formulas."""
        ...

    def moment_inverse(self, u: Number) -> Number:
        """u·w(u) where w is the point with wG(w) - 1 = u; it tends to the mean at u = 0. In S: (1+u)/S(u)."""
        ...

    def cauchy_of_u(self, u: Number) -> Number:
        """g = u(1+u)/moment_inverse = u·S(u), reduced so that it keeps its digits at u = -1, where z may pass 0."""
        ...

    def potential_of_u(self, u: Inexact[np.ndarray, "*points"] | Jet) -> Inexact[np.ndarray, "*points"]:
        """U at the point w(u); ``u`` may be a jet that knows its distance from a singular point."""
        ...


@runtime_checkable
class AdditiveLaw(Protocol):
    """A law whose R-transform is known in closed form."""

    @property
    def mean(self) -> float: ...

    @property
    def standard_deviation(self) -> float: ...

    def r_transform_of(self, g: Number) -> Number:
        """R(g) = G⁻¹(g) - 1/g."""
        ...

    def additive_potential(self, g: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """∫ g dR from 0, that is U at G⁻¹(g) plus log g."""
        ...


class CauchyLaw(Protocol):
    """A law known by its transforms at complex z."""

    @property
    def mean(self) -> float: ...

    @property
    def nonzero_hull(self) -> tuple[float, float]: ...

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """(G, G') and (u, u') at z, each accurate by itself."""
        ...

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]: ...

    def light(self) -> CauchyLaw:
        """A law of few atoms close to this one, for :meth:`SpectralCurve.light`; itself if it is cheap."""
        ...


def physical_margin(
    z: Jet, base: Inexact[np.ndarray, " points"], g: Inexact[np.ndarray, "*stages points"]
) -> Float[np.ndarray, "*stages points"]:
    """Im z/|z| off the axis; on the real axis outside the support, where z must rise with the parameter, dz/dt.

    ``base`` is the base parameter, ``g`` the Cauchy transform at this stage.

    Subordination functions keep the upper half-plane and rise on the real complement of the support, at every stage. What
    rounding of the base parameter can do to z is forgiven: z may pass 0 inside a gap. A complex solution that is real to
    rounding must rise as well: real roots on falling stretches are unphysical, and no half-plane tells them.
    """
    if not np.iscomplexobj(z.value):
        return z.change[0]
    size, length = np.maximum(np.abs(z.value), _TINY), np.abs(base)
    upper = (np.imag(z.value) + NOISE * np.abs(z.change[0]) * length) / size
    real = np.abs(np.imag(base)) <= REAL * length
    if not real.any():
        return upper
    rise = np.real(z.change[0]) * length / size
    return np.where(real & (np.abs(np.imag(g)) <= REAL * np.abs(g)), np.minimum(upper, rise), upper)


def stage_margin(z: Jet, base: np.ndarray, g: Jet) -> Margin:
    """:func:`physical_margin`, computed where it is asked for: most Newton steps do not."""
    return partial(physical_margin, z, base, g.value)


def not_below(z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
    """Points that rounding has put below the real axis, put back on it: the transforms jump there."""
    if not (np.iscomplexobj(z) and (below := np.imag(z) < 0).any()):
        return z
    return np.where(below & (np.imag(z) > -NOISE * np.abs(z)), np.real(z).astype(complex), z)


def base_jet(parameter: Inexact[np.ndarray, " points"], directions: int) -> Jet:
    """The base parameter as a jet: derivative 1 in direction 0, no correction."""
    change = np.zeros((directions, parameter.size), dtype=parameter.dtype)
    change[0] = 1.0
    return Jet(parameter, change)


def beside_rank(u: Inexact[np.ndarray, " points"], rest: Inexact[np.ndarray, " points"], rank: float) -> AnchoredJet:
    """u with u + rank known to all its digits, as potentials take it."""
    return AnchoredJet(u, np.zeros((1, u.size)), Jet(rest, np.zeros((1, u.size))), rank)


class ClosedCurve(SpectralCurve):
    """The curve of a law with ψ⁻¹ in closed form, in the coordinate t = 1/u + 1/c, proportional to z for a point mass.

    u = -c is where z reaches 0: the rank of the law, or of the product that it is the base of if that is less. A hard edge
    lies there, and t and u + c = c·t·u keep their digits however close.
    """

    size = 1
    logarithmic = keeps_zero = True

    def __init__(self, law: ClosedLaw, rank: float | None = None) -> None:
        self.law = law
        self.mean = law.mean
        self.rank = law.rank if rank is None else rank

    def evaluate(
        self, parameters: Inexact[np.ndarray, "unknowns points"], directions: int, potential: bool = False
    ) -> CurvePoint:
        t = base_jet(parameters[0], directions)
        inverse = t - 1.0 / self.rank
        plain = 1.0 / inverse
        u = AnchoredJet(plain.value, plain.change, t * plain * self.rank, self.rank)
        z, g = self.law.moment_inverse(u) * inverse, self.law.cauchy_of_u(u)
        own = self.law.potential_of_u(u) if potential else None
        return CurvePoint(z, g, u, own, (stage_margin(z, parameters[0], g),), parameters[0])

    def start(self, z: Inexact[np.ndarray, " points"]) -> Inexact[np.ndarray, "unknowns points"]:
        return self.parameters_of(z / self.mean)

    def parameters_of(self, inverse: Inexact[np.ndarray, " points"]) -> Inexact[np.ndarray, "1 points"]:
        """The parameters (1, n) at which 1/u has the given values."""
        return (inverse + 1.0 / self.rank)[None]

    def anchor(self, side: Side) -> tuple[float, float]:
        return 1.0 / self.rank, 1.0

    def real_parameters(self, base: Float[np.ndarray, " points"], side: Side) -> Float[np.ndarray, "unknowns points"]:
        return base[None]


class AdditiveCurve(SpectralCurve):
    """The curve of a law with R in closed form, in the coordinate t = 1/g."""

    size = 1
    additive = True

    def __init__(self, law: AdditiveLaw) -> None:
        self.law = law
        self.mean = law.mean

    def evaluate(
        self, parameters: Inexact[np.ndarray, "unknowns points"], directions: int, potential: bool = False
    ) -> CurvePoint:
        t = base_jet(parameters[0], directions)
        g = 1.0 / t
        r = self.law.r_transform_of(g)
        z, u = r + t, g * r
        own = self.law.additive_potential(g.value) - lower_log(g.value) if potential else None
        return CurvePoint(z, g, u, own, (stage_margin(z, parameters[0], g),), parameters[0])

    def start(self, z: Inexact[np.ndarray, " points"]) -> Inexact[np.ndarray, "unknowns points"]:
        return z[None] - self.mean

    def anchor(self, side: Side) -> tuple[float, float]:
        return 0.0, self.law.standard_deviation

    def real_parameters(self, base: Float[np.ndarray, " points"], side: Side) -> Float[np.ndarray, "unknowns points"]:
        return base[None]


class CauchyCurve(SpectralCurve):
    """The curve of a law known by its Cauchy transform, in the coordinate z itself.

    Curves of one law are equal: where walks outside it end is found once, however many factors of a chain have it.
    """

    size = 1
    keeps_zero = True

    def __init__(self, law: CauchyLaw) -> None:
        self.law = law
        self.mean = law.mean

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CauchyCurve) and other.law is self.law

    def __hash__(self) -> int:
        return id(self.law)

    def evaluate(
        self, parameters: Inexact[np.ndarray, "unknowns points"], directions: int, potential: bool = False
    ) -> CurvePoint:
        place = not_below(parameters[0])
        own = self.law.potential(place) if potential else None
        return self.point(parameters[0], self.law.transforms(place), directions, own)

    def point(
        self,
        base: Inexact[np.ndarray, " points"],
        transforms: tuple[Transform, Transform],
        directions: int,
        potential: Inexact[np.ndarray, " points"] | None = None,
    ) -> CurvePoint:
        """:meth:`evaluate` from what the law's transforms are there."""
        z = base_jet(not_below(base), directions)
        g, u = (z.apply(value, slope) for value, slope in transforms)
        u = AnchoredJet(u.value, u.change, z * g, 1.0)
        return CurvePoint(z, g, u, potential, (stage_margin(z, base, g),), base)

    def light(self) -> SpectralCurve:
        law = self.law.light()
        return self if law is self.law else CauchyCurve(law)

    def start(self, z: Inexact[np.ndarray, " points"]) -> Inexact[np.ndarray, "unknowns points"]:
        return z[None]

    def anchor(self, side: Side) -> tuple[float, float]:
        low, high = self.law.nonzero_hull
        return (high if side > 0 else low), max(abs(low), abs(high))

    def real_parameters(self, base: Float[np.ndarray, " points"], side: Side) -> Float[np.ndarray, "unknowns points"]:
        return base[None]


def directions(curve: SpectralCurve) -> int:
    """How many rows the jets of a curve need: one more where inner equations are pending."""
    return 1 if curve.size == 1 else 2


def settled(
    curve: SpectralCurve, parameters: np.ndarray, steps: int = 8, potential: bool = False
) -> tuple[np.ndarray, CurvePoint]:
    """The inner unknowns solved by Newton at fixed base parameters, and the point there."""
    point = curve.evaluate(parameters, directions(curve), potential and curve.size == 1)
    size = np.inf
    for step in range(steps if curve.size > 1 else 0):
        pending = np.stack([row[1] for row in point.updates])
        parameters = parameters + np.concatenate([np.zeros((1, pending.shape[1])), pending])
        before, size = size, float(np.nanmax(np.abs(pending) / np.abs(parameters[1:]), initial=0.0))
        last = step == steps - 1 or size <= 1e-14 or (size <= _STILL and 2 * size >= before)
        point = curve.evaluate(parameters, 2, potential and last)
        if last:
            break
    return parameters, point
