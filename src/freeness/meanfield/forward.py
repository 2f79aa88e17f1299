"""How each kind of layer changes the second moments of the signal, in the limit of wide layers.

One function is registered for every operation: :func:`forward` where it reads one signal, :func:`joined` where it reads several.
It takes the statistics of each sample by itself (`Stream`) and returns those behind the operation, together with what the
operation does to pairs of samples (`Pairs`): their second moments Σ = E x_i(a) x_i(b) over neurons, and the tangent kernel Θ in
the parametrisation of Jacot et al. (NTK) or in the standard one, in which the entries of W themselves are trained and a layer of
fan-in N adds N·Σ.

Sources: Lee et al. (2018) and Jacot, Gabriel, Hongler (2018) for chains; Yang, Schoenholz (2017) for sums (residual branches);
Garriga-Alonso et al. (2019) for convolutions; Yang et al. (2019) for batch normalisation; Schoenholz et al. (2017) for dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import singledispatch
from itertools import combinations
from typing import NamedTuple

import numpy as np

from freeness.errors import InputError
from freeness.gaussian import Transfer, at_one, transfer
from freeness.meanfield.positions import convolved, pooled, same_position
from freeness.meanfield.variance_map import variance_gain
from freeness.network import (
    INPUT,
    Activation,
    ActivationFunction,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    Gaussian,
    Network,
    Node,
    Normalisation,
    Pooling,
    ScaledIdentity,
    Sum,
    Weights,
    check_plain,
    described,
)
from freeness.numerics.quadrature import gaussian_nodes


class Pairs(NamedTuple):
    """Between the samples ``rows`` = a:b and a: of n, as the rest follows by symmetry: ``value`` Σ and ``theta`` Θ.

    Shape (b - a, n - a, *positions[, *positions]).
    """

    value: np.ndarray
    theta: np.ndarray
    rows: slice


Step = Callable[..., Pairs]  # of one Pairs for each signal that an operation reads

_DARK = 1e-14  # variance in place of 0, relative to the largest
_EQUAL = 1e-12  # relative differences of a batch that are rounding
_CONCENTRATED = 0.5  # largest fluctuation of a batch variance, relative


class Stream(NamedTuple):
    """Each sample by itself: ``second`` = E x_i², (n, *positions), or between all pairs of positions where ``across``.

    ``growth``: mean squared singular value of the Jacobian from the input, (n, *positions). ``mean`` = E x_i as a function, as
    few layers ask for it; None for 0. ``gaussian``: x_i is centred Gaussian. ``alike``: the two samples stand for a batch of
    such samples and for all positions, as in trajectories. ``features``: channels, or entries of a vector; None: not known.
    ``flattened``: they are entries of an image with variances of their own. ``fluctuation``: the largest so far of a neuron's
    batch variance, relative. ``standard``: Θ is that of the standard parametrisation. ``sources``: the weights, or the input, of
    whose outputs x_i is made neuron by neuron; signals without a common source are independent.
    """

    second: np.ndarray
    growth: np.ndarray
    mean: Callable[[], np.ndarray] | None
    gaussian: bool
    across: bool = False
    alike: bool = False
    features: int | None = None
    flattened: bool = False
    fluctuation: float = 0.0
    standard: bool = False
    sources: frozenset[str] = frozenset((INPUT,))

    @property
    def variance(self) -> np.ndarray:
        """E x_i² by sample and position."""
        return same_position(self.second, 1) if self.across else self.second

    def renewed(
        self, second: np.ndarray, growth: np.ndarray, mean: Callable[[], np.ndarray] | None, gaussian: bool
    ) -> Stream:
        """The same samples with other statistics."""
        return self._replace(second=second, growth=growth, mean=mean, gaussian=gaussian)

    @property
    def groups(self) -> int:
        """How often the spatial axes occur in second moments."""
        return 2 if self.across else 1


@dataclass(frozen=True, eq=False)
class Compiled:
    """A network prepared for the samples at hand: their ``streams`` behind every node, and every node's step for pairs."""

    nodes: tuple[Node, ...]
    streams: dict[str, Stream]
    steps: tuple[Step, ...]

    @property
    def end(self) -> Stream:
        """The samples at the output."""
        return self.streams[self.nodes[-1].name]

    def walk(self, pairs: Pairs) -> Iterator[tuple[Node, Pairs]]:
        """Pairs behind every node; each is kept until nobody reads it any more.

        Args:
            pairs: at the input.
        """
        open_signals = {INPUT: pairs}
        last = {name: index for index, node in enumerate(self.nodes) for name in node.inputs}
        for index, (node, step) in enumerate(zip(self.nodes, self.steps, strict=True)):
            found = step(*(open_signals[name] for name in node.inputs))
            for name in {name for name in node.inputs if last[name] == index}:
                del open_signals[name]
            open_signals[node.name] = found
            yield node, found

    def applied(self, pairs: Pairs) -> Pairs:
        """Pairs at the output.

        Args:
            pairs: at the input.

        Raises:
            InputError: a kernel that overflows.
        """
        found = pairs
        for node, found in self.walk(pairs):
            bent = isinstance(node.operation, Activation)  # the weights behind φ show it soon enough
            if not (bent or found.theta.max() < np.inf):
                raise InputError(
                    f"expected finite kernels, got overflow behind {described(node.operation)}; the network is chaotic or "
                    "diverges, so take fewer layers or a smaller sigma_w."
                )
        return found


def compiled(network: Network, stream: Stream, whole: Pairs | None) -> Compiled:
    """Follow the samples through a network.

    Args:
        network: the record.
        stream: the samples at its input.
        whole: the pairs of the whole batch there, where a layer normalises over it.

    Raises:
        InputError: an operation that theory does not cover there, or a signal that vanishes or overflows.
    """
    streams, wholes, steps = {INPUT: stream}, {INPUT: whole}, []
    for node in network.nodes:
        found, step = _behind(node, streams, wholes)
        variance = found.variance
        if not (variance.min() >= 0 and 0 < variance.max() < np.inf):  # also where any is NaN
            raise InputError(
                f"expected a signal that stays finite and does not vanish, got variance {_worst(variance)} behind "
                f"{described(node.operation)}; change sigma_w, sigma_b or the inputs' norm."
            )
        streams[node.name] = found
        wholes[node.name] = None if whole is None else step(*(wholes[name] for name in node.inputs))
        steps.append(step)
    return Compiled(network.nodes, streams, tuple(steps))


def _behind(node: Node, streams: dict[str, Stream], wholes: dict[str, Pairs | None]) -> tuple[Stream, Step]:
    """A node's operation applied; independent weights are a new source."""
    check_plain(node)
    given = tuple(streams[name] for name in node.inputs)
    if node.operation.arity == 1:
        found, step = forward(node.operation, given[0], wholes[node.inputs[0]])
    else:
        found, step = joined(node.operation, given)
    if isinstance(node.operation, Weights):
        found = found._replace(sources=frozenset((node.name,)))
    return found, step


def _worst(variance: np.ndarray) -> str:
    bad = variance[~(np.isfinite(variance) & (variance > 0))]
    return f"{bad.flat[0]:g}" if bad.size else "that is not finite"


@singledispatch
def forward(layer: object, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """The stream behind an operation of one signal, and its step for pairs. Register a function here for a new operation.

    Args:
        layer: the record.
        stream: in front of it.
        whole: all pairs of the batch, for layers that need them.

    Raises:
        InputError: the operation is not covered, or not at this place.
    """
    raise InputError(
        f"expected layers that Gaussian theory covers, got {described(layer)}; register freeness.meanfield.forward for it."
    )


@singledispatch
def joined(operation: object, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    """The stream behind an operation of several signals, and its step for as many pairs. Register a new one here.

    Args:
        operation: the record.
        streams: in front of it, in order.

    Raises:
        InputError: the operation is not covered, or not for these signals.
    """
    raise InputError(
        f"expected operations that Gaussian theory covers, got {described(operation)}; register freeness.meanfield.joined for it."
    )


_Mixing = Callable[[np.ndarray, int, int], np.ndarray]  # array, axes of samples, groups of spatial axes


@forward.register
def _(layer: Dense, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    if stream.variance.ndim > 1:
        raise InputError(
            f"expected a vector before {described(layer)}, got {stream.variance.shape[1:]} positions; put Flatten or Pooling "
            "there."
        )
    return _weighted(layer, _counted(layer, stream, layer.fan_in, layer.fan_out), _unmixed, _unmixed)


@forward.register
def _(layer: Convolution, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    stream = _counted(layer, stream, layer.channels_in, layer.channels_out)
    if not stream.alike:
        every = replace(layer, weights=Gaussian(1.0))  # taps that start at 0 have gradients as well
        return _weighted(
            layer,
            stream,
            lambda array, lead, groups: convolved(array, layer, lead, groups),
            lambda array, lead, groups: convolved(array, every, lead, groups),
        )
    if layer.padding != "circular":
        raise InputError(
            f"expected circular padding of {described(layer)}, got {layer.padding}, with which positions at the border differ; "
            "compute kernels on images instead."
        )
    return _weighted(layer, stream, _unmixed, _unmixed)


def _counted(layer: Dense | Convolution, stream: Stream, expected: int, written: int) -> Stream:
    """The stream with the features that the layer writes, if it has those that the layer reads."""
    if stream.features not in (None, expected):
        raise InputError(
            f"expected {expected} features before {described(layer)}, got {stream.features}; correct the sizes."
        )
    same = stream.features == written and not stream.flattened
    return stream if same else stream._replace(features=written, flattened=False)


def _unmixed(array: np.ndarray, lead: int, groups: int) -> np.ndarray:
    return array


def _weighted(layer: Dense | Convolution, stream: Stream, mixed: _Mixing, seen: _Mixing) -> tuple[Stream, Step]:
    """Σ' = gain·mixed(Σ) + σ_b². NTK: Θ' = gain·mixed(Σ + Θ) + σ_b²; standard: Θ' = fan-in·seen(Σ) + gain·mixed(Θ) + 1.

    The last terms where the bias is trained.
    """
    dense = isinstance(layer, Dense)
    sizes = (layer.fan_in, layer.fan_out) if dense else (layer.channels_in, layer.channels_out)
    entries = layer.fan_in if dense else layer.channels_in * int(np.prod(layer.kernel))
    gain = variance_gain(layer.weights, *sizes)
    if isinstance(layer.weights, ScaledIdentity):
        raise InputError(
            f"expected random weights in {described(layer)}, got a multiple of the identity, behind which signals are not "
            "Gaussian; measure the network instead."
        )
    bias, groups = layer.sigma_b**2, stream.groups
    trained = bias if layer.bias else 0.0

    def step(pairs: Pairs) -> Pairs:
        value = gain * mixed(pairs.value, 2, groups) + bias
        if stream.standard:
            theta = entries * seen(pairs.value, 2, groups) + gain * mixed(pairs.theta, 2, groups) + float(layer.bias)
            return Pairs(value, theta, pairs.rows)
        theta = value + gain * mixed(pairs.theta, 2, groups)
        return Pairs(value, theta if trained == bias else theta + (trained - bias), pairs.rows)

    second = gain * mixed(stream.second, 1, groups) + bias
    growth = gain * mixed(stream.growth, 1, 1)
    return stream.renewed(second, growth, None, True), step


@forward.register
def _(layer: Activation, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    if not stream.gaussian:
        raise InputError(
            f"expected Gaussian signals before {described(layer)}, got what no weight layer made so; Gaussian theory covers "
            "activations behind weights, normalisations of weights and sums of such."
        )
    function, rows = layer.function, stream.second.shape[0]
    q = stream.variance
    q = np.maximum(q, _DARK * q.max())  # black pixels behind weights without biases have 0
    through = transfer(function, q, rows * stream.second.size)
    value, slope = at_one(function, q)
    own, everyone = stream.second, np.arange(rows)

    def step(pairs: Pairs) -> Pairs:
        exact = pairs.value.copy()  # a sample's product with itself carries no rounding of another way of computing
        exact[everyone[: len(exact)], everyone[: len(exact)]] = own[pairs.rows]
        left, right = _sides(q, pairs.rows, stream.groups)
        new, factor = through(left, right, exact)
        return Pairs(new, factor * pairs.theta, pairs.rows)

    second = _within(through, q, own, value) if stream.across else value
    after = stream.renewed(second, slope * stream.growth, lambda: _means(function, q), False)
    return after, step


def _sides(q: np.ndarray, rows: slice, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Variances of u and of v, shaped to broadcast over the axes of :class:`Pairs`."""
    spatial = q.shape[1:]
    ones = (1,) * len(spatial)
    if groups == 1:
        return q[rows][:, None], q[None, rows.start :]
    return q[rows].reshape(-1, 1, *spatial, *ones), q[rows.start :].reshape(1, -1, *ones, *spatial)


def _alone(values: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for each sample with itself: (n, *positions[, *positions])."""
    if groups == 1:
        return values, values
    spatial = values.shape[1:]
    ones = (1,) * len(spatial)
    return values.reshape(-1, *spatial, *ones), values.reshape(-1, *ones, *spatial)


def _within(through: Transfer, q: np.ndarray, own: np.ndarray, value: np.ndarray) -> np.ndarray:
    """E φφ between the positions of each sample, with E φ² where they are the same."""
    found = through(*_alone(q, 2), own)[0]
    count = int(np.prod(q.shape[1:]))
    square = found.reshape(len(q), count, count)
    square[:, np.arange(count), np.arange(count)] = value.reshape(len(q), count)
    return square.reshape(own.shape)


def _means(function: ActivationFunction, q: np.ndarray) -> np.ndarray:
    """E φ(√q ξ) at every variance."""
    unique, place = np.unique(q, return_inverse=True)
    means = [weights @ function.function(h) for h, weights in (gaussian_nodes(v, function.kinks) for v in unique)]
    return np.array(means)[place].reshape(q.shape)


@forward.register
def _(layer: Dropout, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """A sample's product with itself grows by 1/(1 - rate), that of others does not: masks are drawn for each."""
    if stream.across:
        raise InputError(
            f"expected no {described(layer)} among positions in a network with Pooling or batch normalisation, got it there, "
            "where the masks of positions differ; put it behind Flatten or Pooling."
        )
    factor = 1 / (1 - layer.rate)

    def step(pairs: Pairs) -> Pairs:
        value, theta = pairs.value.copy(), pairs.theta.copy()
        itself = np.arange(len(value))
        value[itself, itself] *= factor
        theta[itself, itself] *= factor
        return Pairs(value, theta, pairs.rows)

    return stream._replace(second=factor * stream.second, growth=factor * stream.growth, gaussian=False), step


@forward.register
def _(layer: Flatten, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """Sums over channels and positions are means over positions of second moments at the same one."""
    if stream.alike:
        return stream, lambda pairs: pairs

    def flat(array: np.ndarray, lead: int, groups: int) -> np.ndarray:
        same = same_position(array, lead) if groups == 2 else array
        return same.mean(axis=tuple(range(lead, same.ndim)))

    def step(pairs: Pairs) -> Pairs:
        return Pairs(flat(pairs.value, 2, stream.groups), flat(pairs.theta, 2, stream.groups), pairs.rows)

    mean = stream.mean
    after = stream._replace(
        second=flat(stream.second, 1, stream.groups),
        growth=flat(stream.growth, 1, 1),
        mean=None if mean is None else lambda: flat(mean(), 1, 1),
        gaussian=False,
        across=False,
        flattened=stream.flattened or stream.variance.ndim > 1,
        features=None if stream.features is None else stream.features * stream.variance[0].size,
    )
    return after, step


@forward.register
def _(layer: Pooling, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    if stream.alike or not stream.across:
        raise InputError(
            f"expected images before {described(layer)}, got signals without positions; compute kernels on images instead."
        )

    def step(pairs: Pairs) -> Pairs:
        return Pairs(pooled(pairs.value, layer, 2, 2), pooled(pairs.theta, layer, 2, 2), pairs.rows)

    mean = stream.mean
    growth = pooled(stream.growth, layer, 1, 1)
    second = pooled(stream.second, layer, 1, 2)
    window = stream.variance[0].size if layer.size is None else int(np.prod(layer.size))
    after = stream._replace(
        second=second,
        growth=growth / window,
        mean=None if mean is None else lambda: pooled(mean(), layer, 1, 1),
        across=second.ndim > 1,
    )
    return after, step


@forward.register
def _(layer: Normalisation, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    return _batch(layer, stream, whole) if layer.kind == "batch" else _own(layer, stream)


def _own(layer: Normalisation, stream: Stream) -> tuple[Stream, Step]:
    """Each sample by its own mean and variance over neurons, which concentrate."""
    square, mean, groups = stream.variance, stream.mean, stream.groups
    centre = np.zeros(square.shape) if mean is None or layer.kind == "rms" else mean()
    if layer.positions:
        spatial = tuple(range(1, square.ndim))
        centre = np.broadcast_to(centre.mean(axis=spatial, keepdims=True), square.shape)
        square = np.broadcast_to(square.mean(axis=spatial, keepdims=True), square.shape)
    size = np.sqrt(square - centre**2 + layer.epsilon)
    means = np.zeros(square.shape) if mean is None else mean()

    def centred(array: np.ndarray, sides: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        (left, right), (first, second), (a, b) = sides(size), sides(means), sides(centre)
        return (array - first * b - a * second + a * b) / (left * right)

    def step(pairs: Pairs) -> Pairs:
        left, right = _sides(size, pairs.rows, groups)
        value = centred(pairs.value, lambda array: _sides(array, pairs.rows, groups))
        return Pairs(value, pairs.theta / (left * right), pairs.rows)

    after = stream._replace(
        second=centred(stream.second, lambda array: _alone(array, groups)),
        growth=stream.growth / size**2,
        mean=None if mean is None else lambda: (means - centre) / size,
    )
    return after, step


def _batch(layer: Normalisation, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """Each neuron by its mean and variance over the batch and all positions.

    The variance is taken to be the same for every neuron: in a batch whose centred Σ has many comparable eigenvalues.
    """
    assert whole is not None
    mean, groups = stream.mean, stream.groups
    if stream.flattened:
        raise InputError(
            f"expected {described(layer)} before Flatten, got it behind, where each position has a variance of its own; "
            "swap them."
        )

    def averages(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each sample and position with all others, and of all with all."""
        if stream.alike:
            return np.full(array.shape[:1], array[0, 1]), array[0, 1]
        spatial = stream.variance.ndim - 1
        return array.mean(axis=(1, *range(array.ndim - spatial, array.ndim)) if groups == 2 else 1), array.mean()

    rows, total = averages(whole.value)
    spread = float(np.mean(stream.variance) - total)
    if not spread > _EQUAL * float(np.mean(stream.variance)):
        raise InputError(
            f"expected a batch of different inputs before {described(layer)}, got inputs with the same signal; it normalises "
            "their differences."
        )
    size = spread + layer.epsilon
    fluctuation = 0.0 if stream.alike else _fluctuation(whole.value, rows, float(total), groups) / spread
    if fluctuation > _CONCENTRATED:
        raise InputError(
            f"expected a batch in which a neuron's variance hardly fluctuates before {described(layer)}, got {fluctuation:.0%}: "
            "the inputs are few or too alike for this theory; take more and more different ones."
        )

    def step(pairs: Pairs) -> Pairs:
        both = []
        for array in (pairs.value, pairs.theta):
            row, every = averages(array)
            left, right = _sides(row, pairs.rows, groups)
            both.append((array - left - right + every) / size)
        return Pairs(both[0], both[1], pairs.rows)

    left, right = _alone(rows, groups)
    after = stream._replace(
        second=(stream.second - left - right + total) / size,
        growth=stream.growth / size,
        mean=None if mean is None else lambda: (mean() - mean().mean()) / np.sqrt(size),
        fluctuation=max(stream.fluctuation, fluctuation),
    )
    return after, step


def _fluctuation(value: np.ndarray, rows: np.ndarray, total: float, groups: int) -> float:
    """Standard deviation over neurons of the variance over batch and positions, √(2 tr Σ²)/size for Gaussian signals."""
    left, right = _sides(rows, slice(0, len(rows)), groups)
    return float(np.sqrt(2 * ((value - left - right + total) ** 2).sum()) / rows.size)


@joined.register
def _(operation: Sum, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    """Independent signals meet in their means only: Σ = Σ_k c_k²Σ_k + Σ_{k≠l} c_k c_l m_k m_l, Θ = Σ_k c_k²Θ_k."""
    _check_alike(operation, streams)
    _check_independent(operation, streams)
    scales, first = operation.scales, streams[0]
    means = [(scale, stream.mean()) for scale, stream in zip(scales, streams, strict=True) if stream.mean is not None]

    def squared(arrays: tuple[np.ndarray, ...]) -> np.ndarray:
        return np.asarray(sum(scale**2 * array for scale, array in zip(scales, arrays, strict=True)))

    def added(
        arrays: tuple[np.ndarray, ...], sides: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        total = squared(arrays)
        for (one, mean), (other, second) in combinations(means, 2):
            (a, b), (c, d) = sides(mean), sides(second)
            total = total + one * other * (a * d + c * b)
        return total

    def step(*pairs: Pairs) -> Pairs:
        rows = pairs[0].rows
        value = added(tuple(one.value for one in pairs), lambda array: _sides(array, rows, first.groups))
        return Pairs(value, squared(tuple(one.theta for one in pairs)), rows)

    after = first._replace(
        second=added(tuple(one.second for one in streams), lambda array: _alone(array, first.groups)),
        growth=squared(tuple(one.growth for one in streams)),
        mean=_mean_of_sum(scales, streams),
        gaussian=all(one.gaussian for one in streams),
        features=next((one.features for one in streams if one.features is not None), None),
        flattened=any(one.flattened for one in streams),
        fluctuation=max(one.fluctuation for one in streams),
        sources=frozenset().union(*(one.sources for one in streams)),
    )
    return after, step


def _mean_of_sum(scales: tuple[float, ...], streams: tuple[Stream, ...]) -> Callable[[], np.ndarray] | None:
    parts = [(scale, one.mean) for scale, one in zip(scales, streams, strict=True) if one.mean is not None]
    if not parts:
        return None
    return lambda: np.asarray(sum(scale * mean() for scale, mean in parts))


def _check_alike(operation: object, streams: tuple[Stream, ...]) -> None:
    """The same positions and features."""
    first = streams[0]
    for other in streams[1:]:
        if other.second.shape != first.second.shape:
            raise InputError(
                f"expected signals with the same positions into {described(operation)}, got {first.variance.shape[1:]} and "
                f"{other.variance.shape[1:]}; correct padding and stride."
            )
        if None not in (first.features, other.features) and first.features != other.features:
            raise InputError(
                f"expected signals with the same features into {described(operation)}, got {first.features} and "
                f"{other.features}; correct the sizes."
            )


def _check_independent(operation: object, streams: tuple[Stream, ...]) -> None:
    """No two of them are made of the outputs of the same weights, neuron by neuron."""
    for one, other in combinations(streams, 2):
        if one.sources & other.sources:
            shared = min(one.sources & other.sources)
            raise InputError(
                f"expected independent signals into {described(operation)}, got two that are both made of "
                f"{'the input' if shared == INPUT else f'the outputs of {shared!r}'} neuron by neuron; put weights between."
            )
