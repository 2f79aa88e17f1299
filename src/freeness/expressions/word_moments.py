"""Moments of polynomials in free and commuting variables, exactly: by the algebra of words, without any transform.

Each law acts on its orthonormal polynomials as a Jacobi matrix, each Haar unitary shifts its powers; free variables act on the
free product of these spaces, whose basis are words of such vectors, neighbours from different variables. With the vacuum Ω,
τ(p^{j+k}) = ⟨(p*)ʲΩ, pᵏΩ⟩, and pᵏΩ is a finite sum of words.

On legs of a tensor it is the product over a graph: letters without a common leg change places, and a word is what is left when
their order is forgotten. It is kept as a heap (Viennot): a letter lies one above the highest letter that does not commute
with it, so that equal words are equal tuples, and a variable acts on the letter that nothing of its legs lies upon.

Source: Voiculescu (1985), Avitzour (1982) for the free product; Nica, Speicher (2006), lecture 7; Młotkowski, Λ-free
probability (2004), for the product over a graph; Cartier, Foata (1969) and Viennot (1986) for words that commute in part.
"""

from __future__ import annotations

from collections import defaultdict
from functools import reduce, singledispatchmethod

import numpy as np

from freeness.errors import InputError
from freeness.expressions.elements import Circular, Element, Given, HaarUnitary, RDiagonal, SelfAdjoint
from freeness.expressions.expression import (
    ConstantTerm,
    Expression,
    Inverted,
    Joined,
    Letter,
    ProductTerm,
    SumTerm,
    Symbol,
)
from freeness.expressions.legs import Legs
from freeness.laws import AtomicLaw, Law, Semicircle

Word = tuple[tuple[int, int, int], ...]  # (height, algebra, level ≠ 0), from the top down: the first acts last
Vector = dict[Word, complex]
_NODES = 512  # of the contour around the support
_CONTOUR = 1.1  # its radius over that of the support
_NOTHING = 1e-15  # a Jacobi coefficient below this, relatively, ends the space


def moments_of(expression: Expression, order: int) -> np.ndarray:
    """τ(p), …, τ(p^order).

    The cost grows exponentially with order times degree.

    Example:
        >>> from freeness.expressions import free_variables
        >>> from freeness.laws import Semicircle
        >>> x, y = free_variables(Semicircle(), Semicircle())
        >>> moments_of(x * y + y * x, 4).round(12).tolist()
        [0.0, 2.0, 0.0, 10.0]
    """
    if order != int(order) or order < 1:
        raise InputError(f"expected an order 1, 2, 3, …, got {order}.")
    half = (int(order) + 1) // 2
    space = _FreeProduct(expression.symbols, half * expression.degree + 1)
    vacuum: Vector = {(): 1.0 + 0j}
    right, left = [vacuum], [vacuum]
    adjoint = expression.H
    for _ in range(half):
        right.append(space.applied(expression, right[-1]))
        left.append(space.applied(adjoint, left[-1]))
    values = np.array([_inner(left[k // 2], right[k - k // 2]) for k in range(1, int(order) + 1)])
    return np.real(values) if expression.is_self_adjoint else values


def _inner(first: Vector, second: Vector) -> complex:
    return sum((value.conjugate() * second[word] for word, value in first.items() if word in second), 0j)


class _FreeProduct:
    """The space of words, and how expressions act on it."""

    def __init__(self, symbols: tuple[Symbol, ...], depth: int) -> None:
        self._depth = depth
        self._algebras: list[
            tuple[np.ndarray, np.ndarray] | None
        ] = []  # Jacobi coefficients; None: powers of a unitary
        self._legs: list[Legs] = []
        self._linked: list[set[int]] = []  # the algebras that do not commute with it, itself included
        self._letters = {symbol: self._polynomial(symbol.element, symbol.legs) for symbol in symbols}
        self._linked = [{k for k, other in enumerate(self._legs) if own & other} for own in self._legs]

    def _polynomial(self, element: Element, legs: Legs) -> list[tuple[complex, list[int]]]:
        """An element as a combination of products of generators of algebras; the adjoint of a unitary k is ~k."""
        match element:
            case SelfAdjoint():
                return [(1.0, [self._self_adjoint(element.own, legs)])]
            case HaarUnitary():
                return [(1.0, [self._algebra(None, legs)])]
            case Circular():
                law = Semicircle(element.variance / 2)
                return [(1.0, [self._self_adjoint(law, legs)]), (1j, [self._self_adjoint(law, legs)])]
            case RDiagonal():
                return [(1.0, [self._algebra(None, legs), self._self_adjoint(element.modulus, legs)])]
            case Given():
                raise InputError("expected random variables, got a given matrix; take the moments of the law.")
            case _:
                raise TypeError(
                    f"expected a known element, got {type(element).__name__}; say here of which generators it is made."
                )

    def _self_adjoint(self, law: Law, legs: Legs) -> int:
        return self._algebra(jacobi_coefficients(law, self._depth), legs)

    def _algebra(self, jacobi: tuple[np.ndarray, np.ndarray] | None, legs: Legs) -> int:
        self._algebras.append(jacobi)
        self._legs.append(legs)
        return len(self._algebras) - 1

    @singledispatchmethod
    def applied(self, expression: Expression, vector: Vector) -> Vector:
        """expression · vector."""
        raise TypeError(f"expected an expression, got {type(expression).__name__}; register how it acts.")

    @applied.register
    def _(self, expression: ConstantTerm, vector: Vector) -> Vector:
        return {word: expression.value * value for word, value in vector.items()}

    @applied.register
    def _(self, expression: Letter, vector: Vector) -> Vector:
        total: Vector = defaultdict(complex)
        for number, generators in self._letters[expression.symbol]:
            chain = list(reversed(generators))
            if expression.adjoint:
                number = number.conjugate()
                chain = [~g if self._algebras[g] is None else g for g in generators]
            for word, value in reduce(lambda v, g: self._moved(g, v), chain, vector).items():
                total[word] += number * value
        return total

    @applied.register
    def _(self, expression: SumTerm, vector: Vector) -> Vector:
        total: Vector = defaultdict(complex)
        for term in expression.terms:
            for word, value in self.applied(term, vector).items():
                total[word] += value
        return total

    @applied.register
    def _(self, expression: ProductTerm, vector: Vector) -> Vector:
        return reduce(lambda v, term: self.applied(term, v), reversed(expression.terms), vector)

    @applied.register
    def _(self, expression: Joined, vector: Vector) -> Vector:
        return self.applied(expression.inner, vector)

    @applied.register
    def _(self, expression: Inverted, vector: Vector) -> Vector:
        raise InputError(
            f"expected a polynomial, got one with the inverse {expression!r}; take the moments of its law."
        )

    def _moved(self, generator: int, vector: Vector) -> Vector:
        """One generator of an algebra applied: its Jacobi matrix, or its shift, on its letter that lies open in each word."""
        algebra = generator if generator >= 0 else ~generator
        jacobi, linked = self._algebras[algebra], self._linked[algebra]
        total: Vector = defaultdict(complex)
        for word, value in vector.items():
            top = next((k for k, letter in enumerate(word) if letter[1] in linked), -1)
            height = word[top][0] if top >= 0 else 0
            if top >= 0 and word[top][1] == algebra:
                level, before, after = word[top][2], word[:top], word[top + 1 :]
            else:
                height, level = height + 1, 0
                place = _place(word, height, algebra)
                before, after = word[:place], word[place:]
            for new, factor in self._steps(jacobi, level, 1 if generator >= 0 else -1):
                if factor:
                    total[(*before, (height, algebra, new), *after) if new else before + after] += factor * value
        return total

    @staticmethod
    def _steps(jacobi: tuple[np.ndarray, np.ndarray] | None, level: int, sign: int) -> list[tuple[int, float]]:
        """The levels to which one leads, with their factors."""
        if jacobi is None:
            return [(level + sign, 1.0)]
        diagonal, off = jacobi
        steps = [(level, diagonal[level]), (level + 1, off[level])]
        return [*steps, (level - 1, off[level - 1])] if level else steps


def _place(word: Word, height: int, algebra: int) -> int:
    """Where a letter comes in a word: higher ones first, of one height in the order of algebras."""
    place = 0
    while place < len(word) and (word[place][0] > height or (word[place][0] == height and word[place][1] < algebra)):
        place += 1
    return place


def jacobi_coefficients(law: Law, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Diagonal and off-diagonal (depth,) of a law's Jacobi matrix, zeros where its orthogonal polynomials end.

    By the Lanczos recursion on the atoms, or on a contour: ∮ f(z)G(z) dz/2πi = ∫ f dμ, the bilinear form in the place of the
    scalar product.

    Source: Gautschi, Orthogonal Polynomials (2004), §2.2.

    Example:
        >>> diagonal, off = jacobi_coefficients(Semicircle(1.0), 3)
        >>> bool(np.abs(diagonal).max() < 1e-12), off.round(12).tolist()
        (True, [1.0, 1.0, 1.0])
    """
    if isinstance(law, AtomicLaw):
        nodes, weights = law.positions.astype(complex), law.masses.astype(complex)
    else:
        low, high = law.hull
        middle, radius = (low + high) / 2, _CONTOUR * (high - low) / 2
        circle = radius * np.exp(2j * np.pi * (np.arange(_NODES) + 0.5) / _NODES)
        nodes, weights = middle + circle, circle * law.cauchy(middle + circle) / _NODES
    diagonal, off = np.zeros(depth), np.zeros(depth)
    before, now = np.zeros_like(nodes), np.ones_like(nodes)
    scale = float(np.abs(nodes).max())
    for k in range(depth):
        image = nodes * now
        diagonal[k] = (weights * image * now).sum().real
        image = image - diagonal[k] * now - (off[k - 1] * before if k else 0.0)
        square = (weights * image**2).sum().real
        if square <= (_NOTHING * scale) ** 2:
            break
        off[k] = np.sqrt(square)
        before, now = now, image / off[k]
    return diagonal, off
