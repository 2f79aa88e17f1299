"""By how much one network's mean squares of signals and gradients depart from those of wide layers, at its own widths.

A mean over the n neurons of a layer departs from its expectation by a variance that falls as 1/n. To first order the departures
of all layers add up, each times what the layers between make of it. Every operation brings noise of its own:

* Weights: neurons h_i are independent Gaussian fields over the entries a of a batch, of covariance Q. So
  Σ_i Σ_ab Γ_ab h_i(a)h_i(b) has the relative variance (2/n)·tr (ΓQ)²/(tr ΓQ)²: 2/n of one sample, less of many that differ.
  Γ = 1 for mean squares. For a loss gradient Γ is what comes back, as the squared gradient of weights behind is tr ΓQ. What
  comes back through Wᵀ is such a field, too. That ‖W‖² is known takes 1/N off
  tr (ΓQ)²/(tr ΓQ)², that Q is one of N drawn neurons adds as much.
* Activations: φ(h)² follows h² by the gain d ln E φ²/d ln q, and fluctuates beyond (:mod:`freeness.meanfield.bend_noise`).
  What comes back is multiplied by φ'².
* A normalisation over neurons ends all of it, and what comes back is divided by the size of its input.
* Where signals meet, relative departures add up by their shares; two independent parts x, y add 2·Σ_i x_i y_i.

A gradient departs by the signal in front of its weights and by what comes back behind them, of common causes: they may cancel.

Source: expansions in 1/n of Hanin, Nica (2020) and of Roberts, Yaida, Hanin (2022), of which this follows the size of a batch's
kernel in place of all its entries; derived for this project; tested by drawn networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from freeness.network import INPUT, Activation, Convolution, Haar, Measured, Node, Weights

GAUSSIAN = 2.0  # Var(h²)/(E h²)²
TINY = np.finfo(float).tiny
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
    bent = {node.name: isinstance(node.operation, Activation) for node in nodes}
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
    operation = node.operation
    return isinstance(operation, Weights) and not (isinstance(operation, Convolution) and operation.groups > 1)


def lost(operation: Weights, *, back: bool = False) -> float:
    """The relative variance of ‖Wx‖² over draws of the singular vectors, or of ‖Wᵀg‖², halved, of one position.

    1/N' for Gaussian W that writes N' channels. Other singular values s of a matrix of N columns have (E s⁴/(E s²)² - 1)·N'/N
    times that, E over N values; of rotations 1 - N'/N, and none where they expand.
    """
    into, out = operation.sizes
    some, others = (out, operation.entries) if back else (operation.entries, out)
    free = 1.0
    if isinstance(operation.weights, Measured):
        squares = operation.weights.singular_values**2
        free = (some * float((squares**2).sum()) / max(float(squares.sum()) ** 2, TINY) - 1) * others / some
    elif isinstance(operation.weights, Haar):
        free = 1 - others / some
    return max(free, 0.0) / (into if back else out)
