"""Points above the support of a graph's law, with the averaged inverse of its pencil there: of any graph, and of a chain at once.

Above the support everything is real. The equations of a chain can be walked from its input to its output: the field b at the
first matrix fixes the response p there, thus the field a and the response r behind the matrix, thus the next b, …, and at last
1/z (the curve of theory.md §1, neuron by neuron). No point is solved for, and the end of the support is where z turns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from freeness.errors import ConvergenceError
from freeness.operators import Direction, GraphEquation, GraphLaw, Outside, RandomMatrix, Segment
from freeness.spectra.graph import NetworkGraph

_NEWTON = 60
_SETTLED, _ROUNDED = 1e-14, 1e-9
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
        self._segments, self._matrices = segments, matrices
        self._equation = GraphEquation(segments, matrices, 1.0)

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
        first = self._matrices[0]
        pole = float(self._segments[0].accumulated[0, 0] * (first.d_source**2).max())
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
        """Fields (2·matrices, m), and 1/z (m,)."""
        with np.errstate(all="ignore"):  # what is not finite is told by those who ask
            return self._walked(s)

    def _walked(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        accumulated = [float(segment.accumulated[0, 0]) for segment in self._segments]
        fields = np.empty((2 * len(self._matrices), s.size))
        b, r, kappa = 1 / s, np.zeros(s.size), np.full(s.size, accumulated[0])
        for e, matrix in enumerate(self._matrices):
            squares = matrix.d_source**2
            p = np.mean(squares * kappa[:, None] / (1 - kappa[:, None] * squares * b[:, None]), axis=1)
            channels = self._segments[e].channels, self._segments[e + 1].channels
            a, r = _through(matrix, channels, p, b)
            fields[2 * e], fields[2 * e + 1] = b, a
            kappa = accumulated[e + 1] + a
            if e + 1 < len(self._matrices):
                following = self._matrices[e + 1].d_source ** 2
                b = _inverted(following, kappa * r) / (kappa * following.max())
        return fields.astype(complex), (r / (1 + kappa * r)).astype(complex)


def _last_turn(x: np.ndarray) -> int:
    """The minimum next to the far end."""
    falling = np.flatnonzero(np.diff(x) < 0)
    return int(falling[-1]) + 1 if falling.size else 0


def _through(
    matrix: RandomMatrix, channels: tuple[int, int], p: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Field a and response r at the target of a matrix, of p and b at its source."""
    source, target = channels
    if matrix.kind == "gaussian":
        return matrix.square * p, b * source / (target * matrix.square)
    if matrix.squares is None:
        p = p * min(1.0, source / target)
        a = matrix.square * p / (1 + p * b)
        return a, b * max(1.0, source / target) / (matrix.square - a * b)
    # without W the responses are p̃, r̃; with it p = E[1/(1/p̃ - λr̃)] over λ of WᵀW, r likewise over those of WWᵀ
    bare, top = p / (1 + b * p), matrix.squares.max()
    every = np.concatenate([matrix.squares / top, np.zeros(max(0, source - matrix.squares.size))])
    other = _inverted(every, p / bare - 1) / (bare * top)
    few = matrix.squares.size
    r = other * (target - few + (1 / (1 - np.outer(bare * other, matrix.squares))).sum(axis=1)) / target
    return 1 / other - 1 / r, r


def _inverted(squares: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """y in (0, 1) with u(y) = E[qy/(1 - qy)] = ``wanted`` (m,), q = squares/max: Newton on the concave 1/(1 + u), from above."""
    q = squares / squares.max()
    share = np.mean(q == 1)
    y = wanted / (wanted + share)
    change = np.full(y.shape, np.inf)
    for _ in range(_NEWTON):
        inverse = 1 / (1 - np.outer(y, q))
        u = y * (inverse @ q) / q.size
        change = (wanted - u) * (1 + u) / ((1 + wanted) * (inverse**2 @ q / q.size))
        y = y + change
        if np.all(np.abs(change) <= _SETTLED * y):
            return y
    return np.where(np.abs(change) <= _ROUNDED * y, y, np.nan)
