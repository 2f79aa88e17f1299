"""What is known of lengths of signals in one network of its widths, and how much the rest departs: rules that files register.

Of n channels a signal's mean square departs from that of wide layers by a relative variance of 2/n of its part that is not known,
as behind a norm, and by what that departs beyond. That is less than 0 behind rotations. :func:`beyond_behind` says what an
operation makes of the latter, :func:`known_behind` what it makes of known second moments. Without a rule nothing is known, and
nothing beyond.

Source: derived for this project; tested by drawn networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.network.departures import TINY, lost
from freeness.network.moments import Stream
from freeness.network.operation import Operation, Weights, described

Sizes = Float[np.ndarray, " samples *positions"]


class Length(NamedTuple):
    """Of one signal: ``known`` second moments, and the relative variance ``beyond`` 2/n of the other part's mean squares."""

    known: Float[np.ndarray, " samples *positions"]
    beyond: Float[np.ndarray, " samples *_"]

    @staticmethod
    def given(stream: Stream) -> Length:
        """Of inputs, and behind a norm."""
        return Length(stream.second, np.zeros(stream.variance.shape))

    def total(self, stream: Stream) -> Float[np.ndarray, " samples *_"]:
        """Relative variance of the mean square at every position."""
        known = stream._replace(second=self.known).variance / np.maximum(stream.variance, TINY)
        return (2 / stream.features if stream.features else 0.0) * (1 - known**2) + (1 - known) ** 2 * self.beyond


@singledispatch
def own_sizes(operation: Operation, stream: Stream) -> tuple[Sizes, Sizes]:
    """What a norm centres each sample at, and divides it by. Register a function here for what says that it is one (``fixed``).

    Args:
        operation: the record, whose type chooses the rule.
        stream: in front of it.

    Raises:
        InputError: it has no rule.
    """
    raise InputError(f"expected a norm whose sizes are known, got {described(operation)}; register own_sizes for it.")


@singledispatch
def known_behind(
    operation: Operation, known: Float[np.ndarray, "*pairs"] | None, shape: tuple[int, ...]
) -> Float[np.ndarray, "*_"] | None:
    """Known second moments behind an operation of one signal; None: nothing. Register a function here for a new operation.

    Args:
        operation: the record, whose type chooses the rule.
        known: in front.
        shape: of second moments behind.
    """
    return None


@singledispatch
def beyond_behind(
    operation: Operation, streams: tuple[Stream, ...], lengths: Sequence[Length], behind: Stream
) -> Float[np.ndarray, " samples *_"] | float:
    """Relative variance beyond 2/n of mean squares behind an operation. Register a function here for a new operation.

    Args:
        operation: the record, whose type chooses the rule.
        streams: in front of it.
        lengths: of these.
        behind: the stream behind it.
    """
    return 0.0


@beyond_behind.register
def _(
    operation: Weights, streams: tuple[Stream, ...], lengths: Sequence[Length], behind: Stream
) -> Float[np.ndarray, " samples *_"] | float:
    """All of what is read; of windows in the mean. Other weights than Gaussian ones lose less, square rotations nothing."""
    total = lengths[0].total(streams[0]) - 2 * (1 / operation.sizes[1] - lost(operation))
    return total if total.shape == behind.variance.shape else float(total.mean())
