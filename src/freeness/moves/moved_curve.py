"""A base curve and the moves that follow it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact

from freeness.errors import InputError
from freeness.laws import CauchyCurve, ClosedCurve, CurveLaw, CurvePoint, GaussianPushforward, Law, Side, SpectralCurve
from freeness.moves.layered import Layered, layered
from freeness.moves.move import Move, Resize, Scale
from freeness.moves.multiply import Multiply
from freeness.moves.powers import SumPower
from freeness.moves.roots import SymmetricRoot
from freeness.moves.wishart_run import WishartRun, in_runs
from freeness.numerics import ROUNDING


class MovedCurve(SpectralCurve):
    """``base`` followed by ``moves``; evaluating it costs one pass over the moves."""

    def __init__(self, base: SpectralCurve, moves: Sequence[Move], means: Sequence[float] | None = None) -> None:
        self.base = _anchored(base, moves)
        self.moves = tuple(moves)
        self.size = base.size + sum(move.size for move in moves)
        self.additive = base.additive or any(move.additive for move in moves)
        self.stages = base.stages + len(self.moves)
        self.certain = base.certain and all(move.certain for move in moves)
        self.keeps_zero = base.keeps_zero and all(move.keeps_zero for move in moves)
        self.logarithmic = base.logarithmic and self.keeps_zero
        self._means = list(means) if means is not None else _means(base.mean, moves)
        self.mean = self._means[-1]

    def extended(self, moves: Sequence[Move]) -> MovedCurve:
        """This chain followed by ``moves``."""
        means = self._means + _means(self.mean, moves)[1:]
        return MovedCurve(self.base, (*self.moves, *moves), means)

    def light(self) -> SpectralCurve:
        base, moves = self.base.light(), [move.light() for move in self.moves]
        if base is self.base and all(a is b for a, b in zip(moves, self.moves, strict=True)):
            return self
        return MovedCurve(base, moves, self._means)

    def evaluate(
        self, parameters: Inexact[np.ndarray, "unknowns points"], directions: int, potential: bool = False
    ) -> CurvePoint:
        if self._layered is not None:
            return self._layered.from_curve(self.base, parameters, directions, potential)
        point = self.base.evaluate(parameters[: self.base.size], directions, potential)
        offset = self.base.size
        for move in self._steps:
            point = move.apply(point, parameters[offset : offset + move.size])
            offset += move.size
        return point

    @cached_property
    def reaches_zero(self) -> bool:
        """Whether a factor of least rank does, and scales and changes of dimension follow.

        Where X has mass beside its kernel below every ε, so has X^½YX^½ below ε‖Y‖ by the min-max principle, and its kernel
        is no larger than that of X or Y.
        """
        if isinstance(self.base, CauchyCurve) and isinstance(self.base.law, GaussianPushforward):
            rank, reaching = self.base.law.rank, _starts_at_zero(self.base.law)
        elif isinstance(self.base, ClosedCurve):
            rank, reaching = self.base.law.rank, False
        else:
            return False
        for move in self.moves:
            if isinstance(move, Multiply):
                own = isinstance(move.law, GaussianPushforward) and _starts_at_zero(move.law)
                least = min(rank, move.law.rank)
                reaching = (reaching and rank == least) or (own and move.law.rank == least)
                rank = least
            elif isinstance(move, Resize):
                rank *= move.ratio
            elif not isinstance(move, Scale):
                return False
        return reaching

    @cached_property
    def _steps(self) -> list[Move | WishartRun]:
        return in_runs(self.moves)

    @cached_property
    def _layered(self) -> Layered | None:
        return layered(self.base, self.moves)

    def start(self, z: Inexact[np.ndarray, " points"]) -> Inexact[np.ndarray, "unknowns points"]:
        rows: list[np.ndarray] = []
        for move, mean in zip(reversed(self.moves), reversed(self._means[:-1]), strict=True):
            z, own = move.start(z, mean)
            rows.insert(0, own)
        return np.concatenate([self.base.start(z), *rows])

    def anchor(self, side: Side) -> tuple[float, float]:
        return self.base.anchor(side)

    def real_parameters(self, base: Float[np.ndarray, " points"], side: Side) -> Float[np.ndarray, "unknowns points"]:
        if self._layered is None:
            return self._real_parameters(base, side)
        first = self.base.real_parameters(base, side)
        point = self.base.evaluate(first, 2)
        with np.errstate(all="ignore"):
            found, lost = self._layered.outside(point, side)
            parameters = np.concatenate([first, found])
            if lost.any():  # what lies behind a point that is not outside is not asked for
                distance = np.abs(base - self.base.anchor(side)[0])
                inside = ~lost & ~(self._layered.evaluate(point, found).margin > 0)
                lost &= distance > distance[inside].max(initial=-1.0)
            if lost.any():
                parameters[:, lost] = self._real_parameters(base[lost], side)
        return parameters

    def _real_parameters(self, base: np.ndarray, side: Side) -> np.ndarray:
        rows = [self.base.real_parameters(base, side)]
        if self.size == self.base.size:
            return rows[0]
        point = self.base.evaluate(rows[0], 2)
        for move in self.moves:
            rows.append(move.real_parameters(point, side))
            point = move.apply(point, rows[-1])
        return np.concatenate(rows)


def _anchored(base: SpectralCurve, moves: Sequence[Move]) -> SpectralCurve:
    """A closed base in the coordinate that keeps its digits where z reaches 0 after the moves that follow u."""
    if not isinstance(base, ClosedCurve):
        return base
    rank, factor = base.law.rank, 1.0
    for move in moves:
        if not move.keeps_zero:
            break
        if isinstance(move, Multiply):
            rank = min(rank, move.law.rank / factor)
        elif isinstance(move, Resize):
            factor *= move.ratio
        elif isinstance(move, SumPower):
            factor *= move.exponent
            rank = min(rank, 1 / factor)
    return ClosedCurve(base.law, rank)


def _starts_at_zero(law: GaussianPushforward) -> bool:
    """To rounding of its largest value."""
    low, high = law.nonzero_hull
    return 0 <= low <= ROUNDING * high


def _means(mean: float, moves: Sequence[Move]) -> list[float]:
    means = [mean]
    for move in moves:
        means.append(move.mean(means[-1]))
    return means


def moved(law: Law, *moves: Move) -> CurveLaw:
    """The law after the moves; a law that is a chain already is extended, not nested."""
    curve = law.curve
    chain = curve.extended(moves) if isinstance(curve, MovedCurve) else MovedCurve(curve, moves)
    mean, variance, atoms = law.mean, law.variance, law.atoms
    bound, symmetric = law.lower_bound, law.symmetric
    rooted = any(isinstance(move, SymmetricRoot) for move in chain.moves)
    for move in moves:
        symmetric = move.symmetric(symmetric)
        atoms, bound = move.atoms(atoms), move.lower_bound(bound)
        variance = move.variance(mean, variance)
        mean = move.mean(mean)
    if rooted and not symmetric:
        raise InputError(
            "expected symmetric laws beside a symmetric root, got one that is not; such sums need the matrix form."
        )
    return CurveLaw(chain, variance, atoms, bound, symmetric)
