"""What every node adds to the departures of one network (:mod:`freeness.meanfield.scatters`), from channels that are drawn.

Channels are independent and alike, so a mean over n of them departs by their variance over n: of each channel's mean square
over a batch, beyond what the signals in front make of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from freeness.meanfield.scatters import Noise, departures, returned_departures, sums_channels
from freeness.network import GAUSSIAN, TINY, Node, Weights, lost, turned


class Formed(NamedTuple):
    """Of the squared gradient of weights the relative variances that their inputs and their outputs add beyond mean squares."""

    ahead: float = 0.0
    back: float = 0.0


class Channels(NamedTuple):
    """Around a node: the signals that it reads, its own, and squared gradients behind and in front by channel.

    ``through``: what the node's transposed derivative makes of its own signal, in front. ``counts``: channels of the network.
    """

    given: tuple[np.ndarray, ...]
    value: np.ndarray
    gradient: np.ndarray
    parts: tuple[np.ndarray | None, ...]
    through: tuple[np.ndarray, ...]
    counts: tuple[int, tuple[int, ...]]


def by_channel(array: np.ndarray) -> np.ndarray:
    """Sums of squares of each channel."""
    flat = array.reshape(len(array), -1)
    return np.einsum("ij,ij->i", flat, flat).astype(float)


def spread_of(squares: np.ndarray) -> float:
    """Their relative variance."""
    return float(squares.var(ddof=1) / max(float(squares.mean()) ** 2, TINY)) if len(squares) > 1 else 0.0


def channel_noise(node: Node, around: Channels) -> Noise:
    """What a node adds."""
    operation, (count, counts) = node.operation, around.counts
    given, own, behind = (
        [by_channel(one) for one in around.given],
        by_channel(around.value),
        by_channel(around.gradient),
    )
    parts = [None if one is None else by_channel(one) for one in around.parts]
    sizes = tuple(0.0 if one is None else float(one.sum()) for one in parts)
    if isinstance(operation, Weights) and sums_channels(node):
        (part,) = parts
        few = 0.0 if part is None else operation.sizes[0] / (operation.entries * len(around.given[0]))  # drawn
        added = (spread_of(own) - GAUSSIAN * few) * lost(operation)
        back = 0.0 if part is None else (spread_of(part) - GAUSSIAN / len(behind)) * lost(operation, back=True)
        return Noise((1.0,), added, ((0.0,),), (back,), sizes)
    if operation.fixed is not None:
        return Noise((0.0,), 0.0, ((-1.0,),), (0.0,), sizes)
    gains = tuple(
        _product(through, x) / max(float(own.sum()), TINY)
        for through, x in zip(around.through, around.given, strict=True)
    )

    def size(number: int) -> float:
        return float(np.square(around.given[number], dtype=float).mean())

    turns: tuple[tuple[float, ...], ...] = turned(operation, size, len(given))
    added = _beyond(own, gains, given) / count
    back = tuple(
        0.0 if part is None else _beyond(part, (1.0, *turn), [behind, *given]) / counts[number]
        for number, (part, turn) in enumerate(zip(parts, turns, strict=True))
    )
    return Noise(gains, added, turns, back, sizes)


def _product(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.vdot(one, other))


def _beyond(squares: np.ndarray, factors: Sequence[float], known: Sequence[np.ndarray]) -> float:
    """Relative variance over channels, beyond so many times those that are known; none where the channels are others."""
    if any(len(one) != len(squares) for one in known):
        return 0.0
    rest = squares / max(float(squares.mean()), TINY)
    for factor, one in zip(factors, known, strict=True):
        rest = rest - factor * one / max(float(one.mean()), TINY)
    return float(rest.var(ddof=1)) if len(rest) > 1 else 0.0


def channel_scatters(
    nodes: Sequence[Node], runs: Sequence[Mapping[str, Noise]], forms: Sequence[Mapping[str, Formed]]
) -> dict[str, tuple[float, float]]:
    """Relative standard deviations of every node's mean square, and of the squared gradient of its weights; by some runs."""
    noises = {node.name: _mean_of([run[node.name] for run in runs]) for node in nodes}
    ahead = departures(nodes, noises)
    back = returned_departures(nodes, noises, ahead)
    found: dict[str, tuple[float, float]] = {}
    for node in nodes:
        both = back[node.name] + (ahead[node.inputs[0]] if node.inputs else 0.0)
        formed = np.mean([form.get(node.name, Formed()) for form in forms], axis=0)
        variance = float(both @ both) + float(np.maximum(formed, 0.0).sum())
        found[node.name] = float(np.linalg.norm(ahead[node.name])), variance**0.5
    return found


def _mean_of(noises: Sequence[Noise]) -> Noise:
    turns = tuple(_means([one.turns[number] for one in noises]) for number in range(len(noises[0].turns)))
    added = float(np.mean([one.added for one in noises]))
    gains, returned, parts = (
        _means(each) for each in zip(*((n.gains, n.returned, n.parts) for n in noises), strict=True)
    )
    return Noise(gains, added, turns, returned, parts)


def _means(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(float(one) for one in np.mean(rows, axis=0))
