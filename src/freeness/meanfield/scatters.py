"""By how much one network's mean squares of signals and gradients depart from those of wide layers, at its own widths.

To first order in 1/n the departures of all layers add up, each times what the layers between make of it, and every operation
brings noise of its own. Both its rules say (:mod:`freeness.network.departures`); this follows them through a network, forward
and back.

A gradient departs by the signal in front of its weights and by what comes back behind them, of common causes: they may cancel.

Source: :mod:`freeness.network.departures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from freeness.network import INPUT, Node, Weights

Departures = dict[str, Float[np.ndarray, " noises"]]


class Noise(NamedTuple):
    """What one node does to relative departures.

    ``gains``: of the mean square behind, for that of each signal that it reads. ``added``: the relative variance that it adds.
    ``turns``: of what comes back to each signal, for the mean square of each. ``returned``: the relative variances added there.
    ``parts``: how large these gradients are; where one signal is read several times they count by that.
    """

    gains: tuple[float, ...]
    added: float
    turns: tuple[tuple[float, ...], ...]
    returned: tuple[float, ...]
    parts: tuple[float, ...]


def departures(nodes: Sequence[Node], noises: Mapping[str, Noise]) -> Departures:
    """Of the mean square behind every node, as vectors over independent noises of variance 1."""
    found, places = {INPUT: np.zeros(_noises(nodes))}, _places(nodes, back=False)
    for node in nodes:
        noise = noises[node.name]
        own = sum((gain * found[name] for gain, name in zip(noise.gains, node.inputs, strict=True)), found[INPUT])
        own = own.copy()
        own[places[node.name]] += max(noise.added, 0.0) ** 0.5
        found[node.name] = own
    return found


def returned_departures(nodes: Sequence[Node], noises: Mapping[str, Noise], ahead: Departures) -> Departures:
    """Of the size of what comes back behind every node, given what comes from the end.

    Args:
        nodes: in their order.
        noises: of each.
        ahead: of mean squares.
    """
    sums = {node.name: np.zeros(_noises(nodes)) for node in nodes}
    totals, places = dict.fromkeys(sums, 0.0), _places(nodes, back=True)
    found: Departures = {}
    for node in reversed(nodes):
        noise, total = noises[node.name], totals[node.name]
        found[node.name] = sums[node.name] / total if total > 0 else sums[node.name]
        for number, name in enumerate(node.inputs):
            if name == INPUT:
                continue
            part = found[node.name].copy()
            for turn, other in zip(noise.turns[number], node.inputs, strict=True):
                part += turn * ahead[other]
            part[places[node.name]] += max(noise.returned[number], 0.0) ** 0.5
            size = max(noise.parts[number], 0.0)
            sums[name] = sums[name] + size * part
            totals[name] += size
    return found


def _noises(nodes: Sequence[Node]) -> int:
    return 4 * len(nodes)


def _places(nodes: Sequence[Node], *, back: bool) -> dict[str, int]:
    """The noise of every node; activations of the same neurons share one, as along a skip connection."""
    numbers, neurons = {node.name: number for number, node in enumerate(nodes)}, _neurons(nodes)
    bent = {node.name: node.operation.bends for node in nodes}
    return {name: (2 * back + one) * len(nodes) + numbers[neurons[name] if one else name] for name, one in bent.items()}


def _neurons(nodes: Sequence[Node]) -> dict[str, str]:
    """The first node whose neurons each is made of, one by one."""
    found = {INPUT: INPUT}
    for node in nodes:
        known = [found[name] for name in node.inputs if found[name] != INPUT]
        found[node.name] = node.name if sums_channels(node) or not known else known[0]
    return found


def sums_channels(node: Node) -> bool:
    """Whether a node's outputs are made of all channels that it reads."""
    return isinstance(node.operation, Weights) and node.operation.groups == 1
