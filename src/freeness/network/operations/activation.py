"""A function of every neuron by itself."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from freeness.errors import InputError
from freeness.gaussian import (
    ActivationFunction,
    Shifted,
    at_one,
    bend_noise,
    lattice,
    normal_points,
    second_moment_slope,
    slope_dependence,
    standardised,
    transfer,
)
from freeness.network.along import along_front, beyond
from freeness.network.departures import TINY, Around, Departing, cosines, departing, row_shares, turned
from freeness.network.derivatives import GivenMap, Pass, diagonal, given
from freeness.network.lengths import Length, beyond_behind
from freeness.network.moments import (
    Latent,
    Pairs,
    Step,
    Stream,
    alone,
    as_kernels,
    backward,
    backward_pairs,
    forward,
    sides,
)
from freeness.network.operation import Operation, described
from freeness.numerics import gaussian_nodes

Ends = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

_DARK = 1e-14  # variance in place of 0, relative to the largest


@dataclass(frozen=True)
class Activation(Operation):
    """x = φ(h), elementwise."""

    function: ActivationFunction
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.function, ActivationFunction):
            raise InputError(
                f"expected an ActivationFunction, got {self.function!r}; take freeness.activation(name) or custom_activation."
            )

    @property
    def bends(self) -> bool:
        return True


class _Bent(NamedTuple):
    """E φ², E φ'² and E φ by sample and position, and E φφ, E φ'φ' of pairs, whose ends the first argument shapes."""

    second: np.ndarray
    slope: np.ndarray
    mean: Callable[[], np.ndarray]
    through: Callable[[Ends, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _bent(layer: Activation, stream: Stream, pairs: int) -> _Bent:
    """Prepared for some pairs."""
    function, q = layer.function, _variance(stream)
    if stream.gaussian:
        through = transfer(function, q, pairs) if pairs else None
        second, slope = at_one(function, q)

        def between(ends: Ends, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            assert through is not None
            return through(*ends(q), array)

        return _Bent(second, slope, lambda: _means(function, q), between)
    if stream.points is None or not stream.smooth:
        raise InputError(
            f"expected Gaussian signals before {described(layer)}, got what no weight layer made so; Gaussian theory covers "
            "activations behind weights, normalisations of weights, and sums with such."
        )
    mean = np.zeros(q.shape) if stream.mean is None else stream.mean()
    spread = np.maximum(q - mean**2, _DARK * q.max())
    shifted = Shifted.at(function, mean, spread, stream.points())

    def apart(ends: Ends, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        (one, other), (left, right) = ends(mean), ends(spread)
        return shifted.between(ends, np.clip((array - one * other) / np.sqrt(left * right), -1.0, 1.0))

    return _Bent(shifted.second, shifted.slope, lambda: shifted.mean, apart)


@forward.register
def _(layer: Activation, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    rows = stream.second.shape[0]
    bent, groups = _bent(layer, stream, rows * stream.second.size), stream.groups
    own, everyone = stream.second, np.arange(rows)

    def step(pairs: Pairs) -> Pairs:
        exact = pairs.value.copy()  # a sample's product with itself carries no rounding of another way of computing
        same = everyone[: len(exact)]
        exact[same, same] = own[pairs.rows]
        new, factor = bent.through(lambda array: sides(array, pairs.rows, groups), exact)
        before = pairs if pairs.latent is None else pairs._replace(latent=None)
        return Pairs(new, factor * pairs.theta, pairs.rows, before)

    second = _within(bent.through(_by_itself, own)[0], bent.second) if stream.across else bent.second
    mean = np.zeros(stream.variance.shape) if stream.mean is None else stream.mean()
    points = lambda: standardised(layer.function.function(_law(stream)))  # noqa: E731
    latent = Latent(layer.function, mean, stream.second)
    return stream.renewed(second, bent.slope * stream.growth, bent.mean, False, points, latent), step


@backward.register
def _(layer: Activation, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """Γ ← Γ∘E φ'φ'."""
    (stream,) = streams
    bent = _bent(layer, stream, stream.second.size if stream.across else 0)
    if not stream.across:
        return (bent.slope * gradient,)
    return (_within(bent.through(_by_itself, stream.second)[1], bent.slope) * gradient,)


backward_pairs.register(Activation, as_kernels)  # Γ ← Γ∘E φ'φ', which Θ is multiplied by as well


def dependence(
    first: Activation, before: Stream, second: Activation, scales: tuple[float, ...], rest: tuple[Stream, ...]
) -> float:
    """E φ₁'(h)²φ₂'(s)² over E φ₁'² E φ₂'², s = c₀φ₁(h) + Σ c_k x_k: a neuron that a skip connection leads past weights stays on.

    Args:
        first: φ₁.
        before: h.
        second: φ₂.
        scales: c₀, c₁, ….
        rest: x₁, …, independent of h.
    """
    entries = _law(before)
    total = scales[0] * first.function.function(entries)
    for index, (scale, one) in enumerate(zip(scales[1:], rest, strict=True), start=1):
        total = total + scale * _law(one)[lattice(index)]
    one, other = first.function.derivative(entries) ** 2, second.function.derivative(total) ** 2
    return float((one * other).mean() / max(one.mean() * other.mean(), np.finfo(float).tiny))


def _law(stream: Stream) -> np.ndarray:
    """Points of a signal's law, at its mean position."""
    mean = np.zeros(stream.variance.shape) if stream.mean is None else stream.mean()
    points = normal_points() if stream.points is None else stream.points()
    return mean.mean() + np.maximum(stream.variance - mean**2, 0.0).mean() ** 0.5 * points


def _by_itself(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return alone(array, 2)


@given.register
def _(layer: Activation, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    (x,) = values
    return GivenMap(layer.function.function(x), (diagonal(layer.function.derivative(x)),))


def _variance(stream: Stream) -> np.ndarray:
    """q by sample and position: black pixels behind weights without biases have 0."""
    q = stream.variance
    return np.maximum(q, _DARK * q.max())


def _within(found: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Between the positions of each sample, with what is known where they are the same."""
    count = int(np.prod(same.shape[1:]))
    square = found.reshape(len(same), count, count).copy()
    square[:, np.arange(count), np.arange(count)] = same.reshape(len(same), count)
    return square.reshape(found.shape)


def _means(function: ActivationFunction, q: np.ndarray) -> np.ndarray:
    """E φ(√q ξ) at every variance."""
    unique, place = np.unique(q, return_inverse=True)
    means = [weights @ function.function(h) for h, weights in (gaussian_nodes(v, function.kinks) for v in unique)]
    return np.array(means)[place].reshape(q.shape)


@departing.register
def _(layer: Activation, around: Around) -> Departing:
    """φ(h)² follows h² by the gain d ln E φ²/d ln q and fluctuates beyond; what comes back is multiplied by φ'².

    Behind a norm that takes the mean over neurons without what that mean does.
    """
    bend = bend_noise(layer.function, float(around.streams[0].variance.mean()))
    cosine, (value_lean, slope_lean) = cosines(around.values[0]), bend.lean if around.centred else (0.0, 0.0)
    noise, same = bend.of_values(cosine) - value_lean * cosine, cosines(around.gammas[0])
    back = (1 + 2 * same**2) * bend.of_slopes(cosine) - 2 * bend.turn**2 * cosine**2 - slope_lean * cosine

    def over(value: np.ndarray, gamma: np.ndarray | None, noise: np.ndarray, count: int | None) -> float:
        share = row_shares(value, gamma)
        return float(share @ noise @ share) / (count or np.inf)

    return Departing(
        (bend.gain,),
        around.both(lambda gamma: over(around.value, gamma, noise, around.stream.features)),
        (over(around.values[0], around.gammas[0], back, around.streams[0].features),),
        bend.excess,
    )


@turned.register
def _(layer: Activation, size: Callable[[int], float], count: int) -> tuple[tuple[float, ...], ...]:
    """E φ'² grows with q by d ln E φ'²/d ln q."""
    return ((bend_noise(layer.function, size(0)).turn,),)


@beyond_behind.register
def _(layer: Activation, streams: tuple[Stream, ...], lengths: Sequence[Length], behind: Stream) -> np.ndarray | float:
    """φ² of a Gaussian beyond what its own square has."""
    if not behind.features:
        return 0.0
    bend = bend_noise(layer.function, float(streams[0].variance.mean()))
    return (bend.excess - 2) / behind.features + bend.gain**2 * lengths[0].beyond


@along_front.register
def _(layer: Activation, number: int, streams: tuple[Stream, ...], behind: Stream, along: np.ndarray) -> np.ndarray:
    """E hφ'(h)φ(h) = q·d/dq E φ²."""
    return second_moment_slope(layer.function, float(streams[0].variance.mean())) * along


@beyond.register
def _(layer: Activation, along: np.ndarray, given: Pairs, stream: Stream, behind: Stream) -> np.ndarray | float:
    """α(a)α(b)·(E φ'φφ'φ - E φ'φ'·E φφ) for each neuron, by the correlation in front, at the mean variance."""
    if not along.any():
        return 0.0
    turns, apart = slope_dependence(layer.function, float(stream.variance.mean()))
    one, other = sides(np.sqrt(np.maximum(stream.variance, TINY)), given.rows, stream.groups)
    found = np.interp(np.arccos(np.clip(given.value / (one * other), -1.0, 1.0)), turns, apart)
    left, right = sides(along * np.sqrt(behind.variance), given.rows, stream.groups)
    return left * right * found * (stream.features or 0)
