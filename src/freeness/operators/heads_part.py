"""Softmax attention as a given map with channels of its own: what queries, keys and values make of the outputs of every head.

At a forward pass with A = softmax(c q kᵀ + mask) and o = A v, a head moves by

    do_i = Σ_j A_ij dv_j + c Σ_j A_ij (v_j - o_i)(dq_i·k_j + q_i·dk_j),

a map of T·d_k entries. Of it N = M a Mᵀ is N_ik = n_ik·1 + R_i Y_ik R_kᵀ with U_i of rows A_ij (v_j - o_i) and orthonormal R_i
over directions that the rows of U_i have: with all of them exactly (at most keys - 1, and inverses are of size T·(T - 1) for
any d_k), with the few largest about, where the others are spread over all d_k and keep their partial trace. With rotary positions
q_i and k_j are turned in front of their product, so dq_i meets R_i⁻¹k_j and dk_j meets R_j⁻¹q_i. Products of these are
Σ_r A^r_ik B^r_jm, with the cosines and sines of each pair of channels in B, of which as few are kept as there are lags.

Source: theory.md §11 (the Gram form, derived for this project and checked by simulation).
"""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Inexact, Num

from freeness.errors import InputError
from freeness.numerics import turned_pairs
from freeness.operators.logarithms import logarithm
from freeness.operators.packing import doubled, packed, symmetric, unpacked
from freeness.operators.parts import PIECE, GivenPart, InSingle, less_inverted

_LARGEST = 100_000_000  # numbers of products between all pairs of a query and a key
_LEFT_OUT = 1e-9  # of the largest B, of one that is none
_FULL = 48  # rows of a head's inverse up to which directions are kept: beside all of them G moves by less than 10⁻³
_ROUGHLY = 16  # of these on the way to a solution


@dataclass(frozen=True, eq=False)
class HeadSignals:
    """Of one forward pass: A (heads, T, T'), q (heads, T, d_k), k and v (heads, T', d_k), and the scale c of scores.

    Where g heads of queries share keys and values, they count as one head of g·T rows, one query head after the other.
    ``angles``: by which pairs of channels f and f + F of q (T, F) and of k (T', F) have been turned, of rotary positions.
    """

    weights: Float[np.ndarray, "heads queries keys"]
    query: Float[np.ndarray, "heads queries width"]
    key: Float[np.ndarray, "heads keys width"]
    value: Float[np.ndarray, "heads keys values"]
    scale: float
    angles: tuple[Float[np.ndarray, "queries pairs"], Float[np.ndarray, "keys pairs"]] | None = None

    @cached_property
    def spans(self) -> Float[np.ndarray, "heads queries keys values"]:
        """U (heads, T, T', d_k)."""
        output = self.weights @ self.value
        return self.weights[..., None] * (self.value[:, None] - output[:, :, None])

    def by_query(self, entries: Num[np.ndarray, "heads queries *_"]) -> Num[np.ndarray, "heads queries *_"]:
        """Entries of keys (heads, T, k, d_k) as the channels of query i meet them: R_i⁻¹."""
        return entries if self.angles is None else turned_pairs(entries, -self.angles[0][:, None])

    @cached_property
    def met(self) -> tuple[Float[np.ndarray, "heads terms queries queries"], Float[np.ndarray, "terms keys keys"]]:
        """A and B of the products Σ_r A^r_ik B^r_jm of c R_j⁻¹q_i with c R_m⁻¹q_k, as the channels of keys meet the queries."""
        query, columns = self.scale * self.query, self.weights.shape[2]
        if self.angles is None:
            return (query @ query.swapaxes(1, 2))[:, None], np.ones((1, columns, columns))
        pairs = self.angles[1].shape[1]
        turned, rest = query[..., :pairs] + 1j * query[..., pairs : 2 * pairs], query[..., 2 * pairs :]
        both = turned[:, :, None].conj() * turned[:, None]  # (heads, T, T, F)
        by_query = np.concatenate([(rest @ rest.swapaxes(1, 2))[..., None], np.real(both), -np.imag(both)], axis=-1)
        lags = (self.angles[1][:, None] - self.angles[1]).transpose(2, 0, 1)
        by_key = np.concatenate([np.ones((1, columns, columns)), np.cos(lags), np.sin(lags)])
        left, sizes, right = np.linalg.svd(by_key.reshape(len(by_key), -1), full_matrices=False)
        kept = sizes > _LEFT_OUT * sizes[0]
        few = np.moveaxis(by_query @ (left * sizes)[:, kept], -1, 1)
        return few, right[kept].reshape(-1, columns, columns)


class _Kept(NamedTuple):
    """Ũ (heads, T', T·k) and overlaps R_iᵀR_k (heads, T·k, T·k); None: one basis for all i."""

    spans: np.ndarray
    overlaps: np.ndarray | None
    directions: int


class HeadsPart(GivenPart):
    """All heads of one attention: queries, keys and values are written, outputs are read.

    Args:
        signals: of the forward pass.
        maps: of the ports of queries, keys, values and outputs: (P_port, T or T') as of :class:`Port`, from T positions. Heads
            of queries that share keys have weights of their own, so fields act on each alone.
        directions: of each U_i that are kept; as many as an inverse of 48 rows has room for, where None.
    """

    def __init__(
        self, signals: HeadSignals, maps: Sequence[Float[np.ndarray, "_ _"]], directions: int | None = None
    ) -> None:
        heads, rows, columns = signals.weights.shape
        every = (rows, columns, columns, rows)
        self.signals, self.sizes, self._given = signals, tuple(len(map_) for map_ in maps), maps
        self._maps = tuple(_of_each(map_, count) for map_, count in zip(maps, every, strict=True))
        self._plain = all(len(each) == 1 and (each[0] == np.eye(len(each[0]))).all() for each in self._maps)
        self.width = signals.value.shape[-1]
        self._every = min(columns - 1, self.width)
        self._chosen = max(2, _FULL // rows) if directions is None else directions
        self.exact = self._chosen >= self._every
        self._weights = signals.weights
        self._queries, self._turns = signals.met  # 𝒬 (heads, r, T, T), and what keys make of it (r, T', T')
        self._heads, self._rows, self._columns = heads, rows, columns

    @cached_property
    def _kept(self) -> _Kept:
        return self._shared_basis(self._every) if self.exact else self._largest(self._chosen)

    @cached_property
    def _by_query(self) -> np.ndarray:
        """Ũᵀ𝒦Ũ (heads, T·k, T·k)."""
        signals = self.signals
        seen = self._kept.spans.swapaxes(1, 2) @ (signals.scale * signals.key)
        seen = signals.by_query(seen.reshape(self._heads, self._rows, -1, seen.shape[-1])).reshape(seen.shape)
        return seen @ seen.swapaxes(1, 2)

    @cached_property
    def _rest(self) -> tuple[np.ndarray, np.ndarray] | None:
        return None if self.exact else self._left_over()

    @property
    def lost(self) -> float:
        """Share of ΣU² that is spread over all directions."""
        return 1.0 - float((self._kept.spans**2).sum() / (self.signals.spans**2).sum())

    def _shared_basis(self, count: int) -> _Kept:
        """All directions, Σ U² being the same in one basis."""
        value = self.signals.value
        count = max(count, 1)
        _, _, right = np.linalg.svd(value - value.mean(axis=1, keepdims=True), full_matrices=False)
        kept = self.signals.spans @ right[:, None, :count].swapaxes(-1, -2)  # (heads, T, T', k)
        return _Kept(_side_by_side(kept), None, count)

    def _largest(self, count: int) -> _Kept:
        left, sizes, right = np.linalg.svd(self.signals.spans, full_matrices=False)
        basis = right[:, :, :count]  # (heads, T, k, d_k)
        flat = basis.reshape(len(basis), -1, self.width)
        return _Kept(_side_by_side(left[..., :count] * sizes[:, :, None, :count]), flat @ flat.swapaxes(1, 2), count)

    def _left_over(self) -> tuple[np.ndarray, np.ndarray]:
        """Partial traces of what is spread: with 𝒦 (heads, T, T), with 𝒬 between packed ones, (heads·T(T+1)/2, T'(T'+1)/2)."""
        spans, kept = self.signals.spans, self._kept
        assert kept.overlaps is not None
        heads, rows, columns, width = spans.shape
        if heads * (rows * columns) ** 2 > _LARGEST:
            raise InputError(
                f"expected attention of some dozens of tokens, got {rows} queries and {columns} keys of {heads} heads, for which "
                "theory takes too much memory; measure the spectrum instead."
            )
        flat = spans.reshape(heads, rows * columns, width)
        every = (flat @ flat.swapaxes(1, 2)).reshape(heads, rows, columns, rows, columns)
        own = kept.spans.reshape(heads, columns, rows, kept.directions)
        overlaps = kept.overlaps.reshape(heads, rows, kept.directions, rows, kept.directions)
        half = np.einsum("hmia,hiakb->himkb", own, overlaps, optimize=True)
        every = every - np.einsum("himkb,hnkb->himkn", half, own, optimize=True)
        every = every.transpose(0, 1, 3, 2, 4) / width  # (heads, i, k, m, n)
        signals = self.signals
        keys = signals.by_query(
            np.broadcast_to(signals.scale * signals.key[:, None], (heads, rows, *signals.key.shape[1:]))
        )
        seen = keys.reshape(heads, rows * columns, -1)
        seen = (seen @ seen.swapaxes(1, 2)).reshape(heads, rows, columns, rows, columns)
        by_query = np.einsum("hikmn,himkn->hik", every, seen, optimize=True)
        by_key = np.einsum("hrik,rmn->hikmn", self._queries, self._turns, optimize=True) * every
        by_key = packed(symmetric(by_key).reshape(-1, columns, columns)).reshape(heads, rows, rows, -1)
        by_key = packed(by_key.transpose(0, 3, 1, 2).reshape(-1, rows, rows)).reshape(heads, -1, rows * (rows + 1) // 2)
        return by_query, by_key.transpose(0, 2, 1).reshape(-1, columns * (columns + 1) // 2)

    @property
    def heads(self) -> int:
        """With keys of their own."""
        return self._heads

    def answers(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> list[Inexact[np.ndarray, "points _ _"]]:
        size = self._heads * (self._rows * self._kept.directions) ** 2
        height = max(1, PIECE // size)
        points = len(fields[0])
        pieces = [
            self._answered([field[first : first + height] for field in fields]) for first in range(0, points, height)
        ]
        return [symmetric(np.concatenate(parts)) for parts in zip(*pieces, strict=True)]

    @cached_property
    def rough(self) -> GivenPart:
        """With fewer directions, in single precision."""
        directions = min(self._chosen, max(1, _ROUGHLY // self._rows))
        other, one = HeadsPart(self.signals, self._given, directions), np.float32
        other._kept = other._kept._replace(spans=other._kept.spans.astype(one))
        other._overlaps, other._by_query = other._overlaps.astype(one), other._by_query.astype(one)
        other._rest = None if other._rest is None else (other._rest[0].astype(one), other._rest[1].astype(one))
        other._weights, other._maps = other._weights.astype(one), tuple(map_.astype(one) for map_ in other._maps)
        other._queries, other._turns = other._queries.astype(one), other._turns.astype(one)
        return InSingle(other)

    def returned(self, asked: Inexact[np.ndarray, "positions positions"]) -> list[Inexact[np.ndarray, "_ _"]]:
        """r (P, P) of queries, keys and values where no noise comes in: Σ Mᵀ b M."""
        signals, (*_, maps) = self.signals, self._maps
        given = (maps.swapaxes(1, 2) @ asked @ maps).sum(axis=0)
        weights, spans = signals.weights, signals.spans
        pulled = signals.by_query(spans.swapaxes(2, 3) @ signals.key[:, None]).reshape(self._heads, self._rows, -1)
        to_query = signals.scale**2 * given * (pulled @ pulled.swapaxes(1, 2))
        to_key = self._returned_to_keys(given)
        found = (to_query, to_key, self.width * weights.swapaxes(1, 2) @ given @ weights)
        return [
            (each @ one.sum(axis=0) @ each.swapaxes(1, 2)).sum(axis=0)
            for each, one in zip(self._maps, found, strict=False)
        ]

    def _returned_to_keys(self, given: np.ndarray) -> np.ndarray:
        """Σ_ik b_ik U_ij·U_km 𝒬 (heads, T', T')."""
        spans, heads = self.signals.spans, self._heads
        sides = spans.swapaxes(1, 2).reshape(heads, self._columns, -1)
        parts = (
            turn * (sides @ self._beside((given * queries) @ spans.reshape(heads, self._rows, -1)))
            for queries, turn in zip(self._queries.swapaxes(0, 1), self._turns, strict=True)
        )
        return np.asarray(sum(parts))

    def _beside(self, moved: np.ndarray) -> np.ndarray:
        """(heads, T, T'·d_k) as (heads, T·d_k, T')."""
        each = moved.reshape(self.signals.spans.shape)
        return each.transpose(0, 1, 3, 2).reshape(self._heads, -1, self._columns)

    def potential(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> Inexact[np.ndarray, " points"]:
        query, key, _, asked = given = self._at_heads(fields)
        level = self._level(given)
        across = asked @ less_inverted(level @ asked)
        inner = [
            logarithm(
                self._core(query[point], key[point]), _grown(across[point], self._kept.directions) * self._overlaps
            )
            for point in range(len(across))
        ]
        return (self.width * logarithm(level, asked) + np.stack(inner)).sum(axis=1)

    def _at_heads(self, fields: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What acts on queries, keys, values and outputs (m, 1, T, T)."""
        if self._plain:
            return [field[:, None] for field in fields]
        return [
            (each.swapaxes(1, 2) @ field[:, None] @ each).sum(axis=1, keepdims=True)
            for each, field in zip(self._maps, fields, strict=True)
        ]

    def _level(self, fields: Sequence[np.ndarray]) -> np.ndarray:
        """n (m, heads, T, T)."""
        query, key, value, _ = fields
        level = self._weights @ value @ self._weights.swapaxes(1, 2)
        if self._rest is None:
            return level
        by_query, by_key = self._rest
        moved = _real_product(doubled(self._columns) * packed(key[:, 0]), by_key.T).reshape(len(key) * self._heads, -1)
        return level + query * by_query + unpacked(moved, self._rows).reshape(level.shape)

    def _core(self, query: np.ndarray, key: np.ndarray) -> np.ndarray:
        """Y (m, heads, T·k, T·k)."""
        spans, count = self._kept.spans, self._kept.directions
        core = _grown(query, count) * self._by_query
        for queries, turn in zip(self._queries.swapaxes(0, 1), self._turns, strict=True):
            core = core + _grown(queries, count) * (spans.swapaxes(1, 2) @ (turn * key) @ spans)
        return core

    def _answered(self, fields: Sequence[np.ndarray]) -> list[np.ndarray]:
        query, key, _, asked = given = self._at_heads(fields)
        count, weights = self._kept.directions, self._weights
        turned = weights.swapaxes(1, 2)
        level, core = self._level(given), self._core(query, key)
        before = less_inverted(level @ asked)
        across = asked @ before  # g without Y
        wide = _grown(across, count) * self._overlaps
        passed = less_inverted(wide @ core)  # (1 - T₀Y)⁻¹
        inner = core @ passed
        traced = self._summed(inner * self._overlaps)
        output = (self.width * before @ level + before @ traced @ before.swapaxes(-1, -2)).sum(axis=1)
        total = self.width * across + across @ traced @ across
        kept = passed @ wide  # EᵀgE
        to_value = (turned @ total @ weights).sum(axis=1)
        to_query = self._summed(self._by_query * kept)
        to_key = self._to_key(kept)
        if self._rest is not None:
            by_query, by_key = self._rest
            to_query = to_query + by_query * total
            asked = doubled(self._rows) * packed(symmetric(total).reshape(-1, self._rows, self._rows))
            to_key = to_key + unpacked(_real_product(asked.reshape(len(total), -1), by_key), self._columns)
        found = (to_query.sum(axis=1), to_key, to_value, output)
        if self._plain:
            return list(found)
        return [
            (each @ one[:, None] @ each.swapaxes(1, 2)).sum(axis=1) for each, one in zip(self._maps, found, strict=True)
        ]

    def _to_key(self, kept: np.ndarray) -> np.ndarray:
        """(m, T', T')."""
        spans, count = self._kept.spans, self._kept.directions
        parts = (
            turn * (spans @ (_grown(queries, count) * kept) @ spans.swapaxes(1, 2)).sum(axis=1)
            for queries, turn in zip(self._queries.swapaxes(0, 1), self._turns, strict=True)
        )
        return np.asarray(sum(parts))

    @cached_property
    def _overlaps(self) -> np.ndarray:
        """R_iᵀR_k (heads or 1, T·k, T·k)."""
        if self._kept.overlaps is not None:
            return self._kept.overlaps
        return np.kron(np.ones((self._rows, self._rows)), np.eye(self._kept.directions))[None]

    def _summed(self, blocks: np.ndarray) -> np.ndarray:
        """Sums over the k×k entries of blocks (…, T·k, T·k)."""
        if self._kept.directions == 1:
            return blocks
        shape = (*blocks.shape[:-2], self._rows, self._kept.directions, self._rows, self._kept.directions)
        return blocks.reshape(shape).sum(axis=(-3, -1))


def _of_each(map_: np.ndarray, rows: int) -> np.ndarray:
    """(g, P, g·T) of a map (P, T), from the rows of each of g heads."""
    return np.kron(np.eye(rows // map_.shape[1])[:, None], map_[None])


def _real_product(vectors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Complex vectors (m, k) times a real matrix; of both parts at once, side by side in memory, as BLAS takes them."""
    real, imaginary = np.split(np.concatenate([np.real(vectors), np.imag(vectors)]) @ matrix, 2)
    return real + 1j * imaginary


def _side_by_side(spans: np.ndarray) -> np.ndarray:
    """(heads, T, T', k) as (heads, T', T·k)."""
    heads, rows, columns, count = spans.shape
    return spans.transpose(0, 2, 1, 3).reshape(heads, columns, rows * count)


def _grown(field: np.ndarray, count: int) -> np.ndarray:
    """Each entry (…, T, T) as a k×k block of equal ones."""
    return field if count == 1 else field.repeat(count, axis=-2).repeat(count, axis=-1)
