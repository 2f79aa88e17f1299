"""One summand b ⊗ x of a matrix pencil, seen through the range of its coefficient b.

All matrix-valued cumulants of b ⊗ x depend on G only through its part on the range of b, so the unknown of a summand is an
r×r matrix, r = rank b, whatever the size of the pencil.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Complex, Float, Inexact

from freeness.laws import CurveLaw, CurvePoint, Law, SolvedLaw, SpectralCurve
from freeness.operators.spectral import divided_differences, eigen

_RANK = 1e-11  # singular values of a coefficient below this, relative to the largest, are rounding


@dataclass(frozen=True, eq=False)
class Local:
    """What a summand says at its unknowns, for m points.

    ``h`` = g⁻¹ is the inverse of its Cauchy transform g = E[(w - s x)⁻¹] and ``rho`` = w - h its R-transform (m, r, r).
    With T = V diag(t) V⁻¹ and dT = V dθ V⁻¹ their derivatives are s V (slope ∘ dθ) V⁻¹.
    ``margin`` (m,) is negative where the point is unphysical; ``potential`` = E Tr log(w - s x).
    """

    h: Inexact[np.ndarray, "points r r"]
    rho: Inexact[np.ndarray, "points r r"]
    vectors: Inexact[np.ndarray, "points r r"]
    inverse: Inexact[np.ndarray, "points r r"]
    h_slope: Inexact[np.ndarray, "points r r"]
    rho_slope: Inexact[np.ndarray, "points r r"]
    margin: Float[np.ndarray, " points"]
    potential: Complex[np.ndarray, " points"] | None


@dataclass(frozen=True, eq=False)
class Summand:
    """b ⊗ x with b = Σ_a U_a s U_a*, s hermitian and invertible; Φ(G) = Σ_a U_a* G U_a is the part of G that it feels.

    A self-adjoint x has one U; an R-diagonal element b ⊗ a + b* ⊗ a* is the symmetrised modulus of a with two.
    Unknown: T with w = s z(T), where z(t) is the curve of the law of x; so every law with a curve of one parameter works.
    Only the first column of each U meets the corner of the pencil: where G₁₁ diverges, at a hard edge, matrices are graded and
    small entries keep their digits.
    """

    law: Law
    kraus: Inexact[np.ndarray, "terms n r"]  # (a, n, r)
    form: Inexact[np.ndarray, "r r"]  # s, (r, r)

    @classmethod
    def self_adjoint(cls, law: Law, coefficient: Inexact[np.ndarray, "n n"]) -> Summand:
        """coefficient ⊗ x with x of the given law; the coefficient (n, n) is hermitian and not 0."""
        values, vectors = np.linalg.eigh(coefficient)
        kept = np.abs(values) > _RANK * np.abs(values).max()
        vectors = vectors[:, kept]
        turn = _towards_corner(vectors)
        return cls(_with_one_parameter(law), (vectors @ turn)[None], (turn.conj().T * values[kept]) @ turn)

    @classmethod
    def r_diagonal(cls, law: Law, coefficient: Inexact[np.ndarray, "n n"]) -> Summand:
        """coefficient ⊗ a + coefficient* ⊗ a*, a R-diagonal with even ``law`` of its modulus with a random sign.

        Only alternating cumulants of a, a* are not 0, and they are those of the even law; so the R-transform is that of the even
        element with coefficient [[0, b], [b*, 0]] on two copies, summed over the copies.
        Source: Nica, Speicher, R-diagonal pairs (1997).
        """
        left, values, right = np.linalg.svd(coefficient)
        kept = values > _RANK * values.max()
        left, values, right = left[:, kept], values[kept], right.conj().T[:, kept]
        turn, back = _towards_corner(left), _towards_corner(right)
        off = (turn.conj().T * values) @ back
        zero = np.zeros_like(off)
        kraus = np.stack(
            [
                np.concatenate([left @ turn, np.zeros_like(left)], axis=1),
                np.concatenate([np.zeros_like(right), right @ back], axis=1),
            ]
        )
        return cls(_with_one_parameter(law), kraus, np.block([[zero, off], [off.conj().T, zero]]))

    @property
    def size(self) -> int:
        return len(self.form)

    @cached_property
    def form_inverse(self) -> Inexact[np.ndarray, "r r"]:
        """s⁻¹."""
        return np.linalg.inv(self.form)

    @cached_property
    def signature(self) -> Float[np.ndarray, " r"]:
        """Eigenvalues of s, (r,)."""
        return np.linalg.eigvalsh(self.form)

    @cached_property
    def curve(self) -> SpectralCurve:
        return self.law.curve

    @cached_property
    def _positive(self) -> int:
        return int((self.signature > 0).sum())

    def felt(self, g: Inexact[np.ndarray, "points n n"]) -> Inexact[np.ndarray, "points r r"]:
        """Φ(G) of (m, n, n): what of G the coefficient feels."""
        return sum(u.conj().T @ g @ u for u in self.kraus)  # type: ignore[return-value]

    def spread(self, rho: Inexact[np.ndarray, "points r r"]) -> Inexact[np.ndarray, "points n n"]:
        """Φ*(ρ): the summand's share of the matrix-valued R-transform, (m, n, n)."""
        return sum(u @ rho @ u.conj().T for u in self.kraus)  # type: ignore[return-value]

    def start(self, w: Inexact[np.ndarray, "points r r"]) -> Inexact[np.ndarray, "points r r"]:
        """Unknowns (m, r, r) for approximate w far from the support."""
        z, vectors, inverse = eigen(self.form_inverse @ w)
        upper = self._upper(z, vectors)
        t = self.curve.start(_reflected(z, upper).ravel())[0].reshape(z.shape)
        return (vectors * _reflected(t, upper)[:, None, :]) @ inverse

    def evaluate(self, unknown: Inexact[np.ndarray, "points r r"], potential: bool = False) -> Local:
        """The transforms at unknowns (m, r, r)."""
        t, vectors, inverse = eigen(unknown)
        upper = self._upper(t, vectors)
        point = self.curve.evaluate(_reflected(t, upper).reshape(1, -1), 1, potential)
        z, dz, g, dg = (
            _reflected(x.reshape(t.shape), upper)
            for x in (point.z.value, point.z.change[0], point.g.value, point.g.change[0])
        )
        h, dh = 1 / g, -dg / g**2
        w = self._scaled(vectors, z, inverse)
        margin = np.minimum(point.margin.reshape(t.shape).min(axis=1), _margin(w))
        return Local(
            h=self._scaled(vectors, h, inverse),
            rho=self._scaled(vectors, z - h, inverse),
            vectors=vectors,
            inverse=inverse,
            h_slope=divided_differences(t, h, dh),
            rho_slope=divided_differences(t, z - h, dz - dh),
            margin=margin,
            potential=self._potential(point, upper),
        )

    def _scaled(self, vectors: np.ndarray, values: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        """s V diag(values) V⁻¹."""
        return self.form @ ((vectors * values[:, None, :]) @ inverse)

    def _potential(self, point: CurvePoint, upper: np.ndarray) -> np.ndarray | None:
        """E Tr log(w - s x), continuous on the upper half-plane of w, (m,)."""
        if point.potential is None:
            return None
        own = point.potential.reshape(upper.shape)
        own = np.where(upper, own, own.conj() + 1j * np.pi)
        return (own + np.log(np.abs(self.signature))).sum(axis=1)

    def _upper(self, t: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """Which eigenvalues belong to the upper half-plane, (m, r): as many as s has positive entries.

        w v = λ s v with Im w > 0 gives Im λ · v*sv > 0. On the real axis Im λ may be 0, for complex pairs v*sv is, never both.
        """
        if self._positive in (0, self.size):
            return np.full(t.shape, self._positive > 0)
        scaled = self.form / np.abs(self.signature).max()
        side = (vectors.conj() * (scaled @ vectors)).sum(axis=1).real
        key = side / (np.abs(vectors) ** 2).sum(axis=1) + np.imag(t) / np.maximum(np.abs(t), np.finfo(float).tiny)
        return np.argsort(np.argsort(-key, axis=1, kind="stable"), axis=1, kind="stable") < self._positive


def _with_one_parameter(law: Law) -> Law:
    """The law itself, or as one that is solved for at each point where its curve has unknowns of its own."""
    return SolvedLaw(law) if isinstance(law, CurveLaw) and law.curve.size > 1 else law


def _towards_corner(vectors: np.ndarray) -> np.ndarray:
    """A unitary (r, r) after which only the first of the vectors (n, r) has a part along the first axis."""
    own = vectors[0].conj()
    if np.abs(own).max(initial=0.0) < _RANK:
        return np.eye(own.size)
    return np.linalg.qr(np.concatenate([own[:, None], np.eye(own.size)], axis=1))[0]


def _reflected(values: np.ndarray, upper: np.ndarray) -> np.ndarray:
    return np.where(upper, values, values.conj())


def _margin(w: np.ndarray) -> np.ndarray:
    """The least eigenvalue of Im w over the size of w, (m,)."""
    if w.shape[-1] == 1:
        return np.imag(w[:, 0, 0]) / np.abs(w[:, 0, 0])
    finite = np.isfinite(w).all(axis=(1, 2))
    safe = w if finite.all() else np.where(np.asarray(finite)[:, None, None], w, 0.0)
    size = np.maximum(np.abs(safe).max(axis=(1, 2)), np.finfo(float).tiny)
    return np.where(finite, _least(safe) / size, -np.inf)


def _least(w: np.ndarray) -> np.ndarray:
    """The least eigenvalue of Im w."""
    if w.shape[-1] == 2:
        a, d = np.imag(w[:, 0, 0]), np.imag(w[:, 1, 1])
        off = (w[:, 0, 1] - w[:, 1, 0].conj()) / 2
        return (a + d) / 2 - np.sqrt(((a - d) / 2) ** 2 + np.abs(off) ** 2)
    return np.linalg.eigvalsh((w - w.conj().swapaxes(1, 2)) / 2j)[:, 0]
