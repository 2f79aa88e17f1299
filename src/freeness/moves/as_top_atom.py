"""A list of moves read as a bound of the norm, and the mass at it."""

from __future__ import annotations

from functools import singledispatch

from freeness.errors import InputError
from freeness.laws import Atom
from freeness.moves.move import Move, Resize, Scale, Shift
from freeness.moves.move_list import MoveList
from freeness.moves.multiply import Multiply
from freeness.numerics import NEGLIGIBLE


def top_atom_after(listed: MoveList) -> Atom | None:
    """The atom at the upper end of the law behind the moves, None where the upper end is an edge without mass.

    The largest atom is where every factor is at its largest, if these eigenspaces meet. That point bounds the norm, so it is
    the end wherever it has mass.

    Example:
        >>> from freeness.laws import Projection
        >>> top_atom_after(MoveList(2.0, (Multiply(Projection(0.75)), Multiply(Projection(0.5, 3.0)))))
        Atom(position=6.0, mass=0.25)

    Source: Bercovici, Voiculescu (1998) for atoms of ⊠; theory.md §3.1.
    """
    top = Atom(listed.start, 1.0)
    for move in listed.moves:
        top = _after(move, top)
    return top if top.mass > NEGLIGIBLE else None


@singledispatch
def _after(move: Move, top: Atom) -> Atom:
    """A bound of the support and the mass at it, from those before."""
    raise InputError(f"expected scales, factors, shifts and changes of dimension, got {move!r}; take the law's atoms.")


@_after.register
def _(move: Multiply, top: Atom) -> Atom:
    end = move.law.hull[1]
    heavy = sum(mass for x, mass in move.law.atoms if x == end)
    return Atom(top.position * end, max(top.mass + heavy - 1, 0.0))


@_after.register
def _(move: Scale, top: Atom) -> Atom:
    return Atom(top.position * move.factor, top.mass)


@_after.register
def _(move: Shift, top: Atom) -> Atom:
    return Atom(top.position + move.constant, top.mass)


@_after.register
def _(move: Resize, top: Atom) -> Atom:
    return Atom(top.position, top.mass * move.ratio)
