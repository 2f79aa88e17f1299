"""The deterministic equivalent of a network graph with positions: weights shared between the positions, or samples, of a channel.

As in :mod:`freeness.operators.graph_equation`, with a P×P matrix for each channel in the place of each number: P counts the
positions of a node, or its samples, or both. What accumulates (K), the links and the maps around a weight are matrices over
positions, one a channel or one for all; a weight W_τ acts from position to position by the pattern T_τ.

Fields are symmetric matrices: b over the positions that a weight reads, a over those it writes; responses p, r are means over
channels of B 𝓖 Bᵀ with the maps B on either side. Gaussian, entries of W_τ of variance s²/N_source: a = s² Σ_τ T_τ p T_τᵀ and
b = s² (N_target/N_source) Σ_τ T_τᵀ r T_τ. Haar (one tap, T = 1, its map being part of B): a = f_a p(s² - ba),
b = f_b r(s² - ab) with the factors of the scalar case.

Source: theory.md §3.4 (this project's derivation, checked by simulation there); the Haar equations with matrices, also for
unequal widths, follow from G₁₁ = (α - s²β⁻¹)⁻¹ of [[0, w], [w*, 0]] and the compression by ww*, derived for this project.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Complex, Float, Inexact
from scipy.sparse import csr_array

from freeness.errors import InputError
from freeness.numerics import lower_log, upper_log
from freeness.operators.field_equation import STILL, Responses, differing, inside
from freeness.operators.graph_equation import Place
from freeness.operators.measured_weights import Tie
from freeness.operators.packing import doubled, packed, sharing, superoperator, symmetric, two_sided, unpacked
from freeness.operators.port_equation import PortEquation
from freeness.operators.spectral import eigen, eigenvalues, inverted


@dataclass(frozen=True, eq=False)
class BlockSegment:
    """Nodes linked one after the other: K of each, (1 or N, P, P), and the links S from each to the next, (1 or N, P', P)."""

    accumulated: tuple[Float[np.ndarray, "#channels _ _"], ...]
    links: tuple[Float[np.ndarray, "#channels _ _"], ...]
    channels: int


@dataclass(frozen=True, eq=False)
class SharedMatrix:
    """Σ_τ T_τ ⊗ W_τ between two nodes, behind ``read`` (N_source, P_in, P) and before ``write`` (N_target, P', P_out).

    ``read`` and ``write`` map positions channel by channel, None leaves them. ``taps``: T_τ (taps, P_out, P_in).
    ``square``: s² with E W_τ,ij² = s²/N_source, or W/s semi-orthogonal, where there is one tap T = 1. ``squares``: squared
    singular values of a measured matrix, where there is one position.
    """

    source: Place
    target: Place
    read: Float[np.ndarray, "#sources _ _"] | None
    write: Float[np.ndarray, "#targets _ _"] | None
    taps: Float[np.ndarray, "taps written read"]
    square: float
    kind: Literal["gaussian", "haar", "measured"]
    squares: Float[np.ndarray, " values"] | None = None


@dataclass(frozen=True, eq=False)
class BlockPort:
    """Where fields act: row 0 (V, written) or 1 (U, read) of a node, through ``map`` (N, P_port, P_node) or as it is."""

    place: Place
    row: int
    map: np.ndarray | None
    size: int
    channels: int

    @property
    def unknowns(self) -> int:
        return self.size * (self.size + 1) // 2


class BlockEquation(PortEquation[BlockSegment, SharedMatrix, BlockPort]):
    """The equations of one graph with positions."""

    def __init__(self, segments: Sequence[BlockSegment], matrices: Sequence[SharedMatrix], scale: float) -> None:
        super().__init__(segments, matrices, _ports(segments, matrices), scale)
        self._check()

    @property
    def floor(self) -> float:
        return max(0.0, float(np.linalg.eigvalsh(self.segments[-1].accumulated[-1]).min()))

    def _check(self) -> None:
        for matrix in self.matrices:
            if matrix.kind == "measured" and matrix.taps.shape != (1, 1, 1):
                raise InputError("expected a measured matrix with one position on both sides, got more.")
            if matrix.kind == "haar" and not np.array_equal(matrix.taps, np.eye(matrix.taps.shape[-1])[None]):
                raise InputError(
                    "expected a Haar matrix with one tap that keeps the positions, got others; put their map before it."
                )
        for segment in self.segments:
            if not all(np.isfinite(part).all() for part in (*segment.accumulated, *segment.links)):
                raise InputError("expected finite signals and derivatives in the graph, got NaN or infinity.")

    # --- ports and unknowns ------------------------------------------------------------------------------------------

    def _matrix(self, vectors: np.ndarray, port: int) -> np.ndarray:
        """The symmetric matrices (m, P, P) of a port from all unknowns (k, m)."""
        return unpacked(vectors[self._own(port)].T, self._ports[port].size)

    @property
    def pair_entries(self) -> int:
        """Numbers that the entries of the inverse between all pairs of ports of a segment have, over its drawn channels."""
        found = 0
        for index, segment in enumerate(self.segments):
            own = [port for port in self._ports if port.place[0] == index]
            arrays = [*segment.accumulated, *segment.links, *(port.map for port in own if port.map is not None)]
            found += max(len(array) for array in arrays) * sum(port.size for port in own) ** 2
        return found

    # --- the environment -------------------------------------------------------------------------------------------

    def _pencil(self, index: int, fields: np.ndarray, zeta: np.ndarray) -> _BlockPencil:
        segment = self.segments[index]
        kappa = [np.broadcast_to(k, (zeta.size, *k.shape)).astype(complex) for k in segment.accumulated]
        beta = [np.zeros((zeta.size, 1, k.shape[-1], k.shape[-1]), complex) for k in segment.accumulated]
        here = [e for e, port in enumerate(self._ports) if port.place[0] == index]
        for e in here:
            port = self._ports[e]
            field = self._matrix(fields, e)[:, None]
            acting = field if port.map is None else port.map.transpose(0, 2, 1) @ field @ port.map
            into = beta if port.row else kappa
            into[port.place[1]] = into[port.place[1]] + acting
        if index == len(self.segments) - 1:
            beta[-1] = beta[-1] + zeta[:, None, None, None] * np.eye(beta[-1].shape[-1])
        return _BlockPencil(segment, index, here, kappa, beta)

    def _answer(self, port: BlockPort, entry: np.ndarray) -> np.ndarray:
        """Means over channels of B 𝓖 Bᵀ."""
        return packed(_through(port.map, entry, port.map).mean(axis=1)).T

    def _mean_of_end(self, entry: np.ndarray) -> np.ndarray:
        return np.trace(entry, axis1=2, axis2=3).mean(axis=1) / entry.shape[-1]

    def resolved(
        self, parameters: Complex[np.ndarray, "unknowns points"], target: Complex[np.ndarray, " points"]
    ) -> Complex[np.ndarray, "points positions positions"]:
        ends: list[np.ndarray] = []
        index, zeta = len(self.segments) - 1, 1 / target
        for part in (slice(first, first + 1) for first in range(target.size)):
            pencil = self._pencil(index, parameters[:-1, part], zeta[part])
            ends.append(pencil.diagonal(len(pencil.segment.accumulated) - 1, 1)[0].mean(axis=0))
        blocks = np.array(ends)
        return zeta[:, None, None] * np.eye(blocks.shape[-1]) + zeta[:, None, None] ** 2 * blocks

    def _between_two(self, entry: np.ndarray, e: int, f: int) -> np.ndarray:
        """H (m, 1 or N, P_f, P_e)."""
        before, behind = (None if port == self._end else self._ports[port].map for port in (e, f))
        return _through(behind, entry, before)

    def _place(self, slopes: np.ndarray, e: int, f: int, between: np.ndarray) -> None:
        """H δθ Hᵀ averaged over channels."""
        out, into = between.shape[-2:]
        if e == self._end:
            slopes[-1, -1] = (between**2).sum(axis=(2, 3)).mean(axis=1) / into
        elif f == self._end:
            gram = packed((between.swapaxes(2, 3) @ between).mean(axis=1)).T
            slopes[self._own(e), -1] = gram
            slopes[-1, self._own(e)] = gram * doubled(into)[:, None] / out
        else:
            blocks = superoperator(between)
            slopes[self._own(f), self._own(e)] = blocks.transpose(1, 2, 0)
            if f != e:
                often = doubled(out) / doubled(into)[:, None]
                slopes[self._own(e), self._own(f)] = blocks.transpose(2, 1, 0) * often[:, :, None]

    # --- the equations ---------------------------------------------------------------------------------------------

    @cached_property
    def _sharing(self) -> list[tuple[csr_array, csr_array] | None]:
        """p ↦ s² Σ_τ T_τ p T_τᵀ and r ↦ s² (N_target/N_source) Σ_τ T_τᵀ r T_τ on packed matrices, for each Gaussian matrix."""
        found: list[tuple[csr_array, csr_array] | None] = []
        for m, (_, to_source) in zip(self.matrices, self._factors, strict=True):
            if m.kind != "gaussian":
                found.append(None)
                continue
            to, back = sharing(m.taps), sharing(m.taps.transpose(0, 2, 1))
            found.append((m.square * to, m.square * to_source * back))
        return found

    def _tie(self, at: Responses, e: int) -> Tie:
        """Of a measured matrix, between single positions."""
        squares, (source, target) = self.matrices[e].squares, self._ports[2 * e : 2 * e + 2]
        assert squares is not None
        first = self._own(2 * e).start
        pair = slice(first, first + 2)
        return Tie(squares, (source.channels, target.channels), *at.fields[pair], *at.values[pair])

    def _residual(self, at: Responses) -> np.ndarray:
        found = at.fields.copy()
        for e, matrix in enumerate(self.matrices):
            source, target = self._own(2 * e), self._own(2 * e + 1)
            to_target, to_source = self._factors[e]
            shared = self._sharing[e]
            if shared is not None:
                found[target] -= shared[0] @ at.values[source]
                found[source] -= shared[1] @ at.values[target]
                continue
            if matrix.kind == "measured":
                strength = self._tie(at, e).strength()
                found[target] -= to_target * at.values[source] * strength
                found[source] -= to_source * at.values[target] * strength
                continue
            b, a = self._matrix(at.fields, 2 * e), self._matrix(at.fields, 2 * e + 1)
            p, r = self._matrix(at.values, 2 * e), self._matrix(at.values, 2 * e + 1)
            found[target] -= to_target * (matrix.square * at.values[source] - packed(symmetric(p @ b @ a)).T)
            found[source] -= to_source * (matrix.square * at.values[target] - packed(symmetric(r @ a @ b)).T)
        return found

    def _swept(self, at: Responses) -> np.ndarray:
        """Of a Haar matrix explicitly: a = pX and b = Xr with X = 2(1 + √(1 + 4rp/s²))⁻¹, factors and s² in p and r."""
        found = super()._swept(at)
        for e, weight in enumerate(self.matrices):
            if weight.kind != "haar":
                continue
            p, r = (
                factor * weight.square * self._matrix(at.values, port)
                for factor, port in zip(self._factors[e], (2 * e, 2 * e + 1), strict=True)
            )
            values, vectors, inverse = eigen(r @ p / weight.square)
            x = vectors * (2 / (1 + np.sqrt(1 + 4 * values)))[:, None, :] @ inverse
            found[self._own(2 * e + 1)] = packed(symmetric(p @ x)).T
            found[self._own(2 * e)] = packed(symmetric(x @ r)).T
        return found

    def _jacobian(self, at: Responses) -> np.ndarray:
        assert at.slopes is not None
        count = self.unknowns - 1
        matrix = np.zeros((at.zeta.size, count, count), complex)
        self._by_responses(at, at.slopes[:-1, :-1].transpose(2, 0, 1), matrix)
        matrix[:, np.arange(count), np.arange(count)] += 1.0
        for e, weight in enumerate(self.matrices):
            if weight.kind == "gaussian":
                continue
            source, target = self._own(2 * e), self._own(2 * e + 1)
            (to_target, to_source), size = self._factors[e], self._ports[2 * e].size
            if weight.kind == "measured":
                for own, response in ((target, to_target * at.values[source]), (source, to_source * at.values[target])):
                    for field, slope in zip((source, target), self._tie(at, e).slopes(), strict=False):
                        matrix[:, own, field] -= (response[0] * slope)[:, None, None]
                continue
            b, a = self._matrix(at.fields, 2 * e), self._matrix(at.fields, 2 * e + 1)
            p, r = self._matrix(at.values, 2 * e), self._matrix(at.values, 2 * e + 1)
            one = np.broadcast_to(np.eye(size), b.shape)
            matrix[:, target, target] += to_target * two_sided(p @ b, one)
            matrix[:, target, source] += to_target * two_sided(p, a)
            matrix[:, source, source] += to_source * two_sided(r @ a, one)
            matrix[:, source, target] += to_source * two_sided(r, b)
        return matrix

    @cached_property
    def _reach(self) -> list[slice]:
        """For each port, the unknowns of all ports in its segment, and those that lie between."""
        found: list[slice] = []
        for port in self._ports:
            near = [e for e, other in enumerate(self._ports) if other.place[0] == port.place[0]]
            found.append(slice(int(self._starts[near[0]]), int(self._starts[near[-1] + 1])))
        return found

    def _by_responses(self, at: Responses, change: np.ndarray, into: np.ndarray) -> None:
        """Add to ``into`` (m, k, l) what a ``change`` (m, k, l) of the responses does to the residual; l = k: by the fields."""
        by_fields = change.shape[1] == change.shape[2]
        for e, weight in enumerate(self.matrices):
            source, target = self._own(2 * e), self._own(2 * e + 1)
            near, far = (self._reach[2 * e], self._reach[2 * e + 1]) if by_fields else (slice(None), slice(None))
            to_target, to_source = self._factors[e]
            shared = self._sharing[e]
            if shared is not None:
                for point in range(len(change)):
                    into[point, target, near] -= shared[0] @ change[point, source, near]
                    into[point, source, far] -= shared[1] @ change[point, target, far]
                continue
            if weight.kind == "measured":
                tie, factors = self._tie(at, e), (to_target, to_source)
                strength, (_, _, *by) = tie.strength(), tie.slopes()
                places = (target, tie.p, source, near), (source, tie.r, target, far)
                for factor, (own, response, _, _) in zip(factors, places, strict=True):
                    for slope, (_, _, answer, reach) in zip(by, places, strict=True):
                        direct = strength if answer != own else 0.0
                        gain = factor * (response * slope + direct)
                        into[:, own, reach] -= gain[:, None, None] * change[:, answer, reach]
                continue
            b, a = self._matrix(at.fields, 2 * e), self._matrix(at.fields, 2 * e + 1)
            one = np.broadcast_to(np.eye(b.shape[-1]), b.shape)
            by_p = weight.square * np.eye(change[:, source].shape[1]) - two_sided(one, b @ a)
            by_r = weight.square * np.eye(change[:, target].shape[1]) - two_sided(one, a @ b)
            into[:, target, near] -= to_target * (by_p @ change[:, source, near])
            into[:, source, far] -= to_source * (by_r @ change[:, target, far])

    def _by_zeta(self, at: Responses) -> np.ndarray:
        assert at.slopes is not None
        found = np.zeros((at.zeta.size, self.unknowns - 1, 1), complex)
        self._by_responses(at, at.slopes[:-1, -1].T[:, :, None], found)
        return found[:, :, 0]

    def depth(self, fields: Inexact[np.ndarray, "fields points"]) -> Float[np.ndarray, " points"]:
        found, known = np.full(fields.shape[1], np.inf), np.zeros(fields.shape[1])
        for e, (moving, still) in enumerate(self._directions):
            below = self._below_of(fields, e)
            if e % 2 == 0 and e // 2 in self._turning:
                known = np.minimum(known, _least(below))
                continue
            if moving.size:
                found = np.minimum(found, _least(moving.T @ below @ moving))
            if still.size:
                known = np.minimum(known, _least(still.T @ below @ still))
        return inside(found, known)

    def strayed(
        self, fields: Inexact[np.ndarray, "fields points"], zeta: Inexact[np.ndarray, " points"]
    ) -> Float[np.ndarray, " points"]:
        found = np.zeros(zeta.shape)
        for where, values in self._turned(zeta):
            found = np.maximum(found, differing(fields[where], values))
        for e, (_, still) in enumerate(self._directions):
            found = np.maximum(found, np.abs(self._below_of(fields, e) @ still).max(axis=(1, 2), initial=0.0))
        return found

    def _below_of(self, fields: np.ndarray, port: int) -> np.ndarray:
        """-Im of the matrices of a port, relative to their size (m, P, P)."""
        matrix = self._matrix(fields, port)
        size = np.maximum(np.abs(matrix).max(axis=(1, 2)), np.finfo(float).tiny)
        return -np.imag(matrix) / size[:, None, None]

    def _turned(self, zeta: np.ndarray) -> list[tuple[slice, np.ndarray]]:
        """As of one, and in front of others that are the same for all channels: b = s²M(1 - KM)⁻¹, M being ζ or Σ Bᵀb'B."""
        behind: dict[int, np.ndarray] = {}  # M of each segment
        found: list[tuple[slice, np.ndarray]] = []
        for e in self._turning:
            matrix, last = self.matrices[e], self.matrices[e].target[0]
            constant = self.segments[last].accumulated[0][0]
            acting = zeta[:, None, None] * np.eye(len(constant)) if last == len(self.segments) - 1 else behind[last]
            values = matrix.square * acting @ inverted_one_less(constant @ acting)
            found.append((self._own(2 * e), packed(values).T))
            read = np.eye(values.shape[-1]) if matrix.read is None else matrix.read[0]
            into = matrix.source[0]
            behind[into] = behind.get(into, 0.0) + read.T @ values @ read
        return found

    @cached_property
    def _turning(self) -> list[int]:
        """The numbers of the matrices of :meth:`_turned`, from the end on."""
        found: list[int] = []
        for last in range(len(self.segments) - 1, -1, -1):
            into = [e for e, matrix in enumerate(self.matrices) if matrix.target[0] == last]
            out = [e for e, matrix in enumerate(self.matrices) if matrix.source[0] == last]
            known = all(e in found and _alike(self.matrices[e].read) for e in out)
            end = self.segments[last].accumulated
            if (
                len(into) == 1
                and len(end) == 1
                and _alike(end[0])
                and known
                and bool(out) == (last < len(self.segments) - 1)
            ):
                matrix, widths = self.matrices[into[0]], self._factors[into[0]]
                if matrix.kind == "haar" and matrix.write is None and widths == (1.0, 1.0):
                    found.append(into[0])
        return found

    @cached_property
    def _directions(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each port, bases (P, ·) of directions in which its field moves, and of those in which it is constant.

        Behind pooling it moves along the mean over positions alone, and W Wᵀ of a Haar matrix W does not move.
        """
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for e in range(len(self._ports)):
            field = self._matrix(self._above[:, None], e)[0]
            sizes, basis = np.linalg.eigh(-np.imag(field))
            moving = sizes > STILL * np.abs(field).max()
            found.append((basis[:, moving], basis[:, ~moving]))
        return found

    def size_of(self, parameters: Inexact[np.ndarray, "unknowns points"]) -> Float[np.ndarray, "unknowns points"]:
        """The largest entry of the matrix to which each unknown belongs."""
        sizes = np.abs(parameters)
        for e in range(len(self._ports)):
            own = self._own(e)
            sizes[own] = sizes[own].max(axis=0)
        return sizes

    def _bound(self, at: Responses, e: int) -> np.ndarray:
        matrix, shared = self.matrices[e], self._sharing[e]
        if matrix.kind == "measured":
            return self._tie(at, e).potential()
        b, a = self._matrix(at.fields, 2 * e), self._matrix(at.fields, 2 * e + 1)
        p, r = self._matrix(at.values, 2 * e), self._matrix(at.values, 2 * e + 1)
        source, target = self._ports[2 * e].channels, self._ports[2 * e + 1].channels
        if shared is not None:
            spread = unpacked((shared[0] @ packed(p).T).T, a.shape[-1])
            return source * _trace(p, b) + target * (_trace(r, a) - _trace(r, spread))
        made = self._factors[e][0] * matrix.square * p
        return -max(source, target) * _log_ratio(np.eye(a.shape[-1]) - b @ a / matrix.square, a, made)


class _BlockPencil:
    """The pencils of one segment's channels at some points; as the scalar one, with κ, β (m, 1 or N, P, P) of each node."""

    def __init__(
        self, segment: BlockSegment, index: int, ports: list[int], kappa: list[np.ndarray], beta: list[np.ndarray]
    ) -> None:
        self.segment, self.index, self.ports = segment, index, ports
        nodes, links = len(kappa), segment.links
        self.beta, self.before, self.behind = beta, list(kappa), list(beta)
        for node in range(1, nodes):
            before = self.before[node - 1]
            passed = before @ inverted_one_less(beta[node - 1] @ before)
            self.before[node] = self.before[node] + links[node - 1] @ passed @ links[node - 1].transpose(0, 2, 1)
        self.alone: list[np.ndarray] = [np.empty(0)] * nodes  # (1 - κβ')⁻¹ of a node and those behind it
        for node in range(nodes - 1, 0, -1):
            self.alone[node] = inverted_one_less(kappa[node] @ self.behind[node])
            link = links[node - 1]
            self.behind[node - 1] = (
                self.behind[node - 1] + link.transpose(0, 2, 1) @ self.behind[node] @ self.alone[node] @ link
            )
        self.between = [inverted_one_less(k @ b) for k, b in zip(self.before, self.behind, strict=True)]

    def diagonal(self, node: int, row: int) -> np.ndarray:
        """Entry of the inverse at V (0) or U (1) of a node."""
        return self.between[node] @ self.before[node] if row else self.behind[node] @ self.between[node]

    def from_row(self, node: int, row: int):
        """A function of (later node, its row): the entry of the inverse from there to this row."""
        across = self.between[node] @ self.before[node] if row else self.between[node]
        sources = {node: across}  # U of each node, from this row

        def entry(there: int, side: int) -> np.ndarray:
            for k in range(node + 1, there + 1):
                if k not in sources:
                    sources[k] = self.alone[k] @ self.segment.links[k - 1] @ sources[k - 1]
            if side:
                return sources[there]
            if there == node and row:
                return self.between[node].swapaxes(-1, -2)
            return self.behind[there] @ sources[there]

        return entry

    def logarithm(self) -> np.ndarray:
        """Σ over channels of log det, continuous on the closed upper half-plane, where all eigenvalues stay."""
        total: np.ndarray | float = 0.0
        for before, beta in zip(self.before, self.beta, strict=True):
            size = before.shape[-1]
            one, other = _largest(before), _largest(beta)
            both = (one > 0) & (other > 0)
            scale = np.sqrt(np.where(both, one, 1.0) / np.where(both, other, 1.0))  # balances the two
            pencil = np.empty((*np.broadcast_shapes(before.shape, beta.shape)[:2], 2 * size, 2 * size), complex)
            pencil[..., :size, :size], pencil[..., size:, size:] = -before / scale, -beta * scale
            pencil[..., :size, size:] = pencil[..., size:, :size] = np.eye(size)
            values = eigenvalues(pencil.reshape(-1, 2 * size, 2 * size)).reshape(pencil.shape[:-1])
            logs = upper_log(values).sum(axis=2)
            total = total + self.segment.channels * logs.mean(axis=1)
        return np.asarray(total)


def _ports(segments: Sequence[BlockSegment], matrices: Sequence[SharedMatrix]) -> list[BlockPort]:
    """b and a of each matrix in turn."""
    found: list[BlockPort] = []
    for matrix in matrices:
        _, out, into = matrix.taps.shape
        write = None if matrix.write is None else matrix.write.transpose(0, 2, 1)
        for place, row, through, size in ((matrix.source, 1, matrix.read, into), (matrix.target, 0, write, out)):
            found.append(BlockPort(place, row, through, size, segments[place[0]].channels))
    return found


def _alike(parts: np.ndarray | None) -> bool:
    """Whether matrices (N, ·, ·) are the same for all channels; None leaves all as they are."""
    return parts is None or bool((parts == parts[:1]).all())


def _least(matrices: np.ndarray) -> np.ndarray:
    """The least eigenvalue of real symmetric matrices (m, P, P), NaN of one that is not finite."""
    finite = np.asarray(np.isfinite(matrices).all(axis=(1, 2)))
    return np.where(finite, np.linalg.eigvalsh(np.where(finite[:, None, None], matrices, 0.0))[:, 0], np.nan)


def _largest(matrices: np.ndarray) -> np.ndarray:
    """Largest entry over channels at each point, (m, 1, 1, 1)."""
    return np.abs(matrices).max(axis=(1, 2, 3), keepdims=True)


def inverted_one_less(product: np.ndarray) -> np.ndarray:
    """(1 - X)⁻¹ of stacked matrices, NaN where singular."""
    size = product.shape[-1]
    flat = (np.eye(size) - product).reshape(-1, size, size)
    return inverted(flat).reshape(product.shape)


def _through(left: np.ndarray | None, middle: np.ndarray, right: np.ndarray | None) -> np.ndarray:
    """left·middle·rightᵀ, channel by channel; None leaves a side."""
    seen = middle if left is None else left @ middle
    return seen if right is None else seen @ right.transpose(0, 2, 1)


def _trace(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("mij,mji->m", x, y)


def _log_ratio(ratio: np.ndarray, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """log det(below⁻¹ above) = log det of ``ratio``, for symmetric matrices with Im ≤ 0, either of which may be singular.

    Of an eigenvector v with eigenvalue μ, v*·above·v = μ v*·below·v, both in the lower half-plane: where Re μ < 0 their
    arguments tell on which side of the cut μ lies.
    """
    values, vectors, _ = eigen(ratio)
    upper, lower = (np.einsum("mik,mij,mjk->mk", vectors.conj(), x, vectors) for x in (above, below))
    with np.errstate(all="ignore"):
        turn = np.imag(lower_log(upper) - lower_log(lower))
        angle = np.where(np.real(values) >= 0, np.angle(values), turn)
        return (np.log(np.abs(values)) + 1j * angle).sum(axis=1)
