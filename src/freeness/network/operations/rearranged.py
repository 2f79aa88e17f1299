"""What an operation that only moves, or takes, entries by their positions does to second moments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from freeness.network.moments import Pairs, Step, Stream

Rearranging = Callable[[np.ndarray, int, int], np.ndarray]  # array, axes of samples, groups of spatial axes


def rearranged(stream: Stream, how: Rearranging) -> tuple[Stream, Step]:
    """The stream, and the step of pairs, with all that lies at positions taken where it goes."""

    def step(pairs: Pairs) -> Pairs:
        return Pairs(how(pairs.value, 2, stream.groups), how(pairs.theta, 2, stream.groups), pairs.rows)

    mean = stream.mean
    after = stream._replace(
        second=how(stream.second, 1, stream.groups),
        latent=None,
        growth=how(stream.growth, 1, 1),
        mean=None if mean is None else lambda: how(mean(), 1, 1),
    )
    return after, step
