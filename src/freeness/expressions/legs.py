"""On which legs of a tensor product a variable acts: those of one leg are free, those on disjoint legs commute.

A family with both is ε-free. Source: Młotkowski, Λ-free probability (2004); Speicher, Wysoczański, Mixtures of classical and free
independence (2016); for matrices Charlesworth, Collins, Matrix models for ε-free independence (2021), arXiv 1910.04343, and
Nechita, Park, Random permutations and tensor freeness (2025), arXiv 2504.01782.
"""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from numbers import Integral
from typing import TypeVar, cast

import numpy as np

from freeness.errors import InputError

Leg = int | str
Legs = frozenset[Leg]
ONE_LEG: Legs = frozenset([0])
T = TypeVar("T")


def read_legs(legs: Sequence[Leg | Sequence[Leg]] | None, count: int) -> list[Legs]:
    """The legs of each of ``count`` variables; one and the same where none are given.

    Example:
        >>> [sorted(own) for own in read_legs([0, 1, (0, 1)], 3)]
        [[0], [1], [0, 1]]
    """
    if legs is None:
        return [ONE_LEG] * count
    if isinstance(legs, Iterable):
        found = [_own(entry) for entry in legs]
        if len(found) == count and all(found):
            return found
    raise InputError(
        f"expected {count} entries in legs, each a leg (a whole number or a word) or a tuple of legs, got {legs!r}; write for "
        "instance legs=[0, 1, (0, 1)]."
    )


def _own(entry: object) -> Legs:
    """The legs of one variable; none where the entry is no leg and no tuple of legs."""
    single = isinstance(entry, str) or not isinstance(entry, Iterable)
    several: list[object] = [entry] if single else list(cast("Iterable[object]", entry))
    legs: list[Leg] = [leg if isinstance(leg, str) else int(leg) for leg in several if isinstance(leg, str | Integral)]
    return frozenset(legs if len(legs) == len(several) else [])


def ordered(legs: Iterable[Leg]) -> list[Leg]:
    """Each leg once, in an order that is always the same."""
    return sorted(set(legs), key=lambda leg: (isinstance(leg, str), str(leg).zfill(20)))


def on_legs(matrix: np.ndarray, own: Legs, every: Sequence[Leg], side: int) -> np.ndarray:
    """A matrix on its own legs, each of dimension ``side``, as one on all legs, by the identity on the others.

    Example:
        >>> on_legs(np.array([[0, 1], [1, 0]]), frozenset([1]), [0, 1], 2).tolist()
        [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    """
    mine = ordered(own)
    rest = [leg for leg in every if leg not in own]
    whole = np.kron(matrix, np.eye(side ** len(rest), dtype=matrix.dtype))
    if not rest:
        return whole
    places = [[*mine, *rest].index(leg) for leg in every]
    axes = [*places, *(place + len(every) for place in places)]
    return whole.reshape([side] * (2 * len(every))).transpose(axes).reshape(whole.shape)


def linked(items: Sequence[T], joined: Callable[[T, T], bool]) -> list[list[T]]:
    """Groups of items, each linked with the others of its group by pairs that are joined, in the order of the items.

    Example:
        >>> linked([1, 5, 2, 6, 9], lambda a, b: abs(a - b) == 1)
        [[1, 2], [5, 6], [9]]
    """
    groups: list[list[int]] = []
    for k, item in enumerate(items):
        near = [group for group in groups if any(joined(items[other], item) for other in group)]
        groups = [group for group in groups if group not in near] + [sorted([k, *chain(*near)])]
    return [[items[k] for k in group] for group in sorted(groups)]
