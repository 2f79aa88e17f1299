"""Walks over graphs: that which a forward pass leaves for its gradient, or any other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

from torch.autograd.graph import Node

N = TypeVar("N", bound=Hashable)


def reached(starts: Iterable[N | None], onward: Callable[[N], Iterable[N | None]]) -> Iterator[N]:
    """What a walk meets, each once, the nearest first; None is passed over.

    Example:
        >>> list(reached([1], lambda number: [2 * number, 3] if number < 8 else []))
        [1, 2, 3, 4, 6, 8, 12]
    """
    waiting, seen = deque(starts), set[N]()
    while waiting:
        one = waiting.popleft()
        if one is not None and one not in seen:
            seen.add(one)
            yield one
            waiting += onward(one)


def made_of(node: Node) -> list[Node]:
    """What a node of the graph of a gradient was computed of."""
    return [before for before, _ in node.next_functions if before is not None]
