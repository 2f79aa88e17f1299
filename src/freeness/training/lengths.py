"""How the best rate changes with the length of training and with the batch: measured exponents, with what they are worth.

rate ∝ steps^a · batch^b, from sweeps of the smallest networks of two families (an MLP and a residual MLP on Fashion-MNIST), each
from two seeds: training eight times as long, and batches 16 times as large. Nothing here says that the exponents hold beyond
what was tried; known limits are b = 1 for gradient descent (Goyal et al. 2017) and ½ for Adam (Malladi et al. 2022).

Source: docs/transfer/lengths.jsonl, by scripts/transfer_length.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from freeness.errors import InputError, is_size

Stepper = Literal["sgd", "momentum", "adam"]
STEPS, BATCHES = (75, 600), (16, 256)  # between which exponents were measured
FAMILIES = 2  # of networks that they are the mean of


class Exponent(NamedTuple):
    """A mean over families, and the ends of an interval: the families' own ends, and the half step of the rates beyond them."""

    value: float
    low: float
    high: float


BY_STEPS: dict[Stepper, Exponent] = {
    "sgd": Exponent(0.08, -0.17, 0.33),
    "momentum": Exponent(-0.33, -0.50, -0.17),
    "adam": Exponent(-0.33, -0.50, -0.17),
}
BY_BATCH: dict[Stepper, Exponent] = {
    "sgd": Exponent(0.56, 0.38, 0.75),
    "momentum": Exponent(0.75, 0.62, 0.88),
    "adam": Exponent(0.19, 0.0, 0.38),
}


@dataclass(frozen=True)
class RunLength:
    """By what a rate is to be multiplied for another length or batch: ``low`` to ``high``; ``beyond``: what is extrapolated."""

    factor: float
    low: float
    high: float
    beyond: tuple[str, ...] = ()


def run_length(
    optimizer: Stepper, *, steps: tuple[int, int] | None = None, batch: tuple[int, int] | None = None
) -> RunLength:
    """The factor of the best rate from one length of training and batch to others.

    Args:
        optimizer: gradient descent without or with momentum, or Adam.
        steps: of the run whose rate is known, and of the other; None where both have as many.
        batch: samples of a step in both.

    Raises:
        InputError: numbers that are not whole and ≥ 1.

    Example:
        >>> found = run_length("adam", steps=(200, 10_000))
        >>> found.factor < 1, found.beyond
        (True, ('10000 steps',))
    """
    found = RunLength(1.0, 1.0, 1.0)
    for name, pair, table, seen in (
        ("steps", steps, BY_STEPS, STEPS),
        ("samples a step", batch, BY_BATCH, BATCHES),
    ):
        if pair is None:
            continue
        if len(pair) != 2 or not all(map(is_size, pair)):
            raise InputError(f"expected two numbers of {name}, whole and ≥ 1, got {pair!r}; correct them.")
        growth = math.log(pair[1] / pair[0])
        middle, *ends = (math.exp(power * growth) for power in table[optimizer])
        beyond = tuple(f"{count} {name}" for count in pair if not seen[0] <= count <= seen[1])
        found = RunLength(found.factor * middle, found.low * min(ends), found.high * max(ends), found.beyond + beyond)
    return found
