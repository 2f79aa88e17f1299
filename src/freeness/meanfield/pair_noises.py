"""What every node adds to the departures of one network (:mod:`freeness.meanfield.scatters`), from second moments of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from freeness.meanfield.scatters import Noise, departures, returned_departures
from freeness.meanfield.walk import Compiled
from freeness.network import GAUSSIAN, INPUT, Around, Departing, Node, Pairs, Stream, Weights, departing, turned


class Scatter(NamedTuple):
    """Relative standard deviations of one network's ``signal`` behind a node, and of the ``gradient`` of its weights."""

    signal: float
    gradient: float


@dataclass(frozen=True, eq=False)
class BatchMoments:
    """What theory of wide layers knows of a batch.

    ``pairs``: of its samples, ``back``: Γ of all pairs, both behind every node; ``parts``: tr ΓQ of what comes back from a node
    to each signal that it reads.
    """

    prepared: Compiled
    pairs: Mapping[str, Pairs]
    back: Mapping[str, np.ndarray]
    parts: Mapping[tuple[str, int], float]


def batch_scatters(batch: BatchMoments) -> dict[str, Scatter]:
    """Of every node."""
    nodes, found = batch.prepared.nodes, dict(_followed(batch))
    own = {node.name: _noise(node, found[node.name], batch) for node in nodes}
    weighing = {
        name: own[name]._replace(gains=one.weighed or one.gains, added=one.added[1]) for name, one in found.items()
    }
    plain, weighed = departures(nodes, own), departures(nodes, weighing)
    back = returned_departures(nodes, own, plain)
    return {
        node.name: Scatter(
            float(np.linalg.norm(plain[node.name])),
            float(
                np.hypot(
                    np.linalg.norm(back[node.name] + weighed[_read(node)]),
                    found[node.name].own ** 0.5,
                )
            ),
        )
        for node in nodes
    }


def _read(node: Node) -> str:
    """The signal that a node's own parameters meet: in front of weights, behind a norm."""
    return node.inputs[0] if isinstance(node.operation, Weights) and node.inputs else node.name


def _followed(batch: BatchMoments) -> Iterator[tuple[str, Departing]]:
    """What every node does, by the rule of its operation."""
    prepared, streams = batch.prepared, batch.prepared.streams
    values = {name: _square(pairs.value, streams[name]) for name, pairs in batch.pairs.items()}
    gammas = {name: _square(gamma, streams[name]) for name, gamma in batch.back.items()}
    fixed = {node.name: node.operation.fixed for node in prepared.nodes}
    excess = {INPUT: GAUSSIAN}
    for node in prepared.nodes:
        before = fixed.get(node.inputs[0]) if node.inputs else None
        around = Around(
            streams=tuple(streams[name] for name in node.inputs),
            pairs=tuple(batch.pairs[name] for name in node.inputs),
            values=tuple(values[name] for name in node.inputs),
            gammas=tuple(gammas[name] for name in node.inputs),
            excess=tuple(excess[name] for name in node.inputs),
            stream=streams[node.name],
            value=values[node.name],
            gamma=gammas[node.name],
            gradient=batch.back[node.name],
            centred=before is not None and before.mean and before.everywhere,
            last=node is prepared.nodes[-1],
        )
        found = departing(node.operation, around)
        excess[node.name] = found.excess
        yield node.name, found


def _noise(node: Node, found: Departing, batch: BatchMoments) -> Noise:
    """With what comes back to each signal."""
    count = len(node.inputs)

    def size(number: int) -> float:
        return float(batch.prepared.streams[node.inputs[number]].variance.mean())

    parts = tuple(batch.parts.get((node.name, number), 0.0) for number in range(count))
    return Noise(found.gains, found.added[0], turned(node.operation, size, count), found.returned, parts)


def _square(array: np.ndarray, stream: Stream) -> np.ndarray:
    """Between all entries of a batch; summed over positions, between which there is nothing known."""
    samples = len(array)
    if not stream.across:
        return array.reshape(samples, samples, -1).sum(axis=2)
    places = round(np.prod(array.shape[2:]) ** 0.5)
    return array.reshape(samples, samples, places, places).transpose(0, 2, 1, 3).reshape(samples * places, -1)
