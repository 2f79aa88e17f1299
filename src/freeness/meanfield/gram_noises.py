"""By how much the Gram matrices of keys and of values depart together in a network of its widths, where both read one signal.

Behind weights that write n channels a Gram matrix Q̂ between positions is a Wishart matrix, Cov(Q̂_ab, Q̂_cd) =
e·(Q_ac Q_bd + Q_ad Q_bc) with e = 1/n. So E tr Q̂² = (1 + e)·tr Q² + e·(tr Q)², which is much more than tr Q² where there are many
positions: (tr Q)² is up to T·tr Q². What moves an output with its query is such a product, of keys and values.

To first order departures keep that form. Along a network they are vectors over independent noises, as those of mean squares
(:mod:`freeness.meanfield.scatters`), here of what differs between positions. Weights add 1/n. In a sum they count by their shares
s, and two independent parts add 2·s·s'/n. Left out is what activations and heads add, which is a share of a branch.

Source: derived for this project; tested by drawn networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from freeness.meanfield.scatters import TINY, Noise, departures, lost
from freeness.network import Attention, Node, Stream, TokenMixing, Weights


def common_departures(nodes: Sequence[Node], streams: Mapping[str, Stream]) -> dict[str, float]:
    """e of every attention's keys and values, by the name of its keys; 0 where they read no common signal.

    Args:
        nodes: in their order.
        streams: behind each.
    """
    attentions = [node for node in nodes if isinstance(node.operation, Attention)]
    if not attentions:
        return {}
    found = departures(nodes, {node.name: _noise(node, streams) for node in nodes})
    fronts = {node.name: node.inputs[0] for node in nodes if isinstance(node.operation, Weights)}

    def front(name: str) -> np.ndarray:
        """Of the one signal that the weights read."""
        read = {fronts.get(source.name) for source in streams[name].sources}
        (one,) = read if len(read) == 1 else (None,)
        return np.zeros(1) if one is None else found[one]

    return {node.inputs[1]: float(np.sum(front(node.inputs[1]) * front(node.inputs[2]))) for node in attentions}


def _noise(node: Node, streams: Mapping[str, Stream]) -> Noise:
    operation, count = node.operation, streams[node.name].features
    if isinstance(operation, Attention):
        return _forward((0.0, 0.0, 1.0), 0.0)
    if isinstance(operation, Weights):
        return _forward((1.0,), 0.0 if isinstance(operation, TokenMixing) else lost(operation))
    if not node.inputs or not count:
        return _forward((1.0,) * len(node.inputs), 1 / count if count else 0.0)
    if len(node.inputs) == 1:
        return _forward((1.0,), 0.0)
    scales = getattr(operation, "scales", (1.0,) * len(node.inputs))
    parts = np.array([scale**2 * _apart(streams[name]) for scale, name in zip(scales, node.inputs, strict=True)])
    shares = (parts / max(float(parts.sum()), TINY)).tolist()
    return _forward(tuple(shares), sum(2 * one * other for one, other in combinations(shares, 2)) / count)


def _forward(gains: tuple[float, ...], added: float) -> Noise:
    return Noise(gains, added, (), (), ())


def _apart(stream: Stream) -> float:
    """Mean square of what differs between positions."""
    if not stream.across:
        return 0.0
    count = stream.variance[0].size
    square = stream.second.reshape(len(stream.second), count, count)
    return float((np.trace(square, axis1=1, axis2=2) - square.sum(axis=(1, 2)) / count).mean() / count)
