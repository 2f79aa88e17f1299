"""Signals and loss gradients of a wide network on a batch, from the inputs and the gradient of the loss in the outputs.

Γ(a, b) = Σ_i g_i(a) g_i(b) over neurons goes back from the outputs as Θ goes forward. The gradient of weights W behind x is
Σ_a g(a) x(a)ᵀ, of which the squares add up to Σ_ab Γ(a, b)·x(a)·x(b).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.gaussian import has_closed_covariance
from freeness.meanfield.drawn_channels import LargeError, bends_channels, drawn_places, normalises_batches
from freeness.meanfield.gradient_walk import bent_signals
from freeness.meanfield.pair_noises import BatchMoments, batch_scatters
from freeness.meanfield.patches import in_patches
from freeness.meanfield.samples import SampleMoments
from freeness.meanfield.walk import Compiled, compiled, of_each, reads
from freeness.network import (
    INPUT,
    Activation,
    Attention,
    Dropout,
    Embedding,
    Network,
    Node,
    Operation,
    Pairs,
    Step,
    Stream,
    Weights,
    along_front,
    backward_pairs,
    beyond,
    described,
    known_by_weights,
    sides,
    spread_front,
)

_MOST = 6_000_000  # numbers that are held, of Σ as of Γ: beyond, a prediction of the table takes seconds
_FEW, _FEWEST = 8, 2  # samples that are followed where not all fit: rather with all pairs of positions, and at least
_SMALL = 0.05  # of Γ, what theory of whole channels' masks may leave out
_SOME = 0.8  # of the numbers, where only some samples are followed
_UNEVEN = 0.3  # relative spread of squared norms that is left out for speed


class LossMoments(NamedTuple):
    """Behind one node, on a batch.

    ``signal``: mean square of the entries. ``weights``: sum of squares of the loss gradient of the node's matrix, 0 without one.
    ``shift``: that of a bias at its end, ``scale``: that of a scale of every channel there, as norms have; NaN in front of an
    activation, where gradients depend on the signal, unless channels are drawn. ``signal_scatter``, ``gradient_scatter``: by
    which relative amount one network departs from that.
    """

    name: str
    signal: float
    weights: float
    shift: float
    signal_scatter: float
    gradient_scatter: float
    scale: float = np.nan


@np.errstate(over="ignore", invalid="ignore")  # compiled() tells the layer behind which it occurs
def loss_moments(
    network: Network, inputs: ArrayLike | None, cotangents: ArrayLike, slopes: ArrayLike | None = None
) -> tuple[LossMoments, ...]:
    """How large signals and loss gradients are at every node of a wide network.

    A batch of too many pairs is followed on some of its samples: a sample with itself and two samples count as often as there are
    such pairs in the batch, and the scatter grows by 1/√samples. Where few would fit, as of images, or batch normalisation
    couples it, it is followed whole, by channels that are drawn.

    Args:
        network: the record, from a builder such as :func:`~freeness.network.mlp`, or of a trace.
        inputs: (n, N₀), (n, channels, *positions), or tokens; None where the network reads data beside the input alone.
        cotangents: gradient of the loss in the outputs, (n, C) or (n, C, *positions).
        slopes: mean of the second derivatives of the loss in single outputs, (n,) or (n, *positions); 0 when left out. Through
            them the gradient knows of the weights that it comes back through; channels that are drawn leave that out.

    Raises:
        InputError: an operation that theory does not cover, bad inputs, cotangents of another shape, or too large a batch.

    Assumes wide layers, and forward and backward weights that are independent (Schoenholz et al. 2017).

    Example:
        >>> from freeness.network import mlp
        >>> found = loss_moments(mlp(2, [3, 100, 2], "linear"), np.eye(3), np.ones((3, 2)) / 3)
        >>> [round(node.weights, 6) for node in found if node.weights]
        [0.666667, 0.666667]
    """
    if normalises_batches(network):
        drawn = _by_draws(network, inputs, cotangents)
        return _by_pairs(network, inputs, cotangents, slopes, _FEWEST) if drawn is None else drawn
    if bends_channels(network):
        with suppress(LargeError):
            drawn = _by_draws(network, inputs, cotangents)
            if drawn is not None:
                return drawn
    with suppress(LargeError):
        return _by_pairs(network, inputs, cotangents, slopes, _FEW)
    with suppress(LargeError):
        attends = any(isinstance(operation, Attention) for operation in network.operations)  # slow by draws
        drawn = None if attends else _by_draws(network, inputs, cotangents)
        if drawn is not None:
            return drawn
    return _by_pairs(network, inputs, cotangents, slopes, _FEWEST)


def _by_pairs(
    network: Network, inputs: ArrayLike | None, cotangents: ArrayLike, slopes: ArrayLike | None, fewest: int
) -> tuple[LossMoments, ...]:
    """By second moments of all pairs of the batch, or of so many samples at least."""
    network, inputs = _without_many_positions(network, inputs)
    samples, chosen = _samples(network, _of_one_size(network, inputs), np.ndim(cotangents) > 2, fewest)
    count, given = samples.count, len(network.data[0].values) if inputs is None else len(np.asarray(inputs))
    network = network.of_samples(chosen)
    cotangents = _checked_cotangents(cotangents, given)[chosen]
    slopes = None if slopes is None else np.asarray(slopes, dtype=float)[chosen]
    whole = samples.pairs(slice(0, count))
    whole = whole._replace(known=whole.value)
    finite = not normalises_batches(network)
    prepared = compiled(network, samples.stream(standard=True), whole if network.couples else None, finite=finite)
    pairs = {INPUT: whole} | {node.name: found for node, found in prepared.walk(whole)}
    end = prepared.end
    along = np.zeros(end.variance.shape) if slopes is None else slopes.reshape(end.variance.shape)
    back, parts, alone = _backward(prepared, pairs, _Gradient(_products(cotangents, end), along, np.zeros_like(along)))
    gammas = {name: found.gamma for name, found in back.items()}
    known = batch_scatters(BatchMoments(prepared, pairs, gammas, parts))
    own = {
        node.name: _own(node, step, pairs, gammas[node.name] + alone.get(node.name, 0.0))
        for node, step in zip(prepared.nodes, prepared.steps, strict=True)
    }
    bent = bent_signals(network)
    left_out = 1 - count / given
    missed = (left_out / count) ** 0.5
    return tuple(
        LossMoments(
            node.name,
            float(prepared.streams[node.name].variance.mean()),
            pairs_of_batch(own[node.name], given),
            pairs_of_batch(back[node.name].gamma, given),
            float(np.hypot(known[node.name].signal, missed * _spread_of(prepared.streams[node.name]))),
            float(np.linalg.norm((known[node.name].gradient, missed, sampling_error(own[node.name], given)))),
            pairs_of_batch(back[node.name].gamma * pairs[node.name].value, given) if node.name not in bent else np.nan,
        )
        for node in network.nodes
    )


def _by_draws(network: Network, inputs: ArrayLike | None, cotangents: ArrayLike) -> tuple[LossMoments, ...] | None:
    """By channels that are drawn, where all operations are followed so."""
    points = SampleMoments(inputs, network).points
    count = len(points)
    found = drawn_places(network, points, _checked_cotangents(cotangents, count), rough=True)
    if found is None:
        return None
    places = [(node.name, found[node.name]) for node in network.nodes]
    return tuple(
        LossMoments(
            name,
            place.signal,
            count * place.weights,
            count * (place.biases or place.shifts),
            place.scatters[0],
            float(np.hypot(place.scatters[1], place.error)),
            count * place.scales,
        )
        for name, place in places
    )


def _without_many_positions(network: Network, inputs: ArrayLike | None) -> tuple[Network, ArrayLike | None]:
    """A first convolution whose windows are fewer than the input's positions is a matrix on what they see."""
    points = np.asarray(inputs)
    if points.ndim < 3 or points.dtype.kind != "f" or not np.isfinite(points).all():
        return network, inputs
    found = in_patches(network, points)
    smaller = found is not None and np.prod(found.points.shape[2:]) < np.prod(points.shape[2:])
    return (found.network, found.points) if found is not None and smaller else (network, inputs)


def _samples(network: Network, inputs: ArrayLike | None, across: bool, fewest: int) -> tuple[SampleMoments, np.ndarray]:
    """With all pairs of positions, where they are few enough: signals are alike at many positions, and gradients with them.

    And which samples: all, or so many as fit, evenly over the batch.
    """
    every, asked = (SampleMoments(inputs, network, across=each) for each in (True, across))
    count = every.count
    coupled = normalises_batches(network)
    for moments, least in ((every, count), (asked, count), (every, _FEW), (asked, _FEW), (every, fewest)):
        fitting = _fitting(moments, len(network.nodes))
        if fitting >= min(least, count) and (fitting == count or not coupled):
            if fitting == count:
                return moments, np.arange(count)
            chosen = np.linspace(0, count - 1, fitting).round().astype(int)
            some = None if inputs is None else np.asarray(inputs)[chosen]
            return SampleMoments(some, network.of_samples(chosen), across=moments.across), chosen
    raise LargeError(
        f"expected a batch whose pairs take at most {_MOST:,} numbers, got {count} samples of {every.positions} "
        f"positions in {len(network.nodes)} operations; take fewer samples or positions, or go by the measured layers."
    )


def _fitting(moments: SampleMoments, nodes: int) -> int:
    """Samples whose pairs fit: all, or as many as take a share of that, for what is a sample of the batch is not exact."""
    numbers = nodes * moments.positions * (moments.positions if moments.across else 1)
    count = moments.count
    return count if count**2 * numbers <= _MOST else min(count, int((_SOME * _MOST / numbers) ** 0.5))


def _checked_cotangents(cotangents: ArrayLike, count: int) -> np.ndarray:
    found = np.asarray(cotangents, dtype=float)
    if found.ndim < 2 or len(found) != count:
        raise InputError(
            f"expected cotangents (samples, outputs, *positions) with {count} samples, got shape {found.shape}; take the "
            "gradient of the loss in the outputs."
        )
    return found


def pairs_of_batch(pairs: Float[np.ndarray, "samples samples *positions"], given: int) -> float:
    """The sum over all pairs of a batch of so many samples, from that over some of them.

    Pairs of two samples add up to the square of a mean gradient, of which the estimate is never below 0.

    Example:
        >>> pairs_of_batch(np.ones((2, 2)), 4)
        16.0
    """
    count, total = len(pairs), float(pairs.sum())
    if count == given:
        return total
    same = float(np.einsum("aa...->...", pairs).sum())
    both = given * (given - 1) / (count * (count - 1)) * (total - same) if count > 1 else 0.0
    return given / count * same + max(both, 0.0)


def sampling_error(pairs: Float[np.ndarray, "samples samples *positions"], given: int) -> float:
    """Relative standard error of :func:`pairs_of_batch`, by the jackknife: leaving out one sample after the other.

    Source: Efron, Stein (1981); a batch that is nearly whole leaves little open.

    Example:
        >>> round(sampling_error(np.diag([1.0, 2.0, 3.0]), 6), 6)  # of the mean of three numbers of six
        0.204124
    """
    count = len(pairs)
    if count == given or count < 3:
        return 0.0
    flat = pairs.reshape(count, count, -1).sum(axis=2)
    own, rows, whole = np.diagonal(flat), flat.sum(axis=0) + flat.sum(axis=1), pairs_of_batch(pairs, given)
    same, total, fewer = own.sum() - own, flat.sum() - rows + own, count - 1
    left = given / fewer * same + np.maximum(given * (given - 1) / (fewer * (fewer - 1)) * (total - same), 0.0)
    variance = fewer / count * float(np.square(left - left.mean()).sum()) * (1 - count / given)
    return variance**0.5 / whole if whole > 0 else 0.0


def _spread_of(stream: Stream) -> float:
    """Relative standard deviation of the samples' mean squares."""
    each = stream.variance.reshape(len(stream.variance), -1).mean(axis=1)
    return float(each.std() / each.mean()) if each.mean() > 0 else 0.0


def _of_one_size(network: Network, inputs: ArrayLike | None) -> ArrayLike | None:
    """Vectors of nearly one norm at their mean one, for activations without a closed form: one table serves all pairs then."""
    slow = [
        one for one in network.operations if isinstance(one, Activation) and not has_closed_covariance(one.function)
    ]
    tokens = isinstance(next(iter(network.weights), None), Embedding)
    if not slow or tokens:
        return inputs
    points = np.asarray(inputs, dtype=float)
    if inputs is None or points.ndim > 2:
        if all(not one.function.kinks for one in slow):
            return inputs
        raise LargeError(
            f"expected an activation that is smooth or has a closed form at several positions, got {slow[0].function.name}; "
            "measure the layers."
        )
    squares = (points**2).mean(axis=1, keepdims=True)
    if not (squares > 0).all() or (
        squares.std() > _UNEVEN * squares.mean() and not any(o.function.kinks for o in slow)
    ):
        return inputs
    return points * np.sqrt(squares.mean() / squares)


def _products(cotangents: np.ndarray, end: Stream) -> np.ndarray:
    """Γ at the output."""
    shape = end.variance.shape[1:]
    if cotangents.shape != (len(end.second), cotangents.shape[1], *shape):
        raise InputError(
            f"expected cotangents (samples, outputs, *positions) with {len(end.second)} samples and positions {shape}, got "
            f"{cotangents.shape}; take the gradient of the loss in the outputs."
        )
    flat = cotangents.reshape(*cotangents.shape[:2], -1)
    if not shape:
        return np.asarray(flat[:, :, 0] @ flat[:, :, 0].T)
    found = np.einsum("acp,bcq->abpq", flat, flat, optimize=True)
    return found.reshape(*found.shape[:2], *shape, *shape)


def _same_entries(shape: tuple[int, ...], groups: int) -> np.ndarray:
    """1 between the same sample and position, of all pairs."""
    one = np.eye(shape[0]).reshape(*shape[:2], *(1 for _ in shape[2:]))
    if groups == 1 or len(shape) == 2:
        return one
    half = shape[2 : 2 + (len(shape) - 2) // 2]
    return one * np.eye(math.prod(half)).reshape(*half, *half)


def _check_small(along: float, whole: float, operation: Operation) -> None:
    """Refuse masks of whole channels where much of a gradient lies along its signal: a mask is in all of its positions."""
    if along > _SMALL * whole:
        raise InputError(
            f"expected {described(operation)} with masks of its own at each position, got those of whole channels under a loss "
            "whose gradients follow the signal; measure the layers."
        )


class _Gradient(NamedTuple):
    """Γ of all pairs, and ``along`` α: the gradient of a sample is α times its signal, and what is independent of it.

    α by sample and position, the mean of factors of single entries, which have the variance ``spread``.
    """

    gamma: np.ndarray
    along: np.ndarray
    spread: np.ndarray

    def met(self, other: _Gradient, given: Pairs, stream: Stream) -> _Gradient:
        """With another that comes back to the same signal: what they have in common is 2·α₁α₂ x·x beside their own Γ."""
        (left, right), (first, second) = (sides(each.along, given.rows, stream.groups) for each in (self, other))
        common = (left * second + first * right) * given.value * (stream.features or 0)
        return _Gradient(self.gamma + other.gamma + common, self.along + other.along, self.spread + other.spread)

    def beyond(self, operation: Operation, given: Pairs, stream: Stream, behind: Stream) -> np.ndarray | float:
        """What Γ in front of an operation has beyond that of independent gradients; factors that differ add to same entries."""
        found = beyond(operation, self.along, given, stream, behind)
        if isinstance(operation, Dropout) and operation.channels and stream.groups > 1:
            _check_small(np.abs(found).max(), np.abs(self.gamma).max(), operation)
        if not self.spread.any():
            return found
        apart = beyond(operation, np.sqrt(self.spread), given, stream, behind)
        return found + apart * _same_entries(given.value.shape, stream.groups)

    def front(
        self, operation: Operation, number: int, streams: tuple[Stream, ...], behind: Stream
    ) -> tuple[np.ndarray, np.ndarray]:
        """α in front of an operation, and the variance of factors there."""
        front = along_front(operation, number, streams, behind, self.along)
        return front, spread_front(operation, self.along, self.spread, front)


def _backward(
    prepared: Compiled, pairs: Mapping[str, Pairs], end: _Gradient
) -> tuple[dict[str, _Gradient], dict[tuple[str, int], float], dict[str, np.ndarray]]:
    """The gradient behind every node, tr ΓQ of what comes back from a node to each signal that it reads; what weights know.

    The last is what gradients of keys' weights have beyond Γ.
    """
    back, sizes = {prepared.nodes[-1].name: end}, dict[tuple[str, int], float]()
    alone: dict[str, np.ndarray] = {}
    again: dict[str, np.ndarray] = {}  # what derivatives add that depend on one another along a skip connection
    free = {prepared.nodes[-1].name: prepared.all_free(of_each(end.gamma))}
    for node, step in zip(reversed(prepared.nodes), reversed(prepared.steps), strict=True):
        given = tuple(pairs[name] for name in reads(node))
        streams = tuple(prepared.streams[name] for name in reads(node))
        behind, gradient = prepared.streams[node.name], back[node.name]
        chosen = prepared.choice(node)
        if chosen is None:
            gamma = gradient.gamma + again.get(node.name, 0.0)
            parts = backward_pairs(node.operation, given, streams, behind, step, gamma)
            parts, freed = prepared.of_widths(node, gamma, parts, free[node.name], given[0])
            last, operation, end_ = gradient, node.operation, behind
        else:
            last, operation, end_ = back[chosen.name], chosen.operation, prepared.through(chosen)
            parts = backward_pairs(operation, (pairs[node.name],), (behind,), end_, step, last.gamma)
            freed = prepared.of_widths(node, gradient.gamma, parts, free[node.name], given[0])[1]
        own = last.beyond(operation, given[0], streams[0], end_)
        parts = tuple(part + own for part in parts)
        for name, factor in prepared.dependent(node):
            again[name] = again.get(name, 0.0) + factor * parts[0]
        for number, (name, part) in enumerate(zip(node.inputs, parts, strict=True)):
            found = _Gradient(part, *last.front(operation, number, streams, end_))
            sizes[node.name, number] = float((part * pairs[name].value).sum())
            back[name] = back[name].met(found, pairs[name], prepared.streams[name]) if name in back else found
            free[name] = free[name] + freed[number] if name in free else freed[number]
        for number, part in known_by_weights(node.operation, tuple(one.value for one in given), parts).items():
            alone[node.inputs[number]] = alone.get(node.inputs[number], 0.0) + part
        if node.name in alone and not isinstance(node.operation, Weights):
            known = backward_pairs(node.operation, given, streams, behind, step, alone[node.name])
            alone |= {name: alone.get(name, 0.0) + part for name, part in zip(node.inputs, known, strict=True)}
    return back, sizes, alone


def _own(node: Node, step: Step, pairs: Mapping[str, Pairs], gradient: np.ndarray) -> np.ndarray:
    """What a node's matrix adds to Θ, in the direction of the loss, of each pair; its bias apart."""
    if not isinstance(node.operation, Weights):
        return np.zeros((len(gradient), len(gradient)))
    (name,) = node.inputs
    given = pairs[name]
    added = step(Pairs(given.value, np.zeros_like(given.theta), given.rows)).theta - float(node.operation.bias)
    return gradient * added
