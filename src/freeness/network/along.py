"""Of a loss gradient the part that goes along the signal: f - y of squared errors, say, which knows of all weights behind it.

The gradient of a sample at some place is α times its signal there, and what is uncorrelated with it. Weights give the first part
more than ‖W‖²: WᵀWx lies along x. A nonlinearity multiplies it by φ', which depends on φ. The rules that files register are
:func:`along_front`, α in front of an operation, and :func:`beyond`, what it adds to Γ there. Masks give every entry a factor of
its own, of mean α; its variance is :func:`spread_front`, until weights have mixed the entries.

Source: derived for this project, by Stein's lemma; tested by drawn networks.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from jaxtyping import Float

from freeness.network.departures import TINY
from freeness.network.moments import Pairs, Stream
from freeness.network.operation import Operation

Along = Float[np.ndarray, " samples *_"]


@singledispatch
def beyond(
    operation: Operation, along: Along, given: Pairs, stream: Stream, behind: Stream
) -> Float[np.ndarray, "*pairs"] | float:
    """What Γ in front of an operation has beyond that of independent gradients, of all pairs. Register a new operation here.

    Args:
        operation: the record, whose type chooses the rule.
        along: α behind it.
        given: pairs in front of it.
        stream: in front of it.
        behind: the stream behind it.
    """
    return 0.0


@singledispatch
def along_front(operation: Operation, number: int, streams: tuple[Stream, ...], behind: Stream, along: Along) -> Along:
    """α in front of an operation, from that behind it. Register a function here for a new operation.

    Without a rule what reads one signal is homogeneous of degree 1, so that g·x is the same on both sides of it (Euler). Where
    signals meet that are no sum, and in front of a norm, the gradient has no part along them.

    Args:
        operation: the record, whose type chooses the rule.
        number: which of the signals that it reads.
        streams: in front of it, in order.
        behind: the stream behind it.
        along: α behind it.
    """
    stream = streams[number]
    if operation.sums is not None:
        return over_positions(operation.sums[number] ** 2 * along, stream)
    if len(streams) > 1 or operation.fixed is not None:
        return np.zeros(stream.variance.shape)
    into, out = stream.features, behind.features
    passed: np.ndarray = along * behind.variance * (1.0 if into is None or out is None else out / into)
    if passed.shape == stream.variance.shape:
        return passed / np.maximum(stream.variance, TINY)
    before, after = (array.reshape(len(array), -1).sum(axis=1) for array in (stream.variance, passed))
    return over_positions(after / np.maximum(before, TINY), stream)


@singledispatch
def spread_front(operation: Operation, along: Along, spread: Along, front: Along) -> Along:
    """Variance of an entry's own factor in front of an operation. Register a function here for a new operation.

    Without a rule it goes as α² does; weights and norms leave none.

    Args:
        operation: the record, whose type chooses the rule.
        along: α behind it.
        spread: variance behind it.
        front: α in front of it.
    """
    if operation.fixed is not None or front.shape != along.shape:
        return np.zeros_like(front)
    return spread * (front / np.where(along == 0, 1.0, along)) ** 2


def over_positions(along: Along, stream: Stream) -> Along:
    """At other positions, in the mean over them."""
    shape = stream.variance.shape
    if along.shape == shape:
        return along
    mean = along.reshape(len(along), -1).mean(axis=1)
    return np.broadcast_to(mean.reshape(-1, *[1] * (len(shape) - 1)), shape)
