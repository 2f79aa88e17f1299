"""By how much what differs between positions departs in a network of its widths, and what its means gain by that.

Behind weights that write n channels a Gram matrix Q̂ between positions is a Wishart matrix given that in front, so
E Q̂_ab Q̂_cd ← (1 + S/n) E Q̂_ab Q̂_cd, S the sum over both exchanges of b with c or d. On t₀ = Q_ab Q_cd and t₁ = S t₀ it acts as
S t₁ = 2·t₀ + t₁, whose eigenvalues are 2 and -1. A norm divides all of Q̂ by lengths that depart, too: what is left of small
differences is multiplied by a factor of relative variance V. Behind many layers

    E Q̂_ab Q̂_cd = α·t₀ + β·t₁,    α + 2β = e^{2e + v},    α - β = e^{v - e},

e the sum of all 1/n, v that of all V. So both are followed as vectors over independent noises, as departures of mean squares are
(:mod:`freeness.meanfield.scatters`). In a sum differences count by their shares s, and two independent parts add 2·s·s'/n to e.

Where differences are large the next ones are no multiple of them: attention makes more of more different tokens, and its length
less. How much so follows from the forward rules themselves, at differences that are a little smaller. So does the second
derivative, by which the mean of what comes out departs from what comes of the mean. Norms, which end a block, bring that in.

What moves an output with its query is a product of keys and values, E tr Q̂² = α·tr Q² + β·(tr Q² + (tr Q)²): much more than tr Q²
where there are many positions. Left out is what activations and heads add, which is a share of a branch.

Source: derived for this project; tested by drawn networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from freeness.meanfield.length_noises import Norm
from freeness.network import (
    INPUT,
    TINY,
    Departed,
    Node,
    Operation,
    Stream,
    Weights,
    apart,
    forward,
    gram_noise,
    joined,
    spaced,
)

Noises = Float[np.ndarray, " noises"]
Heard = np.ndarray | None  # which positions count, by sample; None: all
_HIDDEN = -1e4  # scores that softmax makes 0
_STEP = 0.1  # of differences, for derivatives
_ROUNDING = 1e-11  # differences relative to lengths, of which derivatives are rounding


class Departure(NamedTuple):
    """Over all noises: ``shape``, what weights make of the Gram matrix of what differs between positions.

    ``ratio``: what its trace departs by, over the mean square; of a matrix's noise 2·tr Q²/(tr Q)² is left in it. ``size``: what
    the mean square departs by. ``means``: what the means of both gain, to second order.
    """

    shape: Noises
    ratio: Noises
    size: Noises
    means: tuple[float, float] = (0.0, 0.0)


class GramNoises:
    """Follows a network forward."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._places = {node.name: place for place, node in enumerate(nodes)}
        self._none = np.zeros(2 * len(nodes))
        self.found = {INPUT: Departure(self._none, self._none, self._none)}
        self._heard = _heard(nodes)

    def follow(self, node: Node, streams: tuple[Stream, ...], found: Stream) -> None:
        """Behind a node that ends no lengths.

        Args:
            node: the operation.
            streams: that it reads.
            found: behind it.
        """
        before = [self.found[name] for name in node.inputs]
        if not before:
            made = self.found[INPUT]
        elif node.operation.sums is not None:
            heard = [self._heard.get(name) for name in node.inputs]
            made = _summed(node.operation.sums, list(zip(streams, heard, strict=True)), before)
        elif isinstance(node.operation, Weights):
            made = before[0]
        else:
            made = _through(node.operation, streams, before, found, self._heard.get(node.name))
        own, place = max(gram_noise(node.operation, streams, found), 0.0) ** 0.5, 2 * self._places[node.name]
        shape, ratio = made.shape.copy(), made.ratio.copy()
        shape[place] += own
        heard = self._heard.get(node.name)
        ratio[place] += own * _left(found, heard) ** 0.5 * (1 - _apart(found, heard) / max(_size(found, heard), TINY))
        self.found[node.name] = made._replace(shape=shape, ratio=ratio)

    def normed(self, node: Node, norm: Norm) -> float:
        """Behind a norm: by which relative amount the mean of what differs grows.

        Args:
            node: the norm.
            norm: what it does to lengths.
        """
        common = norm.common(_counted(norm.stream, self._heard.get(node.name)))
        before = self.found[node.inputs[0]]
        ratio = before.ratio.copy()
        ratio[2 * self._places[node.name] + 1] += max(common, 0.0) ** 0.5
        self.found[node.name] = Departure(before.shape, ratio, self._none)
        return before.means[0]

    def departed(self, first: str, second: str, stream: Stream) -> Departed:
        """How two signals depart together.

        Args:
            first: the name of one.
            second: that of the other.
            stream: one of them.
        """
        one, other = self.found[first], self.found[second]
        shape = float(one.shape @ other.shape)
        size = max(float(one.ratio @ other.ratio) - _left(stream, self._heard.get(first)) * shape, 0.0)
        both, turned, product = np.exp(2 * shape + size), np.exp(size - shape), one.ratio + other.ratio
        return Departed(float(both + 2 * turned) / 3, float(both - turned) / 3, float(product @ product))


def common_departures(nodes: Sequence[Node], streams: Mapping[str, Stream], noises: GramNoises) -> dict[str, Departed]:
    """Of every attention's keys and values, by the name of its keys, where they read a common signal.

    Args:
        nodes: in their order.
        streams: behind each.
        noises: of what differs between positions.
    """
    fronts = {node.name: node.inputs[0] for node in nodes if isinstance(node.operation, Weights)}

    def front(name: str) -> str | None:
        """The one signal that the weights read."""
        read = {fronts.get(source.name) for source in streams[name].sources}
        return read.pop() if len(read) == 1 else None

    found: dict[str, Departed] = {}
    for node in nodes:
        if node.operation.multiplies is not None:
            keys, values = (node.inputs[number] for number in node.operation.multiplies)
            one, other = front(keys), front(values)
            if one is not None and other is not None:
                found[keys] = noises.departed(one, other, streams[one])
    return found


def _summed(scales: tuple[float, ...], streams: list[tuple[Stream, Heard]], before: list[Departure]) -> Departure:
    """Differences add up by their shares, and so do sizes."""
    parts = [_shares(np.square(scales) * [each(*one) for one in streams]) for each in (_apart, _size)]
    each = [list(zip(share, before, strict=True)) for share in parts]
    shape = np.sum([share * one.shape for share, one in each[0]], axis=0)
    whole = np.sum([share * (one.size + one.ratio) for share, one in each[0]], axis=0)
    size = np.sum([share * one.size for share, one in each[1]], axis=0)
    most = sum(share * (sum(one.means) + one.size @ one.ratio) for share, one in each[0])
    more = sum(share * one.means[1] for share, one in each[1])
    return Departure(shape, whole - size, size, (float(most - more - (whole - size) @ size), float(more)))


def _through(
    operation: Operation, streams: tuple[Stream, ...], before: list[Departure], found: Stream, heard: Heard
) -> Departure:
    """By the derivatives of what the operation makes of smaller differences; sizes are passed on by what reads one signal.

    Attention passes on the shape of its values.
    """
    start, alone = np.array([_apart(found, heard), _size(found, heard)]), len(streams) == 1
    size, more = (before[0].size, before[0].means[1]) if alone else (before[0].size * 0, 0.0)
    mean = np.mean([one.ratio for one in before], axis=0)
    if not start[0] > _ROUNDING * start[1]:
        return Departure(before[-1].shape, mean, size, (0.0, more))
    every = tuple(range(len(streams)))
    once, twice = (_changed(operation, streams, every, times * _STEP, (start, heard)) for times in (1, 2))
    bends = (twice - 2 * once) / _STEP**2
    rates = [(_changed(operation, streams, (k,), _STEP, (start, heard)) if not alone else once) / -_STEP for k in every]
    rates = [rate + _STEP / 2 * bends / len(streams) for rate in rates]
    grown = [np.sum([rate[k] * one.ratio for rate, one in zip(rates, before, strict=True)], axis=0) for k in (0, 1)]
    means = np.sum([rate * one.means[0] for rate, one in zip(rates, before, strict=True)], axis=0)
    means += bends * float(mean @ mean) / 2
    passed = every if operation.multiplies is None else operation.multiplies[1:]
    shape = np.sum([rates[k].sum() * before[k].shape for k in passed], axis=0)
    return Departure(shape, grown[0], size + grown[1], (float(means[0]), float(means[1] + more + size @ grown[1])))


def _changed(
    operation: Operation, streams: tuple[Stream, ...], chosen: tuple[int, ...], by: float, at: tuple[np.ndarray, Heard]
) -> Float[np.ndarray, " both"]:
    """Relative changes of the ratio of differences and size, and of the size, where signals in front differ less by a share."""
    start, heard = at
    given = tuple(_nearer(one, by * (k in chosen)) for k, one in enumerate(streams))
    end = (forward(operation, given[0], None) if len(given) == 1 else joined(operation, given))[0]
    size = _size(end, heard) / start[1]
    return np.array([_apart(end, heard) / start[0] / size, size]) - 1


def _nearer(stream: Stream, by: float) -> Stream:
    """Of the same lengths, with squared distances between positions that are smaller by a share; no growth is asked for."""
    stream = stream._replace(whole=None, growth=np.zeros_like(stream.growth))
    if not stream.across:
        return stream
    count = stream.variance[0].size
    second = spaced(stream.second.reshape(-1, count, count), 1 - by).reshape(stream.second.shape)
    return stream._replace(second=second)


def _shares(sizes: np.ndarray) -> np.ndarray:
    return np.maximum(sizes, 0.0) / max(float(np.maximum(sizes, 0.0).sum()), TINY)


def _heard(nodes: Sequence[Node]) -> dict[str, np.ndarray]:
    """Which positions count of keys and values that masks hide in part, (n or 1, positions), and of what leads to them."""
    before, found = {node.name: node for node in nodes}, dict[str, np.ndarray]()
    for node in nodes:
        added = getattr(node.operation, "added", None)
        if node.operation.multiplies is None or added is None:
            continue
        seen = (added > _HIDDEN).any(axis=(1, 2))
        waiting, met = [node.inputs[number] for number in node.operation.multiplies], set[str]()
        while waiting:
            name = waiting.pop()
            if name in met or name not in before:
                continue
            met.add(name)
            known = found.get(name)
            found[name] = seen if known is None or known.shape[1] != seen.shape[1] else known | seen
            inputs = before[name].inputs
            waiting += inputs if before[name].operation.multiplies is None else inputs[:1]  # positions are the queries'
    return found


def _counted(stream: Stream, heard: Heard) -> np.ndarray | None:
    """1 at every position of a sample that counts; None where all do."""
    count = stream.variance[0].size
    if heard is None or heard.shape[1] != count or len(heard) not in (1, len(stream.second)):
        return None
    return np.broadcast_to(heard, (len(stream.second), count)).astype(float)


def _apart(stream: Stream, heard: Heard) -> float:
    """Mean square of what differs between the positions that count."""
    some = _counted(stream, heard)
    if some is None or not stream.across:
        return apart(stream)
    return float((np.trace(_centred(stream, some), axis1=1, axis2=2) / np.maximum(some.sum(axis=1), 1.0)).mean())


def _centred(stream: Stream, some: np.ndarray) -> np.ndarray:
    """Gram matrices of what differs from the mean over positions; 0 of those that do not count."""
    count = some.shape[1]
    kept = some[:, :, None] * np.eye(count) - some[:, :, None] * some[:, None] / np.maximum(
        some.sum(axis=1), 1.0
    ).reshape(-1, 1, 1)
    found: np.ndarray = kept @ stream.second.reshape(-1, count, count) @ kept
    return found


def _size(stream: Stream, heard: Heard) -> float:
    some = _counted(stream, heard)
    if some is None:
        return float(stream.variance.mean())
    return float((stream.variance.reshape(some.shape) * some).sum() / max(some.sum(), 1.0))


def _left(stream: Stream, heard: Heard) -> float:
    """2·tr Q²/(tr Q)² of what differs: which share of the noise of a matrix is left in its trace."""
    if not stream.across:
        return 0.0
    some = _counted(stream, heard)
    square = _centred(stream, np.ones((len(stream.second), stream.variance[0].size)) if some is None else some)
    trace = np.trace(square, axis1=1, axis2=2)
    return float(2 * (square**2).sum() / max(float((trace**2).sum()), TINY))
