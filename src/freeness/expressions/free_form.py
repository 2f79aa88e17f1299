"""An expression as a linear form in free parts, where it is one: the way to its law by scalar moves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce, singledispatch
from itertools import groupby

import numpy as np

from freeness.errors import InputError
from freeness.expressions.elements import Given
from freeness.expressions.expression import ConstantTerm, Expression, Inverted, Joined, Letter, ProductTerm, SumTerm
from freeness.expressions.free_parts import FreeForm, constant, plus, polynomial, power, sandwich, variable
from freeness.expressions.words import words_of


def scalar_form(expression: Expression) -> FreeForm:
    """The linear form in free parts that an expression is: a sum of polynomials of one variable each, or as it is written.

    Raises:
        InputError: it is none; only the operator method can do it.

    Example:
        >>> from freeness.expressions import free_variables
        >>> from freeness.laws import MarchenkoPastur, Semicircle
        >>> x, y = free_variables(Semicircle(), MarchenkoPastur(1.0))
        >>> round(scalar_form((x + 1) * x * x + y).whole_law().mean, 12)
        2.0
    """
    separate = _separate(expression)
    return _form_of(expression) if separate is None else separate


def _separate(expression: Expression) -> FreeForm | None:
    """The sum of polynomials of one self-adjoint variable each, if it is one."""
    words = words_of(expression)
    if words is None or any(complex(value).imag for value in words.values()):
        return None
    total = constant(float(np.real(words.pop((), 0.0))))
    powers: dict[Letter, dict[int, float]] = {}
    for word, value in words.items():
        letter = word[0]
        if not isinstance(letter, Letter) or any(other != letter for other in word) or not _scalar(letter):
            return None
        powers.setdefault(letter, {})[len(word)] = float(np.real(value))
    for letter, coefficients in powers.items():
        values = [coefficients.get(power, 0.0) for power in range(max(coefficients) + 1)]
        total = plus(total, polynomial(_name(letter), letter.symbol.element.law, values))
    return total


def _scalar(letter: Letter) -> bool:
    """Whether a variable is free from all others and self-adjoint."""
    return letter.symbol.element.self_adjoint and not isinstance(letter.symbol.element, Given)


def _name(letter: Letter) -> str:
    return f"{letter.symbol.name} {id(letter.symbol)}"


@singledispatch
def _form_of(expression: Expression) -> FreeForm:
    """The form that the expression is as it is written."""
    raise TypeError(f"expected an expression, got {type(expression).__name__}; register its form.")


@_form_of.register
def _(expression: ConstantTerm) -> FreeForm:
    if complex(expression.value).imag:
        raise InputError(f"expected real numbers for scalar moves, got {expression!r}; use the operator method.")
    return constant(complex(expression.value).real)


@_form_of.register
def _(expression: Letter) -> FreeForm:
    if not _scalar(expression):
        raise InputError(
            f"expected self-adjoint random variables for scalar moves, got {expression!r}; use the operator method."
        )
    return variable(_name(expression), expression.symbol.element.law)


@_form_of.register
def _(expression: SumTerm) -> FreeForm:
    return reduce(plus, map(_form_of, expression.terms))


@_form_of.register
def _(expression: ProductTerm) -> FreeForm:
    number, factors = pulled_number(expression)
    scalar = _form_of(ConstantTerm(number))
    runs = [(base, len(list(run))) for base, run in groupby(factors)]
    return _palindrome(runs).scaled(scalar.constant)


@_form_of.register
def _(expression: Inverted) -> FreeForm:
    return power(_form_of(expression.base), constant(-1.0))


@_form_of.register
def _(expression: Joined) -> FreeForm:
    return _form_of(expression.inner)


def pulled_number(product: ProductTerm) -> tuple[complex, list[Expression]]:
    """A number and the factors, none of them a product or a number, of which a product is made."""
    number = 1.0 + 0j
    factors: list[Expression] = []
    for factor in _flat(product):
        if isinstance(factor, ConstantTerm):
            number = number * complex(factor.value)
        else:
            factors.append(factor)
    return number, factors


def _flat(expression: Expression) -> list[Expression]:
    """The factors of a product, products inside it taken apart."""
    if isinstance(expression, Joined):
        return _flat(expression.inner)
    return (
        [f for term in expression.terms for f in _flat(term)] if isinstance(expression, ProductTerm) else [expression]
    )


def _palindrome(runs: Sequence[tuple[Expression, int]]) -> FreeForm:
    """Aᵏ M Aᵏ from the outside in, each a power of a form that is free from what is inside."""
    if not runs:
        return constant(1.0)
    base, exponent = runs[0]
    if len(runs) == 1:
        return power(_form_of(base), constant(float(exponent)))
    if runs[-1] != runs[0]:
        raise InputError(
            "expected sums and palindromes of free parts for scalar moves, got another product; use the operator method."
        )
    return sandwich(power(_form_of(base), constant(float(exponent))), _palindrome(runs[1:-1]))
