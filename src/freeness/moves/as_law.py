"""A list of moves read as a law."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from math import prod

from freeness.laws import CauchyCurve, CurveLaw, Empirical, FussCatalan, Law, MarchenkoPastur, PointMass
from freeness.moves.drowned import without_drowned
from freeness.moves.entries import Entries, entries_after
from freeness.moves.move import Move, Resize, Scale, Shift
from freeness.moves.move_list import MoveList
from freeness.moves.moved_curve import moved
from freeness.moves.multiply import Multiply
from freeness.moves.operations import free_power, free_product, resize, scale, shift

_WISHART = MarchenkoPastur(1.0)  # of a square Gaussian matrix


def law_after(listed: MoveList) -> Law:
    """The law behind the moves, in its simplest form.

    Factors between which nothing is added and no dimension changes commute: n square Gaussian matrices are one law
    (Fuss–Catalan), and of the others the most frequent one is the base, as a real power that brings one unknown. What the last
    shift drowns is left out (:func:`without_drowned`). A list with diagonal factors is read entry by entry.

    Example:
        >>> from freeness.laws import Projection
        >>> law_after(MoveList(1.0, (Multiply(Projection(0.5)), Scale(3.0), Shift(1.0)))).hull
        (1.0, 4.0)
    """
    if any(isinstance(move, Entries) for move in listed.moves):
        return Empirical(entries_after(listed))
    listed = without_drowned(listed)
    law: Law = PointMass(listed.start)
    run: list[Multiply | Scale] = []
    for move in listed.moves:
        if isinstance(move, Multiply | Scale):
            run.append(move)
        else:
            law, run = _applied(move, _times(law, run)), []
    return _times(law, run)


@singledispatch
def _applied(move: Move, law: Law) -> Law:
    return moved(law, move)


@_applied.register
def _(move: Shift, law: Law) -> Law:
    return shift(law, move.constant)


@_applied.register
def _(move: Resize, law: Law) -> Law:
    return resize(law, move.ratio)


def _times(law: Law, run: Sequence[Multiply | Scale]) -> Law:
    """The law ⊠ all the factors of a run."""
    factors = [move.law for move in run if isinstance(move, Multiply)]
    if factors:
        law = free_product(law, *_gathered(factors, not isinstance(law, CurveLaw)))
    scales = [move.factor for move in run if isinstance(move, Scale)]
    return scale(law, prod(scales)) if scales else law


def _gathered(factors: Sequence[Law], first: bool) -> list[Law]:
    """The factors with square Gaussian matrices as one law and, as the ``first`` curve, the most frequent as one power."""
    groups: dict[int, list[Law]] = {}
    for factor in factors:
        groups.setdefault(id(_WISHART) if factor == _WISHART else id(factor), []).append(factor)
    wishart = groups.pop(id(_WISHART), [])
    square = [FussCatalan(len(wishart))] if len(wishart) > 1 else wishart  # of one, S is rational: no power is taken
    ranked = sorted(groups.values(), key=len, reverse=True)
    if ranked and first and len(ranked[0]) > 1 and isinstance(ranked[0][0].curve, CauchyCurve):
        ranked[0] = [free_power(ranked[0][0], len(ranked[0]), "product")]
    return [*(factor for equal in ranked for factor in equal), *square]
