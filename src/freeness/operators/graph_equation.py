"""The deterministic equivalent of a network graph: random matrices between nodes, everything else diagonal over neurons.

State per node: backward vectors v, forward sums u. A node accumulates K (diagonal, K ≥ 0) and receives from one node at most by a
deterministic diagonal link S; random matrices act as D_target W D_source with diagonal D's that may be correlated with one
another, with K and with S in any way. The law is that of what the graph accumulates at its end, the last node of the last
segment: JJᵀ of a network with K = 1 at its input, or its Fisher dual with K = ‖x‖² where weights write.

With ζ = 1/z, one 2×2-block pencil a neuron i couples the nodes along links, with -(K + Σ d²a) and -(Σ d²b) - ζ[end] on its
diagonal. Each random matrix has two unknowns, b at its source and a at its target; the responses p and r are means over neurons
of d²·(diagonal entry of the inverse). Gaussian of entry variance s²/N_source: a = s²p, b = s²(N_target/N_source)r; Haar: the
same with s² - ab in place of s²; measured ones: see :mod:`freeness.operators.measured_weights`. Then G(z) = ζ + ζ²·(mean
response at the end).

Source: theory.md §3.4 (this project's derivation, checked by simulation there); operator-valued freeness over the diagonal of
Shlyakhtenko (1996), linearisation as Helton, Rashidi Far, Speicher (2007). For Haar matrices between different widths N_source ≠
N_target the factor min(1, ·) below is derived from the R-transform of a free compression.
"""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Inexact

from freeness.errors import InputError
from freeness.numerics import lower_log, row_products, upper_log
from freeness.operators.field_equation import FieldEquation, Responses
from freeness.operators.measured_weights import Tie

Place = tuple[int, int]  # segment, node within it
_Rows = list[list[tuple[int, np.ndarray]]]  # of a segment's pencil: ports and their weights

_PIECE = 50_000  # nodes × neurons × points that are worked on at once
_NOTHING = 1e-150  # in place of a κ' that is 0, of a neuron in which nothing accumulated


@dataclass(frozen=True, eq=False)
class Segment:
    """Nodes linked one after the other: ``accumulated`` K (nodes, N), ``links`` S (nodes - 1, N) from each to the next.

    ``channels``: how many neurons a node has in the network, of which these N are a sample.
    """

    accumulated: Float[np.ndarray, "nodes neurons"]
    links: Float[np.ndarray, "nodes-1 neurons"]
    channels: int


@dataclass(frozen=True, eq=False)
class RandomMatrix:
    """D_target W D_source from one node to another. ``square``: σ_w² with E W_ij² = σ_w²/N_source, or W/σ_w semi-orthogonal.

    ``squares``: squared singular values of a measured matrix.
    """

    source: Place
    target: Place
    d_source: Float[np.ndarray, " sources"]
    d_target: Float[np.ndarray, " targets"]
    square: float
    kind: Literal["gaussian", "haar", "measured"]
    squares: Float[np.ndarray, " values"] | None = None


@dataclass(frozen=True, eq=False)
class Direction:
    """A vector (N,) over the neurons of a node: of what accumulates there (u), or of what is passed back (v)."""

    place: Place
    side: Literal["u", "v"]
    vector: Float[np.ndarray, " neurons"]


@dataclass(frozen=True, eq=False)
class Outside:
    """At m points above the support: fields (2·matrices, m), responses (2·matrices + 1, m), forms of directions (m, k, k)."""

    fields: Float[np.ndarray, "ports points"]
    values: Float[np.ndarray, "ports+1 points"]
    forms: Float[np.ndarray, "points directions directions"]


class GraphEquation(FieldEquation):
    """The equations of one graph, in the form that :class:`~freeness.operators.MatrixLaw` follows; the last unknown is not used.

    Port 2e is the source of matrix e (field b, response p), port 2e + 1 its target (field a, response r), the last the end
    (field ζ).
    """

    def __init__(self, segments: Sequence[Segment], matrices: Sequence[RandomMatrix], scale: float) -> None:
        self.segments = tuple(segments)
        self.matrices = tuple(matrices)
        self.magnitude = float(scale)
        self.unknowns = 2 * len(self.matrices) + 1
        self._check()

    @property
    def size(self) -> int:
        return sum(len(segment.accumulated) for segment in self.segments)

    @property
    def floor(self) -> float:
        return float(self.segments[-1].accumulated[-1].min())

    def _check(self) -> None:
        reached = {matrix.target for matrix in self.matrices}
        for index, segment in enumerate(self.segments):
            if (index, 0) not in reached and not segment.accumulated[0].any():
                raise InputError(
                    "expected a segment that starts with what accumulates, got nothing; leave its node out."
                )
            if not (np.isfinite(segment.accumulated).all() and np.isfinite(segment.links).all()):
                raise InputError("expected finite signals and derivatives in the graph, got NaN or infinity.")

    # --- the matrices as arrays ------------------------------------------------------------------------------------

    @cached_property
    def _ports(self) -> list[_Rows]:
        """By segment and row of its pencil (V, U of the first node, of the second, …): (port, weight d² over neurons).

        Complex as all that they meet: a product with real ones converts them each time, which takes longer than the product.
        """
        rows: list[_Rows] = [[[] for _ in range(2 * len(s.accumulated))] for s in self.segments]
        for e, matrix in enumerate(self.matrices):
            segment, node = matrix.source
            rows[segment][2 * node + 1].append((2 * e, (matrix.d_source**2).astype(complex)))
            segment, node = matrix.target
            rows[segment][2 * node].append((2 * e + 1, (matrix.d_target**2).astype(complex)))
        end = self.segments[-1]
        rows[-1][-1].append((2 * len(self.matrices), np.ones(end.accumulated.shape[1], complex)))
        return rows

    @cached_property
    def _widths(self) -> np.ndarray:
        """Neurons over which the response of each port is a mean."""
        sizes = [len(d) for matrix in self.matrices for d in (matrix.d_source, matrix.d_target)]
        return np.array([*sizes, self.segments[-1].accumulated.shape[1]])

    @cached_property
    def _channels(self) -> np.ndarray:
        """Of the network at each port."""
        places = [place[0] for matrix in self.matrices for place in (matrix.source, matrix.target)]
        return np.array([*(self.segments[place].channels for place in places), self.segments[-1].channels])

    @cached_property
    def _factors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """s², the factors of p in a and of r in b, and which are Haar; (matrices, 1)."""
        source, target = self._channels[:-1:2].astype(float), self._channels[1::2].astype(float)
        haar = np.array([matrix.kind == "haar" for matrix in self.matrices])
        expanding = haar & (target > source)
        to_target = np.where(expanding, source / target, 1.0)
        to_source = np.where(expanding, 1.0, target / source)
        square = np.array([matrix.square for matrix in self.matrices])
        return square[:, None], to_target[:, None], to_source[:, None], haar[:, None]

    def _turned(self, zeta: np.ndarray) -> list[tuple[slice, np.ndarray]]:
        if self._turning is None:
            return []
        e, square, constant = self._turning
        return [(slice(2 * e, 2 * e + 1), (square / (1 / zeta - constant))[None])]

    @cached_property
    def _turning(self) -> tuple[int, float, float] | None:
        """The number of the matrix of :meth:`_turned`, s² and K."""
        last, end = len(self.segments) - 1, self.segments[-1].accumulated
        near = [e for e, matrix in enumerate(self.matrices) if last in (matrix.source[0], matrix.target[0])]
        if len(near) != 1 or len(end) != 1 or np.ptp(end):
            return None
        e, matrix = near[0], self.matrices[near[0]]
        square = matrix.kind == "haar" and self._channels[2 * e] == self._channels[2 * e + 1]
        if not square or matrix.source[0] == last or np.ptp(matrix.d_target):
            return None
        return e, float(matrix.square * matrix.d_target[0] ** 2), float(end[0, 0])

    def responses(
        self,
        fields: Inexact[np.ndarray, "ports points"],
        zeta: Inexact[np.ndarray, " points"],
        *,
        slopes: bool,
        logarithm: bool,
    ) -> Responses:
        ports, points = self.unknowns, zeta.size
        values = np.zeros((ports, points), complex)
        squares = np.zeros((ports, ports, points), complex) if slopes else None
        total = np.zeros(points, complex) if logarithm else None
        driven = np.concatenate([fields, zeta[None]])
        for segment, rows in zip(self.segments, self._ports, strict=True):
            height = max(1, _PIECE // segment.accumulated.size)
            for first in range(0, points, height):
                part = slice(first, first + height)
                pencil = _Pencil(segment, rows, driven[:, part])
                pencil.respond(values[:, part])
                if squares is not None:
                    pencil.correlate(squares[:, :, part])
                if total is not None:
                    share = segment.channels / segment.accumulated.shape[1] / self._channels[-1]
                    total[part] += share * pencil.logarithm()
        values /= self._widths[:, None]
        if squares is not None:
            squares /= self._widths[:, None, None]
        return Responses(fields, zeta, values, squares, total)

    def outside(
        self,
        fields: Inexact[np.ndarray, "ports points"],
        zeta: Inexact[np.ndarray, " points"],
        directions: Sequence[Direction],
    ) -> Outside:
        """Responses, and Σ_i v_i (inverse of the pencil)_i w_i of each two directions, 0 between segments."""
        values = self.responses(fields, zeta, slopes=False, logarithm=False).values
        found = np.zeros((zeta.size, len(directions), len(directions)), complex)
        driven = np.concatenate([fields, zeta[None]])
        for index, (segment, rows) in enumerate(zip(self.segments, self._ports, strict=True)):
            own = [k for k, direction in enumerate(directions) if direction.place[0] == index]
            if own:
                pencil = _Pencil(segment, rows, driven)
                found[:, np.array(own)[:, None], own] = pencil.forms([directions[k] for k in own], segment.links)
        return Outside(np.real(fields), np.real(values), np.real(found))

    # --- the equations ---------------------------------------------------------------------------------------------

    def _ties(self, at: Responses) -> list[tuple[int, Tie]]:
        """Of the measured matrices, by their numbers."""
        found: list[tuple[int, Tie]] = []
        for e, matrix in enumerate(self.matrices):
            if matrix.squares is not None:
                sizes = int(self._channels[2 * e]), int(self._channels[2 * e + 1])
                fields, values = at.fields[2 * e : 2 * e + 2], at.values[2 * e : 2 * e + 2]
                found.append((e, Tie(matrix.squares, sizes, *fields, *values)))
        return found

    def _strength(self, at: Responses) -> np.ndarray:
        """s², s² - ab for Haar matrices, S for measured ones."""
        square, _, _, haar = self._factors
        found = np.where(haar, square - at.fields[1::2] * at.fields[::2], square)
        for e, tie in self._ties(at):
            found[e] = tie.strength()
        return found

    def _strength_slopes(self, at: Responses) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Derivatives of the strength by b, a, p, r."""
        haar = self._factors[3]
        by_p = np.zeros((len(self.matrices), at.zeta.size), complex)
        found = np.where(haar, -at.fields[1::2], 0.0), np.where(haar, -at.fields[::2], 0.0), by_p, by_p.copy()
        for e, tie in self._ties(at):
            for whole, own in zip(found, tie.slopes(), strict=True):
                whole[e] = own
        return found

    def _residual(self, at: Responses) -> np.ndarray:
        _, to_target, to_source, _ = self._factors
        strength, found = self._strength(at), np.empty_like(at.fields)
        found[1::2] = at.fields[1::2] - to_target * at.values[:-1:2] * strength
        found[::2] = at.fields[::2] - to_source * at.values[1::2] * strength
        return found

    def _by_responses(self, at: Responses, change: np.ndarray) -> np.ndarray:
        """What a ``change`` (k, l, m) of the responses at the ports does to the residual."""
        _, to_target, to_source, _ = self._factors
        strength, (_, _, by_p, by_r) = self._strength(at), self._strength_slopes(at)
        found = np.empty_like(change)
        p, r = to_target * at.values[:-1:2], to_source * at.values[1::2]
        found[1::2] = -(to_target * strength)[:, None] * change[::2]
        found[::2] = -(to_source * strength)[:, None] * change[1::2]
        for e, _ in self._ties(at):
            through = by_p[e] * change[2 * e] + by_r[e] * change[2 * e + 1]
            found[2 * e + 1] -= p[e] * through
            found[2 * e] -= r[e] * through
        return found

    def _jacobian(self, at: Responses) -> np.ndarray:
        assert at.slopes is not None
        _, to_target, to_source, _ = self._factors
        by_b, by_a, _, _ = self._strength_slopes(at)
        matrix = self._by_responses(at, at.slopes[:-1, :-1])
        index = np.arange(self.unknowns - 1)
        matrix[index, index] += 1.0
        sources, targets = index[::2], index[1::2]
        for own, response in ((targets, to_target * at.values[:-1:2]), (sources, to_source * at.values[1::2])):
            matrix[own, targets] -= response * by_a
            matrix[own, sources] -= response * by_b
        return np.ascontiguousarray(matrix.transpose(2, 0, 1))

    def _by_zeta(self, at: Responses) -> np.ndarray:
        assert at.slopes is not None
        return self._by_responses(at, at.slopes[:-1, -1:])[:, 0].T

    def _potential(self, at: Responses) -> np.ndarray:
        assert at.logarithm is not None
        square, to_target, _, haar = self._factors
        source, target = self._channels[:-1:2, None], self._channels[1::2, None]
        a, b, p = at.fields[1::2], at.fields[::2], at.values[:-1:2]
        with np.errstate(all="ignore"):
            logs = lower_log(a) - lower_log(to_target * p) - np.log(square)
        bound = np.where(haar, -np.maximum(source, target) * logs, source * a * b / square)
        for e, tie in self._ties(at):
            bound[e] = tie.potential()
        nodes = sum(segment.channels * len(segment.accumulated) for segment in self.segments) * 1j * np.pi
        return -lower_log(at.zeta) + at.logarithm + (bound.sum(axis=0) - nodes) / self._channels[-1]


class _Pencil:
    """The pencils of one segment's neurons at some points, by 2×2 blocks [[-κ, 1], [1, -β]] of nodes; (nodes, points, neurons).

    κ' adds to κ = K + Σ d²a what comes along the links from the nodes before, β' to β what comes from those behind; the
    entries of the inverse at a node are β' (target), κ' (source) and 1 between them, each over 1 - κ'β'.
    """

    def __init__(self, segment: Segment, rows: _Rows, driven: np.ndarray) -> None:
        self.rows, self.links = rows, (segment.links**2).astype(complex)
        nodes, neurons = segment.accumulated.shape
        kappa = np.zeros((nodes, driven.shape[1], neurons), complex)
        kappa += segment.accumulated[:, None]
        beta = np.zeros_like(kappa)
        for row, ports in enumerate(rows):
            for port, weight in ports:
                (beta if row % 2 else kappa)[row // 2] += driven[port][:, None] * weight
        self.beta, self.before, self.behind = beta, kappa.copy(), beta.copy()
        for node in range(1, nodes):
            before = self.before[node - 1]
            self.before[node] += self.links[node - 1] * before / (1 - before * beta[node - 1])
        self.alone = np.empty_like(kappa)  # 1/(1 - κβ'): of a node and those behind it
        for node in range(nodes - 1, -1, -1):
            self.alone[node] = 1 / (1 - kappa[node] * self.behind[node])
            if node:
                self.behind[node - 1] += self.links[node - 1] * self.behind[node] * self.alone[node]
        self.between = 1 / (1 - self.before * self.behind)

    def respond(self, values: np.ndarray) -> None:
        """Add Σ_i weight_i·(diagonal entry of the inverse) for each port."""
        for row, ports in enumerate(self.rows):
            if ports:
                entry = self._entry(row)
                for port, weight in ports:
                    values[port] += row_products(entry, weight)

    def _entry(self, row: int) -> np.ndarray:
        return (self.before if row % 2 else self.behind)[row // 2] * self.between[row // 2]

    def correlate(self, squares: np.ndarray) -> None:
        """Add Σ_i weight_i·(entry of the inverse)²·weight_i for each pair of ports.

        Such a square is a factor of the earlier row, a step for each node on the way, and a factor of the later row.
        """
        places = [(row, port, weight) for row, ports in enumerate(self.rows) for port, weight in ports]
        nodes, points, neurons = self.between.shape
        earlier = np.empty((points, len(places), neurons), complex)
        later = np.empty_like(earlier)
        for place, (row, _, weight) in enumerate(places):
            own = np.square((self.before if row % 2 else self.behind)[row // 2])
            across = np.square(self.between[row // 2])
            np.multiply(across, weight, out=across)
            if row % 2:
                np.multiply(own, across, out=earlier[:, place])
                later[:, place] = weight
            else:
                earlier[:, place] = across
                np.multiply(own, weight, out=later[:, place])
        steps = np.square(self.alone[1:])
        steps *= self.links[:, None]
        starts = [sum(row < 2 * node for row, _, _ in places) for node in range(nodes + 1)]
        _Pairs(earlier, later, steps, starts, np.array([port for _, port, _ in places])).add(squares, 0, nodes)

    def forms(self, directions: Sequence[Direction], links: np.ndarray) -> np.ndarray:
        """Σ_i v_i·(entry of the inverse)·w_i of each two directions, (points, k, k); ``links`` with their signs."""
        rows = [2 * d.place[1] + (d.side == "u") for d in directions]
        found = np.empty((self.between.shape[1], len(rows), len(rows)), complex)
        steps = self.alone[1:] * links[:, None]
        for first, row in enumerate(rows):
            node = row // 2
            across = self.between[node] * directions[first].vector
            entries = {2 * node: across, 2 * node + 1: across}
            entries[row] = across * (self.before if row % 2 else self.behind)[node]
            for later in range(node + 1, max(rows) // 2 + 1):
                entries[2 * later + 1] = entries[2 * later - 1] * steps[later - 1]
                entries[2 * later] = entries[2 * later + 1] * self.behind[later]
            for second, other in enumerate(rows):
                if other >= row:
                    found[:, first, second] = found[:, second, first] = row_products(
                        entries[other], directions[second].vector.astype(complex)
                    )
        return found

    def logarithm(self) -> np.ndarray:
        """Σ_i log det, continuous on the closed upper half-plane, where both pivots of each node stay."""
        before = np.where(self.before == 0, _NOTHING, self.before)
        return (upper_log(-before) + upper_log(1 / before - self.beta)).sum(axis=(0, 2))


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Rows of a pencil in their order, by their ``ports``; rows of a node begin at ``starts``.

    ``earlier``, ``later``: factors (points, rows, neurons). ``steps``: from each node to the next.
    """

    earlier: np.ndarray
    later: np.ndarray
    steps: np.ndarray
    starts: list[int]
    ports: np.ndarray

    def add(self, squares: np.ndarray, first: int, end: int) -> None:
        """Add what pairs of rows at nodes from ``first`` up to ``end`` have in common, to both of their places.

        Pairs on either side of a middle are one product of matrices, without a division by steps, which may be 0.
        """
        low, high = self.starts[first], self.starts[end]
        if end - first == 1:
            for row in range(low, high):
                found = row_products(self.earlier[:, row, None], self.later[:, row:high])
                squares[self.ports[row], self.ports[row:high]] += found.T
                squares[self.ports[row + 1 : high], self.ports[row]] += found[:, 1:].T
            return
        middle = (first + end) // 2
        cut = self.starts[middle]
        if low < cut < high:
            found = self._up_to(first, middle) @ self._on_from(middle, end).transpose(0, 2, 1)
            squares[self.ports[low:cut, None], self.ports[cut:high]] += found.transpose(1, 2, 0)
            squares[self.ports[cut:high, None], self.ports[low:cut]] += found.transpose(2, 1, 0)
        for part in ((first, middle), (middle, end)):
            self.add(squares, *part)

    def _up_to(self, first: int, middle: int) -> np.ndarray:
        """Factors of earlier rows with the steps up to a node."""
        low, run = self.starts[first], self.steps[middle - 1]
        found = np.empty_like(self.earlier[:, low : self.starts[middle]])
        for node in range(middle - 1, first - 1, -1):
            for row in range(self.starts[node], self.starts[node + 1]):
                np.multiply(self.earlier[:, row], run, out=found[:, row - low])
            run = run * self.steps[node - 1] if node > first else run
        return found

    def _on_from(self, middle: int, end: int) -> np.ndarray:
        """Factors of later rows with the steps from a node on."""
        low, run = self.starts[middle], self.steps[middle] if middle < len(self.steps) else self.steps[-1]
        found = self.later[:, low : self.starts[end]].copy()
        for node in range(middle + 1, end):
            for row in range(self.starts[node], self.starts[node + 1]):
                np.multiply(self.later[:, row], run, out=found[:, row - low])
            run = run * self.steps[node] if node + 1 < end else run
        return found
