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
from freeness.operators.logarithms import logarithm
from freeness.operators.packing import packed, symmetric, unpacked
from freeness.operators.parts import GivenPart, WiredPart, less_inverted

PortPlace = tuple[int, int]  # part, port of it

_TOLERANCE = 3e-6  # relative residual of a solution
_ENOUGH = 20.0  # times that, of one that is slow
_MOST = 100  # sweeps
_ABOUT = 1e-3  # relative residual of what rough parts solve first
_CLOSER = 0.03  # times the residual of all parts, of what rough ones with that added solve next
_ROUGHEST = 1e-6  # residual to which single precision solves
_TURNS = 4  # of rough solutions
_HALF = 0.5  # of the residual before, which each must come below
_STILL = 1e-13  # relative change of fields that do not move any more
_TINY = 1e-5  # ζ in units of 1/m₁, at which the second moment is read


@dataclass(frozen=True, eq=False)
class PortMatrix:
    """A random matrix between ports; ``taps`` (taps, P_out, P_in) and ``channels`` as in the module's docstring.

    ``accumulated``: noise that its gradients bring in where it writes, (P_out, P_out) or None. ``layer``: its name. ``kept``:
    share of the channels that a norm in front leaves.
    """

    source: PortPlace
    target: PortPlace
    taps: Float[np.ndarray, "taps written read"]
    square: float
    channels: tuple[int, int]
    kind: Literal["gaussian", "haar"] = "gaussian"
    accumulated: Float[np.ndarray, "written written"] | None = None
    layer: str = ""
    kept: float = 1.0


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
    def rankless(self) -> float:
        """Share of the outputs where every matrix of the network has eigenvalues 0: of a projection, and of few columns."""
        columns = [self._columns_of(m) for m in self.matrices if m.target[0] == self.end[0]]
        rank = min(columns) if len(columns) == 1 else self.outputs
        return max(1.0 - self.kept, 1.0 - rank / self.outputs)

    def _columns_of(self, matrix: PortMatrix) -> float:
        """Of the last matrix, where nothing else leads to the end, less what a norm in front of it takes away."""
        part = self.parts[self.end[0]]
        only = isinstance(part, WiredPart) and len(part.accumulated) == 1 and not part.accumulated[0].any()
        columns = matrix.channels[0] * matrix.taps.shape[2] * matrix.kept
        return columns if only and matrix.accumulated is None else self.outputs

    @cached_property
    def _ports(self) -> list[list[int]]:
        """For each part, which field acts at each of its ports; -1 at the end."""
        found = [[-1] * len(part.sizes) for part in self.parts]
        for index, matrix in enumerate(self.matrices):
            for place, field in ((matrix.source, 2 * index), (matrix.target, 2 * index + 1)):
                found[place[0]][place[1]] = field
        return found

    def _split(self, vectors: np.ndarray) -> list[np.ndarray]:
        """Fields as matrices, of (m, k)."""
        return [
            unpacked(vectors[:, first:last], size)
            for first, last, size in zip(self._starts, self._starts[1:], self._sizes, strict=False)
        ]

    def _swept(
        self, parts: Sequence[GivenPart], vectors: np.ndarray, zeta: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fields (m, k) behind one sweep at ζ = 1/z (m,), and the answer of the end over the outputs (m,)."""
        fields = self._split(vectors)
        end = np.zeros(zeta.size, complex)
        for part, asked in zip(parts, self._ports, strict=True):
            given = [self._acting(fields, field, zeta, size) for field, size in zip(asked, part.sizes, strict=True)]
            for field, answer in zip(asked, part.answers(given), strict=True):
                if field < 0:
                    end = self.kept / self.outputs * np.trace(answer, axis1=1, axis2=2)
                else:
                    fields[field ^ 1] = self._made(field, answer, fields[field])
        none = np.zeros((zeta.size, 0), complex)
        return np.concatenate([none, *(packed(symmetric(field)) for field in fields)], axis=1), end

    @cached_property
    def _rough(self) -> tuple[GivenPart, ...]:
        return tuple(part.rough for part in self.parts)

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
        zeta, fields = 1 / z.astype(complex), self._split(vectors.T)
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
        return -max(matrix.channels) * logarithm(wrote, read / matrix.square)

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
        fields = np.zeros((z.size, self.unknowns), complex) if start is None else start.T.astype(complex)
        ends, left = np.zeros(z.size, complex), np.full(z.size, np.inf)
        hopeless = np.zeros(z.size, bool)
        if any(rough is not part for rough, part in zip(self._rough, self.parts, strict=True)):
            hopeless = self._about(fields, ends, left, zeta, (tolerance, most)) & (start is not None)
        running = np.flatnonzero(~(left <= tolerance) & ~hopeless)

        def sweep(vectors: np.ndarray, which: np.ndarray) -> np.ndarray:
            found, ends[running[which]] = self._swept(self.parts, vectors, zeta[running[which]])
            return found

        found = fixed_point(sweep, fields[running], self._sizes_of, self._sound, tolerance=tolerance, most=most)
        fields[running], left[running] = found.point, found.residual
        return Solved(fields.T, zeta + zeta**2 * ends, left <= _ENOUGH * tolerance)

    def _about(
        self, fields: np.ndarray, ends: np.ndarray, left: np.ndarray, zeta: np.ndarray, aim: tuple[float, int]
    ) -> Bool[np.ndarray, " points"]:
        """Solves by rough parts, to whose answers that is added which all of them miss there, while that brings more.

        Where rough parts alone have no solution within reach is returned.

        Args:
            fields: (m, k), overwritten as the next two are.
            ends: answers of the end (m,).
            left: residuals (m,).
            zeta: 1/z.
            aim: residual and sweeps.
        """
        tolerance, most = aim
        running, wanted = np.arange(zeta.size), _ABOUT
        missed = np.zeros_like(fields)
        for _ in range(_TURNS):

            def sweep(vectors: np.ndarray, which: np.ndarray, at: np.ndarray = running) -> np.ndarray:
                return self._swept(self._rough, vectors, zeta[at[which]])[0] + missed[at[which]]

            about = fixed_point(sweep, fields[running], self._sizes_of, self._sound, tolerance=wanted, most=most)
            good = about.residual <= _ENOUGH * wanted
            running, tried = running[good], about.point[good]
            if not running.size:
                break
            found, end = self._swept(self.parts, tried, zeta[running])
            sizes = np.maximum(np.maximum(self._sizes_of(found), self._sizes_of(tried)), np.finfo(float).tiny)
            residual = np.abs((found - tried) / sizes).max(axis=1, initial=0.0)
            better = residual < _HALF * left[running]
            running, tried, found, residual = running[better], tried[better], found[better], residual[better]
            fields[running], ends[running], left[running] = tried, end[better], residual
            again = residual > tolerance
            running, tried, found, residual = running[again], tried[again], found[again], residual[again]
            if not running.size:
                break
            missed[running] = found - self._swept(self._rough, tried, zeta[running])[0]
            wanted = max(_CLOSER * float(residual.max()), _ROUGHEST)
        return np.isinf(left)

    @cached_property
    def _widths(self) -> np.ndarray:
        """Unknowns of each field."""
        return np.diff(self._starts)

    def _sizes_of(self, vectors: np.ndarray) -> np.ndarray:
        """The largest entry of the matrix to which each unknown belongs, (m, k)."""
        if not self.unknowns:
            return np.abs(vectors)
        return np.maximum.reduceat(np.abs(vectors), self._starts[:-1], axis=1).repeat(self._widths, axis=1)

    @cached_property
    def _diagonals(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the diagonals' entries among the unknowns, and to which field each belongs."""
        places = [
            first + np.cumsum([0, *range(size, 1, -1)]) for first, size in zip(self._starts, self._sizes, strict=False)
        ]
        return np.concatenate([np.zeros(0, int), *places]), np.repeat(np.arange(len(self._sizes)), self._sizes)

    def _sound(self, vectors: np.ndarray) -> np.ndarray:
        """Whether the diagonals of all fields lie in the lower half-plane, or nearly so, (m,)."""
        fine = np.asarray(np.isfinite(vectors).all(axis=1))
        if not self.unknowns:
            return fine
        places, field = self._diagonals
        largest = np.maximum.reduceat(np.abs(vectors), self._starts[:-1], axis=1)
        return np.asarray(fine & (np.imag(vectors[:, places]) <= 1e-9 * largest[:, field]).all(axis=1))

    def sound(self, vectors: Complex[np.ndarray, "fields points"]) -> Bool[np.ndarray, " points"]:
        """Whether the diagonals of all fields lie in the lower half-plane, or nearly so, (m,)."""
        return self._sound(vectors.T)

    def moments(self) -> tuple[float, float]:
        """First and second moment: the answer of the end at ζ = 0, and its derivative there by a complex step."""
        vectors, end = self._settled(np.zeros((1, self.unknowns), complex), np.zeros(1, complex))
        first = float(np.real(end[0]))
        zeta = np.array([-1j * _TINY / first])
        _, end = self._settled(vectors, zeta)
        return first, float(np.imag(end[0]) / np.imag(zeta[0]))

    def _settled(self, vectors: np.ndarray, zeta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sweeps near ζ = 0, each of which carries fields at least one matrix further, until they stay."""
        end = np.zeros(1, complex)
        for _ in range(3 * len(self.matrices) + 4):
            found, end = self._swept(self.parts, vectors, zeta)
            moved, size = np.abs(found - vectors).max(initial=0.0), np.abs(found).max(initial=0.0)
            vectors = found
            if moved <= _STILL * size:
                break
        return vectors, end
