"""What an operation does to the signals of one forward pass, and its derivative there.

Between random matrices everything is a given map of positions: its own for each channel, or the same for all. Weights are random
matrices behind a pattern of positions. The rules that each operation's file registers are :func:`given` and :func:`pattern`.

Source: theory.md §12 (this project's derivation, checked by simulation).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.network.operation import Operation, Weights, described


class Pass(NamedTuple):
    """Of a forward pass: ``flat``: positions count as channels; ``rng``: of what is random in it.

    ``own``: what the operation has of its own in this pass, as statistics that are fixed; None of nothing that is known.
    """

    flat: bool
    rng: np.random.Generator
    own: Float[np.ndarray, "*_"] | None = None


@dataclass(frozen=True, eq=False)
class GivenMap:
    """The ``value`` (C, n, *positions) behind an operation, and ``maps``: its derivative by each signal that it reads.

    A map is (1 or C, Q', Q) over the positions of all samples, or, where it is diagonal, (1 or C, 1 or Q). ``flat``: positions
    count as channels from here on. ``lost``: orthonormal directions over channels (C, k) along which nothing passes behind the
    map, of one sample without positions.
    """

    value: Float[np.ndarray, "channels samples *positions"]
    maps: tuple[Float[np.ndarray, "#channels *_"], ...]
    flat: bool = False
    lost: Float[np.ndarray, "channels directions"] | None = None


UNCHANGED = np.ones((1, 1))
"""The map of what passes everything."""


@singledispatch
def given(operation: Operation, values: tuple[Float[np.ndarray, "_ samples *_"], ...], at: Pass) -> GivenMap:
    """What an operation without weights does in one forward pass. Register a function here for a new operation.

    Args:
        operation: the record, whose type chooses the rule.
        values: that it reads, each (C, n, *positions).
        at: whether positions count as channels, and the generator of what is random.

    Raises:
        InputError: the operation has no such map.
    """
    raise InputError(
        f"expected layers that the graph of random matrices covers, got {described(operation)}; measure its spectrum instead."
    )


class Pattern(NamedTuple):
    """Σ_τ T_τ ⊗ W_τ: ``taps`` T (taps, positions behind, positions in front), and the ``shape`` of the positions behind."""

    taps: Float[np.ndarray, "taps behind front"]
    shape: tuple[int, ...]


@singledispatch
def pattern(layer: Weights, shape: tuple[int, ...], flat: bool = False, trained: bool = False) -> Pattern:
    """How an operation's weights are shared over the positions of one sample. Register a function here for new weights.

    Args:
        layer: the record, whose type chooses the rule.
        shape: of the positions in front.
        flat: they count as channels.
        trained: with the taps that start at 0, which are trained as well.

    Raises:
        InputError: weights that are not shared over positions like this.
    """
    raise InputError(
        f"expected weights over channels, shared over positions, got {described(layer)}; measure its spectrum instead."
    )


def over_samples(
    maps: Float[np.ndarray, "maps behind front"], samples: int
) -> Float[np.ndarray, "maps all_behind all_front"]:
    """Maps of the positions of one sample, (k, P', P), as the same for each of some samples, (k, n·P', n·P)."""
    return maps if samples == 1 else np.kron(np.eye(samples)[None], maps)


def diagonal(derivative: np.ndarray) -> np.ndarray:
    """The map of a derivative (C, n, *positions) that is diagonal."""
    return derivative.reshape(len(derivative), -1)


def check_positions(operation: Operation, values: tuple[np.ndarray, ...]) -> None:
    """The same samples and positions of all signals."""
    shapes = [value.shape[1:] for value in values]
    if any(shape != shapes[0] for shape in shapes):
        raise InputError(
            f"expected signals with the same positions into {described(operation)}, got {', '.join(map(str, shapes))} (samples, "
            "then positions); correct padding and stride."
        )
