"""How many threads a model's calls are worth: those that wait for one another at every call lose to one thread.

Beside other work most of all: each call then waits until the last of its threads is let run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from freeness.torch.model.counting import Counts

_WORTH = 3e7  # operations of a call, about half a millisecond of one core, from which on several threads are worth their wait


@contextmanager
def threads_kept() -> Iterator[None]:
    """A block behind which torch has as many threads as before."""
    found = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(found)


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
