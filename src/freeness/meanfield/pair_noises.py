"""What every node adds to the departures of one network (:mod:`freeness.meanfield.scatters`), from second moments of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

import numpy as np

from freeness.gaussian import ActivationFunction
from freeness.meanfield.bend_noise import BendNoise, bend_noise
from freeness.meanfield.scatters import GAUSSIAN, TINY, Noise, departures, lost, returned_departures
from freeness.meanfield.walk import Compiled
from freeness.network import (
    INPUT,
    Activation,
    Attention,
    Node,
    Normalisation,
    Pairs,
    Pooling,
    Product,
    Stream,
    Sum,
    TokenMixing,
    Weights,
)


class Scatter(NamedTuple):
    """Relative standard deviations of one network's ``signal`` behind a node, and of the ``gradient`` of its weights."""

    signal: float
    gradient: float


@dataclass(frozen=True, eq=False)
class BatchMoments:
    """What theory of wide layers knows of a batch.

    ``pairs``: of its samples, ``back``: Γ of all pairs, both behind every node; ``parts``: tr ΓQ of what comes back from a node
    to each signal that it reads. ``heads``: relative variances of every attention, over draws of its heads, of what comes back to
    queries and to keys, and forward.
    """

    prepared: Compiled
    pairs: Mapping[str, Pairs]
    back: Mapping[str, np.ndarray]
    parts: Mapping[tuple[str, int], float]
    heads: Mapping[str, tuple[float, float, float]]


def batch_scatters(batch: BatchMoments) -> dict[str, Scatter]:
    """Of every node."""
    noises = _Noises.of(batch)
    nodes = batch.prepared.nodes
    own = {node.name: noises.of_node(node, gradient=False) for node in nodes}
    plain = departures(nodes, own)
    weighed = departures(nodes, {node.name: noises.of_node(node, gradient=True) for node in nodes})
    back = returned_departures(nodes, own, plain)
    return {
        node.name: Scatter(
            float(np.linalg.norm(plain[node.name])),
            float(np.linalg.norm(back[node.name] + (weighed[node.inputs[0]] if node.inputs else 0.0))),
        )
        for node in nodes
    }


@dataclass(eq=False)
class _Noises:
    """``values``: Q, ``gammas``: Γ, between all entries of a batch. ``excess``: Var(x²)/(E x²)² of one entry."""

    batch: BatchMoments
    values: Mapping[str, np.ndarray]
    gammas: Mapping[str, np.ndarray]
    excess: dict[str, float] = field(default_factory=lambda: {INPUT: GAUSSIAN})
    bends: dict[tuple[ActivationFunction, float], BendNoise] = field(
        default_factory=dict[tuple[ActivationFunction, float], BendNoise]
    )

    @staticmethod
    def of(batch: BatchMoments) -> _Noises:
        """Of the batch."""
        streams = batch.prepared.streams
        values = {name: _square(pairs.value, streams[name]) for name, pairs in batch.pairs.items()}
        return _Noises(batch, values, {name: _square(gamma, streams[name]) for name, gamma in batch.back.items()})

    def of_node(self, node: Node, *, gradient: bool) -> Noise:
        """Of mean squares, or of tr ΓQ."""
        numbers = range(len(node.inputs))
        self.excess[node.name] = self._excess(node)
        return Noise(
            self._gains(node, gradient),
            self._added(node, self.gammas.get(node.name) if gradient else None),
            tuple(self._turns(node, number) for number in numbers),
            tuple(self._returned(node, number) for number in numbers),
            tuple(self.batch.parts.get((node.name, number), 0.0) for number in numbers),
        )

    def _excess(self, node: Node) -> float:
        operation, kinds = node.operation, [self.excess[name] for name in node.inputs]
        if not kinds or isinstance(operation, Weights | Attention):
            return GAUSSIAN
        if isinstance(operation, Activation):
            return self._bend(node).excess
        if isinstance(operation, Product):
            return float(np.prod([1 + one for one in kinds])) - 1
        if isinstance(operation, Sum):
            return GAUSSIAN + float(self._shares(node) ** 2 @ (np.array(kinds) - GAUSSIAN))
        return kinds[0]

    def _gains(self, node: Node, gradient: bool) -> tuple[float, ...]:
        operation, count = node.operation, len(node.inputs)
        if isinstance(operation, Normalisation):
            return (self._normalised(node) if gradient else 0.0,)
        if isinstance(operation, Activation):
            return (self._bend(node).gain,)
        if isinstance(operation, Attention):
            return 0.0, 0.0, self._averaged(node, 2)
        if isinstance(operation, Product):
            return (1.0,) * count
        if count > 1:
            return tuple(self._shares(node).tolist())
        if isinstance(operation, Pooling) and not gradient:
            return (self._averaged(node, 0),)
        return (1.0,) * count

    def _averaged(self, node: Node, number: int) -> float:
        """Averages over positions turn mean squares into those of sums."""
        before, behind = (_participation(self.values[name]) for name in (node.inputs[number], node.name))
        return float((behind / before) ** 0.5)

    def _normalised(self, node: Node) -> float:
        """Of tr ΓQ, Q of entries whose own sizes are fixed, the departure over that of Q whose sizes are free."""
        gamma, value = self.gammas.get(node.name), self.values[node.name]
        size = 0.0 if gamma is None else float((gamma * value).sum())
        if gamma is None or not size > 0:
            return 0.0
        share = _row_shares(value, gamma)
        apart = (gamma / size - np.diag(share / np.maximum(np.diagonal(value), TINY))) @ value
        return float(max((apart * apart.T).sum(), 0.0) / _participation(value, gamma)) ** 0.5

    def _shares(self, node: Node) -> np.ndarray:
        """Of the sum of squares behind."""
        streams, summed = [self.batch.prepared.streams[name] for name in node.inputs], isinstance(node.operation, Sum)
        scales = node.operation.scales if isinstance(node.operation, Sum) else (1.0,) * len(streams)
        sizes = [float(one.variance.sum()) * (1 if summed else one.features or 1) for one in streams]
        found = np.square(scales) * sizes
        return found / max(float(found.sum()), TINY)

    def _added(self, node: Node, gamma: np.ndarray | None) -> float:
        operation, value = node.operation, self.values[node.name]
        count = self.batch.prepared.streams[node.name].features
        if isinstance(operation, TokenMixing):
            return self._mixed_tokens(node, gamma)
        if isinstance(operation, Weights):
            return GAUSSIAN * _participation(value, gamma) * lost(operation)
        if isinstance(operation, Attention):
            return self.batch.heads[node.name][2]
        if not count:
            return 0.0
        if isinstance(operation, Activation):
            share, cosine = _row_shares(value, gamma), _cosines(self.values[node.inputs[0]])
            noise = self._bend(node).of_values(cosine) - self._fixed(node)[0] * cosine
            return float(share @ noise @ share) / count
        if isinstance(operation, Sum):
            shares, given = self._shares(node), [_spread_over(self.values[name], len(value)) for name in node.inputs]
            pairs = combinations(range(len(given)), 2)
            return sum(4 * shares[a] * shares[b] * _crossed(given[a], given[b], gamma) for a, b in pairs) / count
        if isinstance(operation, Product) and len(node.inputs) == 2:
            one, other = (self.excess[name] for name in node.inputs)
            return one * other * _participation(value, gamma) / count
        return 0.0

    def _bend(self, node: Node) -> BendNoise:
        assert isinstance(node.operation, Activation)
        key = node.operation.function, float(self.batch.prepared.streams[node.inputs[0]].variance.mean())
        if key not in self.bends:
            self.bends[key] = bend_noise(*key)
        return self.bends[key]

    def _fixed(self, node: Node) -> tuple[float, float]:
        """What an activation does not add, as a norm over its neurons has taken the mean of what it reads."""
        for before in (one.operation for one in self.batch.prepared.nodes if one.name == node.inputs[0]):
            if isinstance(before, Normalisation) and (before.kind, before.groups, before.positions) == (
                "layer",
                1,
                False,
            ):
                return self._bend(node).lean
        return 0.0, 0.0

    def _turns(self, node: Node, number: int) -> tuple[float, ...]:
        operation, count = node.operation, len(node.inputs)
        if isinstance(operation, Activation):
            return (self._bend(node).turn,)
        if isinstance(operation, Normalisation):
            return (-1.0,)
        if isinstance(operation, Product) or (isinstance(operation, Attention) and number < 2):
            return tuple(float(other != number) for other in range(count))
        return (0.0,) * count

    def _returned(self, node: Node, number: int) -> float:
        operation, name = node.operation, node.inputs[number]
        value, gamma, count = self.values[name], self.gammas.get(name), self.batch.prepared.streams[name].features
        if isinstance(operation, TokenMixing):
            return self._mixed_tokens(node, self.gammas.get(node.name))
        if isinstance(operation, Weights):
            known = 1 / operation.sizes[1] if node is self.batch.prepared.nodes[-1] else 0.0
            return GAUSSIAN * (_participation(value, gamma) - known) * lost(operation, back=True)
        if isinstance(operation, Attention):
            return self.batch.heads[node.name][number]
        if isinstance(operation, Activation) and count and gamma is not None:
            bend, cosine = self._bend(node), _cosines(value)
            share, same = _row_shares(value, gamma), _cosines(gamma)
            noise = (1 + 2 * same**2) * bend.of_slopes(cosine) - 2 * bend.turn**2 * cosine**2
            noise -= self._fixed(node)[1] * cosine
            return float(share @ noise @ share) / count
        if isinstance(operation, Product) and count and len(node.inputs) == 2:
            return GAUSSIAN * self.excess[node.inputs[1 - number]] * _participation(value, gamma) / count
        return 0.0

    def _mixed_tokens(self, node: Node, gamma: np.ndarray | None) -> float:
        """One matrix W for all channels: of Σ Γ_at,bu W_ts Q_as,bs' W_us', a form of second degree in its entries."""
        operation, stream = node.operation, self.batch.prepared.streams[node.inputs[0]]
        assert isinstance(operation, TokenMixing)
        into, out = operation.sizes
        samples = len(stream.variance)
        given = self.values[node.inputs[0]]
        if len(given) != samples * into:
            return GAUSSIAN / out
        asked = np.eye(samples * out) if gamma is None or not gamma.any() else gamma
        front, behind = (
            array.reshape(samples, count, samples, count).transpose(0, 2, 1, 3).reshape(samples**2, -1)
            for array, count in ((given, into), (asked, out))
        )
        form = (behind.T @ front).reshape(out, out, into, into).transpose(0, 2, 1, 3).reshape(out * into, -1)
        return GAUSSIAN * (_participation(form) - 1 / (into * out))


def _square(array: np.ndarray, stream: Stream) -> np.ndarray:
    """Between all entries of a batch; summed over positions, between which there is nothing known."""
    samples = len(array)
    if not stream.across:
        return array.reshape(samples, samples, -1).sum(axis=2)
    places = round(np.prod(array.shape[2:]) ** 0.5)
    return array.reshape(samples, samples, places, places).transpose(0, 2, 1, 3).reshape(samples * places, -1)


def _participation(value: np.ndarray, gamma: np.ndarray | None = None) -> float:
    """tr (ΓQ)²/(tr ΓQ)², Γ = 1 where it is not given: one over how many entries fluctuate by themselves."""
    moved = value if gamma is None or not gamma.any() else gamma @ value
    return float((moved * moved.T).sum() / max(float(np.trace(moved)) ** 2, TINY))


def _crossed(one: np.ndarray, other: np.ndarray, gamma: np.ndarray | None) -> float:
    """tr ΓQΓQ'/(tr ΓQ · tr ΓQ')."""
    if gamma is not None and gamma.any():
        one, other = gamma @ one, gamma @ other
    return float((one * other.T).sum() / max(abs(float(np.trace(one) * np.trace(other))), TINY))


def _row_shares(value: np.ndarray, gamma: np.ndarray | None) -> np.ndarray:
    """What each entry has of tr ΓQ."""
    found = np.diagonal(value) if gamma is None or not gamma.any() else (gamma * value).sum(axis=1)
    return found / max(float(found.sum()), TINY)


def _spread_over(value: np.ndarray, entries: int) -> np.ndarray:
    """A signal that is the same at all positions, at each of them."""
    times = entries // len(value)
    return value if times == 1 else np.kron(value, np.ones((times, times)))


def _cosines(value: np.ndarray) -> np.ndarray:
    size = np.sqrt(np.maximum(np.diagonal(value), TINY))
    return value / np.multiply.outer(size, size)
