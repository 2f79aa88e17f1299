"""Which way the law of an expression is computed: by scalar moves of curves where it is made of free parts, else by operators."""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError
from freeness.expressions.atoms import expression_atoms
from freeness.expressions.elements import Given
from freeness.expressions.expression import (
    Expression,
    Inverted,
    Method,
    ProductTerm,
    SumTerm,
    Symbol,
    evaluated,
)
from freeness.expressions.free_form import pulled_number, scalar_form
from freeness.expressions.linearization import Linearization, hermitized, linearized, matrix_linearized
from freeness.expressions.outermost import affine, power_of
from freeness.expressions.rotated import ROTATED_REASON, rotated_form
from freeness.expressions.tensor import TENSOR_REASON, tensor_law
from freeness.expressions.words import canonical, is_odd, same
from freeness.laws import (
    Atom,
    Atoms,
    Empirical,
    Law,
    PointMass,
    PolynomialLaw,
    Square,
    inverse,
    listed,
    require_apart,
    sample_spectrum,
    simplify,
)
from freeness.moves import scale, shift
from freeness.operators import Deterministic, MatrixEquation, MatrixLaw, Moments, Summand, TracedEquation

SCALAR_REASON = "Computed by scalar moves: the expression is made of free parts."
_ALL = 1e-9  # atoms that hold all the mass but this hold all
_SAMPLE = 240  # size of the random matrix whose spectrum gives the scale
_REPEATED = 1e-9  # eigenvalues nearer than this, relatively, are an atom's


@dataclass(frozen=True, eq=False)
class Routed:
    """A law, and the way in which it was computed, as a word and as a sentence."""

    law: Law
    method: Method
    reason: str


def law_of(expression: Expression, method: Method = "auto") -> Routed:
    """The law of a self-adjoint expression and the way taken.

    Args:
        expression: in free variables.
        method: "scalar", "operator", or "auto" for scalar moves where they can do it, if need be after a rotation of
            semicircular variables.

    Raises:
        InputError: it is not self-adjoint, or the method cannot do it.

    Example:
        >>> from freeness.expressions import free_variables
        >>> from freeness.laws import MarchenkoPastur, Semicircle
        >>> x, y = free_variables(Semicircle(), MarchenkoPastur(1.0))
        >>> law_of(x + y).method, law_of(x * y + y * x).method
        ('scalar', 'operator')
    """
    if method not in ("auto", "scalar", "operator"):
        raise InputError(f'expected the method "auto", "scalar" or "operator", got {method!r}; choose one.')
    if not expression.is_self_adjoint:
        raise InputError(
            f"expected a self-adjoint expression, got {expression!r}; take p + p.H, or p.singular_law() for the law of p*p."
        )
    if not expression.is_free:
        return Routed(
            tensor_law(expression, lambda part: law_of(part, method).law, _over_matrices), "operator", TENSOR_REASON
        )
    try:
        if method != "operator":
            try:
                return Routed(scalar_form(expression).whole_law(), "scalar", SCALAR_REASON)
            except InputError:
                if method == "scalar":
                    raise
                rotated = rotated_form(expression)
                if rotated is not None:
                    return Routed(rotated.whole_law(), "scalar", ROTATED_REASON)
        with np.errstate(over="raise"):
            return operator_law(expression)
    except (OverflowError, FloatingPointError):
        raise InputError(
            f"expected numbers whose powers stay below 1e308, got {expression!r}; scale the expression."
        ) from None


def operator_law(expression: Expression) -> Routed:
    """The law by a linearisation and matrix-valued subordination."""
    law, size = _by_operators(expression)
    return Routed(law, "operator", f"Computed by matrix-valued subordination on a {size}×{size} linearisation.")


def _by_operators(expression: Expression) -> tuple[Law, int]:
    """The law and the size of its linearisation; numbers that shift or scale, and an inverse around all, act on the law."""
    factor, rest, constant = affine(expression)
    if (factor, constant) != (1.0, 0.0):
        law, size = _by_operators(rest)
        return shift(scale(law, factor), constant), size
    if isinstance(rest, Inverted):
        law, size = _by_operators(rest.base)
        return inverse(law), size
    _require_inverses(rest)
    base, exponent = power_of(rest)
    if exponent > 1:
        law, size = _by_operators(base)
        return Square(law) if exponent == 2 else PolynomialLaw(law, (0.0,) * exponent + (1.0,)), size
    root = _root(rest)
    core = canonical(rest if root is None else root)
    if root is None and isinstance(rest, SumTerm) and not isinstance(core, SumTerm):
        return _by_operators(core)
    pencil = linearized(core) if root is None else hermitized(core)
    law = _matrix_law(core, pencil)
    return (law if root is None else Square(law)), pencil.size


def _require_inverses(expression: Expression) -> None:
    """Refuse inverses of something with 0 in its spectrum."""
    for child in expression.children:
        _require_inverses(child)
    if isinstance(expression, Inverted):
        base = expression.base
        law = law_of(base).law if base.is_self_adjoint else base.singular_law()
        support = law.support
        if any(low <= 0 <= high for low, high in support):
            require_apart(law)
            raise InputError(
                f"expected the inverse of something without 0 in its spectrum, got {expression!r}, where 0 lies in the spectrum "
                f"{listed(support)}{'' if base.is_self_adjoint else ' of the squared singular values'}; shift it by a number."
            )


def _is_rational(expression: Expression) -> bool:
    """Whether an inverse is part of it."""
    return isinstance(expression, Inverted) or any(map(_is_rational, expression.children))


def _root(expression: Expression) -> Expression | None:
    """A, where the expression is written as A·A*."""
    if not isinstance(expression, ProductTerm):
        return None
    _, factors = pulled_number(expression)
    half, odd = divmod(len(factors), 2)
    if (
        odd
        or not half
        or not all(same(first, last.H) for first, last in zip(factors[:half], factors[::-1], strict=False))
    ):
        return None
    return factors[0] if half == 1 else ProductTerm(tuple(factors[:half]))


def _matrix_law(core: Expression, pencil: Linearization) -> Law:
    """The law of a pencil's corner; its scale is that of ``core``."""
    _own_size(core)  # before any matrix is built
    deterministic, summands = _parts(pencil)
    if not summands and isinstance(deterministic, np.ndarray):
        return PointMass(_corner(deterministic))
    if (
        pencil.size == 1
        and len(summands) == 1
        and isinstance(deterministic, np.ndarray)
        and core.symbols[0].element.self_adjoint
    ):
        (coefficient,) = pencil.coefficients.values()
        return shift(scale(summands[0].law, float(np.real(coefficient[0, 0]))), float(np.real(deterministic[0, 0])))
    matrices, parts = _drawn(core)
    matrix = evaluated(core, matrices, len(next(iter(matrices.values()))))
    values = np.linalg.eigvalsh((matrix + matrix.conj().T) / 2) if pencil.corners == 1 else _both_signs(matrix)
    if not summands:
        return Empirical(values)
    equation = MatrixEquation(deterministic, summands, pencil.corners)
    moments, rational = _moments(core, pencil.corners), _is_rational(core)
    law = MatrixLaw(equation, _extent(values), moments=moments, symmetric=is_odd(core), rational=rational)
    atoms = _atoms(law, values, parts) if parts else ()
    if sum(mass for _, mass in atoms) > 1 - _ALL:
        return simplify(Atoms(*np.array(atoms).T))
    return law.with_atoms(atoms) if atoms else law


def _over_matrices(expression: Expression) -> Law:
    """The law of an expression in free variables with given matrices on a leg of their own, as coefficients."""
    _require_inverses(expression)
    own = _own_size(expression)
    pencil = matrix_linearized(expression)
    constant, summands = _parts(pencil)
    rng = np.random.default_rng(0)
    size = -(-_SAMPLE // own)
    matrices: dict[Symbol, np.ndarray] = {}
    parts: list[tuple[int, float]] = []
    for symbol in expression.symbols:
        given = isinstance(symbol.element, Given)
        drawn = symbol.element.sample(own if given else size, rng)
        matrices[symbol] = np.kron(np.eye(size), drawn) if given else np.kron(drawn, np.eye(own))
        parts += [(round(atom.mass * own * size), atom.mass) for atom in symbol.element.law.atoms]
    matrix = evaluated(expression, matrices, own * size)
    values = np.linalg.eigvalsh((matrix + matrix.conj().T) / 2)
    equation = TracedEquation(constant, summands, pencil.corners)
    law = MatrixLaw(equation, _extent(values), rational=_is_rational(expression))
    atoms = _atoms(law, values, parts)
    return law.with_atoms(atoms) if atoms else law


def _atoms(law: MatrixLaw, values: np.ndarray, parts: list[tuple[int, float]]) -> tuple[Atom, ...]:
    """The atoms of a law; those of [[0, A], [A*, 0]] are the roots of those of AA*, as ranks are those of A."""
    if not law.equation.symmetric:
        return expression_atoms(law, values, parts)
    squares = expression_atoms(Square(law), values[values.size // 2 :] ** 2, parts)
    roots = [
        Atom(sign * x**0.5, mass / (2 if x else 1)) for x, mass in squares for sign in ((-1.0, 1.0) if x else (1.0,))
    ]
    return tuple(sorted(roots))


def _extent(values: np.ndarray) -> tuple[float, float]:
    """The ends of a matrix's spectrum without repeated eigenvalues, to five digits: nothing hangs on the last ones."""
    apart = np.diff(values) > _REPEATED * np.abs(values).max()
    single = values[np.concatenate([[True], apart]) & np.concatenate([apart, [True]])]
    ends = single if single.size > 1 else values
    return float(f"{ends[0]:.5g}"), float(f"{ends[-1]:.5g}")


def _own_size(expression: Expression) -> int:
    """The size of the given matrices in it, 1 without any."""
    sizes = {len(symbol.element.matrix) for symbol in expression.symbols if isinstance(symbol.element, Given)}
    if len(sizes) > 1:
        raise InputError(
            f"expected given matrices of one size, got {sorted(sizes)}; fill up the smaller ones with zeros."
        )
    return sizes.pop() if sizes else 1


def _drawn(expression: Expression) -> tuple[dict[Symbol, np.ndarray], list[tuple[int, float]]]:
    """One random matrix a variable, and of each atom in the variables its multiplicity there and its mass."""
    rng = np.random.default_rng(0)
    own = _own_size(expression)
    size = own * -(-_SAMPLE // own)  # a multiple of it
    matrices: dict[Symbol, np.ndarray] = {}
    parts: list[tuple[int, float]] = []
    for symbol in expression.symbols:
        matrices[symbol] = symbol.element.sample(size, rng)
        law = symbol.element.law
        if law.atoms:
            values = sample_spectrum(law, size, rng)
            parts += [(int((values == atom.position).sum()), atom.mass) for atom in law.atoms]
    return matrices, parts


def _both_signs(matrix: np.ndarray) -> np.ndarray:
    """Eigenvalues of [[0, A], [A*, 0]]."""
    values = np.linalg.svd(matrix, compute_uv=False)
    return np.sort(np.concatenate([-values, values]))


def _parts(pencil: Linearization) -> tuple[np.ndarray | Deterministic, list[Summand]]:
    """The deterministic part and one summand for each random variable; a lone self-adjoint given matrix is one as well."""
    constant = pencil.constant
    summands: list[Summand] = []
    given: list[tuple[np.ndarray, np.ndarray]] = []
    alone = sum(isinstance(symbol.element, Given) for symbol in pencil.coefficients) == 1
    for symbol, coefficient in pencil.coefficients.items():
        element = symbol.element
        if not np.abs(coefficient).max() > 0:
            continue
        if isinstance(element, Given) and not (alone and element.self_adjoint):
            given.append((coefficient, element.matrix))
            if not element.self_adjoint:
                given.append((coefficient.conj().T, element.matrix.conj().T))
        elif not element.self_adjoint:
            summands.append(Summand.r_diagonal(element.law, coefficient))
        elif isinstance(element.law, PointMass):
            constant = constant + element.law.position * coefficient
        else:
            summands.append(Summand.self_adjoint(element.law, coefficient))
    return (Deterministic.given(constant, *zip(*given, strict=True)) if given else constant), summands


def _corner(constant: np.ndarray) -> float:
    """The number that a pencil without variables linearises."""
    a, u, rest = constant[0, 0], constant[1:, 0], constant[1:, 1:]
    return float(np.real(a - u.conj() @ np.linalg.solve(rest, u)))


def _moments(expression: Expression, corners: int) -> Moments | None:
    """Exact mean and variance of a polynomial; of [[0, A], [A*, 0]] with two corners."""
    if not expression.is_polynomial or _own_size(expression) > 1:
        return None
    if corners == 2:
        return Moments(0.0, float((expression.H * expression).moments(1)[0]))
    first, second = expression.moments(2)
    return Moments(float(first), float(second - first**2))
