"""Moves by another law: its curve is tied to that of the law before by one equation, which joins the others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from freeness.laws import CurvePoint, Law, Margin, SpectralCurve, stage_margin
from freeness.moves.move import Move
from freeness.numerics import Jet


class Meeting(NamedTuple):
    """The other law's curve where it is tied to ``point``: ``w`` its z, its u and potential; margin and updates of both."""

    w: Jet
    u: Jet
    potential: np.ndarray | None
    margins: tuple[Margin, ...]
    updates: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Combine(Move):
    """A move by another law, whose curve it follows unless the law has the transform in question in closed form."""

    law: Law
    followed: SpectralCurve | None = field(
        default=None, repr=False, compare=False
    )  # a lighter curve instead of the law's own

    @cached_property
    @abstractmethod
    def closed_law(self) -> Any:
        """The law as one whose transform is explicit, None where it has to be solved for."""

    @cached_property
    def curve(self) -> SpectralCurve:
        """What is followed of the law."""
        return self.law.curve if self.followed is None else self.followed

    @property
    def size(self) -> int:
        return 0 if self.closed_law else self.curve.size

    @property
    def certain(self) -> bool:
        return bool(self.closed_law) or self.curve.certain

    def light(self) -> Move:
        curve = self.curve if self.closed_law else self.curve.light()
        return self if curve is self.curve else replace(self, followed=curve)

    def met(self, point: CurvePoint, parameters: np.ndarray, tied: Callable[[CurvePoint], tuple[Jet, Jet]]) -> Meeting:
        """Where the other law's curve meets a point, to first order.

        ``tied``: what has to be equal, of the other law's point and as it is given.
        """
        other = self.curve.evaluate(parameters, 2, point.potential is not None)
        rows = tie(*tied(other))
        w, u = (Jet(jet.value, along(jet.change, rows)) for jet in (other.z, other.u))
        inside = other.margins if self.size > 1 else ()  # the stages inside the other law
        margins = (*point.margins, stage_margin(w, point.base, point.g), *inside)
        updates = (*point.updates, rows, *(along(inner, rows) for inner in other.updates))
        return Meeting(w, u, other.potential, margins, updates)


def tie(own: Jet, given: Jet) -> np.ndarray:
    """One Newton step of the equation own = given for the own base parameter: its change (2, n) in the given directions."""
    slope = own.change[0]
    residual = given.value - own.value - own.change[1]
    return np.stack([given.change[0] / slope, (residual + given.change[1]) / slope])


def along(change: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Changes (2, n) in the own parameter, carried over to the directions in which that parameter changes by ``rows``."""
    return np.stack([change[0] * rows[0], change[1] + change[0] * rows[1]])
