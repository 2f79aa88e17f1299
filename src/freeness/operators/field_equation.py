"""Equations for the fields of random matrices in a deterministic environment: fields at ports, responses of it, Newton.

The environment answers fields θ at its ports (and ζ = 1/z at the end) with responses, whose derivatives by the fields and by ζ
are known exactly; each random matrix ties the fields at its two ports to the responses there. What a law needs of such
equations follows from these two alone: G(z) = ζ + ζ²·(response of the end), its slope, the motion of the fields along the axis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from freeness.operators.spectral import solved

SWEEPS = 2000
_FAR = 8.0  # in units of the magnitude: a height at which it is seen which fields move at all
STILL = 1e-10  # relative imaginary part there of one that does not
_SETTLED = 1e-6  # relative change of a sweep after which Newton takes over
_ROUNDED = 1e-6  # relative imaginary part of a real field
EXACT = 1e-13  # relative residual that is rounding
_PIECE = 4_000_000  # entries of Jacobians that are worked on at once


@dataclass(frozen=True, eq=False)
class Responses:
    """What the environment answers to ``fields`` θ (k, m) at ``zeta`` (m,); None where not asked for.

    ``values``: responses of the ports and of the end (k + 1, m). ``slopes``: their derivatives by the fields and ζ (k + 1, k + 1,
    m). ``logarithm``: log det (m,).
    """

    fields: np.ndarray
    zeta: np.ndarray
    values: np.ndarray
    slopes: np.ndarray | None
    logarithm: np.ndarray | None


class FieldEquation(ABC):
    """Equations in the form that :class:`~freeness.operators.MatrixLaw` follows; the last of the unknowns is not used.

    ``unknowns``: fields, and one more. ``magnitude``: size of the spectrum. ``start_height``: in units of it, where sweeps start.
    ``enough``: relative size of a Newton step after which none is needed. ``costly``: whether a point takes seconds.
    """

    corners = 1
    symmetric = False
    start_height = 8.0
    enough = 4e-15
    costly = False
    unknowns: int
    magnitude: float

    @property
    @abstractmethod
    def size(self) -> int:
        """Nodes of the graph."""

    @property
    @abstractmethod
    def floor(self) -> float:
        """A lower bound of the spectrum: what accumulates at the output itself."""

    @abstractmethod
    def responses(self, fields: np.ndarray, zeta: np.ndarray, *, slopes: bool, logarithm: bool) -> Responses:
        """Of every port to fields (k, m) at ζ (m,)."""

    @abstractmethod
    def _residual(self, at: Responses) -> np.ndarray:
        """Fields less what the random matrices make of the responses, (k, m)."""

    @abstractmethod
    def _jacobian(self, at: Responses) -> np.ndarray:
        """d residual/d fields, (m, k, k)."""

    @abstractmethod
    def _by_zeta(self, at: Responses) -> np.ndarray:
        """d residual/dζ, (m, k)."""

    def _swept(self, at: Responses) -> np.ndarray:
        """Fields that the random matrices make of the responses."""
        return at.fields - self._residual(at)

    def depth(self, fields: np.ndarray) -> np.ndarray:
        """How deep all fields lie in the lower half-plane, relative to their size (m,), but for those that are known.

        Known are constants, as of W Wᵀ with a Haar matrix W, and :meth:`_turned`. (A field that is real at one point above the
        axis is so everywhere, by the maximum principle.) Where one of them lies above the axis, it tells how far.
        """
        known = self._still.copy()
        for where, _ in self._turned(np.ones(1)):
            known[where] = True
        below = self._below(fields)
        return inside(below[~known].min(axis=0, initial=np.inf), below[known].min(axis=0, initial=0.0))

    def strayed(self, fields: np.ndarray, zeta: np.ndarray) -> np.ndarray:
        """How far known fields are from what they have to be at ζ (m,), relative to their size (m,)."""
        found = np.abs(self._below(fields)[self._still]).max(axis=0, initial=0.0)
        for where, values in self._turned(zeta):
            found = np.maximum(found, differing(fields[where], values))
        return found

    def _below(self, fields: np.ndarray) -> np.ndarray:
        return -np.imag(fields) / np.maximum(np.abs(fields), np.finfo(float).tiny)

    def _turned(self, zeta: np.ndarray) -> list[tuple[slice, np.ndarray]]:
        """The field b = s²(1/ζ - K)⁻¹ at the source of a square Haar matrix behind which nothing is but a constant K.

        Of W X Wᵀ + K it keeps the law but for a shift: b is real on the axis. Its places among the fields, and its values (k, m).
        """
        return []

    @cached_property
    def _still(self) -> np.ndarray:
        """Which fields are constants (k,)."""
        return np.abs(np.imag(self._above)) <= STILL * np.abs(self._above)

    @cached_property
    def _above(self) -> np.ndarray:
        """Fields far above the spectrum (k,), to rounding."""
        return self._sweeps(np.array([1 / (1j * _FAR * self.magnitude)]), EXACT)[:, 0]

    def _solved(self, matrices: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Solutions of Jacobians (m, k, k) for (m, k, l)."""
        return solved(matrices, right)

    def _at(self, parameters: np.ndarray, target: np.ndarray, *, logarithm: bool = False) -> Responses:
        return self.responses(parameters[:-1], 1 / target, slopes=True, logarithm=logarithm)

    def start(self, target: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Unknowns far above the support, by sweeps of the equations."""
        fields = self._sweeps(1 / (target + 1j * height), _SETTLED)
        return np.concatenate([fields, np.zeros((1, target.size))])

    def _sweeps(self, zeta: np.ndarray, settled: float) -> np.ndarray:
        """Fields (k, m) by sweeps of the equations, until their relative change is so small."""
        fields = np.zeros((self.unknowns - 1, zeta.size), complex)
        for _ in range(SWEEPS):
            with np.errstate(all="ignore"):  # below the support sweeps may come to no end: Newton then finds none
                new = self._swept(self.responses(fields, zeta, slopes=False, logarithm=False))
            change = np.abs(new - fields).max() / max(np.abs(new).max(), np.finfo(float).tiny)
            fields = new
            if not change > settled:  # (nor where it is NaN)
                break
        return fields

    def moments(self) -> tuple[float, float]:
        """First and second moment: the response of the end at ζ = 0 and its derivative; sweeps end there after depth steps."""
        fields = np.zeros((self.unknowns - 1, 1), complex)
        for _ in range(SWEEPS):
            at = self.responses(fields, np.zeros(1, complex), slopes=False, logarithm=False)
            residual = self._residual(at)
            fields = fields - residual
            if np.abs(residual).max(initial=0.0) <= EXACT * np.abs(fields).max(initial=0.0):
                break
        at = self.responses(fields, np.zeros(1, complex), slopes=True, logarithm=False)
        assert at.slopes is not None
        rates = self._solved(self._jacobian(at), -self._by_zeta(at)[:, :, None])[0, :, 0]
        second = at.slopes[-1, -1, 0] + at.slopes[-1, :-1, 0] @ rates
        return float(at.values[-1, 0].real), float(second.real)

    def newton_change(self, parameters: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One Newton step of all unknowns, and the margin: all fields stay in the lower half-plane."""
        change, margin = np.zeros(parameters.shape, complex), np.zeros(target.shape)
        for part in self._parts(target.size):
            at = self._at(parameters[:, part], target[part])
            change[:-1, part] = self._solved(self._jacobian(at), -self._residual(at).T[:, :, None])[:, :, 0].T
            margin[part] = self.depth(at.fields)
        return change, margin

    def _parts(self, points: int) -> list[slice]:
        """Points by as many as fit into memory at once."""
        height = max(1, _PIECE // self.unknowns**2)
        return [slice(first, first + height) for first in range(0, points, height)]

    def state(self, parameters: np.ndarray, target: np.ndarray, potential: bool = False) -> Corner:
        """G, its slope and the potential at the unknowns."""
        found = Corner(*(np.full(target.shape, np.nan, complex) for _ in range(3)))
        for part in self._parts(target.size):
            at = self._at(parameters[:, part], target[part], logarithm=potential)
            found.value[part], found.slope[part] = self._corner(at)
            if potential:
                found.potential[part] = self._potential(at)
        return found

    def size_of(self, parameters: np.ndarray) -> np.ndarray:
        """What a change of each unknown is compared with: its own size."""
        return np.abs(parameters)

    def corner(self, state: Corner) -> tuple[np.ndarray, np.ndarray]:
        """G and dG/dz, each (m,)."""
        return state.value, state.slope

    def potential(self, state: Corner, height: np.ndarray | float = 0.0) -> np.ndarray:
        """∫ log(z - x) dμ up to a constant; to first order that of a point so much lower, by its derivative G."""
        return state.potential - 1j * height * state.value

    def _corner(self, at: Responses) -> tuple[np.ndarray, np.ndarray]:
        assert at.slopes is not None
        zeta, response = at.zeta, at.values[-1]
        rates = self._solved(self._jacobian(at), -self._by_zeta(at)[:, :, None])[:, :, 0].T
        slope = at.slopes[-1, -1] + (at.slopes[-1, :-1] * rates).sum(axis=0)
        return zeta + zeta**2 * response, -(zeta**2) * (1 + 2 * zeta * response + zeta**2 * slope)

    @abstractmethod
    def _potential(self, at: Responses) -> np.ndarray:
        """∫ log(z - x) dμ up to a constant: stationary in the unknowns, so that its derivative in z is G."""

    def resolved(self, parameters: np.ndarray, target: np.ndarray) -> np.ndarray:
        """G between the positions of the output, averaged over its channels, (m, P, P)."""
        return self._corner(self._at(parameters, target))[0][:, None, None]

    def critical_step(
        self, parameters: np.ndarray, x: np.ndarray, direction: np.ndarray, wanted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One Newton step of unknowns and x together towards direction·unknowns = wanted, and d x/d wanted there."""
        at = self._at(parameters, x.astype(complex))
        count = self.unknowns - 1
        matrix = np.zeros(
            (x.size, count + 1, count + 1), complex
        )  # bordered: regular at a fold, where the Jacobian is not
        matrix[:, :count, :count], matrix[:, count, :count] = self._jacobian(at), direction.T
        matrix[:, :count, count] = self._by_zeta(at) * (-1 / x**2)[:, None]
        right = np.zeros((x.size, count + 1, 2), complex)
        right[:, :count, 0] = -self._residual(at).T
        right[:, count, 0] = wanted - np.einsum("km,km->m", direction, parameters[:-1])
        right[:, count, 1] = 1.0
        found = solved(matrix, right)
        step = np.concatenate([found[:, :count, 0].T, np.zeros((1, x.size))])
        return step, found[:, count, 0], found[:, count, 1]

    def hermitian(self, parameters: np.ndarray) -> np.ndarray:
        """The unknowns made real, as they are outside the support."""
        return np.real(parameters).astype(complex)

    def rates(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
        """d unknowns/dx, (k, m)."""
        at = self._at(parameters, x.astype(complex))
        return self._solved(self._jacobian(at), self._by_zeta(at)[:, :, None] * (1 / x**2)[:, None, None])[:, :, 0].T


def inside(depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The depth (m,) of fields, or that of the known ones (m,) where it is negative by more than rounding."""
    return np.where(known >= -_ROUNDED, depth, known)


def differing(fields: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The largest difference of two (k, m), relative to their size (m,)."""
    return np.abs(fields - known).max(axis=0) / np.maximum(np.abs(known).max(axis=0), np.finfo(float).tiny)


@dataclass(frozen=True, eq=False)
class Corner:
    """G, dG/dz and the potential, each (m,)."""

    value: np.ndarray
    slope: np.ndarray
    potential: np.ndarray
