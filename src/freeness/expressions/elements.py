"""What a free variable can be: self-adjoint with a given law, Haar unitary, circular, R-diagonal, or a given matrix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Inexact, Num

from freeness.errors import InputError
from freeness.laws import (
    Bernoulli,
    Empirical,
    Law,
    Semicircle,
    gaussian,
    haar_unitary,
    require_laws,
    sample_matrix,
    sample_spectrum,
    symmetrized,
)


class Element(ABC):
    """A non-commutative random variable up to its *-distribution."""

    @property
    def self_adjoint(self) -> bool:
        """Whether x = x*."""
        return False

    @property
    @abstractmethod
    def law(self) -> Law:
        """The law of a self-adjoint element; for any other that of its modulus with a random sign, which is even."""

    @abstractmethod
    def sample(self, size: int, rng: np.random.Generator) -> Inexact[np.ndarray, "size size"]:
        """A random matrix that converges to it; independent ones are asymptotically free."""


@dataclass(frozen=True)
class SelfAdjoint(Element):
    """A self-adjoint element with the given law.

    Example:
        >>> SelfAdjoint(Semicircle(1.0)).law
        Semicircle(variance=1.0)
    """

    own: Law

    @property
    def self_adjoint(self) -> bool:
        return True

    def __post_init__(self) -> None:
        require_laws(self.own)

    @property
    def law(self) -> Law:
        return self.own

    def sample(self, size: int, rng: np.random.Generator) -> Inexact[np.ndarray, "size size"]:
        return sample_matrix(self.own, size, rng)


@dataclass(frozen=True)
class HaarUnitary(Element):
    """A Haar unitary u: u*u = 1 and τ(uᵏ) = 0 for k ≠ 0. Matrix: Haar-distributed on U(N).

    Source: Nica, Speicher (2006), lecture 1 and 15 (R-diagonality).

    Example:
        >>> from freeness.expressions import free_variables
        >>> (u,) = free_variables(HaarUnitary())
        >>> round((u + u.H).law().variance, 12)
        2.0
    """

    @property
    def law(self) -> Law:
        return Bernoulli()

    def sample(self, size: int, rng: np.random.Generator) -> Inexact[np.ndarray, "size size"]:
        return haar_unitary(size, rng)


@dataclass(frozen=True)
class Circular(Element):
    """A circular element (s₁ + i s₂)/√2 · σ with τ(c*c) = σ² = variance. Matrix: independent complex Gaussian entries.

    Source: Voiculescu (1991); Nica, Speicher (2006), lecture 15.

    Example:
        >>> from freeness.expressions import free_variables
        >>> (c,) = free_variables(Circular(2.0))
        >>> round((c * c.H).law().mean, 12)
        2.0
    """

    variance: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.variance) and self.variance > 0):
            raise InputError(f"expected a variance > 0, got {self.variance}; leave the element out instead.")

    @property
    def law(self) -> Law:
        return Semicircle(self.variance)

    def sample(self, size: int, rng: np.random.Generator) -> Inexact[np.ndarray, "size size"]:
        return np.sqrt(self.variance / size) * gaussian(size, size, rng, "complex")


@dataclass(frozen=True)
class RDiagonal(Element):
    """An R-diagonal element u·h, u a Haar unitary free from h ≥ 0 whose law is ``modulus``. Matrix: U diag(h) V, U, V Haar.

    Source: Nica, Speicher, R-diagonal pairs (1997); Haagerup, Schultz (2007).

    Example:
        >>> from freeness.expressions import free_variables
        >>> from freeness.laws import Uniform
        >>> (a,) = free_variables(RDiagonal(Uniform(0.0, 1.0)))
        >>> round((a * a.H).law().mean, 9)
        0.333333333
    """

    modulus: Law

    def __post_init__(self) -> None:
        require_laws(self.modulus)
        if self.modulus.hull[0] < 0:
            raise InputError(f"expected a modulus with a law on [0, ∞), got {self.modulus!r} on {self.modulus.hull}.")

    @property
    def law(self) -> Law:
        return symmetrized(self.modulus)

    def sample(self, size: int, rng: np.random.Generator) -> Inexact[np.ndarray, "size size"]:
        left, right = haar_unitary(size, rng), haar_unitary(size, rng)
        return (left * sample_spectrum(self.modulus, size, rng)) @ right


@dataclass(frozen=True, eq=False)
class Given(Element):
    """A given matrix beside random variables, from which it is free; given matrices of one expression keep their joint moments.

    Args:
        matrix: square (N, N), or the diagonal (N,) of a diagonal one, which costs least; the same N for all of an expression.

    Source: Speicher, Vargas, Free deterministic equivalents (2012).

    Example:
        >>> from freeness.expressions import free_variables
        >>> d, p, c = free_variables(Given([1.0, 2.0, 0.0]), Given([1.0, 1.0, 0.0]), Circular())
        >>> round((d + p * c).singular_law().mean, 10)  # tr d² + tr p
        2.3333333333
    """

    matrix: Num[np.ndarray, " size *size"]

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix)
        square = matrix.ndim == 1 or (matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1])
        if matrix.dtype.kind in "fiuc" and not np.isfinite(matrix).all():
            raise InputError("expected finite entries of a given matrix, got NaN or infinity; repair it.")
        if matrix.dtype.kind not in "fiuc" or not square or matrix.size == 0:
            raise InputError(
                f"expected a square matrix (N, N) of numbers or the diagonal (N,) of one, got shape {matrix.shape}; fill up "
                "with zeros what is rectangular, or see information_plus_noise."
            )
        object.__setattr__(self, "matrix", matrix.astype(complex if matrix.dtype.kind == "c" else float))

    def __repr__(self) -> str:
        return f"Given({len(self.matrix)}×{len(self.matrix)})"

    @property
    def self_adjoint(self) -> bool:
        return bool((self.matrix == (self.matrix.conj() if self.matrix.ndim == 1 else self.matrix.conj().T)).all())

    @property
    def law(self) -> Law:
        if not self.self_adjoint:
            values = np.abs(self.matrix) if self.matrix.ndim == 1 else np.linalg.svd(self.matrix, compute_uv=False)
            return symmetrized(Empirical(values))
        return Empirical(np.real(self.matrix) if self.matrix.ndim == 1 else np.linalg.eigvalsh(self.matrix))

    def sample(self, size: int, rng: np.random.Generator) -> Inexact[np.ndarray, "size size"]:
        """The matrix itself, each entry stretched to a block; a diagonal one fits any size, others multiples of their own."""
        own = len(self.matrix)
        if self.matrix.ndim == 1:
            return np.diag(self.matrix[(np.arange(size) * 2 + 1) * own // (2 * size)])
        if size % own:
            raise InputError(f"expected a multiple of {own}, the size of a given matrix, got {size}; sample that.")
        return np.kron(self.matrix, np.eye(size // own))
