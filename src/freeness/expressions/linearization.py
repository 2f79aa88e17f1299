"""Linearisation: a hermitian pencil whose Schur complement is a given polynomial or rational expression.

The tree gives a realisation p = c Q⁻¹ b with an affine pencil Q; p = (p + p*)/2 makes it hermitian, p = β* M⁻¹ β; the
subspace that M's coefficients reach from β, without the radical of the form M there, is the smallest that does it. The first
and last letter of every word are taken out, p = ℓ + u* M⁻¹ u with affine ℓ and u, so that xy + yx needs 3×3.

Source: Schützenberger (1961), Fliess (1974) for realisations and their reduction; Haagerup, Thorbjørnsen (2005) and Anderson
(2013) for self-adjoint linearisations; Helton, McCullough, Vinnikov (2006) for the symmetric minimal ones; Helton, Mai,
Speicher (2018) for rational expressions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce, singledispatch

import numpy as np
from jaxtyping import Inexact

from freeness.errors import InputError
from freeness.expressions.elements import Given
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

Key = tuple[Symbol, bool]  # a variable, or its adjoint
_RANK = 1e-10  # relative singular values below it are rounding
_NONE = 1e-13  # a form that is smaller than this, relative to the pencil, is rounding
_POINTS = 12  # scalar points at which a rational expression is tried
_CONDITION = 1e8


@dataclass(frozen=True, eq=False)
class Realization:
    """p = left · Q⁻¹ · right with Q = constant - Σ slopes[x] ⊗ x."""

    left: np.ndarray
    constant: np.ndarray
    slopes: dict[Key, np.ndarray]
    right: np.ndarray


@dataclass(frozen=True, eq=False)
class Linearization:
    """The hermitian pencil L = constant + Σ coefficients[x] ⊗ x with p = ℓ + u*(-Q)⁻¹u, G_p(z) = [(diag(z,0,…,0) - L)⁻¹]₁₁.

    The coefficient of a variable that is not self-adjoint multiplies the variable, its adjoint the adjoint. p may be 2×2, then z
    comes twice: ``corners``.
    """

    constant: Inexact[np.ndarray, "n n"]
    coefficients: dict[Symbol, Inexact[np.ndarray, "n n"]]
    corners: int = 1

    @property
    def size(self) -> int:
        """Rows of the pencil."""
        return len(self.constant)

    def __repr__(self) -> str:
        ranks = ", ".join(f"{symbol.name}: rank {np.linalg.matrix_rank(c)}" for symbol, c in self.coefficients.items())
        return f"Linearization({self.size}×{self.size}; {ranks})"


def linearized(expression: Expression) -> Linearization:
    """The linearisation of a self-adjoint expression.

    Raises:
        InputError: it is not self-adjoint.

    Example:
        >>> from freeness.expressions import free_variables
        >>> from freeness.laws import Semicircle
        >>> x, y = free_variables(Semicircle(), Semicircle())
        >>> linearized(x * y + y * x)
        Linearization(3×3; x: rank 2, y: rank 2)
    """
    if not expression.is_self_adjoint:
        raise InputError(
            f"expected a self-adjoint expression, got {expression!r}; take p + p.H, or p.H*p for its singular values."
        )
    plain = realized(expression)
    return _reduced(*_doubled(plain), np.concatenate([plain.right, plain.left.conj()])[:, None] / np.sqrt(2))


def matrix_linearized(expression: Expression) -> Linearization:
    """The linearisation of a self-adjoint expression whose given matrices (n, n) commute with everything else: n corners.

    The given matrices become part of the coefficients, so that the pencil of Σ x_i ⊗ B_i is that sum itself.

    Args:
        expression: with given matrices of one size on a leg of their own.

    Example:
        >>> from freeness.expressions import Given, free_variables
        >>> from freeness.laws import Semicircle
        >>> x, y, b = free_variables(Semicircle(), Semicircle(), Given([[0.0, 1.0], [1.0, 0.0]]), legs=[0, 0, 1])
        >>> pencil = matrix_linearized(x + y * b)
        >>> pencil.size, pencil.corners
        (2, 2)
    """
    plain = realized(expression)
    known = {symbol: _square(symbol.element) for symbol in expression.symbols if isinstance(symbol.element, Given)}
    one = np.eye(len(next(iter(known.values()))))
    constant = np.kron(plain.constant, one)
    slopes: dict[Key, np.ndarray] = {}
    for (symbol, adjoint), slope in plain.slopes.items():
        if symbol in known:
            constant = constant - np.kron(slope, known[symbol].conj().T if adjoint else known[symbol])
        else:
            slopes[symbol, adjoint] = np.kron(slope, one)
    ends = np.concatenate([plain.right, plain.left.conj()])[:, None]
    vectors: np.ndarray = np.kron(ends, one) / np.sqrt(2)
    return _reduced(*_doubled(Realization(plain.left, constant, slopes, plain.right)), vectors)


def _square(element: Given) -> np.ndarray:
    return np.diag(element.matrix) if element.matrix.ndim == 1 else element.matrix


def hermitized(expression: Expression) -> Linearization:
    """The linearisation of [[0, A], [A*, 0]] with two corners, for any expression A.

    Example:
        >>> from freeness.expressions import Circular, free_variables
        >>> (c,) = free_variables(Circular())
        >>> hermitized(c).constant.shape
        (2, 2)
    """
    plain = realized(expression)
    zero = np.zeros_like(plain.left)
    vectors = np.stack([np.concatenate([zero, plain.left.conj()]), np.concatenate([plain.right, zero])], axis=1)
    return _reduced(*_doubled(plain), vectors)


def _doubled(plain: Realization) -> tuple[np.ndarray, dict[Key, np.ndarray]]:
    """[[0, Q], [Q*, 0]] as constant and slopes."""
    size = len(plain.constant)
    blocks = {key: _hermitian(plain.slopes.get(key), _adjoint(plain, key), size) for key in _keys(plain)}
    return _hermitian(plain.constant, plain.constant.conj().T, size), blocks


def _adjoint(plain: Realization, key: Key) -> np.ndarray | None:
    other = plain.slopes.get(_star(key))
    return None if other is None else other.conj().T


def _star(key: Key) -> Key:
    symbol, adjoint = key
    return symbol, False if symbol.element.self_adjoint else not adjoint


def _keys(plain: Realization) -> list[Key]:
    return list(dict.fromkeys([*plain.slopes, *map(_star, plain.slopes)]))


def _hermitian(upper: np.ndarray | None, lower: np.ndarray | None, size: int) -> np.ndarray:
    """[[0, upper], [lower, 0]]."""
    block = np.zeros((2 * size, 2 * size), dtype=complex)
    if upper is not None:
        block[:size, size:] = upper
    if lower is not None:
        block[size:, :size] = lower
    return block


def _reduced(constant: np.ndarray, slopes: dict[Key, np.ndarray], vectors: np.ndarray) -> Linearization:
    """The pencil of β*(constant - Σ slopes ⊗ x)⁻¹β with the first and last letter taken out, on the space that is reached.

    β has one column a corner.
    """
    point = _regular_point(constant, slopes)
    middle = constant - sum((point[key] * slope for key, slope in slopes.items()), np.zeros_like(constant))
    inverse = np.linalg.inv(middle)
    ends = [column for slope in slopes.values() for column in (inverse @ slope @ inverse @ vectors).T]
    space = _reached(np.array(ends).reshape(-1, len(constant)).T, [inverse @ slope for slope in slopes.values()])
    form = space.conj().T @ middle @ space
    weights, basis = np.linalg.eigh((form + form.conj().T) / 2)
    kept = np.abs(weights) > np.maximum(_RANK * np.abs(weights).max(initial=0.0), _NONE * np.abs(middle).max())
    basis = space @ (basis[:, kept] / np.sqrt(np.abs(weights[kept])))
    size, corners = basis.shape[1], vectors.shape[1]
    none = np.zeros((size, corners))
    start = vectors.conj().T @ inverse
    total = np.block([[start @ vectors, none.T], [none, -basis.conj().T @ middle @ basis]])
    back, frame = np.concatenate([start, basis.conj().T]), np.concatenate([inverse @ vectors, basis], axis=1)
    found: dict[Symbol, np.ndarray] = {}
    for key, slope in slopes.items():
        coefficient = back @ slope @ frame
        total = total - point[key] * coefficient
        if not key[1]:
            found[key[0]] = _cleaned(coefficient)
    return Linearization(_cleaned((total + total.conj().T) / 2), found, corners)


def _cleaned(matrix: np.ndarray) -> np.ndarray:
    """Without rounding errors in the place of zeros."""
    small = 1e-13 * np.abs(matrix).max(initial=0.0)
    real, imaginary = (np.where(np.abs(part) <= small, 0.0, part) for part in (np.real(matrix), np.imag(matrix)))
    return real + 1j * imaginary


def _reached(fresh: np.ndarray, maps: list[np.ndarray]) -> np.ndarray:
    """An orthonormal basis of the smallest space that holds the columns of ``fresh`` and is kept by the maps."""
    basis = np.zeros((len(fresh), 0), dtype=complex)
    while fresh.shape[1]:
        size = np.linalg.norm(fresh, axis=0)
        fresh = fresh[:, size > 0] / size[size > 0]
        for _ in range(2):
            fresh = fresh - basis @ (basis.conj().T @ fresh)
        left, singular, _ = np.linalg.svd(fresh, full_matrices=False)
        fresh = left[:, singular > _RANK]
        basis = np.concatenate([basis, fresh], axis=1)
        fresh = np.concatenate([m @ fresh for m in maps], axis=1)
    return basis


def _regular_point(constant: np.ndarray, slopes: dict[Key, np.ndarray]) -> dict[Key, complex]:
    """Scalars for the variables at which the pencil is invertible: zeros for polynomials."""
    rng = np.random.default_rng(0)
    tried: list[tuple[float, dict[Key, complex]]] = []
    for trial in range(_POINTS):
        point: dict[Key, complex] = {}
        for symbol, adjoint in slopes:
            if (symbol, not adjoint) in point:
                point[symbol, adjoint] = np.conj(point[symbol, not adjoint])
            else:
                own = 0.0 if symbol.element.self_adjoint else 1j * rng.standard_normal()
                point[symbol, adjoint] = 0.0 if trial == 0 else rng.standard_normal() + own
        there = constant - sum((point[key] * slope for key, slope in slopes.items()), np.zeros_like(constant))
        tried.append((float(np.linalg.cond(there)), point))
        if trial == 0 and tried[0][0] < _CONDITION:
            return point
    condition, point = min(tried, key=lambda pair: pair[0])
    if condition > _CONDITION:
        raise InputError(
            "expected an expression that is defined for numbers, got one with an inverse that is defined for none, such as "
            "1/(xy - yx); bind what is inverted to a variable."
        )
    return point


@singledispatch
def realized(expression: Expression) -> Realization:
    """p = c Q⁻¹ b from the tree: one row for a number, two for a variable; products and inverses glue the pencils."""
    raise TypeError(f"expected an expression, got {type(expression).__name__}; register its realisation.")


@realized.register
def _(expression: ConstantTerm) -> Realization:
    one = np.ones(1, dtype=complex)
    return Realization(expression.value * one, np.eye(1, dtype=complex), {}, one)


@realized.register
def _(expression: Letter) -> Realization:
    slope = np.zeros((2, 2), dtype=complex)
    slope[0, 1] = 1.0
    key = (expression.symbol, expression.adjoint)
    return Realization(np.array([1.0, 0], complex), np.eye(2, dtype=complex), {key: slope}, np.array([0, 1.0], complex))


@realized.register
def _(expression: SumTerm) -> Realization:
    parts = [realized(term) for term in expression.terms]
    return Realization(
        np.concatenate([part.left for part in parts]), *_diagonal(parts), np.concatenate([part.right for part in parts])
    )


@realized.register
def _(expression: ProductTerm) -> Realization:
    return reduce(_times, (realized(term) for term in expression.terms))


def _times(first: Realization, second: Realization) -> Realization:
    constant, slopes = _diagonal([first, second])
    size = len(first.constant)
    constant[:size, size:] = -np.outer(first.right, second.left)
    left = np.concatenate([first.left, np.zeros(len(second.constant))])
    right = np.concatenate([np.zeros(size), second.right])
    return Realization(left, constant, slopes, right)


@realized.register
def _(expression: Inverted) -> Realization:
    base = realized(expression.base)
    size = len(base.constant)
    constant = np.zeros((size + 1, size + 1), dtype=complex)
    constant[:size, :size], constant[:size, size], constant[size, :size] = base.constant, base.right, base.left
    slopes = {key: np.pad(slope, (0, 1)) for key, slope in base.slopes.items()}
    last = np.eye(size + 1, dtype=complex)[size]
    return Realization(last, constant, slopes, -last)


@realized.register
def _(expression: Joined) -> Realization:
    return realized(expression.inner)


def _diagonal(parts: list[Realization]) -> tuple[np.ndarray, dict[Key, np.ndarray]]:
    """The pencils of the parts along the diagonal of one."""
    sizes = [len(part.constant) for part in parts]
    total = sum(sizes)
    starts = np.cumsum([0, *sizes])
    constant = np.zeros((total, total), dtype=complex)
    slopes: dict[Key, np.ndarray] = {}
    for part, start, size in zip(parts, starts, sizes, strict=False):
        here = slice(int(start), int(start) + size)
        constant[here, here] = part.constant
        for key, slope in part.slopes.items():
            slopes.setdefault(key, np.zeros((total, total), dtype=complex))[here, here] += slope
    return constant, slopes
