"""Of a loss gradient the part that goes along the signal: f - y of squared errors, say, which knows of all weights behind it.

The gradient of a sample at some place is α times its signal there, and what is uncorrelated with it. Weights give the first part
more than ‖W‖²: WᵀWx lies along x. A nonlinearity multiplies it by φ', which depends on φ.

Source: derived for this project, by Stein's lemma; tested by drawn networks.
"""

from __future__ import annotations

import numpy as np

from freeness.gaussian import second_moment_slope
from freeness.network import (
    TINY,
    Activation,
    Convolution,
    Dropout,
    Haar,
    Node,
    Normalisation,
    Operation,
    Pairs,
    Stream,
    Sum,
    Weights,
    backward,
    sides,
    variance_gain,
)
from freeness.numerics import gaussian_nodes

_ORDERS = 64  # of the Hermite series of φφ', φ and φ'; what is left out is told to c⁶⁴
_ANGLES = 1025  # between which is interpolated: to 1e-6


def beyond(operation: Operation, along: np.ndarray, given: Pairs, stream: Stream, behind: Stream) -> np.ndarray | float:
    """What Γ in front of an operation has beyond that of independent gradients, of all pairs.

    Args:
        operation: the record, whose type chooses the rule.
        along: α behind it.
        given: pairs in front of it.
        stream: in front of it.
        behind: the stream behind it.
    """
    if isinstance(operation, Activation):
        return _bent(operation, along, given, stream, behind.variance)
    if isinstance(operation, Weights) and not isinstance(operation.weights, Haar):
        left, right = sides(_through(operation, along, stream), given.rows, stream.groups)
        return left * right * given.value * (stream.features or 0)
    if isinstance(operation, Dropout):
        left, right = sides(along, given.rows, stream.groups)
        return left * right * given.value * _masked(1 - operation.rate, given) * (stream.features or 0)
    return 0.0


def _masked(kept: float, given: Pairs) -> np.ndarray:
    """What a signal's own mask adds: m g of g = α m x is α m² x, m of mean 1 and fourth moment 1/kept³."""
    found = np.full(given.value.shape, 1 / kept**2 - 1)
    itself = np.arange(len(found))
    found[itself, itself] = 1 / kept**3 - 1 / kept**2
    return found


def _bent(operation: Activation, along: np.ndarray, given: Pairs, stream: Stream, behind: np.ndarray) -> np.ndarray:
    """α(a)α(b)·(E φ'φφ'φ - E φ'φ'·E φφ) for each neuron, by the correlation in front, at the mean variance."""
    if not along.any():
        return np.zeros(given.value.shape)
    turns, apart = _dependence(operation, float(stream.variance.mean()))
    one, other = sides(np.sqrt(np.maximum(stream.variance, TINY)), given.rows, stream.groups)
    found = np.interp(np.arccos(np.clip(given.value / (one * other), -1.0, 1.0)), turns, apart)
    left, right = sides(along * np.sqrt(behind), given.rows, stream.groups)
    return left * right * found * (stream.features or 0)


def _dependence(operation: Activation, q: float) -> tuple[np.ndarray, np.ndarray]:
    """Angles, 0 to π, and E φ'φφ'φ - E φ'φ'·E φφ between Gaussians at such an angle, over E φ².

    Source: Mehler's formula.
    """
    h, weights = gaussian_nodes(q, operation.function.kinks)
    value, slope = operation.function.function(h), operation.function.derivative(h)
    series, z, turns = np.stack([value * slope, value, slope]), h / np.sqrt(q), np.linspace(0, np.pi, _ANGLES)
    polynomial, before, left_out = np.ones_like(z), np.zeros_like(z), series**2 @ weights
    total, power = np.zeros((3, _ANGLES)), np.ones(_ANGLES)
    for n in range(_ORDERS):
        squares = (series * polynomial @ weights) ** 2
        total, left_out = total + np.multiply.outer(squares, power), left_out - squares
        power = power * np.cos(turns)
        before, polynomial = polynomial, (z * polynomial - np.sqrt(n) * before) / np.sqrt(n + 1)
    both, values, slopes = total + np.multiply.outer(np.maximum(left_out, 0.0), power)
    return turns, (both - values * slopes) / max(float(value**2 @ weights), TINY)


def together(one: np.ndarray, other: np.ndarray, given: Pairs, stream: Stream) -> np.ndarray:
    """What two gradients that come back to one signal have in common, beside their own Γ: 2·α₁α₂ x·x.

    Args:
        one: α of the one.
        other: α of the other.
        given: pairs of the signal.
        stream: the signal.
    """
    (left, right), (first, second) = (sides(each, given.rows, stream.groups) for each in (one, other))
    return (left * second + first * right) * given.value * (stream.features or 0)


def share(node: Node, number: int, stream: Stream, behind: Stream, along: np.ndarray) -> np.ndarray:
    """α in front of an operation, from that behind it.

    WᵀW is σ_w²N'/N on average; E hφ'(h)φ(h) = q·d/dq E φ²; of a normalisation the gradient has no part along its input. All
    else that reads one signal is homogeneous of degree 1, and g·x is the same on both sides of it (Euler).

    Args:
        node: of the operation.
        number: which of the signals that it reads.
        stream: that signal.
        behind: the stream behind it.
        along: α behind it.
    """
    operation, shape = node.operation, stream.variance.shape
    if isinstance(operation, Weights):
        return _through(operation, along, stream)
    if isinstance(operation, Activation):
        return second_moment_slope(operation.function, float(stream.variance.mean())) * along
    if isinstance(operation, Sum):
        return _spread(operation.scales[number] ** 2 * along, shape)
    if isinstance(operation, Normalisation) or len(node.inputs) > 1:
        return np.zeros(shape)
    return _homogeneous(stream, behind, along)


def _homogeneous(stream: Stream, behind: Stream, along: np.ndarray) -> np.ndarray:
    """At each position where these are the same, else in the mean over them."""
    into, out = stream.features, behind.features
    passed: np.ndarray = along * behind.variance * (1.0 if into is None or out is None else out / into)
    if passed.shape == stream.variance.shape:
        return passed / np.maximum(stream.variance, TINY)
    before, after = (array.reshape(len(array), -1).sum(axis=1) for array in (stream.variance, passed))
    return _spread(after / np.maximum(before, TINY), stream.variance.shape)


def _through(operation: Weights, along: np.ndarray, stream: Stream) -> np.ndarray:
    """W_τᵀ meets W_τ of as many windows as see a position."""
    into, out = operation.sizes
    if isinstance(operation, Convolution):
        alone = stream._replace(second=stream.variance, across=False)
        (back,) = backward(operation, (alone,), alone, along)
        return back * (out / into)
    return _spread(variance_gain(operation.weights, into, out) * out / into * along, stream.variance.shape)


def _spread(along: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """To other positions, in the mean over them."""
    if along.shape == shape:
        return along
    mean = along.reshape(len(along), -1).mean(axis=1)
    return np.broadcast_to(mean.reshape(-1, *[1] * (len(shape) - 1)), shape)
