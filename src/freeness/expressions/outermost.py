"""What an expression is on its outside: a number times something plus a number, or a power."""

from __future__ import annotations

import numpy as np

from freeness.expressions.expression import ConstantTerm, Expression, Joined, ProductTerm, SumTerm
from freeness.expressions.free_form import pulled_number


def affine(expression: Expression) -> tuple[float, Expression, float]:
    """factor, rest and constant with expression = factor·rest + constant.

    Example:
        >>> from freeness.expressions import free_variables
        >>> from freeness.laws import Semicircle
        >>> (x,) = free_variables(Semicircle())
        >>> affine(3 * x + 1)
        (1.0, 3·x, 1.0)
        >>> affine(1 * (3 * x + 1))
        (1.0, 3·x, 1.0)
    """
    if isinstance(expression, Joined):
        return affine(expression.inner)
    if isinstance(expression, SumTerm):
        numbers = [term.value for term in expression.terms if isinstance(term, ConstantTerm)]
        rest = tuple(term for term in expression.terms if not isinstance(term, ConstantTerm))
        if rest and numbers:
            return 1.0, rest[0] if len(rest) == 1 else SumTerm(rest), float(np.real(sum(numbers)))
    if isinstance(expression, ProductTerm):
        number, factors = pulled_number(expression)
        if number == 1 and len(factors) == 1:
            return affine(factors[0])
        if factors and number != 1 and number.imag == 0 != number.real:
            return number.real, factors[0] if len(factors) == 1 else ProductTerm(tuple(factors)), 0.0
    return 1.0, expression, 0.0


def power_of(expression: Expression) -> tuple[Expression, int]:
    """A self-adjoint base and an exponent, 1 where it is no power.

    Example:
        >>> from freeness.expressions import free_variables
        >>> from freeness.laws import Semicircle
        >>> x, y = free_variables(Semicircle(), Semicircle())
        >>> power_of((x + y) ** 3)
        (x + y, 3)
    """
    factors = pulled_number(expression)[1] if isinstance(expression, ProductTerm) else [expression]
    for length in range(1, len(factors) // 2 + 1):
        repeated = len(factors) % length == 0 and factors == factors[:length] * (len(factors) // length)
        base = factors[0] if length == 1 else ProductTerm(tuple(factors[:length]))
        if repeated and base.is_self_adjoint:
            return base, len(factors) // length
    return expression, 1
