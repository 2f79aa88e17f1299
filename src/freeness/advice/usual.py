"""What is usual of a positive number that a training gives step by step, for about a microsecond a step."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from statistics import median

from freeness.numerics import LARGEST_EXPONENT

WINDOW = 60  # steps that say what is usual
FEWEST = 20  # of them before anything is called unusual
SCATTERS = 8.0  # robust standard deviations; told from 60 steps these may be a quarter too small, and tails are heavy
TIMES = 3.0  # and so many times the usual, for a steady run's scatter may be tiny
_FRESH = 10  # steps after which what is usual is looked at anew


def usual(values: Sequence[float]) -> tuple[float, float]:
    """Median and robust standard deviation (1.4826 times the median distance from it).

    Example:
        >>> usual([1.0, 2.0, 3.0, 4.0, 100.0])
        (3.0, 1.4826)
    """
    middle = median(values)
    return middle, 1.4826 * median(abs(value - middle) for value in values)


def unusual(value: float, before: Sequence[float], scatters: float = SCATTERS) -> float | None:
    """How many times the usual a positive number is, where that is far beyond scatter; None where it is not, or is not known.

    ``before`` is in logarithms, for losses and gradients scatter by factors.

    Example:
        >>> unusual(50.0, [1.0, 1.1, 0.9] * 10), unusual(1.2, [1.0, 1.1, 0.9] * 10)
        (50.0, None)
    """
    known = [math.log(one) for one in before if 0 < one < math.inf]
    if len(known) < FEWEST:
        return None
    if not math.isfinite(value):
        return math.inf
    middle, scatter = usual(known)
    if value <= 0 or math.log(value) - middle <= max(scatters * scatter, math.log(TIMES)):
        return None
    return value / math.exp(middle)


class Usual:
    """Hears a number every step, and says of the next one how many times the usual it is.

    Beside scatter, what was seen counts: of data from several sources one may be rare and far from the median, and still usual.
    So a number must lie farther beyond the largest of the window than that lies beyond the median.

    Example:
        >>> known = Usual()
        >>> for step in range(30):
        ...     known.add(1.0 + 0.1 * (step % 3))
        >>> known.times(2.0), round(known.times(11.0), 6), known.times(float("nan"))
        (None, 10.0, inf)

    Attributes:
        middle: the median of the window, where that is known.
        odd: from which on a number is unusual whatever its scatter, as the loss of an untrained network is.
    """

    def __init__(self) -> None:
        self.middle = 1.0
        self.odd = math.inf
        self._values: deque[float] = deque(maxlen=WINDOW)
        self._limit = math.inf  # beyond which a number is unusual
        self._fresh = 0

    def add(self, value: float) -> None:
        """The number of a step, whatever it is."""
        if not 0 < value < math.inf:
            return
        self._values.append(value)
        self._fresh += 1
        if len(self._values) >= FEWEST and (self._fresh >= _FRESH or math.isinf(self._limit)):
            self._look()

    def _look(self) -> None:
        self._fresh = 0
        logarithms = [math.log(value) for value in self._values]
        middle, scatter = usual(logarithms)
        scattered = min(SCATTERS * scatter, math.log(self.odd) - middle)
        apart = max(scattered, math.log(TIMES), 2 * (max(logarithms) - middle))
        self._limit = math.exp(min(middle + apart, LARGEST_EXPONENT))
        self.middle = math.exp(middle)

    def times(self, value: float) -> float | None:
        """How many times the usual a number is; None where it is usual, or what is usual is not known."""
        if not math.isfinite(value):
            return math.inf
        return value / self.middle if value > self._limit else None
