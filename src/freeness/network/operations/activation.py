"""A function of every neuron by itself."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction, at_one, transfer
from freeness.network.derivatives import GivenMap, Pass, diagonal, given
from freeness.network.moments import Pairs, Step, Stream, alone, backward, backward_pairs, forward, sides
from freeness.network.operation import Operation, described
from freeness.numerics import gaussian_nodes

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


@forward.register
def _(layer: Activation, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    if not stream.gaussian:
        raise InputError(
            f"expected Gaussian signals before {described(layer)}, got what no weight layer made so; Gaussian theory covers "
            "activations behind weights, normalisations of weights and sums of such."
        )
    function, rows = layer.function, stream.second.shape[0]
    q = _variance(stream)
    through = transfer(function, q, rows * stream.second.size)
    value, slope = at_one(function, q)
    own, everyone = stream.second, np.arange(rows)

    def step(pairs: Pairs) -> Pairs:
        exact = pairs.value.copy()  # a sample's product with itself carries no rounding of another way of computing
        exact[everyone[: len(exact)], everyone[: len(exact)]] = own[pairs.rows]
        left, right = sides(q, pairs.rows, stream.groups)
        new, factor = through(left, right, exact)
        return Pairs(new, factor * pairs.theta, pairs.rows)

    second = _within(through(*alone(q, 2), own)[0], value) if stream.across else value
    after = stream.renewed(second, slope * stream.growth, lambda: _means(function, q), False)
    return after, step


@backward.register
def _(layer: Activation, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """Γ ← Γ∘E φ'φ'."""
    (stream,) = streams
    q = _variance(stream)
    slope = at_one(layer.function, q)[1]
    if not stream.across:
        return (slope * gradient,)
    through = transfer(layer.function, q, stream.second.size)
    return (_within(through(*alone(q, 2), stream.second)[1], slope) * gradient,)


@backward_pairs.register
def _(
    layer: Activation,
    given: tuple[Pairs, ...],
    streams: tuple[Stream, ...],
    behind: Stream,
    step: Step,
    gradient: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Γ ← Γ∘E φ'φ', which Θ is multiplied by as well."""
    (pairs,) = given
    return (step(Pairs(pairs.value, gradient, pairs.rows)).theta,)


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
