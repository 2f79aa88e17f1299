"""A command as a value: what its file says of it, from which the command line is put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

Topic = Literal["Your own model", "A start for a deep network", "Theory and experiments", "Find your way"]
TOPICS: tuple[Topic, ...] = get_args(Topic)


@dataclass(frozen=True)
class Command:
    """A name on the command line and the function behind it.

    ``topic``: in the list of commands, where ``line`` is all that is shown of one. ``place``: under its topic; gaps do no harm.
    """

    name: str
    run: Callable[..., None]
    topic: Topic
    line: str
    place: int
