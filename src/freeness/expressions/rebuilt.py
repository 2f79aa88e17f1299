"""Expressions taken apart and put together again, with other things in the place of some of their parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from itertools import groupby

from freeness.expressions.expression import ConstantTerm, Expression, Inverted, Joined, ProductTerm, SumTerm
from freeness.expressions.free_form import pulled_number

Chosen = Callable[[Expression], bool]
Change = Callable[[Expression], Expression]


def rebuilt(expression: Expression, chosen: Chosen, change: Change) -> Expression:
    """The expression with ``change(part)`` in the place of its largest parts that are chosen.

    Terms of a sum, and neighbours in a product, are one part where they are chosen together; equal factors stay a power.

    Example:
        >>> from freeness.expressions import free_variables
        >>> from freeness.laws import Semicircle
        >>> x, y = free_variables(Semicircle(), Semicircle())
        >>> rebuilt(x * y + 2 * y, lambda part: part == y, lambda part: ConstantTerm(3.0))
        3·x + 6
    """
    if not expression.symbols:
        return expression
    return change(expression) if chosen(expression) else _inner(expression, chosen, change)


@singledispatch
def _inner(expression: Expression, chosen: Chosen, change: Change) -> Expression:
    """The expression with its parts rebuilt; a letter has none."""
    return expression


@_inner.register
def _(expression: SumTerm, chosen: Chosen, change: Change) -> Expression:
    terms = flat_terms(expression)
    alike = [term for term in terms if term.symbols and chosen(term)]
    if len(alike) > 1 and chosen(sum_of(alike)):
        terms = [*(term for term in terms if term not in alike), sum_of(alike)]
    return sum_of([rebuilt(term, chosen, change) for term in terms])


@_inner.register
def _(expression: ProductTerm, chosen: Chosen, change: Change) -> Expression:
    number, factors = pulled_number(expression)
    parts: list[Expression] = [ConstantTerm(number)]
    for _, group in groupby(factors, lambda factor: bool(factor.symbols) and chosen(factor)):
        run = list(group)
        different = any(factor != run[0] for factor in run)
        whole = [product_of(run)] if different and chosen(product_of(run)) else run
        parts += [rebuilt(part, chosen, change) for part in whole]
    return product_of(parts)


@_inner.register
def _(expression: Inverted, chosen: Chosen, change: Change) -> Expression:
    return rebuilt(expression.base, chosen, change).inverse()


@_inner.register
def _(expression: Joined, chosen: Chosen, change: Change) -> Expression:
    return rebuilt(expression.inner, chosen, change)


def flat_terms(expression: Expression) -> list[Expression]:
    """The terms of a sum, sums inside it and multiples of them taken apart."""
    if isinstance(expression, Joined):
        return flat_terms(expression.inner)
    if isinstance(expression, SumTerm):
        return [part for term in expression.terms for part in flat_terms(term)]
    if isinstance(expression, ProductTerm):
        number, factors = pulled_number(expression)
        if len(factors) == 1 and isinstance(factors[0], SumTerm):
            return [product_of([ConstantTerm(number), part]) for part in flat_terms(factors[0])]
    return [expression]


def product_of(factors: Sequence[Expression]) -> Expression:
    """The product, with its numbers as one and without a number 1."""
    number, rest = pulled_number(ProductTerm(tuple(factors)))
    constant = ConstantTerm(number if number.imag else number.real)
    if number == 0 or not rest:
        return constant
    kept = rest if number == 1 else [constant, *rest]
    return kept[0] if len(kept) == 1 else ProductTerm(tuple(kept))


def sum_of(terms: Sequence[Expression]) -> Expression:
    """The sum, with its numbers as one and without a number 0."""
    number = sum((complex(term.value) for term in terms if isinstance(term, ConstantTerm)), 0j)
    rest = [term for term in terms if not isinstance(term, ConstantTerm)]
    constant = ConstantTerm(number if number.imag else number.real)
    kept = [*rest, constant] if number or not rest else rest
    return kept[0] if len(kept) == 1 else SumTerm(tuple(kept))
