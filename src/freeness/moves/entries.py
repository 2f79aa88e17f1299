"""A diagonal factor, in the basis in which all before it is diagonal: nothing is free, and every entry is known by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from jaxtyping import Float, Inexact

from freeness.errors import InputError
from freeness.laws import Atom, CurvePoint
from freeness.moves.move import Move, Scale, Shift
from freeness.moves.move_list import MoveList


@dataclass(frozen=True, eq=False)
class Entries(Move):
    """Times diag(values). A list with such moves is read entry by entry, and has no curve.

    Example:
        >>> Entries(np.array([1.0, 0.0])).mean(1.0)
        Traceback (most recent call last):
        freeness.errors.InputError: expected factors that are free, got a diagonal one; read the list by its entries.
    """

    values: Float[np.ndarray, " neurons"]

    def apply(self, point: CurvePoint, parameters: Inexact[np.ndarray, "unknowns points"]) -> CurvePoint:
        _refuse()

    def mean(self, mean: float) -> float:
        _refuse()

    def variance(self, mean: float, variance: float) -> float:
        _refuse()

    def atoms(self, atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        _refuse()

    def start(
        self, z: Inexact[np.ndarray, " points"], mean: float
    ) -> tuple[Inexact[np.ndarray, " points"], Inexact[np.ndarray, "unknowns points"]]:
        _refuse()


def _refuse() -> NoReturn:
    raise InputError("expected factors that are free, got a diagonal one; read the list by its entries.")


def entries_after(listed: MoveList) -> Float[np.ndarray, " neurons"]:
    """The diagonal behind the moves: of scales, shifts and diagonal factors, neuron by neuron.

    Raises:
        InputError: another move, which is diagonal in another basis.

    Source: theory.md §4.

    Example:
        >>> entries_after(MoveList(1.0, (Entries(np.array([1.0, 0.5])), Scale(2.0), Shift(1.0))))
        array([3., 2.])
    """
    found = np.atleast_1d(listed.start)
    for move in listed.moves:
        match move:
            case Entries(values):
                found = found * values
            case Scale(factor):
                found = found * factor
            case Shift(constant):
                found = found + constant
            case _:
                raise InputError(f"expected scales, shifts and diagonal factors, got {move!r}; it turns the basis.")
    return found
