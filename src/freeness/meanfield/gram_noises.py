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

import numpy as np

from freeness.meanfield.scatters import Noise, departures
from freeness.network import Node, Stream, Weights, gram_departing


def common_departures(nodes: Sequence[Node], streams: Mapping[str, Stream]) -> dict[str, float]:
    """e of every attention's keys and values, by the name of its keys; 0 where they read no common signal.

    Args:
        nodes: in their order.
        streams: behind each.
    """
    both = [tuple(node.inputs[number] for number in node.operation.multiplies or ()) for node in nodes]
    if not any(both):
        return {}
    found = departures(nodes, {node.name: _noise(node, streams) for node in nodes})
    fronts = {node.name: node.inputs[0] for node in nodes if isinstance(node.operation, Weights)}

    def front(name: str) -> np.ndarray:
        """Of the one signal that the weights read."""
        read = {fronts.get(source.name) for source in streams[name].sources}
        (one,) = read if len(read) == 1 else (None,)
        return np.zeros(1) if one is None else found[one]

    return {keys: float(np.sum(front(keys) * front(values))) for keys, values in filter(None, both)}


def _noise(node: Node, streams: Mapping[str, Stream]) -> Noise:
    read = tuple(streams[name] for name in node.inputs)
    return Noise(*gram_departing(node.operation, read, streams[node.name]), (), (), ())
