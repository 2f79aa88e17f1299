"""Layers that repeat: a deep network's variances settle, and from there on one layer's rule is that of the next.

Nothing is approximated. What an operation makes of a signal is recalled where the same operation meets the same numbers, bit for
bit, as it does once a contracting map has reached its fixed point in floating point.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from freeness.network import DrawnSource, Operation, Step, Stream, forward

_SETTINGS = slice(2, -1)  # fields of a stream but its moments in front and its sources behind
_PLAIN = (bool, int, float, str)


@dataclass
class Recalled:
    """What an operation last made of a signal without positions."""

    operation: Operation
    before: Stream
    found: Stream
    step: Step

    def fits(self, operation: Operation, stream: Stream) -> bool:
        """Whether ``operation`` has the same rule, and meets the same signal but for its growth and its sources."""
        mine, known, before = vars(operation), vars(self.operation), self.before
        return (
            _same_numbers(stream.second, before.second)
            and all(map(_same, stream[_SETTINGS], before[_SETTINGS]))
            and all(_same(value, known[key]) or key == "name" for key, value in mine.items())
        )

    def again(self, growth: np.ndarray, sources: frozenset[DrawnSource]) -> Stream:
        """The stream behind it; growth is a product of factors, of which only the last is this operation's."""
        return self.found._replace(growth=self.factor * growth, sources=sources)

    @cached_property
    def factor(self) -> np.ndarray:
        """By how much the operation multiplies growth."""
        return forward(self.operation, self.before._replace(growth=np.ones_like(self.before.growth)), None)[0].growth


def recallable(stream: Stream) -> bool:
    """Whether an operation treats every sample and every neuron alike, so that growth passes by a factor."""
    return stream.second.ndim == 1 and not stream.across


def _same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, _PLAIN) and one == other)


def _same_numbers(one: np.ndarray, other: np.ndarray) -> bool:
    return one is other or (one.shape == other.shape and bool((one == other).all()))
