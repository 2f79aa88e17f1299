"""Long chains of ⊠ by laws of many atoms, shifts, scales and changes of dimension, evaluated at once.

The transforms of all factors are taken together, at their own unknowns, before the chain is walked; along it go values and
logarithmic derivatives, in which products and quotients are sums; and the margins of all stages are taken together behind it.
It is the arithmetic of :mod:`freeness.moves.move` in another order; the tests hold both together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from freeness.laws import (
    NOISE,
    REAL,
    AtomicLaw,
    CauchyCurve,
    CauchyLaw,
    CurvePoint,
    GaussianPushforward,
    GaussRules,
    RulesTogether,
    Side,
    SpectralCurve,
    not_below,
    outside_table,
)
from freeness.moves.move import Move, Resize, Scale, Shift
from freeness.moves.multiply import Multiply
from freeness.numerics import AnchoredJet, Jet, lower_log, upper_log

_FEWEST = 3  # factors with an unknown from which this pays
_SETTLING = 6  # joint Newton steps at most from the tables' values
_SETTLED = 1e-11  # relative size of a step behind which the next is rounding
_AT_ZERO = 1e-4  # of the support, added to the unknown that a step is compared with: it may pass 0
_NO_LONGER_SHRINKS = 1e-7  # up to which steps that no longer shrink are rounding, where u is close to -1


class Layered:
    """Moves behind a base curve, of the kinds that are understood here."""

    def __init__(self, moves: Sequence[Move]) -> None:
        self.moves = tuple(moves)
        seen: dict[int, GaussRules] = {}
        rules: list[GaussRules] = []
        self.laws: list[CauchyLaw] = []
        for move in moves:
            if isinstance(move, Multiply) and not move.closed_law:
                assert isinstance(move.curve, CauchyCurve)
                law = move.curve.law
                assert isinstance(law, AtomicLaw | GaussianPushforward)
                rules.append(seen.setdefault(id(law), law.rules))
                self.laws.append(move.curve.law)
        self._together, self._rules = RulesTogether(rules), rules
        self._all: RulesTogether | None = None
        kinds = [not move.closed_law for move in moves if isinstance(move, Multiply)]
        self.products, self.solved = len(kinds), np.flatnonzero(kinds)
        self.keeps_u = not any(isinstance(move, Shift | Resize) for move in moves)

    def from_curve(
        self, curve: SpectralCurve, parameters: np.ndarray, directions: int, potential: bool = False
    ) -> CurvePoint:
        """The points behind the moves from all parameters (1 + m, n): transforms of the first law are taken with the others."""
        if not (isinstance(curve, CauchyCurve) and isinstance(curve.law, AtomicLaw | GaussianPushforward)):
            base = curve.evaluate(parameters[: curve.size], directions, potential)
            return self.evaluate(base, parameters[curve.size :])
        if self._all is None:
            self._all = RulesTogether([curve.law.rules, *self._rules])
        w = not_below(parameters)
        found = self._all.transforms(w)
        g, dg, u, du = (row[0] for row in found)
        logs = self._all.potentials(w, [curve.law, *self.laws]) if potential else None
        base = curve.point(parameters[0], ((g, dg), (u, du)), directions, None if logs is None else logs[0])
        return self.evaluate(base, parameters[1:], tuple(row[1:] for row in found), None if logs is None else logs[1:])

    def evaluate(
        self,
        base: CurvePoint,
        parameters: np.ndarray,
        found: tuple[np.ndarray, ...] | None = None,
        logs: np.ndarray | None = None,
    ) -> CurvePoint:
        """The points behind the moves.

        Args:
            base: the point before them, with a potential where that is asked for.
            parameters: (m, n), the unknowns of the factors.
            found: the factors' transforms there, where they are known.
            logs: their potentials.
        """
        w = not_below(parameters)
        potential: np.ndarray | None = base.potential
        if potential is not None and logs is None:
            logs = self._together.potentials(w, self.laws)
        cauchy, _, own, slope = self._together.transforms(w) if found is None else found
        inverse = w * cauchy / own  # 1 + 1/u of each factor, to full precision where u is near -1
        step = -own * own / slope
        rows = np.empty((w.shape[0], 2, w.shape[1]), dtype=w.dtype)
        stages = [np.empty((self.products, w.shape[1]), dtype=w.dtype) for _ in range(3)]
        z, g, u = base.z.value, base.g.value, base.u.value
        dz, dg, du = (jet.change / jet.value for jet in (base.z, base.g, base.u))
        factor = product = 0
        for move in self.moves:
            if isinstance(move, Scale):
                z, g = z * move.factor, g / move.factor
                potential = None if potential is None else potential + np.log(move.factor)
            elif isinstance(move, Multiply):
                rest, drest = z * g, dz + dg  # 1 + u, to full precision
                if move.closed_law:
                    anchored = AnchoredJet(u, u * du, Jet(rest, rest * drest), 1.0)
                    moved = move.closed_law.moment_inverse(anchored)
                    z, dz = moved.value / g, moved.change / moved.value - dg
                    if potential is not None:
                        potential = potential + move.closed_law.potential_of_u(anchored)
                else:
                    own_rows = rows[factor]
                    np.multiply(du, -step[factor] / u, out=own_rows)
                    own_rows[1] += step[factor] * (rest / u - inverse[factor])
                    z, dz = w[factor] * u / g, own_rows / w[factor] + du - dg
                    if potential is not None and logs is not None:
                        potential = potential + logs[factor]
                    factor += 1
                potential = None if potential is None else potential + lower_log(u)
                stages[0][product], stages[1][product], stages[2][product] = z, dz[0], g
                g, dg = rest / z, drest - dz
                product += 1
            elif isinstance(move, Shift):
                gained, old = move.constant * g, u
                u = u + gained
                du = (old * du + gained * dg) / u
                dz = dz * (z / (z + move.constant))
                z = z + move.constant
            else:
                assert isinstance(move, Resize)
                u = u * move.ratio
                if potential is not None:
                    potential = move.ratio * potential + (1 - move.ratio) * upper_log(z)
                g = (u + 1.0) / z
                dg = du * (u / (u + 1.0)) - dz
        last, rise, behind = stages
        own = (
            lambda: _margin(base.base, last, last * rise, behind),
            lambda: _margin(base.base, w, rows[:, 0], behind[self.solved]),
        )
        last_z, last_g, last_u = Jet(z, z * dz), Jet(g, g * dg), Jet(u, u * du)
        if self.keeps_u and isinstance(base.u, AnchoredJet):
            last_u = AnchoredJet(u, last_u.change, base.u.rest, base.u.anchor)
        return CurvePoint(last_z, last_g, last_u, potential, (*base.margins, *own), base.base, (*base.updates, *rows))

    def outside(self, base: CurvePoint, side: Side) -> tuple[np.ndarray, np.ndarray]:
        """The unknowns (m, n) at real base points outside the support, solved together from tables of the factors' inverses.

        NaN where a factor's inverse does not exist; and which points are lost, so that they need a solution factor by factor.
        """
        w = np.empty((len(self.laws), base.base.size))
        open_ = np.zeros(base.base.size, dtype=bool)
        z, g, u = base.z.value, base.g.value, base.u.value
        factor = 0
        for move in self.moves:
            if isinstance(move, Scale):
                z, g = z * move.factor, g / move.factor
            elif isinstance(move, Multiply):
                before = z * g
                if move.closed_law:
                    z = move.closed_law.moment_inverse(u) / g
                else:
                    w[factor], beyond = outside_table(self.laws[factor], side).approximate(u, side)
                    open_ |= beyond
                    z = w[factor] * u / g
                    factor += 1
                g = before / z
            elif isinstance(move, Shift):
                z, u = z + move.constant, u + move.constant * g
            elif isinstance(move, Resize):
                u = u * move.ratio
                g = (u + 1.0) / z
        done, absent = np.zeros(base.base.size, dtype=bool), np.isnan(w).any(axis=0)
        size = np.full(w.shape, np.inf)
        tables = [outside_table(law, side) for law in self.laws]
        anchors, scales = (np.array(v)[:, None] for v in zip(*((t.anchor, t.scale) for t in tables), strict=True))
        for _ in range(_SETTLING):
            step = np.stack([row[1] for row in self.evaluate(base, w).updates[len(base.updates) :]])
            size, before = np.abs(step) / (np.abs(w) + _AT_ZERO * scales), size
            done = ((size <= _SETTLED) | ((size <= _NO_LONGER_SHRINKS) & (2 * size > before))).all(axis=0)
            w = w + step
            if (done | absent).all():
                break
        absent |= done & (side * (w - anchors) <= 0).any(axis=0)  # behind the end of a factor's support
        w[:, ~done | absent] = np.nan
        return w, open_ | ~(done | absent)


def layered(base: SpectralCurve, moves: Sequence[Move]) -> Layered | None:
    """The moves in this form if there are enough factors and nothing but what it knows.

    Closed factors go with it where 1 + u is what vanishes with z: behind another law's curve, or where nothing vanishes.
    """
    factors, closed = 0, False
    for move in moves:
        if type(move) is Multiply:
            closed |= bool(move.closed_law)
            if not move.closed_law:
                if not (
                    isinstance(move.curve, CauchyCurve) and isinstance(move.curve.law, AtomicLaw | GaussianPushforward)
                ):
                    return None
                factors += 1
        elif not isinstance(move, Scale | Shift | Resize):
            return None
    anchored = isinstance(base, CauchyCurve) or any(isinstance(move, Shift) for move in moves)
    return Layered(moves) if factors >= _FEWEST and (anchored or not closed) else None


def _margin(base: np.ndarray, z: np.ndarray, slope: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The least of :func:`freeness.laws.curve.physical_margin` over stages (m, n)."""
    if not np.iscomplexobj(z):
        return slope.min(axis=0)
    size, far = np.maximum(np.abs(z), np.finfo(float).tiny), np.abs(base)
    upper = (np.imag(z) + NOISE * np.abs(slope) * far) / size
    some = np.flatnonzero(np.abs(np.imag(base)) <= REAL * far)
    if some.size:
        real = np.abs(np.imag(g[:, some])) <= REAL * np.abs(g[:, some])
        rise = np.real(slope[:, some]) * far[some] / size[:, some]
        upper[:, some] = np.where(real, np.minimum(upper[:, some], rise), upper[:, some])
    return upper.min(axis=0)
