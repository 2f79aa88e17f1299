"""Laws of expressions in which variables commute, on disjoint legs of a tensor: split until what is left is free.

Sums and products over disjoint legs are convolutions of classical probability; a variable with atoms that commutes with all
others takes each of its values; given matrices on a leg of their own are coefficients of the others; and what commutes within,
but is free from the rest, is one variable with a law of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from freeness.errors import InputError
from freeness.expressions.elements import Given, SelfAdjoint
from freeness.expressions.expression import (
    ConstantTerm,
    Expression,
    Inverted,
    Letter,
    ProductTerm,
    Symbol,
    evaluated,
)
from freeness.expressions.free_form import pulled_number
from freeness.expressions.legs import linked
from freeness.expressions.outermost import affine, power_of
from freeness.expressions.rebuilt import flat_terms, product_of, rebuilt, sum_of
from freeness.expressions.words import Words, same, words_of
from freeness.laws import AtomicLaw, Law, Mixture, PointMass, PolynomialLaw, Square, inverse
from freeness.moves import classical_product, classical_sum, scale, shift

TENSOR_REASON = "Computed leg by leg: variables on disjoint legs of a tensor are classically independent."
_ATOMS = 64  # of a variable that takes each of its values, at most
_EQUAL = 1e-12  # relative difference of coefficients that are one

Free = Callable[[Expression], Law]
Word = tuple[Expression, ...]


def tensor_law(expression: Expression, free: Free, given: Free) -> Law:
    """The law of a self-adjoint expression in variables on legs of a tensor.

    ``free`` finds the law of an expression in free variables, ``given`` that of one with given matrices on a leg of their own.

    Raises:
        InputError: it does not split; its moments are known all the same.

    Source: Charlesworth, Collins (2021), arXiv 1910.04343; Młotkowski (2004): the algebras of two parts of a family are free if
        each variable of one shares a leg with each of the other, and classically independent if none does.

    Example:
        >>> from freeness.expressions import free_variables
        >>> from freeness.laws import Semicircle
        >>> a, b, c = free_variables(Semicircle(), Semicircle(), Semicircle(), legs=[0, 1, 0])
        >>> round(((a + c) * b).law().moment(4), 9)  # 2·2² times 2
        16.0
    """
    return _TensorRoute(free, given).law(expression)


class _TensorRoute:
    """The ways in which an expression splits, tried one after the other."""

    def __init__(self, free: Free, given: Free) -> None:
        self._free, self._given = free, given

    def law(self, expression: Expression) -> Law:
        """The law of any self-adjoint expression."""
        if not expression.symbols:
            (value,) = evaluated(expression, {}, 1).ravel().tolist()
            return PointMass(complex(value).real)
        if expression.is_free:
            return self._free(expression)
        factor, rest, constant = affine(expression)
        if (factor, constant) != (1.0, 0.0):
            return shift(scale(self.law(rest), factor), constant)
        if isinstance(rest, Inverted):
            return inverse(self.law(rest.base))
        base, exponent = power_of(rest)
        if exponent > 1:
            law = self.law(base)
            return Square(law) if exponent == 2 else PolynomialLaw(law, (0.0,) * exponent + (1.0,))
        for way in (self._sum, self._product, self._factored, self._of_values, self._of_given, self._of_families):
            found = way(rest)
            if found is not None:
                return found
        raise InputError(
            f"expected an expression that splits over legs, or with atoms or given matrices on a leg of their own, got {rest!r}; "
            "its density is not known, its moments are: p.moments(order)."
        )

    def _sum(self, expression: Expression) -> Law | None:
        groups = linked(flat_terms(expression), _meet)
        return self._of_parts([sum_of(group) for group in groups], classical_sum)

    def _product(self, expression: Expression) -> Law | None:
        if not isinstance(expression, ProductTerm):
            return None
        number, factors = pulled_number(expression)
        parts = [product_of(group) for group in linked(factors, _meet)]
        return self._of_parts(parts, classical_product) if number == 1 else None

    def _of_parts(self, parts: list[Expression], combined: Callable[[Law, Law], Law]) -> Law | None:
        """Of parts on disjoint legs; None where there is one only, or one that is not self-adjoint."""
        if len(parts) < 2 or not all(part.is_self_adjoint for part in parts):
            return None
        return reduce(combined, map(self.law, parts))

    def _factored(self, expression: Expression) -> Law | None:
        """A polynomial that is p + q, or p·q + constant, once it is written out as words."""
        words = words_of(expression)
        groups = linked(list(expression.symbols), lambda a, b: not a.commutes_with(b))
        if words is None or len(groups) < 2:
            return None
        rows, columns, table = _table(words, set(groups[0]))
        cross = table * np.outer([bool(row) for row in rows], [bool(column) for column in columns])
        i, j = np.unravel_index(np.abs(cross).argmax(), cross.shape)
        if not cross[i, j]:
            return None
        first, second = table[:, j] / table[i, j], table[i]
        missing = table - np.outer(first, second)
        constant = complex(missing[rows.index(()), columns.index(())]) if () in rows and () in columns else 0j
        if () in rows and () in columns:
            missing[rows.index(()), columns.index(())] = 0
        if np.abs(missing).max() > _EQUAL * np.abs(table).max() or abs(constant.imag) > _EQUAL * np.abs(table).max():
            return None
        law = self._of_parts([_polynomial(rows, first), _polynomial(columns, second)], classical_product)
        return law if law is None or not constant.real else shift(law, constant.real)

    def _of_values(self, expression: Expression) -> Law | None:
        """Over the atoms of a variable that commutes with all others."""
        for symbol in expression.symbols:
            law = symbol.element.law if isinstance(symbol.element, SelfAdjoint) else None
            alone = all(symbol.commutes_with(other) for other in expression.symbols if other is not symbol)
            if alone and isinstance(law, AtomicLaw) and len(law.atoms) <= _ATOMS:
                parts = [self.law(_with_value(expression, symbol, x)) for x, _ in law.atoms]
                return parts[0] if len(parts) == 1 else Mixture(parts, [mass for _, mass in law.atoms])
        return None

    def _of_given(self, expression: Expression) -> Law | None:
        """Given matrices that commute with everything random, which is free."""
        matrices = [symbol for symbol in expression.symbols if isinstance(symbol.element, Given)]
        random = [symbol for symbol in expression.symbols if not isinstance(symbol.element, Given)]
        apart = all(one.commutes_with(other) for one in matrices for other in random)
        one_leg = len(linked(matrices, lambda a, b: not a.commutes_with(b))) == 1
        free = all(a is b or not a.commutes_with(b) for a in random for b in random)
        return self._given(expression) if apart and one_leg and free and random else None

    def _of_families(self, expression: Expression) -> Law | None:
        """Families that commute within and are free from one another: each through one self-adjoint element of it."""
        families = linked(list(expression.symbols), Symbol.commutes_with)
        if len(families) == 1:
            return None
        found = expression
        for family in families:
            if len(family) > 1:
                replaced = self._with_one_variable(found, set(family))
                if replaced is None:
                    return None
                found = replaced
        return self.law(found)

    def _with_one_variable(self, expression: Expression, family: set[Symbol]) -> Expression | None:
        """The expression with a variable in the place of the one element of the family in it."""
        every = frozenset(expression.legs)
        known: list[tuple[Expression, Letter]] = []

        def stand_in(part: Expression) -> Expression:
            factor, rest, constant = affine(part)
            base, exponent = power_of(rest)
            if exponent > 1:
                power = product_of([stand_in(base)] * exponent)
                return sum_of([product_of([ConstantTerm(factor), power]), ConstantTerm(constant)])
            for element, letter in known:
                if same(element, rest):
                    return sum_of([product_of([ConstantTerm(factor), letter]), ConstantTerm(constant)])
            if not rest.is_self_adjoint:
                raise _Unsplit
            symbol = Symbol(f"({rest!r})", SelfAdjoint(self.law(rest)), every)
            known.append((rest, Letter(symbol, False, expression.family)))
            return stand_in(part)

        try:
            found = rebuilt(expression, lambda part: set(part.symbols) <= family, stand_in)
        except _Unsplit:
            return None
        return found if len(known) == 1 else None


class _Unsplit(Exception):
    """Raised where a family does not come as one self-adjoint element."""


def _meet(first: Expression, second: Expression) -> bool:
    """Whether two expressions share a leg."""
    return any(not a.commutes_with(b) for a in first.symbols for b in second.symbols)


def _with_value(expression: Expression, symbol: Symbol, value: float) -> Expression:
    return rebuilt(
        expression, lambda part: isinstance(part, Letter) and part.symbol is symbol, lambda part: ConstantTerm(value)
    )


def _table(words: Words, family: set[Symbol]) -> tuple[list[Word], list[Word], np.ndarray]:
    """Words within and outside a family, and the coefficient of each pair."""
    pairs: dict[tuple[Word, Word], complex] = {}
    for word, value in words.items():
        within = tuple(letter for letter in word if set(letter.symbols) <= family)
        outside = tuple(letter for letter in word if not set(letter.symbols) <= family)
        pairs[within, outside] = pairs.get((within, outside), 0j) + value
    rows, columns = (list(dict.fromkeys(pair[k] for pair in pairs)) for k in (0, 1))
    table = np.zeros((len(rows), len(columns)), dtype=complex)
    for (within, outside), value in pairs.items():
        table[rows.index(within), columns.index(outside)] = value
    return rows, columns, table


def _polynomial(words: list[Word], coefficients: np.ndarray) -> Expression:
    terms = [product_of([ConstantTerm(complex(c)), *word]) for word, c in zip(words, coefficients, strict=True) if c]
    return sum_of(terms)
