"""A bi-invariant matrix of known singular values between two nodes: what ties its fields to the responses.

W = U diag(s) V with Haar-distributed U and V is free from what stands around it. With b, p at its source and a, r at its target,
D = (1 + pb)(1 + ra) and y = pr/D, the subordination functions of [[0, Wᵀ], [W, 0]] are (1 + pb)/p and (1 + ra)/r, and

    a = pS,  b = (N_target/N_source) rS,  S = (1/N_target) Σ_k s_k²/(1 - s_k² y) / D,

which is free of roots and regular where responses vanish. All s_k = s gives the Haar case, S = s² - ab.

Source: this project's derivation, from additive subordination of R-diagonal elements (Haagerup, Schultz 2007); tested against
drawn networks and against the Haar and Gaussian equations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.numerics import lower_log, upper_log


@dataclass(frozen=True, eq=False)
class Tie:
    """Fields b, a and responses p, r (m,) of one matrix with squared singular values ``squares`` between two sizes."""

    squares: np.ndarray
    sizes: tuple[int, int]
    b: np.ndarray
    a: np.ndarray
    p: np.ndarray
    r: np.ndarray

    @property
    def _product(self) -> np.ndarray:
        return (1 + self.p * self.b) * (1 + self.r * self.a)

    def strength(self) -> np.ndarray:
        """S (m,)."""
        return self._sums()[0] / self._product

    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        """φ(y) = Σ s²/(1 - s²y)/N_target and φ'(y)."""
        y = self.p * self.r / self._product
        terms = self.squares[:, None] / (1 - self.squares[:, None] * y)
        return terms.sum(axis=0) / self.sizes[1], (terms**2).sum(axis=0) / self.sizes[1]

    def slopes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """dS by b, a, p, r."""
        (total, slope), product = self._sums(), self._product
        before, behind = 1 + self.p * self.b, 1 + self.r * self.a
        by_product = -(slope * self.p * self.r / product + total) / product**2
        return (
            by_product * behind * self.p,
            by_product * before * self.r,
            by_product * behind * self.b + slope * self.r / product**2,
            by_product * before * self.a + slope * self.p / product**2,
        )

    def potential(self) -> np.ndarray:
        """T with ∂T/∂b = N_source p and ∂T/∂a = N_target r, continuous on the closed half-plane."""
        source, target = self.sizes
        before, behind = self.b + 1 / self.p, self.a + 1 / self.r
        t = before * behind  # of two numbers in the upper half-plane, so never on the positive axis
        with np.errstate(all="ignore"):
            singular = (np.log(self.squares[:, None] - t) - np.log(-t)).sum(axis=0)
        return (
            source * (upper_log(before) + lower_log(self.p))
            + target * (upper_log(behind) + lower_log(self.r))
            + singular
        )
