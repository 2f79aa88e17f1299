"""A fully connected layer that acts on every position alike: a linear layer on tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError
from freeness.network.derivatives import Pattern, pattern
from freeness.network.moments import Pairs, Step, Stream, forward
from freeness.network.operation import described
from freeness.network.operations.weighted import OneMatrix, weighted


@dataclass(frozen=True)
class PositionWise(OneMatrix):
    """h_p = W x_p + b at every position p, with one W of shape (fan_out, fan_in): a convolution of one tap."""


@forward.register
def _(layer: PositionWise, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    return weighted(layer, stream)


@pattern.register
def _(layer: PositionWise, shape: tuple[int, ...], flat: bool = False, trained: bool = False) -> Pattern:
    count = int(np.prod(shape))
    if count > 1 and flat:
        raise InputError(f"expected positions before {described(layer)}, got a flattened signal; take a Dense layer.")
    return Pattern(np.eye(count)[None], shape)
