"""What weights over channels do to second moments, whatever positions they are shared over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError
from freeness.network.along import along_front, beyond, over_positions, spread_front
from freeness.network.derivatives import pattern
from freeness.network.ensembles import Ensemble, Haar, ScaledIdentity, variance_gain
from freeness.network.moments import Pairs, Step, Stream, Trained, backward, sides, trained
from freeness.network.operation import Weights, described


@dataclass(frozen=True)
class OneMatrix(Weights):
    """Weights W of shape (fan_out, fan_in) over channels."""

    fan_in: int
    fan_out: int
    weights: Ensemble
    sigma_b: float = 0.0
    bias: bool = False
    name: str = ""

    @property
    def sizes(self) -> tuple[int, int]:
        return self.fan_in, self.fan_out


Mixing = Callable[[np.ndarray, int, int], np.ndarray]  # array, axes of samples, groups of spatial axes


def unmixed(array: np.ndarray, lead: int, groups: int) -> np.ndarray:
    """Every position by itself."""
    return array


def counted(layer: Weights, stream: Stream) -> Stream:
    """The stream with the features that a layer writes."""
    expected, written = layer.sizes
    if stream.features not in (None, expected):
        raise InputError(
            f"expected {expected} features before {described(layer)}, got {stream.features}; correct the sizes."
        )
    same = stream.features == written and not stream.uneven
    return stream if same else stream._replace(features=written, uneven=False)


def weighted(layer: Weights, stream: Stream, mixed: Mixing = unmixed, seen: Mixing = unmixed) -> tuple[Stream, Step]:
    """Σ' = gain·mixed(Σ) + σ_b². NTK: Θ' = gain·mixed(Σ + Θ) + σ_b²; standard: Θ' = entries·seen(Σ) + gain·mixed(Θ) + 1.

    The last terms where the bias is trained.
    """
    stream = counted(layer, stream)
    gain = variance_gain(layer.weights, *layer.sizes)
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
            theta = (
                layer.entries * seen(pairs.value, 2, groups) + gain * mixed(pairs.theta, 2, groups) + float(layer.bias)
            )
            return Pairs(value, theta, pairs.rows)
        theta = value + gain * mixed(pairs.theta, 2, groups)
        return Pairs(value, theta if trained == bias else theta + (trained - bias), pairs.rows)

    second = gain * mixed(stream.second, 1, groups) + bias
    growth = gain * mixed(stream.growth, 1, 1)
    return stream.renewed(second, growth, None, True), step


@backward.register
def _(layer: Weights, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """Γ ← gain·(mean over taps of TᵀΓT): E‖Wᵀg‖² = ‖W‖_F²/N'·‖g‖² has the gain of E‖Wx‖²."""
    (stream,) = streams
    gain = variance_gain(layer.weights, *layer.sizes)
    shape = stream.variance.shape[1:]
    if stream.alike or not shape:
        return (gain * gradient,)
    found = pattern(layer, shape)
    taps, out = found.taps, int(np.prod(found.shape))
    if stream.across:
        square = gradient.reshape(-1, out, out)
        passed = np.mean([tap.T @ square @ tap for tap in taps], axis=0)
    else:
        passed = gradient.reshape(-1, out) @ (taps**2).mean(axis=0)
    return (gain * passed.reshape(stream.second.shape),)


@trained.register
def _(layer: Weights, streams: tuple[Stream, ...], gradient: np.ndarray) -> Trained | None:
    """E‖∂ℓ/∂W‖² = fan-in·Σ_pp' Γ_pp' Σ_τ (TΣTᵀ)_pp' over all taps, as forward and backward signals are independent.

    Source: Schoenholz et al. (2017); Karakida, Akaho, Amari (2019) for its sum, the trace of the Fisher matrix.
    """
    (stream,) = streams
    shape = stream.variance.shape[1:]
    if stream.alike or not shape:
        return Trained(layer.entries * gradient * stream.second, float(layer.bias) * gradient)
    taps = pattern(layer, shape, trained=True).taps
    out, inner = taps.shape[1:]
    if stream.across:
        square, flat = gradient.reshape(-1, out, out), stream.second.reshape(-1, inner, inner)
        weights = np.sum([(square * (tap @ flat @ tap.T)).sum(axis=(1, 2)) for tap in taps], axis=0)
        shared = square.sum(axis=(1, 2))
    else:
        by_place = gradient.reshape(-1, out)
        weights = (by_place * (stream.second.reshape(-1, inner) @ (taps**2).sum(axis=0).T)).sum(axis=1)
        shared = by_place.sum(axis=1)
    return Trained(layer.entries / len(taps) * weights, float(layer.bias) * shared)


@beyond.register
def _(operation: Weights, along: np.ndarray, given: Pairs, stream: Stream, behind: Stream) -> np.ndarray | float:
    """WᵀW of Gaussian W departs from a multiple of 1 along x."""
    if isinstance(operation.weights, Haar):
        return 0.0
    left, right = sides(along_front(operation, 0, (stream,), behind, along), given.rows, stream.groups)
    return left * right * given.value * (stream.features or 0)


@along_front.register
def _(operation: Weights, number: int, streams: tuple[Stream, ...], behind: Stream, along: np.ndarray) -> np.ndarray:
    """WᵀW is σ_w²N'/N on average."""
    into, out = operation.sizes
    return over_positions(variance_gain(operation.weights, into, out) * out / into * along, streams[0])


@spread_front.register
def _(operation: Weights, along: np.ndarray, spread: np.ndarray, front: np.ndarray) -> np.ndarray:
    """None: they mix the entries."""
    return np.zeros_like(front)
