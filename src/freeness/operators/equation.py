"""The matrix-valued subordination equation of a hermitian pencil Λ(z) - b₀ - Σ_j b_j ⊗ x_j with free x_j.

b₀ is a constant, or a matrix-valued element of its own with given matrices in it (:mod:`freeness.operators.deterministic`).

Λ(z) is z on the first ``corners`` diagonal entries and 0 on the others: one for an expression, two for [[0, A], [A*, 0]], and n
for an expression with n×n matrices on a leg of their own, of which the normalised trace is taken (:class:`TracedEquation`).

With B = Λ(z) - b₀ and G = E[(B - Σ b_j ⊗ x_j)⁻¹] the matrix-valued R-transforms add: G = (B - Σ_j Φ_j*(ρ_j))⁻¹, and each
summand knows ρ_j and its own Cauchy transform g_j as functions of its unknown; the equations are Φ_j(G) = g_j. All unknowns
take one joint Newton step; Λ(z) is approached from Λ(z) + iτ·1, τ ↓ 0, where the solution is unique.

Source: Voiculescu (1995, 2000); Helton, Rashidi Far, Speicher (2007); Belinschi, Mai, Speicher (2013). The form in unknowns on
the ranges of the coefficients, and the joint Newton step, are this project's.
"""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Complex, Float, Inexact

from freeness.numerics import upper_log
from freeness.operators.deterministic import Deterministic, Resolvent
from freeness.operators.spectral import eigenvalues, inverted, solved
from freeness.operators.summand import Local, Summand


@dataclass(frozen=True, eq=False)
class State:
    """The pencil at unknowns: G and the argument of its resolvent, the summands there, and Φ_j(G)⁻¹ for each."""

    resolvent: Resolvent
    locals: list[Local]
    felt_inverse: list[Complex[np.ndarray, "points r r"]]
    argument: Complex[np.ndarray, "points n n"]

    @property
    def g(self) -> Complex[np.ndarray, "points n n"]:
        """G, (m, n, n)."""
        return self.resolvent.g


class MatrixEquation:
    """The equation of one pencil; ``unknowns`` complex numbers a point, of which the last is Im z of the target."""

    start_height = 8.0

    def __init__(
        self, constant: Inexact[np.ndarray, "n n"] | Deterministic, summands: Sequence[Summand], corners: int = 1
    ) -> None:
        self.deterministic = constant if isinstance(constant, Deterministic) else Deterministic.constant(constant)
        self.summands, self.corners = tuple(summands), corners
        self.unknowns = sum(s.size**2 for s in self.summands) + 1

    @property
    def symmetric(self) -> bool:
        """Whether every eigenvalue comes with its negative."""
        return self.corners == 2

    @property
    def size(self) -> int:
        """n, of the pencil."""
        return self.deterministic.size

    @property
    def magnitude(self) -> float:
        """A bound of the pencil's norm, the mean of every variable and its deviations included."""
        return self._magnitude

    @cached_property
    def _magnitude(self) -> float:
        sizes = [np.abs(s.signature).max() * max(abs(s.law.mean), s.law.standard_deviation) for s in self.summands]
        return self.deterministic.magnitude + sum(sizes)

    def start(
        self, target: Inexact[np.ndarray, " points"], height: Inexact[np.ndarray, " points"]
    ) -> Inexact[np.ndarray, "unknowns points"]:
        """Approximate unknowns (k, m) at τ = height, far above the pencil."""
        b = self._argument(target + 1j * height, np.imag(target))
        mean = sum((s.law.mean * s.spread(s.form[None]) for s in self.summands), np.zeros(()))
        g = self.deterministic.resolvent(b - mean).g
        unknowns = [s.start(np.linalg.inv(s.felt(g)) + s.law.mean * s.form) for s in self.summands]
        return self._packed(unknowns, np.imag(target))

    def newton_change(
        self, parameters: Complex[np.ndarray, "unknowns points"], target: Complex[np.ndarray, " points"]
    ) -> tuple[Complex[np.ndarray, "unknowns points"], Float[np.ndarray, " points"]]:
        """One Newton step of all unknowns, and the margin: what :func:`~freeness.numerics.continuation.follow` takes.

        The equations are taken as Φ_j(G)⁻¹ = g_j⁻¹, which is nearly linear in the unknowns far from the support.
        """
        state = self.state(parameters, target)
        residual = self._in_frames(state, [a - at.h for a, at in zip(state.felt_inverse, state.locals, strict=True)])
        theta = self._newton(state, residual)
        steps = [at.vectors @ t @ at.inverse for at, t in zip(state.locals, self._split(theta), strict=True)]
        return self._packed(steps, np.zeros(target.size)), np.min([at.margin for at in state.locals], axis=0)

    def state(
        self,
        parameters: Inexact[np.ndarray, "unknowns points"],
        target: Inexact[np.ndarray, " points"],
        potential: bool = False,
    ) -> State:
        """Everything at the unknowns."""
        unknowns, offset = self._unpacked(parameters)
        locals_ = [s.evaluate(t, potential) for s, t in zip(self.summands, unknowns, strict=True)]
        total = sum(s.spread(at.rho) for s, at in self._pairs(locals_))
        argument = self._argument(target, offset) - total
        resolvent = self.deterministic.resolvent(argument)
        return State(resolvent, locals_, [inverted(s.felt(resolvent.g)) for s in self.summands], argument)

    def size_of(self, parameters: Inexact[np.ndarray, "unknowns points"]) -> Float[np.ndarray, "unknowns points"]:
        """The size that a change of each parameter is compared with: the largest entry of its matrix."""
        modulus = np.abs(parameters)
        for rows in self._rows:
            modulus[rows] = modulus[rows].max(axis=0)
        return modulus

    def corner(self, state: State) -> tuple[Complex[np.ndarray, " points"], Complex[np.ndarray, " points"]]:
        """G₁₁ and dG₁₁/dz, each (m,)."""
        solution = self._newton(state, self._by_corner(state))
        change = -self._slope
        for s, at, theta in zip(self.summands, state.locals, self._split(solution), strict=True):
            rho = s.form @ at.vectors @ (at.rho_slope * theta) @ at.inverse
            change = change + s.spread(rho)
        return self._traced(state.g), self._traced(self._moved(state, change))

    def _traced(self, matrices: np.ndarray) -> np.ndarray:
        """What counts as the corner of (m, n, n)."""
        return matrices[:, 0, 0]

    def critical_step(
        self,
        parameters: Complex[np.ndarray, "unknowns points"],
        x: Float[np.ndarray, " points"],
        direction: Inexact[np.ndarray, "_ points"],
        wanted: Inexact[np.ndarray, " points"],
    ) -> tuple[Complex[np.ndarray, "unknowns points"], Complex[np.ndarray, " points"], Complex[np.ndarray, " points"]]:
        """One Newton step of unknowns and x together towards direction·unknowns = wanted, and d x/d wanted there.

        Folds of the unknowns over x, where the last is 0, are the edges of the support.
        """
        state = self.state(parameters, x.astype(complex))
        residual = self._in_frames(state, [a - at.h for a, at in zip(state.felt_inverse, state.locals, strict=True)])
        by_x = self._by_corner(state)
        k = self.unknowns - 1
        frames = [(at.vectors, at.inverse) for at in state.locals]
        rows = np.concatenate(
            [
                (v.swapaxes(1, 2) @ part @ w.swapaxes(1, 2)).reshape(x.size, s.size**2)
                for (v, w), s, part in zip(frames, self.summands, self._split(direction.T), strict=True)
            ],
            axis=1,
        )
        matrix = np.zeros((x.size, k + 1, k + 1), dtype=complex)
        matrix[:, :k, :k], matrix[:, :k, k], matrix[:, k, :k] = self._jacobian(state), by_x, rows
        missing = wanted - np.einsum("km,km->m", direction, parameters[:-1])
        right = np.zeros((x.size, k + 1, 2), dtype=complex)
        right[:, :k, 0], right[:, k, 0], right[:, k, 1] = -residual, missing, 1.0
        found = solved(matrix, right)
        steps = [v @ t @ w for (v, w), t in zip(frames, self._split(found[:, :k, 0]), strict=True)]
        return self._packed(steps, np.zeros(x.size)), found[:, k, 0], found[:, k, 1]

    def hermitian(self, parameters: Complex[np.ndarray, "unknowns points"]) -> Complex[np.ndarray, "unknowns points"]:
        """The unknowns made hermitian, s T = (s T)*, as they are outside the support, so that rounding does not add up."""
        unknowns, offset = self._unpacked(parameters)
        scaled = [s.form @ t for s, t in zip(self.summands, unknowns, strict=True)]
        halves = [
            s.form_inverse @ (w + w.conj().swapaxes(1, 2)) / 2 for s, w in zip(self.summands, scaled, strict=True)
        ]
        return self._packed(halves, offset)

    def rates(
        self, parameters: Complex[np.ndarray, "unknowns points"], x: Float[np.ndarray, " points"]
    ) -> Complex[np.ndarray, "rates points"]:
        """d unknowns/dx, (k, m)."""
        state = self.state(parameters, x.astype(complex))
        theta = self._newton(state, self._by_corner(state))
        steps = [at.vectors @ t @ at.inverse for at, t in zip(state.locals, self._split(theta), strict=True)]
        return self._packed(steps, np.zeros(x.size))[:-1]

    def _by_corner(self, state: State) -> np.ndarray:
        """Derivative of the equations in z, in the frames, (m, k)."""
        squared = self._moved(state, self._slope)
        return self._in_frames(
            state, [a @ s.felt(squared) @ a for s, a in zip(self.summands, state.felt_inverse, strict=True)]
        )

    @cached_property
    def _slope(self) -> np.ndarray:
        """Λ'(z), (n, n)."""
        return np.diag(np.arange(self.size) < self.corners).astype(complex)

    def _moved(self, state: State, change: np.ndarray) -> np.ndarray:
        """The change of G, (m, n, n), when Σρ_j changes by that much."""
        at = state.resolvent
        if at.weights.size == 1:
            return at.g @ change @ at.g
        change = change if change.ndim == 2 else change[:, None]
        return np.einsum("c,mcij->mij", at.weights, at.pieces @ change @ at.transposed)

    def potential(
        self, state: State, height: Float[np.ndarray, " points"] | float = 0.0
    ) -> Complex[np.ndarray, " points"]:
        """E Tr log(Λ - L)/corners on the closed upper half-plane, (m,): ∫ log(z - x) dμ plus a constant of the pencil.

        Where the way down stopped at τ = ``height``, it is that of τ = 0 to first order: the unknowns leave it stationary, so
        that its derivative in iτ is Tr G/corners.
        """
        total = self.deterministic.potential(state.argument)
        for at in state.locals:
            assert at.potential is not None
            total = total + at.potential - upper_log(eigenvalues(at.h)).sum(axis=1)
        return (total - 1j * height * np.einsum("mii->m", state.g)) / self.corners

    def _argument(self, target: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Λ(z) + iτ, with z + iτ = target and Im z = offset."""
        b = np.zeros((target.size, self.size, self.size), dtype=complex)
        index = np.arange(self.size)
        b[:, index, index] = 1j * (np.imag(target) - np.real(offset))[:, None]
        index = index[: self.corners]
        b[:, index, index] = target[:, None]
        return b

    def _newton(self, state: State, residual: np.ndarray) -> np.ndarray:
        return solved(self._jacobian(state), -residual[:, :, None])[:, :, 0]

    def _jacobian(self, state: State) -> np.ndarray:
        """Derivative of the equations in the unknowns, both in the frames, (m, k, k)."""
        pairs = self._pairs(state.locals)
        first = np.concatenate(
            [
                at.inverse @ s.form_inverse @ a @ u.conj().T
                for (s, at), a in zip(pairs, state.felt_inverse, strict=True)
                for u in s.kraus
            ],
            axis=1,
        )
        last = np.concatenate(
            [u @ a @ at.vectors for (s, at), a in zip(pairs, state.felt_inverse, strict=True) for u in s.kraus], axis=2
        )
        to = np.concatenate([u @ s.form @ at.vectors for s, at in pairs for u in s.kraus], axis=2)
        back = np.concatenate([at.inverse @ u.conj().T for s, at in pairs for u in s.kraus], axis=1)
        at = state.resolvent
        left = -first[:, None] @ at.pieces @ to[:, None] * at.weights[:, None, None]
        right = back[:, None] @ at.transposed @ last[:, None]
        jacobian = np.zeros((len(left), self.unknowns - 1, self.unknowns - 1), dtype=complex)
        for (s, at), own, rows in zip(pairs, self._frames, self._rows, strict=True):
            for (other, there), theirs, columns in zip(pairs, self._frames, self._rows, strict=True):
                block = sum(_paired(left[:, :, a, b], right[:, :, b, a]) for a in own for b in theirs)
                block = block * there.rho_slope[:, None, None]
                jacobian[:, rows, columns] = block.reshape(len(left), s.size**2, other.size**2)
            diagonal = np.arange(rows.start, rows.stop)
            jacobian[:, diagonal, diagonal] -= at.h_slope.reshape(len(left), s.size**2)
        return jacobian

    @cached_property
    def _frames(self) -> list[list[slice]]:
        """Where each U of each summand stands in the stacked frames."""
        places: list[list[slice]] = []
        at = 0
        for s in self.summands:
            places.append([slice(at + k * s.size, at + (k + 1) * s.size) for k in range(len(s.kraus))])
            at += len(s.kraus) * s.size
        return places

    @cached_property
    def _rows(self) -> list[slice]:
        """Where the unknowns of each summand stand."""
        ends = np.cumsum([0] + [s.size**2 for s in self.summands])
        return [slice(a, b) for a, b in pairwise(ends.tolist())]

    def _pairs(self, locals_: list[Local]) -> list[tuple[Summand, Local]]:
        return list(zip(self.summands, locals_, strict=True))

    def _in_frames(self, state: State, matrices: list[np.ndarray]) -> np.ndarray:
        """V⁻¹ s⁻¹ (·) V of one matrix a summand, (m, k)."""
        parts = [
            (at.inverse @ s.form_inverse @ matrix @ at.vectors).reshape(len(matrix), s.size**2)
            for (s, at), matrix in zip(self._pairs(state.locals), matrices, strict=True)
        ]
        return np.concatenate(parts, axis=1)

    def _split(self, theta: np.ndarray) -> list[np.ndarray]:
        """(m, k) as one r×r matrix a summand."""
        return [
            theta[:, rows].reshape(len(theta), s.size, s.size)
            for s, rows in zip(self.summands, self._rows, strict=True)
        ]

    def _packed(self, unknowns: list[np.ndarray], offset: np.ndarray) -> np.ndarray:
        flat = [t.reshape(len(t), s.size**2) for s, t in zip(self.summands, unknowns, strict=True)]
        return np.concatenate([*flat, offset[:, None].astype(complex)], axis=1).T

    def _unpacked(self, parameters: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        return self._split(parameters[:-1].T), parameters[-1]


class TracedEquation(MatrixEquation):
    """The equation of a pencil whose corner is a matrix: the law is that of its normalised trace.

    Source: Helton, Rashidi Far, Speicher (2007), for matrices of free elements.
    """

    @property
    def symmetric(self) -> bool:
        return False

    def _traced(self, matrices: np.ndarray) -> np.ndarray:
        return np.einsum("mii->m", matrices[:, : self.corners, : self.corners]) / self.corners


def _paired(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Σ_κ left_κ θ right_κ as a matrix on θ: [m, p, q, i, j] = Σ_κ left[m, κ, p, i]·right[m, κ, j, q]."""
    if left.shape[1] == 1:
        return left[:, 0, :, None, :, None] * right[:, 0].swapaxes(1, 2)[:, None, :, None, :]
    return np.einsum("mcpi,mcjq->mpqij", left, right, optimize=True)
