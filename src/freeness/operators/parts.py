"""Given maps between random matrices, in parts: each answers the fields of the matrices around it.

A part is what the forward pass fixes on one set of channels. Random matrices write into it and read from it at its ports. At a
port the field is a symmetric matrix over positions: a where a matrix writes (how much noise comes in), b where one reads
(how much is asked for). With M the map from what is written to what is read, channel by channel, N = M a Mᵀ, the answers are
sums over channels

    p = Σ (1 - N b)⁻¹ N  at reads,    r = Σ Mᵀ b (1 - N b)⁻¹ M  at writes,

which are minus the derivatives of its potential Σ log det(1 - N b).

Source: theory.md §3.4, §11, §12 (this project's derivation, checked by simulation).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Inexact

from freeness.operators.logarithms import logarithm
from freeness.operators.packing import symmetric
from freeness.operators.spectral import inverted

PIECE = 2_000_000  # numbers of one array that is worked on at once


class GivenPart(ABC):
    """Given maps with ports; ``sizes``: positions of each."""

    sizes: tuple[int, ...]

    @abstractmethod
    def answers(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> list[Inexact[np.ndarray, "points _ _"]]:
        """Of every port (m, P, P) to the fields of all (m, P, P)."""

    @cached_property
    def rough(self) -> GivenPart:
        """One that answers nearly the same more quickly; itself where there is none."""
        return self

    @abstractmethod
    def potential(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> Inexact[np.ndarray, " points"]:
        """Σ log det(1 - N b) (m,).

        Fields in the lower half-plane leave N b no positive eigenvalue, so logarithms of eigenvalues are principal.
        """


class InSingle(GivenPart):
    """A part whose numbers are of single precision, for fields of double."""

    def __init__(self, part: GivenPart) -> None:
        self._part, self.sizes = part, part.sizes

    def answers(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> list[Inexact[np.ndarray, "points _ _"]]:
        found = self._part.answers([field.astype(np.complex64) for field in fields])
        return [answer.astype(complex) for answer in found]

    def potential(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> Inexact[np.ndarray, " points"]:
        return self._part.potential([field.astype(np.complex64) for field in fields])


@dataclass(frozen=True, eq=False)
class Link:
    """A given map (1 or C, P', P) between nodes of a part; ``factor``: see :class:`Port`, where no other way leads on."""

    source: int
    target: int
    map: Float[np.ndarray, "#channels written read"]
    factor: Float[np.ndarray, "written written"] | None = None


@dataclass(frozen=True, eq=False)
class Port:
    """Where a random matrix reads from a node, or writes into it.

    ``map``: (1 or C, P_port, P_node) from the node; of a write, the transpose of what leads to it. ``factor``: what a map that
    depends on channels only by a projection, such as a layer norm's, does to means over channels, entry by entry.
    """

    node: int
    reads: bool
    map: Float[np.ndarray, "#channels port node"]
    factor: Float[np.ndarray, "port port"] | None = None

    def acting(self, field: Inexact[np.ndarray, "points port port"]) -> Inexact[np.ndarray, "points _ node node"]:
        """Bᵀ·field·B at the node, (m, 1 or C, P, P)."""
        inner = field if self.factor is None else self.factor * field
        return self.map.transpose(0, 2, 1) @ inner[:, None] @ self.map

    def seen(self, entries: Inexact[np.ndarray, "points _ node node"]) -> Inexact[np.ndarray, "points port port"]:
        """Σ B·entries·Bᵀ over the channels at hand, (m, P, P)."""
        found = (self.map @ entries @ self.map.transpose(0, 2, 1)).sum(axis=1)
        return found if self.factor is None else self.factor * found


class _Local(NamedTuple):
    """The inverse of a node's own pencil: on the side that is read, across, and on the side that is written."""

    read: np.ndarray
    across: np.ndarray
    written: np.ndarray


class _Tie(NamedTuple):
    """What leads on to a later node from what is read, and from what is written, at an earlier one; None: nothing."""

    by_read: np.ndarray | None
    by_written: np.ndarray | None

    def through(self, own: _Local) -> tuple[np.ndarray, np.ndarray]:
        """Times the inverse of the earlier node's pencil."""
        if self.by_written is None:
            assert self.by_read is not None
            return self.by_read @ own.read, self.by_read @ own.across
        read, written = self.by_written @ own.across.swapaxes(-1, -2), self.by_written @ own.written
        return (
            (read, written)
            if self.by_read is None
            else (read + self.by_read @ own.read, written + self.by_read @ own.across)
        )

    def onto(self, reach: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """What another node's reach makes of it."""
        parts = [one @ by.swapaxes(-1, -2) for one, by in zip(reach, self, strict=True) if by is not None]
        return np.asarray(sum(parts[1:], parts[0]))

    def gaining(self, passed: np.ndarray) -> _Tie:
        """With a tie from what is written added."""
        return _Tie(self.by_read, passed if self.by_written is None else self.by_written + passed)


class WiredPart(GivenPart):
    """Nodes and links between them on one set of channels.

    Args:
        channels: how many there are; those at hand stand for them.
        accumulated: what noise enters at each node by itself, (1 or C, P, P); 0 if none.
        links: from earlier nodes to later ones.
        ports: of random matrices.
        layers: name of each node.
    """

    def __init__(
        self,
        channels: int,
        accumulated: Sequence[Float[np.ndarray, "#channels _ _"]],
        links: Sequence[Link],
        ports: Sequence[Port],
        layers: Sequence[str] = (),
    ) -> None:
        self.channels, self.accumulated, self.layers = channels, tuple(accumulated), tuple(layers)
        self.links, self.ports = tuple(links), tuple(ports)
        self.sizes = tuple(port.map.shape[1] for port in self.ports)
        arrays = [*self.accumulated, *(link.map for link in self.links), *(port.map for port in self.ports)]
        self.drawn = max(len(array) for array in arrays)
        self.after = self._filled()

    def _filled(self) -> list[list[int]]:
        """For each node the later ones that it is tied to when earlier ones are eliminated."""
        after: list[set[int]] = [set() for _ in self.accumulated]
        for link in self.links:
            after[link.source].add(link.target)
        for behind in after:
            for node in sorted(behind)[:-1]:
                after[node] |= {other for other in behind if other > node}
        return [sorted(behind) for behind in after]

    def answers(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> list[Inexact[np.ndarray, "points _ _"]]:
        points, height = len(fields[0]), self._height
        pieces = [
            self._answered([field[first : first + height] for field in fields]) for first in range(0, points, height)
        ]
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]

    def potential(self, fields: Sequence[Inexact[np.ndarray, "points _ _"]]) -> Inexact[np.ndarray, " points"]:
        height = self._height
        return np.concatenate(
            [
                self._logarithms([f[first : first + height] for f in fields])
                for first in range(0, len(fields[0]), height)
            ]
        )

    def _logarithms(self, fields: Sequence[np.ndarray]) -> np.ndarray:
        kappa, beta = self._acting(fields)
        self._eliminated(kappa, beta)
        found = (logarithm(one, other).mean(axis=1) for one, other in zip(kappa, beta, strict=True))
        return self.channels * np.asarray(sum(found))

    @property
    def _height(self) -> int:
        """Points that are worked on at once."""
        largest = max(k.shape[-1] for k in self.accumulated)
        return max(1, PIECE // (self.drawn * largest**2))

    def _acting(self, fields: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """κ and β of every node."""
        kappa = [k[None].astype(complex) for k in self.accumulated]
        beta = [np.zeros((1, 1, *k.shape[1:]), complex) for k in self.accumulated]
        for port, field in zip(self.ports, fields, strict=True):
            into = beta if port.reads else kappa
            into[port.node] = into[port.node] + port.acting(field)
        return kappa, beta

    def _answered(self, fields: Sequence[np.ndarray]) -> list[np.ndarray]:
        inner, outer = self._inverse(*self._acting(fields))
        found: list[np.ndarray] = []
        for port in self.ports:
            entries = (outer if port.reads else inner)[port.node]
            share = self.channels / max(entries.shape[1], len(port.map))
            found.append(share * symmetric(port.seen(entries)))
        return found

    def _inverse(self, kappa: list[np.ndarray], beta: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Diagonal blocks of the pencil's inverse: on the side of what is written, and of what is read.

        The pencil [[-β, 1 - Lᵀ], [1 - L, -κ]] is eliminated node by node. Ties to later nodes stay on the side of κ.
        """
        return self._selected(*self._eliminated(kappa, beta))

    def _eliminated(
        self, kappa: list[np.ndarray], beta: list[np.ndarray]
    ) -> tuple[list[_Local], dict[tuple[int, int], tuple[np.ndarray, np.ndarray]], dict[tuple[int, int], np.ndarray]]:
        """Of each node the inverse of its own pencil, and what leads on to later ones; κ grows by what passed nodes bring."""
        ties: dict[tuple[int, int], _Tie] = {}  # (later, earlier)
        for link in self.links:
            ties[link.target, link.source] = _Tie(link.map[None].astype(complex), None)
        factors = {
            (link.target, link.source): link.factor
            for link in self.links
            if link.factor is not None and len(self.after[link.source]) == 1
        }
        local: list[_Local] = []
        reach: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        for node, behind in enumerate(self.after):
            one = less_inverted(kappa[node] @ beta[node])
            own = _Local(one @ kappa[node], one, beta[node] @ one)
            local.append(own)
            for position, later in enumerate(behind):
                reach[later, node] = ties[later, node].through(own)
                for other in behind[: position + 1]:
                    passed = ties[other, node].onto(reach[later, node])
                    if other == later:
                        factor = factors.get((later, node))
                        kappa[later] = kappa[later] + (passed if factor is None else factor * passed)
                    else:
                        ties[later, other] = ties.get((later, other), _Tie(None, None)).gaining(passed)
        return local, reach, factors

    def _selected(
        self,
        local: list[_Local],
        reach: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]],
        factors: dict[tuple[int, int], np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Entries of the inverse where the elimination had some, from the last node back."""
        count = len(local)
        inner: list[np.ndarray] = [np.empty(0)] * count
        outer: list[np.ndarray] = [np.empty(0)] * count
        between: dict[tuple[int, int], np.ndarray] = {}
        for node in reversed(range(count)):
            outer[node], inner[node] = local[node].read, local[node].written
            for later in self.after[node]:
                ahead_u, ahead_v = 0.0, 0.0
                for other in self.after[node]:
                    middle = inner[later] if other == later else _entry(between, later, other)
                    if other == later and (later, node) in factors:
                        middle = factors[later, node] * middle
                    to_u, to_v = reach[other, node]
                    ahead_u, ahead_v = ahead_u + middle @ to_u, ahead_v + middle @ to_v
                between[later, node] = np.asarray(ahead_v)
                back_u, back_v = (side.swapaxes(-1, -2) for side in reach[later, node])
                outer[node], inner[node] = outer[node] + back_u @ ahead_u, inner[node] + back_v @ ahead_v
        return inner, outer


def _entry(between: dict[tuple[int, int], np.ndarray], one: int, other: int) -> np.ndarray:
    if one > other:
        return between[one, other]
    return between[other, one].swapaxes(-1, -2)


def less_inverted(product: np.ndarray) -> np.ndarray:
    """(1 - X)⁻¹ of stacked matrices."""
    size = product.shape[-1]
    return inverted((np.eye(size, dtype=product.dtype) - product).reshape(-1, size, size)).reshape(product.shape)
