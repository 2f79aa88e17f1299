"""First-order jets: a value with its first-order changes, so that a formula is written once and carries its derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Inexact

SAME = 1e-15  # relative difference up to which two constants are one


@dataclass(frozen=True, eq=False)
class Jet:
    """value + Σ_i change[i]·ε_i to first order, elementwise over n points.

    ``value`` has shape (n,), ``change`` (m, n): one row a direction. Spectral curves use row 0 for the derivative in the
    base parameter and row 1 for the correction by which pending inner equations will move the value.

    Example:
        >>> t = Jet(np.array([2.0]), np.array([[1.0]]))
        >>> (t * t + 1.0).change
        array([[4.]])
    """

    value: Inexact[np.ndarray, "*points"]
    change: Inexact[np.ndarray, " directions *points"]

    def __add__(self, other: Jet | float) -> Jet:
        if isinstance(other, Jet):
            return Jet(self.value + other.value, self.change + other.change)
        return Jet(self.value + other, self.change)

    __radd__ = __add__

    def __neg__(self) -> Jet:
        return Jet(-self.value, -self.change)

    def __sub__(self, other: Jet | float) -> Jet:
        return self + (-other)

    def __rsub__(self, other: float) -> Jet:
        return Jet(other - self.value, -self.change)

    def __mul__(self, other: Jet | float) -> Jet:
        if isinstance(other, Jet):
            return Jet(self.value * other.value, self.value * other.change + self.change * other.value)
        return Jet(self.value * other, self.change * other)

    __rmul__ = __mul__

    def __truediv__(self, other: Jet | float) -> Jet:
        if isinstance(other, Jet):
            value = self.value / other.value
            return Jet(value, (self.change - value * other.change) / other.value)
        return Jet(self.value / other, self.change / other)

    def __rtruediv__(self, other: float) -> Jet:
        value = other / self.value
        return Jet(value, -value / self.value * self.change)

    def apply(self, value: Inexact[np.ndarray, "*points"], slope: Inexact[np.ndarray, "*points"]) -> Jet:
        """f(self) from f's value and derivative there."""
        return Jet(value, slope * self.change)


@dataclass(frozen=True, eq=False)
class AnchoredJet(Jet):
    """A jet near -anchor that also knows ``rest`` = self + anchor to full relative precision.

    Adding the anchor returns ``rest``, so that a formula with a factor (u + c) keeps its digits where u is close to -c.

    Example:
        >>> rest = Jet(np.array([1e-30]), np.array([[1.0]]))
        >>> (AnchoredJet((rest + -0.5).value, rest.change, rest, 0.5) * 2.0 + 1.0).value
        array([2.e-30])
    """

    rest: Jet
    anchor: float

    def __add__(self, other: Jet | float) -> Jet:
        if not isinstance(other, Jet) and abs(other - self.anchor) <= SAME * abs(self.anchor):
            return self.rest
        return super().__add__(other)

    __radd__ = __add__

    def __mul__(self, other: Jet | float) -> Jet:
        if isinstance(other, Jet):
            return super().__mul__(other)
        return AnchoredJet(self.value * other, self.change * other, self.rest * other, self.anchor * other)

    __rmul__ = __mul__


Number = TypeVar("Number", np.ndarray, Jet)


def plain(number: Inexact[np.ndarray, "*points"] | Jet) -> Inexact[np.ndarray, "*points"]:
    """The value without its changes."""
    return number.value if isinstance(number, Jet) else number
