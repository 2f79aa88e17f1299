"""How many threads a model's calls are worth: those that wait for one another at every call lose to one thread.

Beside other work most of all: each call then waits until the last of its threads is let run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

from freeness.torch.model.counting import Counts

_WORTH = 3e7  # operations of a call, about half a millisecond of one core, from which on several threads are worth their wait
_LOCK = Lock()
_FOUND: list[int] = []  # for every block that runs, how many threads there were when the first of them began


@contextmanager
def threads_kept() -> Iterator[None]:
    """A block behind which torch has as many threads as before; of blocks that overlap, as before the first of them."""
    with _LOCK:
        _FOUND.append(_FOUND[0] if _FOUND else torch.get_num_threads())
    try:
        yield
    finally:
        with _LOCK:  # each thread of Python has its own number, and new ones get the last that was set
            torch.set_num_threads(_FOUND.pop())


def fit_threads(one: Counts, samples: int) -> None:
    """One thread where the calls of a pass of so many samples are light; otherwise as many as there were.

    Example:
        >>> with threads_kept():
        ...     fit_threads(Counts(3.2e6, 0.0, 1e5, 20, 1e5), 64)
        ...     torch.get_num_threads()
        1
    """
    if one.work * samples < _WORTH * one.calls:
        torch.set_num_threads(1)
