"""Quadratic expressions in semicircular variables, which a rotation of the variables splits into free parts."""

from __future__ import annotations

from functools import reduce

import numpy as np

from freeness.expressions.elements import SelfAdjoint
from freeness.expressions.expression import Expression, Letter
from freeness.expressions.free_parts import FreeForm, constant, plus, polynomial
from freeness.expressions.words import Words, words_of
from freeness.laws import Semicircle

ROTATED_REASON = (
    "Computed by scalar moves: a rotation of its semicircular variables splits the expression into free parts."
)
_NONE = 1e-14  # a coefficient that is smaller than this, relative to the largest, is rounding


def rotated_form(expression: Expression) -> FreeForm | None:
    """Σ A_ij x_i x_j + Σ b_i x_i + c, A real and symmetric, x free semicirculars, as Σ λ_k a_k² + Σ β_k a_k + c; else None.

    An orthogonal rotation of free semicirculars of variance 1 is again such a family, so a = Vᵀx with A = V diag(λ) Vᵀ. None
    as well where one a_k comes with its square: λa² + βa is known by its transforms only, and the linearisation is as fast.

    Example:
        >>> from freeness.expressions import free_variables
        >>> x, y = free_variables(Semicircle(), Semicircle())
        >>> form = rotated_form(x * y + y * x)  # a² - b²
        >>> [round(coefficient, 12) for coefficient, _ in form.parts]
        [-1.0, 1.0]

    Source: Voiculescu, Dykema, Nica, Free Random Variables (1992), for the rotation.
    """
    words = words_of(expression)
    if words is None or max(map(len, words), default=0) != 2 or all(len(set(word)) < 2 for word in words):
        return None
    letters = list(dict.fromkeys(letter for word in words for letter in word))
    deviations = [_deviation(letter) for letter in letters]
    if not all(deviations) or any(complex(value).imag for value in words.values()):
        return None
    scale = np.array(deviations, dtype=float)
    quadratic, linear = _coefficients(words, letters)
    if not np.array_equal(quadratic, quadratic.T):
        return None
    values, basis = np.linalg.eigh(quadratic * np.outer(scale, scale))
    rates = basis.T @ (scale * linear)
    size = max(np.abs(values).max(), np.abs(rates).max())
    values, rates = (np.where(np.abs(v) > _NONE * size, v, 0.0) for v in (values, rates))
    if (values * rates).any():
        return None
    parts = [constant(float(np.real(words.get((), 0.0))))]
    for k, (rate, value) in enumerate(zip(rates.tolist(), values.tolist(), strict=True)):
        if rate or value:
            parts.append(polynomial(f"rotated {k}", Semicircle(1.0), (0.0, 0.0, value) if value else (0.0, rate)))
    return reduce(plus, parts)


def _deviation(letter: Expression) -> float | None:
    """The standard deviation of a semicircular variable, None of anything else."""
    element = letter.symbol.element if isinstance(letter, Letter) else None
    law = element.law if isinstance(element, SelfAdjoint) else None
    return law.standard_deviation if isinstance(law, Semicircle) else None


def _coefficients(words: Words, letters: list[Expression]) -> tuple[np.ndarray, np.ndarray]:
    """A (k, k) and b (k,)."""
    quadratic, linear = np.zeros((len(letters),) * 2), np.zeros(len(letters))
    for word, value in words.items():
        places = [letters.index(letter) for letter in word]
        if len(places) == 2:
            quadratic[places[0], places[1]] = np.real(value)
        elif places:
            linear[places[0]] = np.real(value)
    return quadratic, linear
