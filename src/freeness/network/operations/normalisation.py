"""Layer, RMS and batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from freeness.errors import InputError, is_size
from freeness.network.along import along_front, beyond
from freeness.network.channelwise import ChannelPass, passed
from freeness.network.departures import TINY, Around, Departing, departing, of_scales, participation, row_shares, turned
from freeness.network.derivatives import GivenMap, Pass, diagonal, given
from freeness.network.lengths import own_sizes
from freeness.network.moments import Pairs, Step, Stream, alone, backward, backward_pairs, forward, sides
from freeness.network.operation import Fixed, Operation, described
from freeness.network.operations.checks import check_different

_EQUAL = 1e-12  # relative differences of a batch that are rounding
_FINITE = 4  # entries of a channel, of which the mean of 1/variance is finite
_ALIKE = 1e-10  # the same, squared, in single precision
_PROJECTED = 3000  # entries of a batch beyond which what goes back through its variance, about 1/entries, is left out
_CONCENTRATED = 0.5  # largest fluctuation of a batch variance, relative


@dataclass(frozen=True)
class Normalisation(Operation):
    """x ↦ (x - mean)/√(variance + epsilon) at initialisation (γ = 1, β = 0).

    ``layer``: over the features of one sample; ``rms``: the same without the mean; ``batch``: each feature over a large batch
    and all positions. ``positions``: whether ``layer`` and ``rms`` also run over the positions. ``groups``:
    of channels, each normalised by itself (group normalisation).
    """

    kind: Literal["layer", "rms", "batch"]
    epsilon: float = 1e-5
    positions: bool = False
    name: str = ""
    groups: int = 1

    def __post_init__(self) -> None:
        if self.kind not in ("layer", "rms", "batch"):
            raise InputError(f"expected a normalisation layer, rms or batch, got {self.kind!r}; choose one.")
        if not is_size(self.groups):
            raise InputError(f"expected groups of channels ≥ 1, got {self.groups!r}; correct them.")

    @property
    def across(self) -> bool:
        return self.kind == "batch"

    @property
    def couples(self) -> bool:
        return self.kind == "batch"

    @property
    def fixed(self) -> Fixed | None:
        if self.kind == "batch":
            return None
        return Fixed(self.kind == "layer", not self.positions and self.groups == 1)


@forward.register
def _(layer: Normalisation, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    return _batch(layer, stream, whole) if layer.kind == "batch" else _own(layer, stream)


@own_sizes.register
def _(layer: Normalisation, stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    """Its own mean and deviation over neurons, which concentrate."""
    square, mean = stream.variance, stream.mean
    centre = np.zeros(square.shape) if mean is None or layer.kind == "rms" else mean()
    if layer.positions:
        spatial = tuple(range(1, square.ndim))
        centre = np.broadcast_to(centre.mean(axis=spatial, keepdims=True), square.shape)
        square = np.broadcast_to(square.mean(axis=spatial, keepdims=True), square.shape)
    return centre, np.sqrt(square - centre**2 + layer.epsilon)


_Ends = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _centred(layer: Normalisation, stream: Stream, array: np.ndarray, ends: _Ends) -> np.ndarray:
    """Products of signals behind the norm, of those in front; ``ends``: a number of samples at both ends of a product."""
    centre, size = own_sizes(layer, stream)
    means = np.zeros(size.shape) if stream.mean is None else stream.mean()
    (left, right), (first, second), (a, b) = ends(size), ends(means), ends(centre)
    found: np.ndarray = (array - first * b - a * second + a * b) / (left * right)
    return found


def _own(layer: Normalisation, stream: Stream) -> tuple[Stream, Step]:
    """Each sample by its own mean and variance over neurons."""
    (centre, size), mean, groups = own_sizes(layer, stream), stream.mean, stream.groups
    means = np.zeros(size.shape) if mean is None else mean()

    def step(pairs: Pairs) -> Pairs:
        left, right = sides(size, pairs.rows, groups)
        value = _centred(layer, stream, pairs.value, lambda array: sides(array, pairs.rows, groups))
        return Pairs(value, pairs.theta / (left * right), pairs.rows)

    after = stream._replace(
        second=_centred(layer, stream, stream.second, lambda array: alone(array, groups)),
        growth=stream.growth / size**2,
        mean=None if mean is None else lambda: (means - centre) / size,
        latent=None,
    )
    return after, step


def _batch(layer: Normalisation, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """Each neuron by its mean and variance over the batch and all positions.

    The variance is taken to be the same for every neuron: in a batch whose centred Σ has many comparable eigenvalues.
    """
    assert whole is not None
    mean, groups = stream.mean, stream.groups
    if stream.uneven:
        raise InputError(
            f"expected {described(layer)} before the signal is flattened, got it behind, where each position has a variance of "
            "its own; swap them."
        )

    def averages(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each sample and position with all others, and of all with all."""
        if stream.alike:
            return np.full(array.shape[:1], array[0, 1]), array[0, 1]
        spatial = stream.variance.ndim - 1
        return array.mean(axis=(1, *range(array.ndim - spatial, array.ndim)) if groups == 2 else 1), array.mean()

    rows, total = averages(whole.value)
    spread = float(np.mean(stream.variance) - total)
    check_different(spread > _EQUAL * float(np.mean(stream.variance)), layer)
    size = spread + layer.epsilon
    fluctuation = 0.0 if stream.alike else _fluctuation(whole.value, rows, float(total), groups) / spread
    if fluctuation > _CONCENTRATED:
        raise InputError(
            f"expected a batch in which a neuron's variance hardly fluctuates before {described(layer)}, got {fluctuation:.0%}: "
            "the inputs are few or too alike for this theory; take more and more different ones."
        )

    def step(pairs: Pairs) -> Pairs:
        both: list[np.ndarray] = []
        for array in (pairs.value, pairs.theta):
            row, every = averages(array)
            left, right = sides(row, pairs.rows, groups)
            both.append((array - left - right + every) / size)
        return Pairs(both[0], both[1], pairs.rows)

    left, right = alone(rows, groups)
    after = stream._replace(
        second=(stream.second - left - right + total) / size,
        growth=stream.growth / size,
        mean=None if mean is None else lambda: (mean() - mean().mean()) / np.sqrt(size),
        latent=None,
        fluctuation=max(stream.fluctuation, fluctuation),
    )
    return after, step


def _fluctuation(value: np.ndarray, rows: np.ndarray, total: float, groups: int) -> float:
    """Standard deviation over neurons of the variance over batch and positions, √(2 tr Σ²)/size for Gaussian signals."""
    left, right = sides(rows, slice(0, len(rows)), groups)
    return float(np.sqrt(2 * ((value - left - right + total) ** 2).sum()) / rows.size)


@backward.register
def _(
    layer: Normalisation, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Γ over both sizes; what goes back through mean and variance is 1/N of it, or one over the batch."""
    (stream,) = streams
    if layer.kind == "batch":
        return (float((behind.growth / stream.growth).flat[0]) * gradient,)
    left, right = alone(own_sizes(layer, stream)[1], stream.groups)
    return (gradient / (left * right),)


@backward_pairs.register
def _(
    layer: Normalisation,
    given: tuple[Pairs, ...],
    streams: tuple[Stream, ...],
    behind: Stream,
    step: Step,
    gradient: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Γ goes back as Θ goes forward, for the map is symmetric; of a batch without what moves its variance.

    With x̂ the output, a channel's gradient becomes g - (1/N)Σ g - x̂·(1/N)Σ g x̂ over the N entries of the batch, so behind what
    Θ does Γ ← Γ - (ΓX + XΓ)/N + X tr(ΓX)/N², X the Gram matrix of x̂. The variance s² of a channel departs from its mean by
    2 tr X²/N², relative and squared, which E 1/s² feels.

    Source: Ioffe, Szegedy (2015), in the mean over weights.
    """
    ((pairs,), (stream,)) = given, streams
    found = step(Pairs(pairs.value, gradient, pairs.rows))
    if layer.kind != "batch" or stream.alike:
        return (found.theta,)
    square, normal = _entries(found.theta, stream.groups), _entries(found.value, stream.groups)
    count = len(square)
    if count <= _PROJECTED:
        moved = square @ normal
        square = square - (moved + moved.T) / count + normal * (np.trace(moved) / count**2)
    square = square / (1 - 2 * (normal**2).sum() / np.trace(normal) ** 2)
    return (_pairwise(square, pairs.value.shape, stream.groups),)


def _entries(array: np.ndarray, groups: int) -> np.ndarray:
    """Between all entries of a batch, (n·P, n·P), of pairs of samples."""
    count = int(np.prod(array.shape[2:])) if groups == 2 else 1
    places = round(count**0.5)
    return array.reshape(len(array), len(array), places, places).transpose(0, 2, 1, 3).reshape(len(array) * places, -1)


def _pairwise(square: np.ndarray, shape: tuple[int, ...], groups: int) -> np.ndarray:
    """Back to pairs of samples."""
    samples = shape[0]
    places = len(square) // samples
    return square.reshape(samples, places, samples, places).transpose(0, 2, 1, 3).reshape(shape)


@given.register
def _(layer: Normalisation, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    (x,) = values
    if layer.kind == "batch":
        return _given_batch(layer, x, at)
    axes = (0, *range(2, x.ndim)) if layer.positions or at.flat else (0,)
    centre = x.mean(axis=axes, keepdims=True) if layer.kind == "layer" else 0.0
    size = np.sqrt(((x - centre) ** 2).mean(axis=axes, keepdims=True) + layer.epsilon)
    normal = (x - centre) / size
    lost = _lost(layer, diagonal(normal)) if x[0].size == 1 else None
    return GivenMap(normal, (diagonal(np.broadcast_to(1 / size, x.shape)),), lost=lost)


@passed.register
def _(layer: Normalisation, values: tuple[np.ndarray, ...], at: Pass) -> ChannelPass:
    """Each channel of a batch by its own mean and variance: g ↦ (g - mean g - x̂·mean(g x̂))/s; else over all channels.

    Source: Ioffe, Szegedy (2015).
    """
    (x,) = values
    axes = tuple(range(1, x.ndim))
    if layer.kind != "batch":
        axes = (0, *range(2, x.ndim)) if layer.positions else (0,)
    centre = 0.0 if layer.kind == "rms" else x.mean(axis=axes, keepdims=True)
    square = ((x - centre) ** 2).mean(axis=axes, keepdims=True)
    if layer.kind == "batch" and x[0].size < _FINITE:
        raise InputError(
            f"expected a batch of at least {_FINITE} entries of a channel before {described(layer)}, got {x[0].size}; of fewer "
            "the mean of squared gradients is not finite."
        )
    if layer.kind == "batch":
        check_different(float(square.mean()) > _ALIKE * float((x**2).mean()), layer)
    size = np.sqrt(square + layer.epsilon)
    normal = (x - centre) / size

    def back(gradient: np.ndarray) -> tuple[np.ndarray, ...]:
        along = normal * (gradient * normal).mean(axis=axes, keepdims=True)
        mean = 0.0 if layer.kind == "rms" else gradient.mean(axis=axes, keepdims=True)
        return ((gradient - mean - along) / size,)

    return ChannelPass(normal, back)


def _lost(layer: Normalisation, normal: np.ndarray) -> np.ndarray:
    """A normalisation passes nothing along its output, nor, of layers, along the mean: dn/dx = (1 - QQᵀ)/size."""
    unit = normal / len(normal) ** 0.5
    return np.hstack([np.full_like(unit, len(unit) ** -0.5), unit]) if layer.kind == "layer" else unit


def _given_batch(layer: Normalisation, x: np.ndarray, at: Pass) -> GivenMap:
    """Each channel by its mean and variance over the samples at hand, and over positions; these move with every entry.

    Statistics of its own that are fixed, as in eval mode, make it a given scale and shift of each channel.
    """
    if at.own is not None:
        centre, size = (each.reshape(-1, *(1 for _ in x.shape[1:])) for each in at.own)
        if len(size) != len(x):
            raise InputError(
                f"expected statistics of {len(x)} channels in {described(layer)}, got {len(size)}; take the signals of this very "
                "network."
            )
        return GivenMap((x - centre) / size, (diagonal(np.broadcast_to(1 / size, x.shape)),))
    flat, samples = diagonal(x), x.shape[1]
    count = flat.shape[1]
    if count == 1 or (at.flat and samples == 1):
        raise InputError(
            f"expected several samples before {described(layer)}, got one; it normalises over the batch, so give the batch."
        )
    places = count // samples if at.flat else 1
    average = np.kron(np.full((count // places, count // places), places / count), np.eye(places))
    centred = flat - flat @ average
    size = np.sqrt(centred**2 @ average + layer.epsilon)
    normal = centred / size
    own = (np.eye(count) - average - average * normal[:, :, None] * normal[:, None, :]) / size[:, None, :]
    return GivenMap(normal.reshape(x.shape), (own,))


@departing.register
def _(layer: Normalisation, around: Around) -> Departing:
    """It ends all departures of mean squares; of tr ΓQ, Q of entries whose own sizes are fixed, that over that of free sizes."""
    gamma, value = around.gamma, around.value
    size, weighed = float((gamma * value).sum()), 0.0
    if size > 0:
        share = row_shares(value, gamma)
        apart = (gamma / size - np.diag(share / np.maximum(np.diagonal(value), TINY))) @ value
        weighed = float(max((apart * apart.T).sum(), 0.0) / participation(value, gamma)) ** 0.5
    return Departing((0.0,), (0.0, 0.0), (0.0,), around.excess[0], (weighed,), of_scales(around))


@turned.register
def _(layer: Normalisation, size: Callable[[int], float], count: int) -> tuple[tuple[float, ...], ...]:
    """What comes back is divided by the size."""
    return ((-1.0,),)


@along_front.register
def _(layer: Normalisation, number: int, streams: tuple[Stream, ...], behind: Stream, along: np.ndarray) -> np.ndarray:
    """None along its input."""
    return np.zeros(streams[0].variance.shape)


@beyond.register
def _(layer: Normalisation, along: np.ndarray, given: Pairs, stream: Stream, behind: Stream) -> np.ndarray | float:
    """Of a gradient α x̂ nothing passes a norm of x̂'s own length: α² x̂·x̂/s² is taken out of Γ.

    Where a norm has the length of all positions together only their mean is, which is left in.
    """
    if layer.kind == "batch" or layer.positions:
        return 0.0

    def ends(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return sides(array, given.rows, stream.groups)

    (left, right), (first, second) = ends(along), ends(own_sizes(layer, stream)[1])
    value = _centred(layer, stream, given.value, ends)
    taken: np.ndarray = -left * right * value / (first * second) * (stream.features or 0)
    return taken
