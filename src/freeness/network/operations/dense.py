"""A fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError
from freeness.network.derivatives import Pattern, pattern
from freeness.network.moments import Pairs, Step, Stream, forward
from freeness.network.operation import described
from freeness.network.operations.weighted import OneMatrix, weighted


@dataclass(frozen=True)
class Dense(OneMatrix):
    """h = W x + b with W of shape (fan_out, fan_in); ``bias`` says whether b is trained, sigma_b is its standard deviation."""


@forward.register
def _(layer: Dense, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    if stream.variance.ndim > 1:
        raise InputError(
            f"expected a vector before {described(layer)}, got {stream.variance.shape[1:]} positions; put Flatten or Pooling "
            "there."
        )
    return weighted(layer, stream)


@pattern.register
def _(layer: Dense, shape: tuple[int, ...], flat: bool = False, trained: bool = False) -> Pattern:
    """Of a vector one number; behind flattening each position has weights of its own."""
    count = int(np.prod(shape))
    if count > 1 and not flat:
        raise InputError(f"expected one position before {described(layer)}, got {shape}; flatten or pool before it.")
    return Pattern(np.eye(count)[:, None], ())
