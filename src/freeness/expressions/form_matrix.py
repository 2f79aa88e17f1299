"""Random matrices in the place of the free variables of an expression: what finite matrices of it look like."""

from __future__ import annotations

from functools import singledispatchmethod

import numpy as np
from jaxtyping import Float

from freeness.expressions.expression import Expression
from freeness.expressions.free_parts import FreeForm, Part, PartProduct, Power, Variable, is_nonnegative
from freeness.laws import haar_orthogonal, sample_spectrum
from freeness.numerics import ROUNDING


def sample_expression(
    meaning: FreeForm | Expression, size: int, rng: np.random.Generator
) -> Float[np.ndarray, " size"]:
    """Eigenvalues, ascending, of an expression in size×size matrices.

    Every variable becomes a real symmetric matrix with its spectrum at the quantiles (k - ½)/size of its law and Haar
    eigenvectors, the same wherever its name comes. Products of non-negative factors are squared singular values.

    Args:
        meaning: of a :class:`~freeness.expressions.grammar.ParsedLaw`.
        size: rows and columns, ≥ 1.
        rng: numpy's, from which all numbers are drawn: the same seed, the same result.

    Example:
        >>> from freeness.expressions.grammar import parse_law
        >>> meaning = parse_law("projection:0.5 + 1").meaning
        >>> sample_expression(meaning, 4, np.random.default_rng(0)).tolist()
        [1.0, 1.0, 2.0, 2.0]
    """
    if isinstance(meaning, Expression):
        matrix = meaning.sample(size, rng)
        return np.linalg.eigvalsh((matrix + matrix.conj().T) / 2)
    return _Sample(size, rng).eigenvalues(meaning)


class _Sample:
    """One matrix for each variable, as (eigenvalues, eigenvectors)."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size, self._rng = size, rng
        self._drawn: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def eigenvalues(self, form: FreeForm) -> np.ndarray:
        """Of the form's matrix; a single variable or product needs no matrix."""
        if not form.parts:
            return np.full(self._size, form.constant)
        coefficient, part = form.parts[0]
        if len(form.parts) > 1:
            return np.linalg.eigvalsh(self._matrix(form))
        values = self._product(part) if isinstance(part, PartProduct) else self._decomposed(part)[0]
        return np.sort(coefficient * values + form.constant)

    def _matrix(self, form: FreeForm) -> np.ndarray:
        total = form.constant * np.eye(self._size)
        for coefficient, part in form.parts:
            values, basis = self._decomposed(part)
            total += coefficient * (basis * values) @ basis.T
        return (total + total.T) / 2

    def _of_form(self, form: FreeForm) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and eigenvectors; those of a single part keep their exact zeros."""
        if len(form.parts) != 1:
            values, basis = np.linalg.eigh(self._matrix(form))
            return values, basis
        coefficient, part = form.parts[0]
        values, basis = self._decomposed(part)
        return coefficient * values + form.constant, basis

    @singledispatchmethod
    def _decomposed(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        raise TypeError(f"expected a part of a linear form, got {type(part).__name__}; register how it is drawn.")

    @_decomposed.register
    def _(self, part: Variable) -> tuple[np.ndarray, np.ndarray]:
        if part.name not in self._drawn:
            values = sample_spectrum(part.law, self._size, self._rng)
            self._drawn[part.name] = values, haar_orthogonal(self._size, self._rng)
        return self._drawn[part.name]

    @_decomposed.register
    def _(self, part: Power) -> tuple[np.ndarray, np.ndarray]:
        values, basis = self._of_form(part.base)
        return values**part.exponent, basis

    def _product(self, part: PartProduct) -> np.ndarray:
        """The spectrum of F*SF, or of F*F without a symmetric factor S, F a product of roots."""
        middle = None
        chain = np.eye(self._size)
        for factor in part.factors:
            if is_nonnegative(factor.law()):
                values, basis = self._of_form(factor)
                clean = np.where(np.abs(values) <= ROUNDING * np.abs(values).max(), 0.0, values)
                chain = chain.T @ (basis * np.sqrt(np.maximum(clean, 0.0))) @ basis.T
            else:
                middle = self._matrix(factor)
        if middle is None:
            return np.linalg.svd(chain, compute_uv=False) ** 2
        return np.linalg.eigvalsh(chain.T @ middle @ chain)
