"""Laws known by their Cauchy transform, and other laws brought into that form: what CauchyCurve and Mixture work with."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.laws.curve import AdditiveCurve, CauchyCurve, CauchyLaw, ClosedCurve, CurvePoint, SpectralCurve, Transform
from freeness.laws.law import Boundary, Law
from freeness.numerics import LAST_DIGIT

_SMALL = 1e-4  # |zG - 1| below which the asymptotic start is better
_NEWTON = 3  # steps from the closed G, which has lost digits only where zG - 1 is small


class TransformLaw(Law):
    """A law that states G and u = zG - 1 with their derivatives, and its potential, on the closed upper half-plane."""

    @abstractmethod
    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """(G, G') and (u, u') at complex z, and at real z outside the support."""

    @abstractmethod
    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """∫ log(z - x) dμ, continuous on the closed upper half-plane."""

    @property
    def curve(self) -> SpectralCurve:
        return CauchyCurve(self)

    @property
    def nonzero_hull(self) -> tuple[float, float]:
        """Hull of the support without an isolated 0, where u has no pole."""
        return nonzero_hull_of(self)

    def light(self) -> CauchyLaw:
        """This law itself: its transforms are cheap."""
        return self

    def cauchy(self, z: ArrayLike) -> Inexact[np.ndarray, "*points"]:
        points = np.asarray(z).astype(complex)
        return self.transforms(points.ravel())[0][0].reshape(points.shape)

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        z = x.astype(complex)  # imaginary part +0: the upper side of every cut
        with np.errstate(all="ignore"):
            g, potential = self.transforms(z)[0][0], self.potential(z)
        return Boundary(g, potential, LAST_DIGIT * np.abs(g), np.isfinite(g) & np.isfinite(potential))


def outer_root(z: np.ndarray, low: float, high: float) -> np.ndarray:
    """√(z - low)√(z - high), which is z at infinity and cut along [low, high] only; NaN at real z of real type inside.

    Example:
        >>> outer_root(np.array([-3.0, 3.0]), -1.0, 1.0) == np.array([-1.0, 1.0]) * np.sqrt(8.0)
        array([ True,  True])
    """
    if np.iscomplexobj(z):
        return np.sqrt(z - low) * np.sqrt(z - high)
    with np.errstate(invalid="ignore"):
        return np.where(z >= high, 1.0, -1.0) * np.sqrt((z - low) * (z - high))


def nonzero_hull_of(law: Law) -> tuple[float, float]:
    """Hull of the bands and of the atoms other than 0."""
    ends = [*(v for band in law.bands for v in band), *(x for x, _ in law.atoms if x != 0)]
    return (min(ends), max(ends)) if ends else (0.0, 0.0)


@dataclass(frozen=True)
class InvertedLaw:
    """The transforms at z of a law with a closed inverse and a closed G: two Newton steps on its curve from its G."""

    law: Law
    closed: ClosedCurve | AdditiveCurve

    @property
    def mean(self) -> float:
        """∫ x dμ."""
        return self.law.mean

    @property
    def nonzero_hull(self) -> tuple[float, float]:
        """Hull of the support without an isolated 0."""
        return nonzero_hull_of(self.law)

    def light(self) -> CauchyLaw:
        """This law itself."""
        return self

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """(G, G') and (u, u')."""
        point = self._point(z, False)
        slope = point.z.change[0]
        return (point.g.value, point.g.change[0] / slope), (point.u.value, point.u.change[0] / slope)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """∫ log(z - x) dμ."""
        found = self._point(z, True).potential
        assert found is not None
        return found

    def _point(self, z: np.ndarray, potential: bool) -> CurvePoint:
        g = self.law.cauchy(z)
        g = g if np.iscomplexobj(z) else np.real(g)
        parameters = self.closed.start(z)[0]
        small = g if isinstance(self.closed, AdditiveCurve) else z * g - 1.0
        known = np.abs(small) > _SMALL
        inverse = 1.0 / np.where(known, small, 1.0)
        near = inverse if isinstance(self.closed, AdditiveCurve) else self.closed.parameters_of(inverse)[0]
        parameters = np.where(known, near, parameters)
        for _ in range(_NEWTON):
            point = self.closed.evaluate(parameters[None], 1)
            parameters = parameters + (z - point.z.value) / point.z.change[0]
        return self.closed.evaluate(parameters[None], 1, potential)


def as_cauchy_law(law: Law) -> CauchyLaw:
    """The law with its transforms at z, as a mixture needs them to be an operand of ⊞ and ⊠."""
    if isinstance(law, TransformLaw):
        return law
    curve = law.curve
    if isinstance(curve, CauchyCurve):
        return curve.law
    if isinstance(curve, ClosedCurve | AdditiveCurve):
        return InvertedLaw(law, curve)
    raise InputError(
        f"expected a law with transforms at z inside a mixture that is combined further, got {law!r}; take "
        "atoms, closed laws, densities, Gaussian pushforwards or what is combined of them. Of any other the mixture has "
        "density and cdf only."
    )
