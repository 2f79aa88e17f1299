"""The part of a pencil that is no random variable: a constant, and given matrices beside the random ones.

Free from the random variables, given matrices A_k enter by their joint moments under the normalised trace tr only:
G = (id ⊗ tr)[(b - b₀ - Σ b_k ⊗ A_k)⁻¹], a free deterministic equivalent. Diagonal ones are rows of numbers, equal rows counted
once; others are taken as they are.

Source: Speicher, Vargas, Free deterministic equivalents (2012); Hachem, Loubaton, Najim (2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float, Inexact, Num

from freeness.numerics import upper_log
from freeness.operators.spectral import eigenvalues, inverted


@dataclass(frozen=True, eq=False)
class Resolvent:
    """(id ⊗ tr)-parts of (b - L)⁻¹ at m points: ``pieces`` (m, κ, n, n), of which G is the weighted sum over ``diagonal``.

    For a change δ of b, G changes by -Σ_κ weight_κ · piece_κ δ piece_κ', κ' the transposed place.
    """

    g: np.ndarray
    pieces: np.ndarray
    transposed: np.ndarray
    weights: np.ndarray

    def together(self) -> Resolvent:
        """As one piece an entry of the matrices: Σ_κ weight_κ · piece_κ ⊗ piece_κ' is all that the change of G asks for."""
        m, many, n, _ = self.pieces.shape
        weighted = (self.pieces * self.weights[:, None, None]).reshape(m, many, n * n)
        other = self.transposed.reshape(m, many, n * n)
        units = np.eye(n * n, dtype=complex).reshape(1, n * n, n, n)
        return Resolvent(
            self.g, units, (weighted.swapaxes(1, 2) @ other).reshape(m, n * n, n, n), np.ones(units.shape[1])
        )


@dataclass(frozen=True, eq=False)
class Deterministic:
    """``blocks`` (β, d, d, n, n): entry (k, l) of block β of b₀ + Σ b_k ⊗ A_k, with ``weights`` (β,) that add up to 1."""

    blocks: Complex[np.ndarray, "blocks d d n n"]
    weights: Float[np.ndarray, " blocks"]

    @classmethod
    def constant(cls, matrix: Inexact[np.ndarray, "n n"]) -> Deterministic:
        """b₀ alone."""
        return cls(matrix[None, None, None].astype(complex), np.ones(1))

    @classmethod
    def given(
        cls,
        constant: Inexact[np.ndarray, "n n"],
        coefficients: Sequence[Inexact[np.ndarray, "n n"]],
        matrices: Sequence[Num[np.ndarray, " size *_"]],
    ) -> Deterministic:
        """b₀ + Σ b_k ⊗ A_k for hermitian or other A_k; of those that are not, b_k* ⊗ A_k* has to be listed as well.

        Args:
            constant: b₀, (n, n).
            coefficients: the b_k.
            matrices: the A_k, as matrices (N, N) or as diagonals (N,).
        """
        if all(matrix.ndim == 1 for matrix in matrices):
            rows, counts = np.unique(np.stack(matrices, axis=1).astype(complex), axis=0, return_counts=True)
            blocks = constant + np.einsum("ik,kab->iab", rows, np.stack(coefficients))
            return cls(blocks[:, None, None], counts / counts.sum())
        full = [np.diag(matrix) if matrix.ndim == 1 else matrix for matrix in matrices]
        blocks = np.eye(len(full[0]))[:, :, None, None] * constant
        blocks = blocks + np.einsum("kij,kab->ijab", np.stack(full), np.stack(coefficients))
        return cls(blocks[None].astype(complex), np.ones(1))

    @property
    def size(self) -> int:
        """n, of the pencil."""
        return self.blocks.shape[-1]

    @property
    def magnitude(self) -> float:
        """Its norm."""
        return float(np.linalg.norm(self._flat(self.blocks), 2, axis=(1, 2)).max())

    def _flat(self, blocks: np.ndarray) -> np.ndarray:
        """(…, d, d, n, n) as matrices (…, dn, dn)."""
        *first, d, _, n, _ = blocks.shape
        return blocks.swapaxes(-2, -3).reshape(*first, d * n, d * n)

    def _shifted(self, b: np.ndarray) -> np.ndarray:
        """b - L of (m, n, n), as matrices (m·β, dn, dn)."""
        d = self.blocks.shape[1]
        whole = np.eye(d)[:, :, None, None] * b[:, None, None, None] - self.blocks
        return self._flat(whole).reshape(-1, d * self.size, d * self.size)

    def resolvent(self, b: Inexact[np.ndarray, "points n n"]) -> Resolvent:
        """(id ⊗ tr)[(b - L)⁻¹] and its pieces at (m, n, n)."""
        beta, d, n = self.blocks.shape[0], self.blocks.shape[1], self.size
        full = inverted(self._shifted(b)).reshape(len(b), beta, d, n, d, n)
        pieces = full.swapaxes(3, 4)  # (m, β, k, l, n, n)
        g = np.einsum("b,mbkkij->mij", self.weights / d, pieces)
        shape = (len(b), beta * d * d, n, n)
        found = Resolvent(
            g, pieces.reshape(shape), pieces.swapaxes(2, 3).reshape(shape), np.repeat(self.weights / d, d * d)
        )
        return found.together() if beta * d * d > n * n > 1 else found

    def potential(self, b: Inexact[np.ndarray, "points n n"]) -> Inexact[np.ndarray, " points"]:
        """(Tr ⊗ tr) log(b - L), (m,), for Im b ≥ 0."""
        d = self.blocks.shape[1]
        logs = upper_log(eigenvalues(self._shifted(b))).sum(axis=1).reshape(len(b), -1)
        return logs @ self.weights / d
