"""An expression written out as words, with what the variables themselves satisfy taken into account.

A variable with k atoms is a root of a polynomial of degree k, a Haar unitary satisfies u*u = uu* = 1: without such relations in
it a linearisation is smaller, and the equation for it is not singular.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections import defaultdict
from functools import singledispatch
from itertools import product

import numpy as np

from freeness.expressions.elements import Given, HaarUnitary
from freeness.expressions.expression import ConstantTerm, Expression, Inverted, Joined, Letter, ProductTerm, SumTerm
from freeness.laws import AtomicLaw

Words = dict[tuple[Expression, ...], complex]
_LONGEST = 400  # words beyond which an expression is left as it is written
_ATOMS = 8  # of a variable whose powers are reduced, at most
_SIGNS = 6  # symmetric variables whose signs are tried
_CANCELLED = 1e-14  # a coefficient that is smaller than this, relative to what it was summed from, is 0


def canonical(expression: Expression) -> Expression:
    """The same expression as a sum of words, or as it is if that is too long.

    Example:
        >>> from freeness.expressions import HaarUnitary, free_variables
        >>> from freeness.laws import Projection
        >>> p, u = free_variables(Projection(0.5), HaarUnitary(), names="p u")
        >>> canonical((p + 1) * p + u * p * u.H * u * u.H)
        2·p + u·p·u*
    """
    words = words_of(expression)
    if words is None:
        return expression
    terms: list[Expression] = [
        ProductTerm((ConstantTerm(_real(value)), *word)) if value != 1 or not word else ProductTerm(word)
        for word, value in words.items()
    ]
    terms = [term.terms[0] if isinstance(term, ProductTerm) and len(term.terms) == 1 else term for term in terms]
    return ConstantTerm(0.0) if not terms else terms[0] if len(terms) == 1 else SumTerm(tuple(terms))


def same(first: Expression, second: Expression) -> bool:
    """Whether two expressions are written alike or are sums of the same words.

    Example:
        >>> from freeness.expressions import free_variables
        >>> from freeness.laws import Semicircle
        >>> x, y = free_variables(Semicircle(), Semicircle())
        >>> same(x * y + y * x, y * x + x * y)
        True
    """
    if first == second:
        return True
    words = words_of(first)
    return words is not None and words == words_of(second)


def is_odd(expression: Expression) -> bool:
    """Whether its law is seen to be symmetric: other signs of symmetric variables make it its negative, or that conjugated.

    Moments of free variables are real, self-adjoint or R-diagonal, so that conjugated coefficients change no law: i(xy - yx) is
    symmetric. R-diagonal ones are symmetric themselves.

    Example:
        >>> from freeness.expressions import Circular, free_variables
        >>> from freeness.laws import MarchenkoPastur, Semicircle
        >>> x, y, c = free_variables(MarchenkoPastur(1.0), Semicircle(), Circular())
        >>> is_odd(c * x + x * c.H), is_odd(c * x * c.H)
        (True, False)
        >>> is_odd(x * y * x), is_odd(1j * (x * x * y * y - y * y * x * x)), is_odd(x * y * y * x)
        (True, True, False)
    """
    words = words_of(expression)
    if words is None or not all(_is_own(letter) for word in words for letter in word):
        return False
    free = [symbol for symbol in expression.symbols if symbol.element.law.symmetric][:_SIGNS]
    for flipped in product((False, True), repeat=len(free)):
        chosen = {symbol for symbol, flip in zip(free, flipped, strict=True) if flip}
        odd = {word: sum(letter.symbols[0] in chosen for letter in word) % 2 == 1 for word in words}
        if all(odd.values()) or all(not (value.imag if odd[word] else value.real) for word, value in words.items()):
            return True
    return False


def _is_own(letter: Expression) -> bool:
    """Whether it is a random variable."""
    return isinstance(letter, Letter) and not isinstance(letter.symbol.element, Given)


def _real(value: complex) -> complex:
    return value if value.imag else value.real


@singledispatch
def words_of(expression: Expression) -> Words | None:
    """The coefficient of every word, or None where there are too many."""
    raise TypeError(f"expected an expression, got {type(expression).__name__}; register its words.")


@words_of.register
def _(expression: ConstantTerm) -> Words | None:
    return {(): complex(expression.value)} if expression.value else {}


@words_of.register
def _(expression: Letter) -> Words | None:
    return {(expression,): 1.0 + 0j}


@words_of.register
def _(expression: Inverted) -> Words | None:
    return {(Inverted(canonical(expression.base)),): 1.0 + 0j}


@words_of.register
def _(expression: Joined) -> Words | None:
    return words_of(expression.inner)


@words_of.register
def _(expression: SumTerm) -> Words | None:
    total: Words = defaultdict(complex)
    sizes: dict[tuple[Expression, ...], float] = defaultdict(float)
    for term in expression.terms:
        words = words_of(term)
        if words is None:
            return None
        for word, value in words.items():
            total[word] += value
            sizes[word] += abs(value)
    return {word: value for word, value in total.items() if abs(value) > _CANCELLED * sizes[word]}


@words_of.register
def _(expression: ProductTerm) -> Words | None:
    total: Words = {(): 1.0 + 0j}
    for term in expression.terms:
        words = words_of(term)
        if words is None or len(words) * len(total) > _LONGEST:
            return None
        product: Words = defaultdict(complex)
        for first, a in total.items():
            for second, b in words.items():
                for word, value in _reduced((*first, *second)).items():
                    product[word] += a * b * value
        total = {word: value for word, value in product.items() if value}
    return total


def _reduced(word: tuple[Expression, ...]) -> Words:
    """A word whose parts are reduced already, by the relations of the letters in its middle."""
    for k in range(len(word)):
        run = _run(word, k)
        relation = _relation(word[k], run, word[k + 1] if k + 1 < len(word) else None)
        if relation is None:
            continue
        length, replacement = relation
        total: Words = defaultdict(complex)
        for middle, value in replacement.items():
            for rest, factor in _reduced((*word[:k], *middle, *word[k + length :])).items():
                total[rest] += value * factor
        return total
    return {word: 1.0 + 0j}


def _run(word: tuple[Expression, ...], start: int) -> int:
    """How often the letter at ``start`` comes in a row."""
    end = start
    while end < len(word) and word[end] == word[start]:
        end += 1
    return end - start


def _relation(letter: Expression, run: int, following: Expression | None) -> tuple[int, Words] | None:
    """How many letters are replaced by what, if a relation applies."""
    if not isinstance(letter, Letter):
        return None
    element = letter.symbol.element
    if isinstance(element, HaarUnitary) and following == letter.H:
        return 2, {(): 1.0 + 0j}
    law = element.law
    if element.self_adjoint and isinstance(law, AtomicLaw) and law.positions.size <= min(run, _ATOMS):
        remainder = np.polynomial.polynomial.polydiv(
            np.eye(run + 1)[run], np.polynomial.polynomial.polyfromroots(law.positions)
        )[1]
        return run, {(letter,) * power: complex(value) for power, value in enumerate(remainder) if value}
    return None
