"""A list of moves read as the ends of the support, without the law where that is possible."""

from __future__ import annotations

from freeness.moves.as_law import law_after
from freeness.moves.as_top_atom import top_atom_after
from freeness.moves.as_walk import end_of_walk
from freeness.moves.move import Move, Resize, Scale, Shift
from freeness.moves.move_list import MoveList
from freeness.moves.multiply import Multiply


def upper_end_after(listed: MoveList) -> float:
    """The upper end of the support: an atom's place, or the end of the walk from infinity.

    Example:
        >>> from freeness.laws import Projection
        >>> upper_end_after(MoveList(1.0, (Multiply(Projection(0.75)), Scale(3.0))))
        3.0
    """
    atom = top_atom_after(listed)
    return end_of_walk(listed) if atom is None else atom.position


def lower_end_after(listed: MoveList) -> float:
    """The lower end of the support. It costs the law only where what was added last is followed by nothing singular.

    A singular factor, or new dimensions, put it at 0, and scales and shifts carry it on.

    Example:
        >>> from freeness.laws import Projection
        >>> lower_end_after(MoveList(1.0, (Multiply(Projection(0.75)), Shift(2.0), Scale(3.0))))
        6.0
    """
    end: float | None = listed.start
    for move in listed.moves:
        end = _lowest(move, end)
    return law_after(listed).hull[0] if end is None else end


def _lowest(move: Move, end: float | None) -> float | None:
    """The lower end behind a move from that before; None where it takes the law to know."""
    match move:
        case Multiply(law):
            return 0.0 if end == 0 or law.hull[0] <= 0 else None
        case Resize(ratio):
            return 0.0 if ratio < 1 else end if ratio == 1 else None  # null directions that are dropped hide the end
        case Scale(factor):
            return None if end is None else end * factor
        case Shift(constant):
            return None if end is None else end + constant
        case _:
            return None
