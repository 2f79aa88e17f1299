"""What a free variable can be: self-adjoint with a given law, a Haar unitary, circular, or any R-diagonal element."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError
from freeness.laws.bernoulli import Bernoulli
from freeness.laws.law import Law, require_laws
from freeness.laws.mixture import symmetrized
from freeness.laws.sampling import gaussian, haar_unitary, sample_matrix, sample_spectrum
from freeness.laws.semicircle import Semicircle


class Element(ABC):
    """A non-commutative random variable up to its *-distribution."""

    self_adjoint = False

    @property
    @abstractmethod
    def law(self) -> Law:
        """The law of a self-adjoint element; for any other that of its modulus with a random sign, which is even."""

    @abstractmethod
    def sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """A random matrix that converges to it; independent ones are asymptotically free."""


@dataclass(frozen=True)
class SelfAdjoint(Element):
    """A self-adjoint element with the given law.

    Example:
        >>> SelfAdjoint(Semicircle(1.0)).law
        Semicircle(variance=1.0)
    """

    own: Law
    self_adjoint = True

    def __post_init__(self) -> None:
        require_laws(self.own)

    @property
    def law(self) -> Law:
        return self.own

    def sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        return sample_matrix(self.own, size, rng)


@dataclass(frozen=True)
class HaarUnitary(Element):
    """A Haar unitary u: u*u = 1 and τ(uᵏ) = 0 for k ≠ 0. Matrix: Haar-distributed on U(N).

    Source: Nica, Speicher (2006), lecture 1 and 15 (R-diagonality).

    Example:
        >>> from freeness.calculus import free_variables
        >>> (u,) = free_variables(HaarUnitary())
        >>> round((u + u.H).law().variance, 12)
        2.0
    """

    @property
    def law(self) -> Law:
        return Bernoulli()

    def sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        return haar_unitary(size, rng)


@dataclass(frozen=True)
class Circular(Element):
    """A circular element (s₁ + i s₂)/√2 · σ with τ(c*c) = σ² = variance. Matrix: independent complex Gaussian entries.

    Source: Voiculescu (1991); Nica, Speicher (2006), lecture 15.

    Example:
        >>> from freeness.calculus import free_variables
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

    def sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        return np.sqrt(self.variance / size) * gaussian(size, size, rng, "complex")


@dataclass(frozen=True)
class RDiagonal(Element):
    """An R-diagonal element u·h, u a Haar unitary free from h ≥ 0 whose law is ``modulus``. Matrix: U diag(h) V, U, V Haar.

    Source: Nica, Speicher, R-diagonal pairs (1997); Haagerup, Schultz (2007).

    Example:
        >>> from freeness.calculus import free_variables
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

    def sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        left, right = haar_unitary(size, rng), haar_unitary(size, rng)
        return (left * sample_spectrum(self.modulus, size, rng)) @ right
