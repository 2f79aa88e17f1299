"""How each kind of layer changes the second moments of the signal, in the limit of wide layers.

One function, :func:`forward`, is registered for every layer. It takes the statistics of each sample by itself (`Stream`) and
returns those behind the layer, together with what the layer does to pairs of samples (`Pairs`): their second moments
Σ = E x_i(a) x_i(b) over neurons, and the tangent kernel Θ in the parametrisation of Jacot et al. (NTK) or in the standard one,
in which the entries of W themselves are trained and a layer of fan-in N adds N·Σ.

Sources: Lee et al. (2018) and Jacot, Gabriel, Hongler (2018) for chains; Yang, Schoenholz (2017) for residual branches;
Garriga-Alonso et al. (2019) for convolutions; Yang et al. (2019) for batch normalisation; Schoenholz et al. (2017) for dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import singledispatch
from typing import NamedTuple

import numpy as np

from freeness.errors import InputError
from freeness.gaussian import Transfer, at_one, transfer
from freeness.meanfield.positions import convolved, pooled, same_position
from freeness.meanfield.variance_map import variance_gain
from freeness.network import (
    Activation,
    ActivationFunction,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    Gaussian,
    Normalisation,
    Pooling,
    Residual,
    ScaledIdentity,
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


Step = Callable[[Pairs], Pairs]

_DARK = 1e-14  # variance in place of 0, relative to the largest
_EQUAL = 1e-12  # relative differences of a batch that are rounding
_CONCENTRATED = 0.5  # largest fluctuation of a batch variance, relative


class Stream(NamedTuple):
    """Each sample by itself: ``second`` = E x_i², (n, *positions), or between all pairs of positions where ``across``.

    ``growth``: mean squared singular value of the Jacobian from the input, (n, *positions). ``mean`` = E x_i as a function, as
    few layers ask for it; None for 0. ``gaussian``: x_i is centred Gaussian. ``alike``: the two samples stand for a batch of
    such samples and for all positions, as in trajectories. ``features``: channels, or entries of a vector; None: not known.
    ``flattened``: they are entries of an image with variances of their own. ``fluctuation``: the largest so far of a neuron's
    batch variance, relative. ``standard``: Θ is that of the standard parametrisation.
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

    @property
    def variance(self) -> np.ndarray:
        """E x_i² by sample and position."""
        return same_position(self.second, 1) if self.across else self.second

    def renewed(
        self, second: np.ndarray, growth: np.ndarray, mean: Callable[[], np.ndarray] | None, gaussian: bool
    ) -> Stream:
        """The same samples with other statistics."""
        rest = (self.across, self.alike, self.features, self.flattened, self.fluctuation, self.standard)
        return Stream(second, growth, mean, gaussian, *rest)

    @property
    def groups(self) -> int:
        """How often the spatial axes occur in second moments."""
        return 2 if self.across else 1


def compiled(
    layers: Sequence[object], stream: Stream, whole: Pairs | None
) -> tuple[Stream, tuple[tuple[object, Step], ...]]:
    """Follow the samples through layers: their statistics behind the last one, and each layer with its step for pairs.

    Args:
        layers: of the network or of a branch.
        stream: in front of them.
        whole: the pairs of the whole batch, where a layer normalises over it.
    """
    steps: list[tuple[object, Step]] = []
    for layer in layers:
        stream, step = forward(layer, stream, whole)
        variance = stream.variance
        if not (variance.min() >= 0 and 0 < variance.max() < np.inf):  # also where any is NaN
            raise InputError(
                f"expected a signal that stays finite and does not vanish, got variance {_worst(stream.variance)} behind "
                f"{described(layer)}; change sigma_w, sigma_b or the inputs' norm."
            )
        if whole is not None:
            whole = step(whole)
        steps.append((layer, step))
    return stream, tuple(steps)


def applied(steps: tuple[tuple[object, Step], ...], pairs: Pairs) -> Pairs:
    """Take pairs through the steps of :func:`compiled`."""
    for layer, step in steps:
        pairs = step(pairs)
        if not (
            isinstance(layer, Activation) or pairs.theta.max() < np.inf
        ):  # the weights behind φ show it soon enough
            raise InputError(
                f"expected finite kernels, got overflow behind {described(layer)}; the network is chaotic or diverges, so take "
                "fewer layers or a smaller sigma_w."
            )
    return pairs


def _worst(variance: np.ndarray) -> str:
    bad = variance[~(np.isfinite(variance) & (variance > 0))]
    return f"{bad.flat[0]:g}" if bad.size else "that is not finite"


@singledispatch
def forward(layer: object, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """The stream behind a layer, and the layer's step for pairs. Register a function here for a new layer.

    Args:
        layer: the record.
        stream: in front of it.
        whole: all pairs of the batch, for layers that need them.

    Raises:
        InputError: the layer is not covered, or not at this place.
    """
    raise InputError(
        f"expected layers that Gaussian theory covers, got {described(layer)}; register freeness.meanfield.forward for it."
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


@forward.register
def _(layer: Residual, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """The branch ends behind independent weights, so that it meets the skip connection in means only."""
    inner, steps = compiled(layer.branch, stream, whole)
    if inner.second.shape != stream.second.shape:
        raise InputError(
            f"expected a branch of {described(layer)} that keeps the positions, got {inner.variance.shape[1:]} for "
            f"{stream.variance.shape[1:]}; correct padding and stride."
        )
    if None not in (stream.features, inner.features) and stream.features != inner.features:
        raise InputError(
            f"expected a branch of {described(layer)} that keeps the {stream.features} features, got {inner.features}; "
            "correct it."
        )
    skip, scale, groups = layer.skip, layer.scale, stream.groups
    means = None if stream.mean is None or inner.mean is None else (stream.mean(), inner.mean())

    def added(
        array: np.ndarray, branch: np.ndarray, sides: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        total = skip**2 * array + scale**2 * branch
        if means is not None:
            (a, b), (c, d) = map(sides, means)
            total = total + skip * scale * (a * d + c * b)
        return total

    def step(pairs: Pairs) -> Pairs:
        branch = applied(steps, pairs)
        value = added(pairs.value, branch.value, lambda array: _sides(array, pairs.rows, groups))
        return Pairs(value, skip**2 * pairs.theta + scale**2 * branch.theta, pairs.rows)

    after = stream._replace(
        second=added(stream.second, inner.second, lambda array: _alone(array, groups)),
        growth=skip**2 * stream.growth + scale**2 * inner.growth,
        mean=_summed(stream, inner, skip, scale),
        gaussian=stream.gaussian and inner.gaussian,
        features=inner.features,
        fluctuation=inner.fluctuation,
    )
    return after, step


def _summed(stream: Stream, inner: Stream, skip: float, scale: float) -> Callable[[], np.ndarray] | None:
    parts = [(weight, one.mean) for weight, one in ((skip, stream), (scale, inner)) if one.mean is not None]
    if not parts:
        return None

    def mean() -> np.ndarray:
        return sum((weight * part() for weight, part in parts), np.zeros(stream.variance.shape))

    return mean
