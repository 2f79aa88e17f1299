"""A list of moves as a value: what the layers of a chain do to a law, to be read as a law, as its ends, or as its moments."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.laws import Atoms, Law, PointMass, simplify
from freeness.moves.affine import AffineLaw
from freeness.moves.move import Move, Scale
from freeness.moves.multiply import Multiply


@dataclass(frozen=True)
class MoveList:
    """``start`` times the identity, and the moves that follow.

    Example:
        >>> from freeness.moves import Resize, Shift
        >>> MoveList(1.0, (Scale(2.0), Resize(0.5), Shift(1.0))).moves[-1]
        Shift(constant=1.0)
    """

    start: float
    moves: tuple[Move, ...]


def times(law: Law) -> tuple[Move, ...]:
    """The moves of ⊠ by a law: what only scales is a scale, and a scaled law is the law and a scale.

    Example:
        >>> from freeness.laws import Projection
        >>> times(PointMass(2.0)), times(Projection(0.5))
        ((Scale(factor=2.0),), (Multiply(law=Projection(trace=0.5, height=1.0)),))
    """
    law = simplify(law) if isinstance(law, Atoms) else law
    if isinstance(law, PointMass):
        return () if law.position == 1 else (Scale(law.position),)
    if isinstance(law, AffineLaw) and law.constant == 0:
        return (*times(law.law), Scale(law.factor))
    return (Multiply(law),)
