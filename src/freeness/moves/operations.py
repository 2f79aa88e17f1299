"""Operations on laws: each takes laws to a law and knows the cases in which nothing has to be solved."""

from __future__ import annotations

from functools import reduce
from typing import Literal

import numpy as np

from freeness.errors import InputError
from freeness.laws import (
    AtomicLaw,
    Atoms,
    CauchyCurve,
    CauchySmoothed,
    CurveLaw,
    Law,
    MarchenkoPastur,
    PointMass,
    Resized,
    Semicircle,
    SolvedLaw,
    Square,
    TransformLaw,
    mirrored,
    require_apart,
    require_laws,
    simplify,
    symmetrized,
)
from freeness.moves.add import Add
from freeness.moves.affine import AffineLaw
from freeness.moves.move import Resize, Scale, Shift
from freeness.moves.moved_curve import MovedCurve, moved
from freeness.moves.multiply import Multiply
from freeness.moves.powers import ProductPower, SumPower
from freeness.moves.roots import SymmetricRoot, SymmetricSquare


def scale(law: Law, factor: float) -> Law:
    """The law of factor·X, factor ≠ 0.

    Example:
        >>> scale(PointMass(2.0), 3.0)
        PointMass(position=6.0)
    """
    require_laws(law)
    if not (np.isfinite(factor) and factor != 0):
        raise InputError(f"expected a finite factor other than 0, got {factor}; 0·X is PointMass(0).")
    if factor < 0:
        return scale(mirror(law), -factor)
    if isinstance(law, CauchySmoothed):
        return CauchySmoothed(scale(law.law, factor), law.width * factor)
    if factor == 1:
        return law
    if isinstance(law, AtomicLaw):
        return simplify(Atoms(law.positions * factor, law.masses))
    if isinstance(law, AffineLaw):
        return AffineLaw(law.law, law.factor * factor, law.constant * factor)
    return moved(law, Scale(factor)) if isinstance(law, CurveLaw) else AffineLaw(law, factor)


def shift(law: Law, constant: float) -> Law:
    """The law of X + constant.

    Example:
        >>> shift(PointMass(2.0), 3.0)
        PointMass(position=5.0)
    """
    require_laws(law)
    if not np.isfinite(constant):
        raise InputError(f"expected a finite constant, got {constant}.")
    if constant == 0:
        return law
    if isinstance(law, AtomicLaw):
        return simplify(Atoms(law.positions + constant, law.masses))
    if isinstance(law, AffineLaw):
        return AffineLaw(law.law, law.factor, law.constant + constant)
    if isinstance(law, CauchySmoothed):  # it has no curve
        return CauchySmoothed(shift(law.law, constant), law.width)
    law = solved_everywhere(law)
    return moved(law, Shift(constant)) if isinstance(law, CurveLaw) else AffineLaw(law, 1.0, constant)


def mirror(law: Law) -> Law:
    """The law of -X.

    Example:
        >>> mirror(PointMass(2.0))
        PointMass(position=-2.0)
    """
    return CauchySmoothed(mirror(law.law), law.width) if isinstance(law, CauchySmoothed) else mirrored(law)


def free_difference(first: Law, second: Law) -> Law:
    """The law of X - Y for free X, Y.

    Example:
        >>> from freeness.laws import MarchenkoPastur
        >>> difference = free_difference(MarchenkoPastur(1.0), MarchenkoPastur(1.0))
        >>> difference.mean, difference.variance
        (0.0, 2.0)
    """
    return free_sum(first, mirror(second))


def resize(law: Law, ratio: float) -> Law:
    """The law of the same non-zero eigenvalues in N' instead of N dimensions, ratio = N/N'.

    Args:
        law: of an N-dimensional matrix; for ratio > 1 it needs an atom of mass ≥ 1 - 1/ratio at 0.
        ratio: N/N' > 0.

    Example:
        >>> resize(PointMass(1.0), 0.25)
        Projection(trace=0.25, height=1.0)
    """
    require_laws(law)
    if not (np.isfinite(ratio) and ratio > 0):
        raise InputError(f"expected a ratio of dimensions > 0, got {ratio}.")
    zero = sum(mass for x, mass in law.atoms if x == 0)
    if ratio * (1 - zero) > 1 + 1e-9:
        raise InputError(
            f"expected an atom of mass ≥ {1 - 1 / ratio:.4g} at 0 to drop dimensions by {ratio:g}, got {zero:.4g}; "
            "only null directions can be dropped, use compress for the others."
        )
    if ratio == 1:
        return law
    if isinstance(law, AtomicLaw):
        nonzero = law.positions != 0
        masses = law.masses[nonzero] * ratio
        rest = max(1 - masses.sum(), 0.0)
        return simplify(Atoms([0.0, *law.positions[nonzero]], [rest, *masses]))
    if isinstance(law, TransformLaw) and isinstance(law.curve, CauchyCurve):  # its transforms pass without solving
        return Resized(law, ratio)
    return moved(law, Resize(ratio))


def free_sum(first: Law, *others: Law) -> Law:
    """μ ⊞ ν ⊞ …: the law of X + Y + … for free X, Y, ….

    Args:
        first: the law of X, its support bounded or not.
        *others: the same.

    Example:
        >>> from freeness.laws import Semicircle
        >>> free_sum(Semicircle(1.0), Semicircle(1.0)).variance
        2.0

    Source: Voiculescu, Addition of certain non-commuting random variables (1986).
    """
    laws = [first, *others]
    require_laws(*laws)
    width = sum(law.width for law in laws if isinstance(law, CauchySmoothed))
    plain = [_simplest(law.law if isinstance(law, CauchySmoothed) else law) for law in laws]
    total = reduce(_sum, plain)
    return CauchySmoothed(total, width) if width > 0 else total


def free_power(law: Law, exponent: float, operation: Literal["sum", "product"] = "sum") -> Law:
    """μ^{⊞s} or μ^{⊠s} for real s ≥ 1: R → sR, or S → S^s.

    Args:
        law: any law; on [0, ∞) with mean > 0 for "product".
        exponent: s ≥ 1, not only integers.
        operation: "sum" (⊞) or "product" (⊠).

    Example:
        >>> from freeness.laws import Semicircle
        >>> free_power(Semicircle(1.0), 2.5).variance
        2.5
    """
    require_laws(law)
    if not (np.isfinite(exponent) and exponent >= 1):
        raise InputError(
            f"expected an exponent ≥ 1, got {exponent}; smaller powers exist only for special laws (infinitely divisible)."
        )
    if operation not in ("sum", "product"):
        raise InputError(f'expected the operation "sum" or "product", got {operation!r}; choose one.')
    if operation == "product":
        _require_nonnegative(law)
    simple = _simplest(law)
    if isinstance(simple, PointMass):
        return PointMass(simple.position * exponent if operation == "sum" else simple.position**exponent)
    if exponent == 1:
        return law
    return moved(simple, SumPower(exponent) if operation == "sum" else ProductPower(exponent))


def compress(law: Law, trace: float) -> Law:
    """The law of P X P in the corner P, for a projection P of normalised trace ``trace`` free from X: (μ^{⊞1/t}) scaled by t.

    Args:
        law: of X, its support bounded or not.
        trace: t of P, the share of dimensions that is kept, in (0, 1].

    Example:
        >>> from freeness.laws import Projection
        >>> round(compress(Projection(0.5), 0.5).variance, 12)  # the arcsine law on [0, 1]
        0.125

    Source: Nica, Speicher (1996).
    """
    if not 0 < trace <= 1:
        raise InputError(f"expected the trace of a projection in (0, 1], got {trace}.")
    return scale(free_power(law, 1 / trace), trace)


def symmetric_root(law: Law) -> Law:
    """The symmetric law of ±√X for X ≥ 0: singular values of both signs from the law of A*A.

    Example:
        >>> from freeness.laws import MarchenkoPastur
        >>> symmetric_root(MarchenkoPastur(1.0)).hull[1]  # the quarter-circle law, symmetrised
        2.0
    """
    if law.lower_bound < 0 and law.hull[0] < 0:
        raise InputError(f"expected a law on [0, ∞), got {law!r} on {law.hull}; a root needs X ≥ 0.")
    if isinstance(law, Square):
        return symmetrized(law.law)
    if isinstance(law, AtomicLaw):
        roots = np.sqrt(law.positions)
        return simplify(Atoms(np.concatenate([roots, -roots]), np.concatenate([law.masses, law.masses]) / 2))
    return moved(law, SymmetricRoot())


def symmetric_square(law: Law) -> Law:
    """The law of X² for a symmetric X.

    Example:
        >>> from freeness.laws import Semicircle
        >>> symmetric_square(Semicircle(1.0)).hull
        (0.0, 4.0)
    """
    if not law.symmetric:
        raise InputError(f"expected a symmetric law, got {law!r}; its square is not a move of its curve.")
    if isinstance(law, Semicircle):
        return scale(MarchenkoPastur(1.0), law.variance)
    if isinstance(law, AtomicLaw):
        return simplify(Atoms(law.positions**2, law.masses))
    chain = MovedCurve(law.curve, ()).extended((SymmetricSquare(law.variance),))
    atoms = SymmetricSquare(law.variance).atoms(law.atoms)
    inside = any(low <= 0 <= high for low, high in law.support)
    if inside:
        require_apart(law)
    least = 0.0 if inside else min(abs(end) for interval in law.support for end in interval)
    return CurveLaw(chain, law.moment(4) - law.variance**2, atoms, least**2)


def free_product(first: Law, *others: Law) -> Law:
    """μ ⊠ ν ⊠ …: the law of X^{1/2} Y X^{1/2} for free X, Y ≥ 0.

    One factor X may be symmetric about 0 instead. The law of Y^{1/2} X Y^{1/2} is then the symmetric one whose square is
    X² ⊠ Y ⊠ Y (Arizmendi, Pérez-Abreu 2009).

    Args:
        first: a law on [0, ∞), not δ(0), or a symmetric one.
        *others: the same.

    Example:
        >>> from freeness.laws import MarchenkoPastur, Projection
        >>> free_product(MarchenkoPastur(1.0), Projection(0.5)).mean
        0.5

    Source: Voiculescu, Multiplication of certain non-commuting random variables (1987).
    """
    laws = (first, *others)
    require_laws(*laws)
    odd = [law for law in laws if law.symmetric and law.variance > 0]
    if len(odd) == 1:
        rest = [law for law in laws if law is not odd[0]]
        return symmetric_root(free_product(symmetric_square(odd[0]), *rest, *rest))
    for law in laws:
        _require_nonnegative(law)
    return reduce(_product, map(_simplest, others), _simplest(first))


def _require_nonnegative(law: Law) -> None:
    if (law.lower_bound < 0 and law.hull[0] < 0) or law.mean <= 0:
        raise InputError(
            f"expected non-negative laws with mean > 0 in ⊠, got {law!r} on {law.hull}; "
            "factors with both signs need the symmetrised or the matrix form."
        )


def _simplest(law: Law) -> Law:
    return simplify(law) if isinstance(law, Atoms) else law


def _sum(left: Law, right: Law) -> Law:
    if isinstance(right, PointMass):
        return shift(left, right.position)
    if isinstance(left, PointMass):
        return shift(right, left.position)
    if not (left.symmetric and right.symmetric):
        left, right = solved_everywhere(left), solved_everywhere(right)
    base, other = sorted((left, right), key=_rank)
    total = moved(base, Add(other))
    if left == mirror(right):  # X and Y alike, X - Y is Y - X in law
        return CurveLaw(total.curve, total.variance, total.atoms, total.lower_bound, symmetric=True)
    return total


def solved_everywhere(law: Law) -> Law:
    """The law, solved for where its curve is that of a symmetric root, which knows one quadrant only."""
    curve = law.curve
    rooted = isinstance(curve, MovedCurve) and any(isinstance(move, SymmetricRoot) for move in curve.moves)
    return SolvedLaw(law) if rooted else law


def _rank(law: Law) -> int:
    """Which of two laws serves as base: a chain is extended rather than nested, and a closed form costs nothing as a move.

    (The coordinate 1/g of a closed R is also infinite where G vanishes, at the centre of a symmetric law.)
    """
    return 0 if isinstance(law.curve, MovedCurve) else 1 if isinstance(law.curve, CauchyCurve) else 2


def _product(left: Law, right: Law) -> Law:
    if isinstance(right, PointMass):
        return scale(left, right.position)
    if isinstance(left, PointMass):
        return scale(right, left.position)
    if isinstance(right, AffineLaw) and right.constant == 0:
        return scale(_product(left, right.law), right.factor)
    if isinstance(left, AffineLaw) and left.constant == 0:
        return scale(_product(left.law, right), left.factor)
    base, other = sorted((left, right), key=_rank)
    return moved(base, Multiply(other))
