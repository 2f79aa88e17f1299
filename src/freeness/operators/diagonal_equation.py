"""The equations of a graph with positions where none is mixed: fields that are numbers at every position.

As in :mod:`freeness.operators.block_equation`. Where noise enters every position by itself, links and maps are diagonal, and
a tap takes each position to one other, every field stays diagonal: T D Tᵀ is, where T has one entry in a column at most. So
JJᵀ of convolutions with padding or stride, skips and norms over channels has 2P unknowns a weight layer instead of P(P + 1), and
no matrix is inverted. What adds up over positions leads out of it: Θ, averages, attention.

Source: theory.md §3.4; that diagonal fields close is seen there from the equations.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex
from scipy.sparse import csr_array

from freeness.numerics import lower_log, upper_log
from freeness.operators.block_equation import BlockSegment, SharedMatrix
from freeness.operators.field_equation import Responses
from freeness.operators.graph_equation import Place
from freeness.operators.port_equation import PortEquation
from freeness.operators.product_equation import Linear, ProductEquation

_FORMED = 500  # unknowns up to which Jacobians are formed, of many points at once
_NOTHING = 1e-300  # in the place of 0 where no noise has come yet


class _Segment(NamedTuple):
    """K of each node and squares of the links from each to the next, (1 or C, P)."""

    accumulated: list[np.ndarray]
    links: list[np.ndarray]
    channels: int


class _Matrix(NamedTuple):
    """Which positions share its weights, Σ_τ T_τ∘T_τ (P_out, P_in), and s²."""

    shared: csr_array
    square: float
    kind: str


class _Port(NamedTuple):
    """Where fields act, as of blocks; ``squares`` (1 or C, P) of the map there."""

    place: Place
    row: int
    squares: np.ndarray
    channels: int

    @property
    def size(self) -> int:
        return self.squares.shape[1]

    @property
    def unknowns(self) -> int:
        return self.size


class _Pair(NamedTuple):
    """Means over channels of H² (P,) from port to port."""

    source: int
    target: int
    squares: np.ndarray


class DiagonalEquation(PortEquation[_Segment, _Matrix, _Port]):
    """The equations of a graph whose positions are not mixed; see :meth:`of`."""

    @classmethod
    def of(
        cls, segments: Sequence[BlockSegment], matrices: Sequence[SharedMatrix], scale: float
    ) -> DiagonalEquation | None:
        """The same graph as a :class:`BlockEquation` has, or None where something mixes positions.

        Example:
            >>> from freeness.network import cnn, mlp
            >>> from freeness.spectra import network_graph
            >>> network = cnn(mlp(2, 8, "tanh", "gaussian"), kernel=(3,))
            >>> graphs = [network_graph(network, samples=np.ones((1, 8, 4)), fisher=fisher) for fisher in (False, True)]
            >>> [DiagonalEquation.of(graph.segments, graph.matrices, 4.0) is None for graph in graphs]
            [False, True]
        """
        apart = all(_is_diagonal(part) for s in segments for part in (*s.accumulated, *s.links))
        seen = [part for m in matrices for part in (m.read, m.write) if part is not None]
        if not (apart and all(map(_is_diagonal, seen)) and all(map(_keeps_apart, matrices))):
            return None
        own = [
            _Segment([_entries(k) for k in s.accumulated], [_entries(link) ** 2 for link in s.links], s.channels)
            for s in segments
        ]
        shared = [_Matrix(csr_array((m.taps**2).sum(axis=0)), m.square, m.kind) for m in matrices]
        ports: list[_Port] = []
        for matrix in matrices:
            for place, row, through in ((matrix.source, 1, matrix.read), (matrix.target, 0, matrix.write)):
                segment = own[place[0]]
                one = np.ones((1, segment.accumulated[place[1]].shape[1]))
                ports.append(_Port(place, row, one if through is None else _entries(through) ** 2, segment.channels))
        found = cls(own, shared, ports, scale)
        return found if found.unknowns <= _FORMED else LargeDiagonalEquation(own, shared, ports, scale)

    @property
    def floor(self) -> float:
        return max(0.0, float(self.segments[-1].accumulated[-1].min()))

    # --- the environment -------------------------------------------------------------------------------------------

    def _pencil(self, index: int, fields: np.ndarray, zeta: np.ndarray) -> _Pencil:
        segment = self.segments[index]
        kappa = [np.repeat(k[None].astype(complex), zeta.size, axis=0) for k in segment.accumulated]
        beta = [np.zeros((zeta.size, 1, k.shape[1]), complex) for k in segment.accumulated]
        here = [e for e, port in enumerate(self._ports) if port.place[0] == index]
        for e in here:
            port = self._ports[e]
            into = beta if port.row else kappa
            into[port.place[1]] = into[port.place[1]] + fields[self._own(e)].T[:, None] * port.squares
        if index == len(self.segments) - 1:
            beta[-1] = beta[-1] + zeta[:, None, None]
        return _Pencil(segment, index, here, kappa, beta)

    def _answer(self, port: _Port, entry: np.ndarray) -> np.ndarray:
        return (entry * port.squares).mean(axis=1).T

    def _mean_of_end(self, entry: np.ndarray) -> np.ndarray:
        return entry.mean(axis=(1, 2))

    def resolved(
        self, parameters: Complex[np.ndarray, "unknowns points"], target: Complex[np.ndarray, " points"]
    ) -> Complex[np.ndarray, "points positions positions"]:
        zeta = 1 / target
        last = self._pencil(len(self.segments) - 1, parameters[:-1], zeta)
        own = zeta[:, None] + zeta[:, None] ** 2 * last.diagonal(len(last.beta) - 1, 1).mean(axis=1)
        return own[:, :, None] * np.eye(own.shape[1])

    def _between_two(self, entry: np.ndarray, e: int, f: int) -> np.ndarray:
        """H² (m, C, P)."""
        before, behind = (np.ones((1, 1)) if port == self._end else self._ports[port].squares for port in (e, f))
        return entry * (before * behind)

    def _no_slopes(self, points: int) -> np.ndarray:
        return np.zeros((self.unknowns, self.unknowns, points), complex)

    def _place(self, slopes: np.ndarray, e: int, f: int, between: np.ndarray) -> None:
        mean = between.mean(axis=1).T  # (P, m)
        if e == self._end:
            slopes[-1, -1] = mean.mean(axis=0)
        elif f == self._end:
            slopes[self._own(e), -1], slopes[-1, self._own(e)] = mean, mean / len(mean)
        else:
            for one, other in ((e, f), (f, e)):
                places = np.arange(len(mean))
                slopes[self._starts[one] + places, self._starts[other] + places] = mean

    # --- the equations ---------------------------------------------------------------------------------------------

    @cached_property
    def _sharing(self) -> list[tuple[csr_array, csr_array]]:
        """p ↦ s² Σ_τ T_τ p T_τᵀ and back, with the factors."""
        return [
            (csr_array(to * m.square * m.shared), csr_array(back * m.square * m.shared.T))
            for m, (to, back) in zip(self.matrices, self._factors, strict=True)
        ]

    def _residual(self, at: Responses) -> np.ndarray:
        found = at.fields.copy()
        for e, matrix in enumerate(self.matrices):
            source, target = self._own(2 * e), self._own(2 * e + 1)
            to, back = self._sharing[e]
            p, r = at.values[source], at.values[target]
            left = 1 - at.fields[source] * at.fields[target] / matrix.square if matrix.kind == "haar" else 1.0
            found[target] -= (to @ p) * left
            found[source] -= (back @ r) * left
        return found

    def _swept(self, at: Responses) -> np.ndarray:
        """Of a Haar matrix explicitly, as of blocks."""
        found = super()._swept(at)
        for e, matrix in enumerate(self.matrices):
            if matrix.kind == "haar":
                source, target = self._own(2 * e), self._own(2 * e + 1)
                to, back = self._sharing[e]
                p, r = to @ at.values[source], back @ at.values[target]
                left = 2 / (1 + np.sqrt(1 + 4 * p * r / matrix.square))
                found[target], found[source] = p * left, r * left
        return found

    def _by_responses(self, at: Responses, answer: np.ndarray) -> np.ndarray:
        """What changes (k, …, m) of the responses do to the residual, less that of Haar matrices by their fields."""
        found = np.zeros_like(answer)
        for e, matrix in enumerate(self.matrices):
            source, target = self._own(2 * e), self._own(2 * e + 1)
            left = -np.ones((1, 1))
            if matrix.kind == "haar":
                left = at.fields[source] * at.fields[target] / matrix.square - 1
            left = left.reshape(len(left), *(1,) * (answer.ndim - 2), left.shape[-1])
            for into, by, shared in zip((target, source), (source, target), self._sharing[e], strict=True):
                made = shared @ answer[by].reshape(shared.shape[1], -1)
                found[into] = left * made.reshape(-1, *answer.shape[1:])
        return found

    def _by_own_fields(self, at: Responses) -> list[tuple[int, int, np.ndarray]]:
        """What fields of Haar matrices do to the residual themselves: of a port, by the field of a port, at positions (P, m)."""
        found: list[tuple[int, int, np.ndarray]] = []
        for e, matrix in enumerate(self.matrices):
            if matrix.kind == "haar":
                source, target = self._own(2 * e), self._own(2 * e + 1)
                b, a = at.fields[source] / matrix.square, at.fields[target] / matrix.square
                made = self._sharing[e][0] @ at.values[source], self._sharing[e][1] @ at.values[target]
                for own, one in ((2 * e + 1, made[0]), (2 * e, made[1])):
                    found += [(own, 2 * e, one * a), (own, 2 * e + 1, one * b)]
        return found

    def _jacobian(self, at: Responses) -> np.ndarray:
        assert at.slopes is not None
        found = self._by_responses(at, at.slopes[:-1, :-1])
        every = np.arange(self.unknowns - 1)
        found[every, every] += 1.0
        for own, by, slope in self._by_own_fields(at):
            places = np.arange(len(slope))
            found[self._starts[own] + places, self._starts[by] + places] += slope
        return np.ascontiguousarray(found.transpose(2, 0, 1))

    def _by_zeta(self, at: Responses) -> np.ndarray:
        assert at.slopes is not None
        return self._by_responses(at, at.slopes[:-1, -1]).T

    def _bound(self, at: Responses, e: int) -> np.ndarray:
        own, other = self._own(2 * e), self._own(2 * e + 1)
        b, a, p, r = at.fields[own], at.fields[other], at.values[own], at.values[other]
        source, target = self._ports[2 * e].channels, self._ports[2 * e + 1].channels
        made = self._sharing[e][0] @ p
        if self.matrices[e].kind == "haar":
            return -max(source, target) * (lower_log(a) - lower_log(made)).sum(axis=0)
        return source * (p * b).sum(axis=0) + target * (r * (a - made)).sum(axis=0)


class LargeDiagonalEquation(ProductEquation[_Segment, _Matrix, _Port, _Pair], DiagonalEquation):
    """The same by products, one point after the other."""

    def _from_end_to_end(self, entry: np.ndarray) -> complex:
        return complex(entry.mean())

    def _to_end(self, e: int, entry: np.ndarray) -> tuple[slice, np.ndarray, np.ndarray]:
        mean = entry.mean(axis=0)
        return self._own(e), mean, mean / mean.size

    def _pair(self, e: int, f: int, entry: np.ndarray) -> _Pair:
        return _Pair(e, f, entry.mean(axis=0))

    def _answered(self, linear: Linear[_Pair], change: np.ndarray) -> np.ndarray:
        found = np.zeros_like(change)
        for e, f, squares in linear.pairs:
            found[self._own(f)] += squares * change[self._own(e)]
            if e != f:
                found[self._own(e)] += squares * change[self._own(f)]
        return found

    def _moved(self, linear: Linear[_Pair], change: np.ndarray, answer: np.ndarray) -> np.ndarray:
        found = change + self._by_responses(linear.at, answer[:, None])[:, 0]
        for own, by, slope in self._by_own_fields(linear.at):
            found[self._own(own)] += slope[:, 0] * change[self._own(by)]
        return found


class _Pencil:
    """The pencils of a segment's channels at every position, as of blocks, with numbers in the place of matrices."""

    def __init__(
        self, segment: _Segment, index: int, ports: list[int], kappa: list[np.ndarray], beta: list[np.ndarray]
    ) -> None:
        self.index, self.ports, self.links, self.channels = index, ports, segment.links, segment.channels
        self.beta, self.before, self.behind = beta, list(kappa), list(beta)
        nodes = len(kappa)
        for node in range(1, nodes):
            before = self.before[node - 1]
            self.before[node] = self.before[node] + self.links[node - 1] * before / (1 - before * beta[node - 1])
        self.alone: list[np.ndarray] = [np.empty(0)] * nodes  # 1/(1 - κβ') of a node and those behind it
        for node in range(nodes - 1, 0, -1):
            self.alone[node] = 1 / (1 - kappa[node] * self.behind[node])
            self.behind[node - 1] = self.behind[node - 1] + self.links[node - 1] * self.behind[node] * self.alone[node]
        self.between = [1 / (1 - k * b) for k, b in zip(self.before, self.behind, strict=True)]

    def diagonal(self, node: int, row: int) -> np.ndarray:
        """Entry of the inverse at V (0) or U (1) of a node, (m, C, P)."""
        return self.between[node] * (self.before if row else self.behind)[node]

    def from_row(self, node: int, row: int) -> Callable[[int, int], np.ndarray]:
        """A function of (later node, its row): the square of the entry of the inverse from there to this row."""
        across = self.between[node] * self.before[node] if row else self.between[node]
        sources = {node: across**2}

        def entry(there: int, side: int) -> np.ndarray:
            for k in range(node + 1, there + 1):
                if k not in sources:
                    sources[k] = self.alone[k] ** 2 * self.links[k - 1] * sources[k - 1]
            if side:
                return sources[there]
            if there == node and row:
                return self.between[node] ** 2
            return self.behind[there] ** 2 * sources[there]

        return entry

    def logarithm(self) -> np.ndarray:
        """Σ over channels and positions of log det, continuous on the closed upper half-plane."""
        total: np.ndarray | float = 0.0
        for before, beta in zip(self.before, self.beta, strict=True):
            known = np.where(before == 0, _NOTHING, before)
            total = total + self.channels * (upper_log(-known) + upper_log(1 / known - beta)).mean(axis=1).sum(axis=1)
        return np.asarray(total)


def _entries(maps: np.ndarray) -> np.ndarray:
    """Diagonals (1 or C, P)."""
    return np.diagonal(maps, axis1=1, axis2=2)


def _is_diagonal(maps: np.ndarray) -> bool:
    return maps.shape[1] == maps.shape[2] and np.count_nonzero(maps) == np.count_nonzero(_entries(maps))


def _keeps_apart(matrix: SharedMatrix) -> bool:
    """Whether every tap takes each position to one other at most, and no two to one."""
    there = matrix.taps != 0
    return bool(matrix.kind != "measured" and there.sum(axis=1).max() <= 1 and there.sum(axis=2).max() <= 1)
