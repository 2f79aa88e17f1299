"""Squared gradients back through given parts and the random matrices between them: one pass, and nothing to solve.

With Γ = Σ_i g_i g_iᵀ over channels (positions × positions), a Gaussian matrix with E W_ij² = s²/C gives every channel that it
reads from the same b = s²/C Σ_τ T_τᵀ Γ T_τ, and a part whose map is M makes Γ = Σ Mᵀ b M of it where matrices write. This is
:class:`~freeness.operators.WiredEquation` far from the spectrum, where no noise comes back: its first order in 1/z.

Source: theory.md §11, §12 (this project's derivation, checked by simulation).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.operators.heads_part import HeadsPart
from freeness.operators.parts import GivenPart, Link, WiredPart
from freeness.operators.units_part import UnitsPart
from freeness.operators.wired_equation import PortMatrix, WiredEquation

_VALUES = 2  # port of attention


class Returning(Protocol):
    """The way back through a part, from its end: all that reads behind a place is told before the place is asked for."""

    def ask(self, port: int, field: np.ndarray) -> None:
        """b (P, P) where a matrix reads."""
        ...

    def answer(self, port: int) -> np.ndarray:
        """Γ (P, P) where a matrix writes."""
        ...


@singledispatch
def returning(part: GivenPart) -> Returning:
    """The way back through a part.

    Example:
        >>> back = returning(UnitsPart(2, [np.array([[1.0], [0.0]])]))
        >>> back.ask(1, np.ones((1, 1)))
        >>> back.answer(0).tolist()
        [[1.0]]
    """
    raise InputError(
        f"expected nodes, heads or units, got {type(part).__name__}; register freeness.operators.returning for it."
    )


@dataclass(eq=False)
class _OneReader(Returning):
    """A part that one matrix reads, at its last port."""

    part: HeadsPart | UnitsPart
    answers: Sequence[np.ndarray] = ()

    def ask(self, port: int, field: np.ndarray) -> None:
        self.answers = self.part.returned(field)

    def answer(self, port: int) -> np.ndarray:
        size = self.part.sizes[port]
        return self.answers[port] if self.answers else np.zeros((size, size))


@returning.register(HeadsPart)
@returning.register(UnitsPart)
def _(part: HeadsPart | UnitsPart) -> Returning:
    return _OneReader(part)


class NodesReturning(Returning):
    """Nodes from the last back: Γ = b + Lᵀ Γ L, and where ways part and meet again, with Γ between the nodes of both."""

    def __init__(self, part: WiredPart) -> None:
        self._part, self._next = part, len(part.accumulated) - 1
        self._gamma = [np.zeros((1, *noise.shape[1:])) for noise in part.accumulated]
        self._between: dict[tuple[int, int], np.ndarray] = {}
        self._links: list[dict[int, Link]] = [{} for _ in part.accumulated]  # of each node, by target
        for link in part.links:
            known = self._links[link.source].get(link.target)
            self._links[link.source][link.target] = link if known is None else replace(link, map=link.map + known.map)

    def ask(self, port: int, field: np.ndarray) -> None:
        asked = self._part.ports[port]
        self._gamma[asked.node] = self._gamma[asked.node] + asked.acting(field[None])[0]

    def answer(self, port: int) -> np.ndarray:
        asked = self._part.ports[port]
        found = self._at(asked.node)
        return self._part.channels / max(len(found), len(asked.map)) * asked.seen(found[None])[0]

    def of_noise(self) -> Iterator[tuple[str, np.ndarray]]:
        """For every node Σ over channels of Γ∘K with its noise K (P, P), whose sum is what is trained there, squared."""
        for node in reversed(range(len(self._gamma))):
            noise, found = self._part.accumulated[node], self._at(node)
            if noise.any():
                share = self._part.channels / max(len(found), len(noise))
                yield self._part.layers[node], share * (noise * found).sum(axis=0)

    def _at(self, node: int) -> np.ndarray:
        """Γ (1 or C, P, P) at a node."""
        while self._next >= node:
            self._gather(self._next)
            self._next -= 1
        return self._gamma[node]

    def _gather(self, node: int) -> None:
        """Γ at a node, and between it and the later ones that it is tied to."""
        for later in self._part.after[node]:
            parts = [
                self._joined(later, other, link) @ link.map
                for other, link in self._links[node].items()
                if other == later or (max(later, other), min(later, other)) in self._between
            ]
            if parts:
                self._between[later, node] = sum(parts[1:], parts[0])
        for later, link in self._links[node].items():
            self._gamma[node] = self._gamma[node] + link.map.swapaxes(-1, -2) @ self._between[later, node]

    def _joined(self, later: int, other: int, link: Link) -> np.ndarray:
        """Γ between two nodes."""
        if other == later:
            return self._gamma[later] if link.factor is None else link.factor * self._gamma[later]
        one = self._between[max(later, other), min(later, other)]
        return one if later > other else one.swapaxes(-1, -2)


returning.register(WiredPart, NodesReturning)


class Returned(NamedTuple):
    """Of one layer: ``trained`` (P, P), whose sum is its squared gradient, and Γ (P, P) where a matrix writes, None of a node.

    ``spread``: relative variance that one draw of the matrix adds, 2 tr Γ²/(tr Γ)² over its inputs. ``own``: that of its own
    gradient beside it, 2 tr (ΓK)²/(tr ΓK)² over its outputs with K the Gram matrix of what it reads. Behind queries and keys
    gradients are few numbers of each head: over the heads it is a bound, taken instead.
    """

    layer: str
    trained: np.ndarray
    gamma: np.ndarray | None
    spread: float = 0.0
    own: float = 0.0


def returned(equation: WiredEquation, cotangent: Float[np.ndarray, "positions positions"]) -> list[Returned]:
    """Gradients at all matrices of a network, and at nodes whose parameters are trained."""
    ways = tuple(returning(part) for part in equation.parts)
    part, port = equation.end
    ways[part].ask(port, cotangent * len(cotangent) / equation.outputs)
    found: list[Returned] = []
    for matrix in reversed(equation.matrices):
        gamma = ways[matrix.target[0]].answer(matrix.target[1])
        ways[matrix.source[0]].ask(matrix.source[1], _read(matrix, gamma))
        trained = np.zeros((1, 1)) if matrix.accumulated is None else matrix.accumulated * gamma
        spread = 0.0 if matrix.kind == "haar" else _uneven(gamma) / matrix.channels[0]
        found.append(Returned(matrix.layer, trained, gamma, spread, _own(matrix, ways[matrix.target[0]], gamma)))
    for way in ways:
        if isinstance(way, NodesReturning):
            found += [Returned(layer, trained, None) for layer, trained in way.of_noise()]
    return found


def _uneven(gamma: np.ndarray) -> float:
    """Relative variance 2 tr Γ²/(tr Γ)² of ‖Wᵀg‖² for one input, of so many independent directions as Γ has."""
    trace = float(np.trace(gamma))
    return 2 * float((gamma * gamma.T).sum()) / trace**2 if trace > 0 else 0.0


def _own(matrix: PortMatrix, way: Returning, gamma: np.ndarray) -> float:
    """Relative variance of a matrix's squared gradient, whose outputs have independent gradients of covariance Γ."""
    if matrix.accumulated is None:
        return 0.0
    count, part = matrix.channels[1], way.part if isinstance(way, _OneReader) else None
    if isinstance(part, HeadsPart) and matrix.target[1] < _VALUES:
        count = part.heads
    return _uneven(gamma @ matrix.accumulated) / count


def _read(matrix: PortMatrix, gamma: np.ndarray) -> np.ndarray:
    """b where a matrix reads; of a Haar matrix the same, with its share of the larger side."""
    share = matrix.square / (max(matrix.channels) if matrix.kind == "haar" else matrix.channels[0])
    return share * (matrix.taps.transpose(0, 2, 1) @ gamma @ matrix.taps).sum(axis=0)
