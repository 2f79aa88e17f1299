"""The equations of random matrices between given maps of any kind, solved by sweeps.

Parts of given maps (:mod:`freeness.operators.parts`) answer the fields at their ports; each random matrix W stands between a
port that it reads from, of C channels, and one that it writes into. With answers p where it reads and r where it writes,
sums over channels,

    Gaussian, E W_ij² = s²/C:    a = s²/C Σ_τ T_τ p T_τᵀ,         b = s²/C Σ_τ T_τᵀ r T_τ
    Haar, W/s semi-orthogonal:   a = f_a p̄(s² - ba),             b = f_b r̄(s² - ab)     with means p̄, r̄ over channels,

f_a = C/C' where the matrix expands, f_b = C'/C where it does not. Every sweep asks each part once, in the order of the
forward pass; Anderson's iteration makes of some twenty sweeps a solution.

Source: theory.md §3.4, §11, §12 (this project's derivation, checked by simulation).
"""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Inexact

from freeness.numerics import fixed_point
from freeness.operators.packing import packed, symmetric, unpacked
from freeness.operators.parts import GivenPart, less_inverted, principal_logarithm

PortPlace = tuple[int, int]  # part, port of it

_TOLERANCE = 3e-6  # relative residual of a solution
_ENOUGH = 20.0  # times that, of one that is slow
_MOST = 100  # sweeps
_ABOUT, _BEGIN = 1e-3, 12  # relative residual above which single precision does, in so many sweeps at most
_STILL = 1e-13  # relative change of fields that do not move any more
_TINY = 1e-5  # ζ in units of 1/m₁, at which the second moment is read


@dataclass(frozen=True, eq=False)
class PortMatrix:
    """A random matrix between ports; ``taps`` (taps, P_out, P_in) and ``channels`` as in the module's docstring.

    ``accumulated``: noise that its gradients bring in where it writes, (P_out, P_out) or None. ``layer``: its name.
    """

    source: PortPlace
    target: PortPlace
    taps: Float[np.ndarray, "taps written read"]
    square: float
    channels: tuple[int, int]
    kind: Literal["gaussian", "haar"] = "gaussian"
    accumulated: Float[np.ndarray, "written written"] | None = None
    layer: str = ""


class Solved(NamedTuple):
    """Fields (k, m), G (m,), and which points converged."""

    fields: Complex[np.ndarray, "fields points"]
    cauchy: Complex[np.ndarray, " points"]
    converged: Bool[np.ndarray, " points"]


class WiredEquation:
    """Parts and random matrices of one network.

    Args:
        parts: in the order of the forward pass.
        matrices: between their ports.
        end: the port where the output is read.
        outputs: channels × positions of the output.
        kept: share of them that is not 0 behind a last projection.
    """

    def __init__(
        self,
        parts: Sequence[GivenPart],
        matrices: Sequence[PortMatrix],
        end: PortPlace,
        outputs: int,
        kept: float = 1.0,
    ) -> None:
        self.parts, self.matrices, self.end = tuple(parts), tuple(matrices), end
        self.outputs, self.kept = outputs, kept

    @cached_property
    def _sizes(self) -> list[int]:
        """Positions of the fields: b and a of each matrix in turn."""
        return [size for m in self.matrices for size in (m.taps.shape[2], m.taps.shape[1])]

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *(size * (size + 1) // 2 for size in self._sizes)])

    @property
    def unknowns(self) -> int:
        """Numbers that all fields have."""
        return int(self._starts[-1])

    @cached_property
    def _ports(self) -> list[list[int]]:
        """For each part, which field acts at each of its ports; -1 at the end."""
        found = [[-1] * len(part.sizes) for part in self.parts]
        for index, matrix in enumerate(self.matrices):
            for place, field in ((matrix.source, 2 * index), (matrix.target, 2 * index + 1)):
                found[place[0]][place[1]] = field
        return found

    def _split(self, vectors: np.ndarray) -> list[np.ndarray]:
        return [
            unpacked(vectors[first:last].T, size)
            for first, last, size in zip(self._starts, self._starts[1:], self._sizes, strict=False)
        ]

    def swept(
        self, vectors: Inexact[np.ndarray, "fields points"], zeta: Inexact[np.ndarray, " points"], about: bool = False
    ) -> tuple[Complex[np.ndarray, "fields points"], Complex[np.ndarray, " points"]]:
        """Fields (k, m) behind one sweep at ζ = 1/z (m,), and the answer of the end over the outputs (m,).

        Args:
            vectors: fields before.
            zeta: 1/z.
            about: parts answer in single precision.
        """
        fields = self._split(vectors)
        end = np.zeros(zeta.size, complex)
        for part, asked in zip(self.parts, self._ports, strict=True):
            given = [self._acting(fields, field, zeta, size) for field, size in zip(asked, part.sizes, strict=True)]
            for field, answer in zip(asked, part.about(given) if about else part.answers(given), strict=True):
                if field < 0:
                    end = self.kept / self.outputs * np.trace(answer, axis1=1, axis2=2)
                else:
                    fields[field ^ 1] = self._made(field, answer, fields[field])
        none = np.zeros((0, zeta.size), complex)
        return np.concatenate([none, *(packed(symmetric(field)).T for field in fields)]), end

    def potential(
        self, z: Inexact[np.ndarray, " points"], vectors: Complex[np.ndarray, "fields points"]
    ) -> Complex[np.ndarray, " points"]:
        """∫ log(z - x) dμ of the law, at solved fields (k, m): log z + (Σ parts' potentials + Σ matrices' tr a r)/outputs.

        Its derivatives by all fields vanish, so that it errs by squares of what the fields err. Of Haar matrices tr a r is
        -C log det(1 - ab/s²), C channels of the larger side.

        Args:
            z: points (m,).
            vectors: fields there.
        """
        zeta, fields = 1 / z.astype(complex), self._split(vectors)
        total = np.zeros(z.size, complex)
        for part, asked in zip(self.parts, self._ports, strict=True):
            given = [self._acting(fields, field, zeta, size) for field, size in zip(asked, part.sizes, strict=True)]
            total += part.potential(given)
            for field, answer in zip(asked, part.answers(given), strict=True):
                if field % 2 and field > 0:
                    total += self._coupling(field, answer, fields)
        return np.log(z) + self.kept / self.outputs * total

    def _coupling(self, field: int, answer: np.ndarray, fields: list[np.ndarray]) -> np.ndarray:
        """Of a matrix, from the answer where it writes."""
        matrix, wrote, read = self.matrices[field // 2], fields[field], fields[field ^ 1]
        if matrix.kind == "gaussian":
            return np.asarray((wrote * answer).sum(axis=(1, 2)))
        return -max(matrix.channels) * principal_logarithm(wrote @ read / matrix.square)

    def _acting(self, fields: list[np.ndarray], field: int, zeta: np.ndarray, size: int) -> np.ndarray:
        if field < 0:
            return zeta[:, None, None] * np.eye(size)
        added = self.matrices[field // 2].accumulated if field % 2 else None
        return fields[field] if added is None else fields[field] + added

    def _made(self, field: int, answer: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The field at the other side of a matrix, from the answer to its ``own`` field."""
        matrix = self.matrices[field // 2]
        source, target = matrix.channels
        if matrix.kind == "gaussian":
            taps = matrix.taps.transpose(0, 2, 1) if field % 2 else matrix.taps
            if len(taps) == 1 and taps.shape[1] == taps.shape[2] and (taps[0] == np.eye(len(taps[0]))).all():
                return matrix.square / source * answer
            return matrix.square / source * (taps[:, None] @ answer @ taps.transpose(0, 2, 1)[:, None]).sum(axis=0)
        # the mean over its own channels times f is the sum over the larger of both
        mean = answer / max(source, target)
        return matrix.square * less_inverted(-mean @ own) @ mean

    def solved(
        self,
        z: Inexact[np.ndarray, " points"],
        start: Complex[np.ndarray, "fields points"] | None = None,
        tolerance: float = _TOLERANCE,
        most: int = _MOST,
    ) -> Solved:
        """Fields and G at points off the real axis, or outside the support.

        Args:
            z: points (m,).
            start: fields nearby (k, m).
            tolerance: relative residual of the fields.
            most: sweeps.
        """
        zeta = 1 / z.astype(complex)
        ends, left = np.zeros(z.size, complex), np.full(z.size, np.inf)
        begun = np.zeros(z.size, int)

        def sweep(vectors: np.ndarray, which: np.ndarray) -> np.ndarray:
            found = np.empty_like(vectors)
            about = (left[which] > _ABOUT) & (begun[which] < _BEGIN)
            for some, way in ((about, True), (~about, False)):
                if some.any():
                    found[:, some], ends[which[some]] = self.swept(vectors[:, some], zeta[which[some]], way)
            sizes = np.maximum(self.sizes_of(found), np.finfo(float).tiny)
            left[which] = (np.abs(found - vectors) / sizes).max(axis=0, initial=0.0)
            begun[which] += 1
            return found

        given = np.zeros((self.unknowns, z.size), complex) if start is None else start
        found = fixed_point(sweep, given, self.sizes_of, self.sound, tolerance=tolerance, most=most)
        return Solved(found.point, zeta + zeta**2 * ends, found.residual <= _ENOUGH * tolerance)

    def sizes_of(self, vectors: Complex[np.ndarray, "fields points"]) -> Float[np.ndarray, "fields points"]:
        """The largest entry of the matrix to which each unknown belongs, (k, m)."""
        sizes = np.abs(vectors)
        for first, last in zip(self._starts, self._starts[1:], strict=False):
            sizes[first:last] = sizes[first:last].max(axis=0)
        return sizes

    def sound(self, vectors: Complex[np.ndarray, "fields points"]) -> Bool[np.ndarray, " points"]:
        """Whether the diagonals of all fields lie in the lower half-plane, or nearly so, (m,)."""
        fine = np.isfinite(vectors).all(axis=0)
        for first, last, size in zip(self._starts, self._starts[1:], self._sizes, strict=False):
            places = first + np.cumsum([0, *range(size, 1, -1)])
            own, largest = vectors[places], np.abs(vectors[first:last]).max(axis=0)
            fine &= (np.imag(own) <= 1e-9 * largest).all(axis=0)
        return np.asarray(fine)

    def moments(self) -> tuple[float, float]:
        """First and second moment: the answer of the end at ζ = 0, and its derivative there by a complex step."""
        vectors, end = self._settled(np.zeros((self.unknowns, 1), complex), np.zeros(1, complex))
        first = float(np.real(end[0]))
        zeta = np.array([-1j * _TINY / first])
        _, end = self._settled(vectors, zeta)
        return first, float(np.imag(end[0]) / np.imag(zeta[0]))

    def _settled(self, vectors: np.ndarray, zeta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sweeps near ζ = 0, each of which carries fields at least one matrix further, until they stay."""
        end = np.zeros(1, complex)
        for _ in range(3 * len(self.matrices) + 4):
            found, end = self.swept(vectors, zeta)
            moved, size = np.abs(found - vectors).max(initial=0.0), np.abs(found).max(initial=0.0)
            vectors = found
            if moved <= _STILL * size:
                break
        return vectors, end
