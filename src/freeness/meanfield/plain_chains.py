"""Kernels of chains whose activations have closed forms: a recursion over nothing but the pairs of samples.

What :mod:`freeness.meanfield.walk` does for any graph, by the same rules, without a record of every layer: here a layer costs
microseconds, and the walk's records would cost many times that. Σ settles in all phases but the critical ones: once a layer
gives Σ back bit for bit, every later layer of the same rule does, and Θ ↦ A∘Θ + B is raised to a power at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from freeness.gaussian import ActivationFunction, closed_transfer, has_closed_covariance
from freeness.meanfield.samples import SampleMoments
from freeness.network import Activation, Dense, Network, Pairs, ScaledIdentity, Step, Stream, forward

_PAIRS = 200_000  # at most: more leave the cache, and blocks of a matrix are as quick
_LOOKED = 16  # layers after which is looked whether Σ has settled
_LARGE = 2.0**500  # a Θ beside which B is nothing, so that A is read exactly

Layer = tuple[ActivationFunction, Step]  # φ, and the weights behind it


@dataclass(frozen=True)
class _Chain:
    """The first weights, then activations with the weights behind them; equal layers are the same object."""

    first: Step
    layers: tuple[Layer, ...]


def kernels_of_chain(network: Network, stream: Stream, samples: SampleMoments) -> tuple[np.ndarray, np.ndarray] | None:
    """Σ and Θ, (n, n); None where the network is no such chain, or a layer has to be named because of an overflow."""
    count = len(stream.second)
    chain = _chain(network, stream) if count * (count + 1) // 2 <= _PAIRS else None
    if chain is None:
        return None
    pairs = samples.pairs(slice(0, count))
    above = np.triu_indices(count, 1)
    left, right = (np.concatenate([np.arange(count), side]) for side in above)
    value = np.concatenate([stream.second, pairs.value[above]])
    found = _followed(chain, Pairs(value, np.zeros_like(value), pairs.rows), left, right, count)
    own = found.value[:count]
    if not (np.isfinite(found.theta).all() and np.isfinite(own).all() and own.min() > 0):
        return None
    return _square(found.value, left, right, count), _square(found.theta, left, right, count)


def _followed(chain: _Chain, pairs: Pairs, left: np.ndarray, right: np.ndarray, count: int) -> Pairs:
    """Pairs of the samples ``left`` and ``right``, those of a sample with itself first, taken through all layers."""
    found, layers = chain.first(pairs), chain.layers
    between: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None
    known, steady, index = np.empty(0), False, 0
    while index < len(layers):
        layer = layers[index]
        if not steady or layer is not layers[index - 1]:
            own = found.value[:count]
            steady = between is not None and layer is layers[index - 1] and bool((own == known).all())
            if not steady:
                known, between = own, closed_transfer(layer[0], own[left], own[right])
        assert between is not None
        value, slope = between(found.value)
        behind = layer[1](Pairs(value, slope * found.theta, found.rows))
        index += 1
        if index % _LOOKED == 0 and (behind.value == found.value).all():
            more = next((k for k in range(index, len(layers)) if layers[k] is not layer), len(layers)) - index
            behind = _settled(layer[1], value, slope, behind, more)
            index += more
        found = behind
    return found


def _settled(step: Step, value: np.ndarray, slope: np.ndarray, pairs: Pairs, times: int) -> Pairs:
    """A layer that leaves Σ alone, some times more: Θ ↦ A∘Θ + B is doubled, in the longest floats there are."""
    added = step(Pairs(value, np.zeros_like(slope), pairs.rows)).theta.astype(np.longdouble)
    factor = (step(Pairs(value, slope * _LARGE, pairs.rows)).theta / _LARGE).astype(np.longdouble)
    theta = pairs.theta.astype(np.longdouble)
    while times:
        if times % 2:
            theta = factor * theta + added
        factor, added, times = factor * factor, factor * added + added, times // 2
    return pairs._replace(theta=theta.astype(float))


def _square(values: np.ndarray, left: np.ndarray, right: np.ndarray, count: int) -> np.ndarray:
    square = np.empty((count, count))
    square[left, right] = square[right, left] = values
    return square


def _chain(network: Network, stream: Stream) -> _Chain | None:
    """The network's layers, if weights and activations with a closed form follow each other and fit."""
    weights, bends = network.operations[::2], network.operations[1::2]
    dense = [one for one in weights if isinstance(one, Dense) and not isinstance(one.weights, ScaledIdentity)]
    bent = [one.function for one in bends if isinstance(one, Activation)]
    fits = all(one.fan_out == other.fan_in for one, other in pairwise(dense))
    if len(dense) < len(weights) or len(bent) < len(bends) or len(bent) + 1 != len(dense) or not fits:
        return None
    if not network.is_sequence or stream.features != dense[0].fan_in or stream.second.ndim > 1:
        return None
    known: dict[tuple[object, ...], Layer] = {}
    layers: list[Layer] = []
    for function, one in zip(bent, dense[1:], strict=True):
        rule = (id(function), id(one.weights), one.fan_in, one.fan_out, one.sigma_b, one.bias)
        if rule not in known:
            if not has_closed_covariance(function):
                return None
            known[rule] = (function, forward(one, stream._replace(features=one.fan_in), None)[1])
        layers.append(known[rule])
    return _Chain(forward(dense[0], stream, None)[1], tuple(layers))
