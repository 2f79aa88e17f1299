"""Expressions in free variables: sums, products, adjoints and inverses, built by Python's operators.

An expression is a tree; what it means is computed from the tree: its law (:mod:`freeness.expressions.route`), its linearisation
(:mod:`freeness.expressions.linearization`), its moments (:mod:`freeness.expressions.word_moments`) and random matrices.
"""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce, singledispatch
from itertools import combinations, count
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Inexact

from freeness.errors import InputError
from freeness.expressions.elements import Element, Given, HaarUnitary, SelfAdjoint
from freeness.expressions.legs import ONE_LEG, Leg, Legs, on_legs, ordered, read_legs
from freeness.laws import Law

if TYPE_CHECKING:
    from freeness.expressions.linearization import Linearization

Method = Literal["auto", "scalar", "operator"]
_FAMILIES = count()
_TRIALS = 2  # random matrices on which two expressions are compared
_DEGREE = 6  # sizes of such matrices beyond half the degree
_TENSOR = 256.0  # size of such matrices on several legs, at most
_EQUAL = 1e-9
_HIGHEST = 32  # exponent


@dataclass(frozen=True, eq=False)
class Symbol:
    """One variable on some legs of a tensor: two symbols are the same only if they are the same object."""

    name: str
    element: Element
    legs: Legs = ONE_LEG

    def commutes_with(self, other: Symbol) -> bool:
        """Whether they have no leg in common; else they are free."""
        return not self.legs & other.legs


class Expression(ABC):
    """A polynomial or rational expression in free variables; combine with +, -, *, /, **, ``.H`` and numbers.

    Example:
        >>> from freeness.laws import Semicircle
        >>> x, y = free_variables(Semicircle(), Semicircle())
        >>> round(float((x * y + y * x).law().density(0.0)) * np.pi, 10)
        1.0
    """

    __array_ufunc__ = None  # so that numpy's numbers leave the operation to us

    @property
    @abstractmethod
    def family(self) -> frozenset[int]:
        """The families of free variables in it."""

    @property
    @abstractmethod
    def children(self) -> tuple[Expression, ...]:
        """What it is made of."""

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The variables in it, in the order in which they come first."""
        found: dict[Symbol, None] = {}
        for child in self.children:
            found.update(dict.fromkeys(child.symbols))
        return tuple(found)

    # --- building -------------------------------------------------------------------------------------------------

    def __add__(self, other: object) -> Expression:
        return _joined(self, other, lambda a, b: SumTerm((a, b)))

    def __radd__(self, other: object) -> Expression:
        return self if isinstance(other, int) and other == 0 else _joined(other, self, lambda a, b: SumTerm((a, b)))

    def __neg__(self) -> Expression:
        return ProductTerm((ConstantTerm(-1.0), self))

    def __sub__(self, other: object) -> Expression:
        return _joined(self, other, lambda a, b: SumTerm((a, -b)))

    def __rsub__(self, other: object) -> Expression:
        return _joined(other, self, lambda a, b: SumTerm((a, -b)))

    def __mul__(self, other: object) -> Expression:
        return _joined(self, other, lambda a, b: ProductTerm((a, b)))

    def __rmul__(self, other: object) -> Expression:
        return _joined(other, self, lambda a, b: ProductTerm((a, b)))

    def __truediv__(self, other: object) -> Expression:
        return _joined(self, other, lambda a, b: ProductTerm((a, b.inverse())))

    def __rtruediv__(self, other: object) -> Expression:
        return _joined(other, self, lambda a, b: ProductTerm((a, b.inverse())))

    def __pow__(self, exponent: object) -> Expression:
        if not isinstance(exponent, int) or isinstance(exponent, bool) or abs(exponent) > _HIGHEST:
            raise InputError(
                f"expected a whole number of at most {_HIGHEST} as exponent, got {exponent!r}; other powers are no expressions."
            )
        base = self if exponent >= 0 else self.inverse()
        return ProductTerm((base,) * abs(exponent)) if exponent else ConstantTerm(1.0)

    @property
    @abstractmethod
    def H(self) -> Expression:
        """The adjoint."""

    def inverse(self) -> Expression:
        """1/X; where X has 0 in its support there is none, which the law then says."""
        if isinstance(self, ConstantTerm):
            if self.value == 0:
                raise InputError("expected something invertible, got 0; no expression has an inverse of 0.")
            return ConstantTerm(1.0 / self.value)
        if isinstance(self, Letter) and isinstance(self.symbol.element, HaarUnitary):
            return self.H
        return Inverted(self)

    # --- asking ---------------------------------------------------------------------------------------------------

    @property
    def is_self_adjoint(self) -> bool:
        """Whether X = X* for all matrices in the place of the variables (tried on random ones, so sure up to 1e-9)."""
        return _agree(self, self.H)

    def law(self, method: Method = "auto") -> Law:
        """The law of a self-adjoint expression.

        Args:
            method: "scalar": by moves of curves, for sums and products of free parts; "operator": by a linearisation and
                matrix-valued subordination; "auto": scalar where possible.

        Raises:
            InputError: it is not self-adjoint, or the method cannot do it.
            ConvergenceError: the numerical solution failed; the message says where.
        """
        from freeness.expressions.route import law_of

        return law_of(self, method).law

    def singular_law(self, method: Method = "auto") -> Law:
        """The law of X*X: squared singular values; for any expression."""
        return (self.H * self).law(method)

    def linearization(self) -> Linearization:
        """The hermitian pencil whose Schur complement is the expression."""
        from freeness.expressions.linearization import linearized

        return linearized(self)

    def moments(self, order: int) -> Inexact[np.ndarray, " order"]:
        """τ(X), …, τ(X^order), exactly, by the algebra of free words; for polynomials.

        Args:
            order: how many; the cost grows exponentially with order times degree.
        """
        from freeness.expressions.word_moments import moments_of

        return moments_of(self, order)

    def sample(self, size: int, rng: np.random.Generator) -> Inexact[np.ndarray, "size size"]:
        """The expression in independent size×size random matrices with the laws of the variables.

        Args:
            size: rows and columns; with several legs, each has as many dimensions as fit in, the root of ``size`` rounded down.
            rng: numpy's, from which all numbers are drawn: the same seed, the same result.
        """
        side = max(1, int(size ** (1 / max(1, len(self.legs))) + _EQUAL))
        drawn, whole = _on_all_legs(self, side, lambda symbol, own: symbol.element.sample(own, rng))
        return evaluated(self, drawn, whole)

    @property
    def legs(self) -> list[Leg]:
        """The legs on which its variables act."""
        return ordered(leg for symbol in self.symbols for leg in symbol.legs)

    @property
    def is_free(self) -> bool:
        """Whether its variables are free; others of them commute, on disjoint legs."""
        return not any(a.commutes_with(b) for a, b in combinations(self.symbols, 2))

    @property
    def is_polynomial(self) -> bool:
        """Whether it holds no inverse."""
        return all(child.is_polynomial for child in self.children)

    @property
    def degree(self) -> int:
        """The largest number of variables in one product, counting those under an inverse."""
        return max((child.degree for child in self.children), default=0)


@dataclass(frozen=True)
class ConstantTerm(Expression):
    """A number times the identity."""

    value: complex

    @property
    def family(self) -> frozenset[int]:
        return frozenset()

    @property
    def children(self) -> tuple[Expression, ...]:
        return ()

    @property
    def H(self) -> Expression:
        return ConstantTerm(self.value.conjugate() if isinstance(self.value, complex) else self.value)

    def __repr__(self) -> str:
        value = complex(self.value)
        if value.imag == 0:
            return f"{value.real:g}"
        text = f"{value.imag:g}i" if value.real == 0 else f"({value:g})"
        return text.replace("j", "i").replace("1i", "i") if value.imag in (1, -1) else text.replace("j", "i")


@dataclass(frozen=True)
class Letter(Expression):
    """A variable or its adjoint."""

    symbol: Symbol
    adjoint: bool
    own_family: frozenset[int] = field(compare=False)

    @property
    def family(self) -> frozenset[int]:
        return self.own_family

    @property
    def children(self) -> tuple[Expression, ...]:
        return ()

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        return (self.symbol,)

    @property
    def H(self) -> Expression:
        return self if self.symbol.element.self_adjoint else replace(self, adjoint=not self.adjoint)

    @property
    def degree(self) -> int:
        return 1

    def __repr__(self) -> str:
        return self.symbol.name + ("*" if self.adjoint else "")


@dataclass(frozen=True)
class _Compound(Expression):
    terms: tuple[Expression, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.terms

    @property
    def family(self) -> frozenset[int]:
        return frozenset[int]().union(*(term.family for term in self.terms))


class SumTerm(_Compound):
    """A sum of expressions."""

    @property
    def H(self) -> Expression:
        return SumTerm(tuple(term.H for term in self.terms))

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.terms)).replace("+ -1·", "- ")


class ProductTerm(_Compound):
    """A non-commutative product."""

    @property
    def H(self) -> Expression:
        return ProductTerm(tuple(term.H for term in reversed(self.terms)))

    @property
    def degree(self) -> int:
        return sum(term.degree for term in self.terms)

    def __repr__(self) -> str:
        return "·".join(f"({term!r})" if isinstance(term, SumTerm) else repr(term) for term in self.terms)


@dataclass(frozen=True)
class Inverted(Expression):
    """1/X."""

    base: Expression

    @property
    def is_polynomial(self) -> bool:
        return False

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.base,)

    @property
    def family(self) -> frozenset[int]:
        return self.base.family

    @property
    def H(self) -> Expression:
        return Inverted(self.base.H)

    def __repr__(self) -> str:
        return f"({self.base!r})⁻¹"


def free_variables(
    *elements: Law | Element, names: str = "", legs: Sequence[Leg | Sequence[Leg]] | None = None
) -> tuple[Expression, ...]:
    """Free variables with the given laws, free from each other; or, on legs of a tensor, ε-free ones.

    Args:
        *elements: a law for a self-adjoint variable; ``HaarUnitary()``, ``Circular(variance)`` or ``RDiagonal(modulus)``.
        names: to print them by, separated by spaces; x, y, z, … by default.
        legs: for each variable a leg (a number or a word), or a tuple of the legs on which it acts. Variables that share a
            leg are free, those on disjoint legs commute and are classically independent: A⊗1 and 1⊗B. All share one leg by
            default.

    Source:
        Młotkowski, Λ-free probability (2004); Speicher, Wysoczański (2016). Matrices: Charlesworth, Collins (2021), arXiv
        1910.04343.

    Example:
        >>> from freeness.laws import MarchenkoPastur, Semicircle
        >>> x, y = free_variables(Semicircle(), MarchenkoPastur(1.0))
        >>> x * y + y * x
        x·y + y·x
        >>> a, b = free_variables(Semicircle(), Semicircle(), legs=[0, 1])  # A⊗1 and 1⊗B
        >>> round(float((a + b).moments(4)[3]), 12)  # 8 if they were free
        10.0
    """
    if not elements:
        raise InputError("expected at least one law, got none; write free_variables(Semicircle(), …).")
    called = names.split() or (
        ["x", "y", "z"][: len(elements)] if len(elements) <= 3 else [f"x{i + 1}" for i in range(len(elements))]
    )
    if len(called) != len(elements):
        raise InputError(f"expected {len(elements)} names, got {len(called)}; separate them by spaces.")
    if len(set(called)) < len(called):
        raise InputError(f"expected different names, got {names!r}; free variables need names of their own.")
    family = frozenset([next(_FAMILIES)])
    return tuple(
        Letter(
            Symbol(name, SelfAdjoint(element) if isinstance(element, Law) else _element(element), own), False, family
        )
        for name, element, own in zip(called, elements, read_legs(legs, len(elements)), strict=True)
    )


def jointly_free(*expressions: Expression) -> tuple[Expression, ...]:
    """The same expressions, their families of variables declared free from each other, so that they can be combined.

    Variables of one call of :func:`free_variables` are free; whether those of two calls are is for you to say.

    Args:
        *expressions: of any families.

    Example:
        >>> from freeness.laws import Semicircle
        >>> (x,), (y,) = free_variables(Semicircle()), free_variables(Semicircle())
        >>> x, y = jointly_free(x, y)
        >>> (x + y).law().variance
        2.0
    """
    read = [_as_expression(expression) for expression in expressions]
    for one, other in combinations(read, 2):
        if any(a.commutes_with(b) for a in one.symbols for b in other.symbols):
            raise InputError(
                f"expected expressions that share legs, got {one!r} and {other!r} on disjoint ones, which commute; make their "
                "variables in one call of free_variables."
            )
    family = frozenset[int]().union(*(expression.family for expression in read))
    return tuple(Joined(expression, family) for expression in read)


@dataclass(frozen=True)
class Joined(Expression):
    """An expression that may meet other families."""

    inner: Expression
    own_family: frozenset[int] = field(compare=False)

    @property
    def family(self) -> frozenset[int]:
        return self.own_family

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.inner,)

    @property
    def H(self) -> Expression:
        return Joined(self.inner.H, self.own_family)

    def __repr__(self) -> str:
        return repr(self.inner)


def commutator(first: Expression, second: Expression) -> Expression:
    """XY - YX, which is skew-adjoint for self-adjoint X, Y: times i it is self-adjoint.

    Example:
        >>> from freeness.laws import Semicircle
        >>> x, y = free_variables(Semicircle(), Semicircle())
        >>> round((1j * commutator(x, y)).law().variance, 10)
        2.0
    """
    return first * second - second * first


def anticommutator(first: Expression, second: Expression) -> Expression:
    """XY + YX.

    Example:
        >>> from freeness.laws import Semicircle
        >>> x, y = free_variables(Semicircle(), Semicircle())
        >>> anticommutator(x, y).is_self_adjoint
        True
    """
    return first * second + second * first


@singledispatch
def evaluated(expression: Expression, matrices: Mapping[Symbol, np.ndarray], size: int) -> np.ndarray:
    """The expression with matrices in the place of its variables."""
    raise TypeError(f"expected an expression, got {type(expression).__name__}; register how it is evaluated.")


@evaluated.register
def _(expression: ConstantTerm, matrices: Mapping[Symbol, np.ndarray], size: int) -> np.ndarray:
    return expression.value * np.eye(size)


@evaluated.register
def _(expression: Letter, matrices: Mapping[Symbol, np.ndarray], size: int) -> np.ndarray:
    matrix = matrices[expression.symbol]
    return matrix.conj().T if expression.adjoint else matrix


@evaluated.register
def _(expression: SumTerm, matrices: Mapping[Symbol, np.ndarray], size: int) -> np.ndarray:
    return reduce(np.add, (evaluated(term, matrices, size) for term in expression.terms))


@evaluated.register
def _(expression: ProductTerm, matrices: Mapping[Symbol, np.ndarray], size: int) -> np.ndarray:
    factor = 1.0
    rest: list[np.ndarray] = []
    for term in expression.terms:
        if isinstance(term, ConstantTerm):
            factor = factor * term.value
        else:
            rest.append(evaluated(term, matrices, size))
    return factor * reduce(np.matmul, rest) if rest else factor * np.eye(size)


@evaluated.register
def _(expression: Inverted, matrices: Mapping[Symbol, np.ndarray], size: int) -> np.ndarray:
    try:
        return np.linalg.inv(evaluated(expression.base, matrices, size))
    except np.linalg.LinAlgError:
        raise InputError(
            f"expected something invertible, got {expression.base}, which is singular for matrices; leave its inverse out."
        ) from None


@evaluated.register
def _(expression: Joined, matrices: Mapping[Symbol, np.ndarray], size: int) -> np.ndarray:
    return evaluated(expression.inner, matrices, size)


def _agree(first: Expression, second: Expression) -> bool:
    """Whether two expressions agree on random matrices, larger than half the degree, for which no identity holds."""
    rng = np.random.default_rng(0)
    size = first.degree // 2 + _DEGREE
    if len(first.legs) > 1:
        size = max(2, min(size, int(_TENSOR ** (1 / len(first.legs)))))
    whole = [
        len(s.element.matrix) for s in first.symbols if isinstance(s.element, Given) and s.element.matrix.ndim == 2
    ]
    size = max(whole, default=1) * -(-size // max(whole, default=1))

    def draw(symbol: Symbol, own: int) -> np.ndarray:
        if isinstance(symbol.element, Given):
            return symbol.element.sample(own, rng)
        matrix = rng.standard_normal((own, own)) + 1j * rng.standard_normal((own, own))
        return (matrix + matrix.conj().T) / 4 if symbol.element.self_adjoint else matrix / 3

    for _ in range(_TRIALS):
        drawn, size_of_all = _on_all_legs(first, size, draw)
        a, b = evaluated(first, drawn, size_of_all), evaluated(second, drawn, size_of_all)
        if np.abs(a - b).max() > _EQUAL * np.abs(a).max():
            return False
    return True


def _on_all_legs(
    expression: Expression, side: int, draw: Callable[[Symbol, int], np.ndarray]
) -> tuple[dict[Symbol, np.ndarray], int]:
    """A matrix a variable, drawn on its own legs of dimension ``side`` each, and the dimension of all of them."""
    every = expression.legs
    drawn = {
        symbol: on_legs(draw(symbol, side ** len(symbol.legs)), symbol.legs, every, side)
        for symbol in expression.symbols
    }
    return drawn, side ** max(1, len(every))


def _element(value: Any) -> Element:
    if not isinstance(value, Element):
        raise InputError(
            f"expected laws, HaarUnitary(), Circular(…) or RDiagonal(…), got {value!r}; use PointMass for a number and "
            "Empirical for a list of eigenvalues."
        )
    return value


def _joined(first: object, second: object, make: Callable[[Expression, Expression], Expression]) -> Expression:
    """Two operands combined, if their families may meet."""
    left, right = _as_expression(first), _as_expression(second)
    if not (left.family <= right.family or right.family <= left.family):
        raise InputError(
            "expected variables of one family, got those of two calls of free_variables; make all in one call, or say that "
            "the families are free from each other by jointly_free(x, y)."
        )
    return make(left, right)


def _as_expression(value: object) -> Expression:
    if isinstance(value, Expression):
        return value
    if isinstance(value, numbers.Number) and not isinstance(value, bool):
        number = complex(value)  # type: ignore[arg-type]
        if not np.isfinite(number):
            raise InputError(f"expected a finite number, got {value}; correct it.")
        return ConstantTerm(number if number.imag else number.real)
    if isinstance(value, Law):
        raise InputError(
            f"expected an expression or a number, got the law {value!r}; make it a variable by free_variables."
        )
    kind = (
        "an array; make it a variable by free_variables(Given(…))"
        if isinstance(value, np.ndarray)
        else f"{value!r}; correct it"
    )
    raise InputError(f"expected an expression or a number, got {kind}.")
