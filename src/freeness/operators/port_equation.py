"""Fields at the ports of linked nodes with positions: what matrices over positions and numbers at each have in common.

Of each segment of linked nodes the pencils of its channels are inverted together; ports are where random matrices read (row 1,
U of a node) and write (row 0, V). The last node of the last segment is the end, where ζ acts.

Source: theory.md §3.4, as :mod:`freeness.operators.block_equation`.
"""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from jaxtyping import Complex, Float, Inexact

from freeness.numerics import lower_log
from freeness.operators.field_equation import FieldEquation, Responses
from freeness.operators.graph_equation import Place

_PIECE = 1_500_000  # entries of channels that are worked on at once
_GAUSSIAN_START = (
    0.05  # sweeps converge anywhere in the half-plane, and cost a tenth of Newton steps; Haar ones at the top
)


class LinkedNodes(Protocol):
    """K of each node, (1 or channels, …), and the number of channels."""

    @property
    def accumulated(self) -> Sequence[Float[np.ndarray, "#channels *_"]]: ...
    @property
    def channels(self) -> int: ...


class Tying(Protocol):
    """A random matrix between two ports."""

    @property
    def kind(self) -> str: ...


class Acting(Protocol):
    """Where fields act, on how many channels and positions; ``unknowns`` numbers are a field over them."""

    @property
    def place(self) -> Place: ...
    @property
    def row(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def unknowns(self) -> int: ...


class PencilInverse(Protocol):
    """The inverse of the pencils of segment ``index`` at m points, with ``ports`` on its nodes."""

    index: int
    ports: list[int]
    beta: list[Complex[np.ndarray, " points #channels *_"]]

    def diagonal(self, node: int, row: int) -> Complex[np.ndarray, " points #channels *_"]:
        """Entry at V (0) or U (1) of a node."""
        ...

    def from_row(self, node: int, row: int) -> Callable[[int, int], Complex[np.ndarray, " points #channels *_"]]:
        """A function of (later node, its row): what leads there from this row."""
        ...

    def logarithm(self) -> Complex[np.ndarray, " points"]:
        """Σ over channels and positions of log det (m,)."""
        ...


S = TypeVar("S", bound=LinkedNodes)
M = TypeVar("M", bound=Tying)
R = TypeVar("R", bound=Acting)


class PortEquation(FieldEquation, Generic[S, M, R]):
    """The equations of one graph with positions.

    ``ports``: b and a of each matrix in turn; the last node of the last segment is the output.
    """

    def __init__(self, segments: Sequence[S], matrices: Sequence[M], ports: Sequence[R], scale: float) -> None:
        self.segments, self.matrices, self._ports = tuple(segments), tuple(matrices), tuple(ports)
        self.magnitude = float(scale)
        self._starts = np.cumsum([0, *(port.unknowns for port in ports)])
        self.unknowns = int(self._starts[-1]) + 1
        if all(matrix.kind == "gaussian" for matrix in matrices):
            self.start_height = _GAUSSIAN_START

    @property
    def size(self) -> int:
        return sum(len(segment.accumulated) for segment in self.segments)

    @property
    def _end(self) -> int:
        """The number of the end, behind all ports."""
        return len(self._ports)

    def _own(self, port: int) -> slice:
        """Where its numbers lie among the unknowns."""
        return slice(int(self._starts[port]), int(self._starts[port + 1]))

    # --- the environment -------------------------------------------------------------------------------------------

    @abstractmethod
    def _pencil(self, index: int, fields: np.ndarray, zeta: np.ndarray) -> PencilInverse:
        """Of a segment at fields (k, m) and ζ (m,)."""

    @abstractmethod
    def _answer(self, port: R, entry: np.ndarray) -> np.ndarray:
        """The response of a port (its unknowns, m) where the entry of the inverse at its row is ``entry``."""

    @abstractmethod
    def _mean_of_end(self, entry: np.ndarray) -> np.ndarray:
        """The response of the end (m,)."""

    @abstractmethod
    def _between_two(self, entry: np.ndarray, e: int, f: int) -> np.ndarray:
        """What leads from port e to port f, from the entry between their rows; either may be the end."""

    @abstractmethod
    def _place(self, slopes: np.ndarray, e: int, f: int, between: np.ndarray) -> None:
        """d response_f/d field_e and its transpose into ``slopes`` (k + 1, k + 1, m)."""

    @abstractmethod
    def _bound(self, at: Responses, e: int) -> Any:
        """What random matrix e adds to the potential, over all channels and positions (m,)."""

    def responses(
        self,
        fields: Inexact[np.ndarray, "fields points"],
        zeta: Inexact[np.ndarray, " points"],
        *,
        slopes: bool,
        logarithm: bool,
    ) -> Responses:
        count, points = self.unknowns, zeta.size
        values = np.zeros((count, points), complex)
        changes = self._no_slopes(points) if slopes else None
        total = np.zeros(points, complex) if logarithm else None
        for index, segment in enumerate(self.segments):
            height = max(1, _PIECE // (segment.channels * sum(k[0].size for k in segment.accumulated)))
            for first in range(0, points, height):
                part = slice(first, first + height)
                pencil = self._pencil(index, fields[:, part], zeta[part])
                self._respond(pencil, values[:, part])
                if changes is not None:
                    for e, f, between in self._between(pencil):
                        self._place(changes[:, :, part], e, f, between)
                if total is not None:
                    total[part] += pencil.logarithm()
        return Responses(fields, zeta, values, changes, total)

    def _no_slopes(self, points: int) -> np.ndarray:
        """Zeros (k + 1, k + 1, m) in the order in which they are filled: here point by point."""
        return np.zeros((points, self.unknowns, self.unknowns), complex).transpose(1, 2, 0)

    def _respond(self, pencil: PencilInverse, values: np.ndarray) -> None:
        for e in pencil.ports:
            port = self._ports[e]
            values[self._own(e)] = self._answer(port, pencil.diagonal(port.place[1], port.row))
        if pencil.index == len(self.segments) - 1:
            values[-1] = self._mean_of_end(pencil.diagonal(len(pencil.beta) - 1, 1))

    def _between(self, pencil: PencilInverse) -> Iterator[tuple[int, int, np.ndarray]]:
        """Ports e and f of a segment, the end being one more, and what leads from e to f."""
        rows = [(e, self._ports[e].place[1], self._ports[e].row) for e in pencil.ports]
        if pencil.index == len(self.segments) - 1:
            rows.append((self._end, len(pencil.beta) - 1, 1))
        for position, (e, node, row) in enumerate(rows):
            entries = pencil.from_row(node, row)
            for k, (f, there, side) in enumerate(rows):
                if (there, k) >= (node, position):
                    yield e, f, self._between_two(entries(there, side), e, f)

    # --- the equations ---------------------------------------------------------------------------------------------

    @cached_property
    def _factors(self) -> list[tuple[float, float]]:
        """Of p in a and of r in b, for each matrix."""
        found: list[tuple[float, float]] = []
        for e, matrix in enumerate(self.matrices):
            source, target = self._ports[2 * e].channels, self._ports[2 * e + 1].channels
            expanding = matrix.kind == "haar" and target > source
            found.append((source / target, 1.0) if expanding else (1.0, target / source))
        return found

    def _potential(self, at: Responses) -> np.ndarray:
        assert at.logarithm is not None
        total = at.logarithm + sum(self._bound(at, e) for e in range(len(self.matrices)))
        nodes = sum(s.channels * k.shape[-1] for s in self.segments for k in s.accumulated) * 1j * np.pi
        last = self.segments[-1]
        return -lower_log(at.zeta) + (total - nodes) / (last.channels * last.accumulated[-1].shape[-1])
