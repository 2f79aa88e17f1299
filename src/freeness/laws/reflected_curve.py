"""The curve of -X: the curve of X read through a reflection, so that parameters stay in the upper half-plane."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Inexact

from freeness.laws.curve import CurvePoint, Side, SpectralCurve
from freeness.numerics import Jet


def _reflected(jet: Jet) -> Jet:
    """conj F(-conj t) as a jet in t, from F's jet at -conj t: the derivative in t is -conj F', corrections are conjugated."""
    change = np.conjugate(jet.change)  # a copy of real numbers, too
    np.negative(change[0], out=change[0])
    return Jet(jet.value.conj(), change)


def _opposite(side: Side) -> Side:
    return -1 if side == 1 else 1


def _inner(parameters: np.ndarray) -> np.ndarray:
    return -parameters.conj()


def _outer_updates(updates: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return tuple(np.stack([row[0].conj(), -row[1].conj()]) for row in updates)


class MirrorCurve(SpectralCurve):
    """The curve of -X: G_{-X}(z) = -conj G_X(-conj z)."""

    additive = True  # u has the other sign here

    def __init__(self, inner: SpectralCurve) -> None:
        self.inner, self.size, self.mean, self.certain = inner, inner.size, -inner.mean, inner.certain

    def evaluate(
        self, parameters: Inexact[np.ndarray, "unknowns points"], directions: int, potential: bool = False
    ) -> CurvePoint:
        point = self.inner.evaluate(_inner(parameters), directions, potential)
        own = None if point.potential is None else point.potential.conj() + 1j * np.pi
        z, g, u = -_reflected(point.z), -_reflected(point.g), _reflected(point.u)
        return CurvePoint(z, g, u, own, point.margins, point.base, _outer_updates(point.updates))

    def start(self, z: Inexact[np.ndarray, " points"]) -> Inexact[np.ndarray, "unknowns points"]:
        return _inner(self.inner.start(_inner(z)))

    def anchor(self, side: Side) -> tuple[float, float]:
        position, scale = self.inner.anchor(_opposite(side))
        return -position, scale

    def real_parameters(self, base: Float[np.ndarray, " points"], side: Side) -> Float[np.ndarray, "unknowns points"]:
        return -self.inner.real_parameters(-base, _opposite(side))
