"""Points above the support of a graph's law, with the averaged inverse of its pencil there: of any graph, and of a chain at once.

Above the support everything is real, and a chain is walked from its input to its output along its list of moves: with z and g
at a matrix, the field there is b = 1/z before it and a = z - 1/g behind it. No point is solved for, and the end of the support
is where z turns.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from freeness.errors import ConvergenceError
from freeness.laws import Empirical
from freeness.moves import Move, Resize, Shift, nodes_of, steps_of, times, walked
from freeness.network import Gaussian, Haar
from freeness.operators import Direction, GraphEquation, GraphLaw, Outside, RandomMatrix, Segment
from freeness.spectra.gram import gram_law
from freeness.spectra.graph import NetworkGraph

_LOST = "none; the gradient vanishes or overflows in it, so scale the weights."
_NEAR, _FAR, _FARTHEST, _POINTS, _ZOOMS = 1e-6, 1e4, 1e120, 41, 2


class Above(ABC):
    """Points above the support by a parameter s > 0 that grows with them."""

    @abstractmethod
    def start(self, share: float) -> float:
        """s at ``share`` > 1 times the upper end of the support."""

    @abstractmethod
    def place(self, s: np.ndarray) -> np.ndarray:
        """The points x(s)."""

    @abstractmethod
    def outside(self, s: np.ndarray, directions: Sequence[Direction]) -> Outside:
        """What the averaged inverse is there."""


class AboveLaw(Above):
    """By the law of any graph: s = x."""

    def __init__(self, law: GraphLaw) -> None:
        self._law = law

    def start(self, share: float) -> float:
        return share * self._law.upper_end

    def place(self, s: np.ndarray) -> np.ndarray:
        return s

    def outside(self, s: np.ndarray, directions: Sequence[Direction]) -> Outside:
        return self._law.outside(s, directions)


class AboveChain(Above):
    """By the walk through a chain: s = 1/b at the first matrix."""

    def __init__(self, segments: Sequence[Segment], matrices: Sequence[RandomMatrix]) -> None:
        self._equation = GraphEquation(segments, matrices, 1.0)
        self._accumulated = [float(segment.accumulated[0, 0]) for segment in segments]
        self._derivatives = [Empirical(matrix.d_source**2) for matrix in matrices]
        widths = [segment.channels for segment in segments]
        self._through = [steps_of(_through(*m)) for m in zip(matrices, widths[:-1], widths[1:], strict=True)]
        self._before = [steps_of(times(law)) for law in self._derivatives]

    @classmethod
    def of(cls, graph: NetworkGraph) -> AboveChain | None:
        """None of a graph that is no chain."""
        if graph.plain is None or not graph.matrices:
            return None
        segments, matrices = graph.plain
        in_order = all(m.source == (e, 0) and m.target == (e + 1, 0) for e, m in enumerate(matrices))
        even = all(len(s.accumulated) == 1 and np.ptp(s.accumulated) == 0 for s in segments)
        open_ends = all(np.all(m.d_target == 1) for m in matrices)
        chain = in_order and even and open_ends and len(segments) == len(matrices) + 1
        return cls(segments, matrices) if chain else None

    def start(self, share: float) -> float:
        s, x = self._turn
        wanted = share * x[0]
        if not (s.size > 1 and np.isfinite(x).all() and x[0] > 0):
            raise ConvergenceError(f"expected a walk through the chain to the end of its support, got {_LOST}")
        for _ in range(_ZOOMS):
            last = min(int(np.flatnonzero(x < wanted)[-1]), s.size - 2)
            s = np.geomspace(s[last], s[last + 1], _POINTS)
            x = self.place(s)
        return float(np.interp(wanted, x, s))

    def place(self, s: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return 1 / np.real(self._walk(s)[1])

    def outside(self, s: np.ndarray, directions: Sequence[Direction]) -> Outside:
        fields, zeta = self._walk(s)
        if not (np.isfinite(fields).all() and np.isfinite(zeta).all()):
            raise ConvergenceError(f"expected fields above the support of a chain, got {_LOST}")
        return self._equation.outside(fields, zeta, directions)

    @cached_property
    def _turn(self) -> tuple[np.ndarray, np.ndarray]:
        """s and x from the upper end of the support on, where x is least."""
        pole = self._accumulated[0] * self._derivatives[0].hull[1]
        if not pole > 0:
            raise ConvergenceError(f"expected a walk through the chain to the end of its support, got {_LOST}")
        reach = np.geomspace(_NEAR, _FAR, _POINTS)
        s = pole * (1 + reach)
        x = self.place(s)
        while x[-1] < x[-2] and reach[-1] < _FARTHEST:  # what the last layers accumulate may lie far above the first
            reach = reach[-2] * np.geomspace(1, _FAR, _POINTS)
            s = pole * (1 + reach)
            x = self.place(s)
        for _ in range(_ZOOMS):
            low = int(_last_turn(x))
            reach = np.geomspace(reach[max(low - 1, 0)], reach[min(low + 1, reach.size - 1)], _POINTS)
            finer = pole * (1 + reach)
            s, order = np.unique(np.concatenate([s[low + 1 :], finer]), return_index=True)
            x = np.concatenate([x[low + 1 :], self.place(finer)])[order]
            reach = s / pole - 1
        low = int(_last_turn(x))
        return s[low:], x[low:]

    def _walk(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fields (2·matrices, m), and 1/z (m,); not finite where the point is not above the support."""
        fields = np.empty((2 * len(self._through), s.size))
        first, (positions, masses) = self._accumulated[0], nodes_of(self._derivatives[0])
        with np.errstate(all="ignore"):
            at = s, (1 / (s[:, None] / (first * positions) - 1)) @ masses  # behind the first derivative, from z there
            for e, through in enumerate(self._through):
                at = walked(self._before[e], at) if e else at
                fields[2 * e] = 1 / at[0]
                z, u = walked(through, at)
                fields[2 * e + 1] = z * u / (1 + u)  # z - 1/g
                at = walked(steps_of([Shift(self._accumulated[e + 1])]), (z, u))
            return fields.astype(complex), (1 / at[0]).astype(complex)


def _last_turn(x: np.ndarray) -> int:
    """The minimum next to the far end."""
    falling = np.flatnonzero(np.diff(x) < 0)
    return int(falling[-1]) + 1 if falling.size else 0


def _through(matrix: RandomMatrix, source: int, target: int) -> tuple[Move, ...]:
    """The moves of a matrix between the given numbers of channels."""
    variance = matrix.square
    if matrix.squares is not None:
        factor = Empirical(np.concatenate([matrix.squares, np.zeros(max(0, source - matrix.squares.size))]))
    elif matrix.kind == "gaussian":
        factor = gram_law(Gaussian(variance**0.5), source, target)
    else:
        factor = gram_law(Haar(variance**0.5), source, target)
    return *times(factor), Resize(source / target)
