"""When a watch measures what: everything at given steps, or one quantity after the other within a share of the time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, final

_LOOKS = 0.2  # of the share may go to each of two looks between visits
_FORGET = 0.2  # of an old duration, when a new one is known

Look: TypeAlias = Literal["batch", "check"]


class WatchSchedule(ABC):
    """Told what time goes by, it says what is due."""

    @abstractmethod
    def trained(self, seconds: float) -> None:
        """Another step of training took so long."""

    @abstractmethod
    def due(self, step: int, wanted: str = "") -> tuple[str, ...]:
        """The quantities to be measured behind this step; one that is ``wanted`` comes first, where there is time for it."""

    @abstractmethod
    def affords(self, look: Look) -> bool:
        """Whether there is time to look at the batch of this step, or at the gradients ("check"), apart from visits."""

    @abstractmethod
    def spent(self, name: str, seconds: float) -> None:
        """So much went into a quantity, or into one of the looks between visits."""

    @abstractmethod
    def owes(self, seconds: float) -> None:
        """So much went into something that comes once."""


@final
class Every(WatchSchedule):
    """All quantities behind steps 1, 1 + n, 1 + 2n and so on.

    Args:
        n: steps between two visits.
        names: of all quantities.

    Example:
        >>> Every(10, ["loss"]).due(11), Every(10, ["loss"]).due(12)
        (('loss',), ())
    """

    def __init__(self, n: int, names: Sequence[str]) -> None:
        self._n, self._names = n, tuple(dict.fromkeys(names))

    def trained(self, seconds: float) -> None:
        """Time does not matter here."""

    def due(self, step: int, wanted: str = "") -> tuple[str, ...]:
        return self._names if (step - 1) % self._n == 0 else ()

    def affords(self, look: Look) -> bool:
        return True

    def spent(self, name: str, seconds: float) -> None:
        """Time does not matter here."""

    def owes(self, seconds: float) -> None:
        """Time does not matter here."""


@final
class Within(WatchSchedule):
    """One quantity after the other, each when the share of the training's time suffices for it.

    What is wished for comes on credit, where nothing is owed; then another quantity has its turn.

    Args:
        share: of the training's time.
        names: the order, in which a name may occur several times.
        costs: of each name, in steps of training, before it was ever timed.

    Example:
        >>> schedule = Within(0.5, ["a", "b"], {"a": 1.0, "b": 2.0})
        >>> for step in range(1, 12):
        ...     schedule.trained(1.0)
        ...     for name in schedule.due(step):  # .3 of a second come with every step
        ...         schedule.spent(name, {"a": 1.0, "b": 2.0}[name])
        ...         print(step, name)
        4 a
        10 b
    """

    def __init__(self, share: float, names: Sequence[str], costs: Mapping[str, float]) -> None:
        self._share, self._names, self._costs = share, list(names), costs
        self._credit = 0.0  # seconds that visits may take
        self._saved = {"batch": 0.0, "check": 0.0}  # that looks may
        self._step = 0.0
        self._known: dict[str, float] = {}
        self._next = 0
        self._granted = False  # whether the last quantity was a wish on credit, after which another one's turn comes

    def trained(self, seconds: float) -> None:
        self._step = seconds if self._step == 0 else min(self._step + _FORGET * (seconds - self._step), 2 * self._step)
        self._credit += self._share * (1 - 2 * _LOOKS) * seconds
        for look in self._saved:
            self._saved[look] += self._share * _LOOKS * seconds

    def due(self, step: int, wanted: str = "") -> tuple[str, ...]:
        wished = bool(wanted) and not self._granted
        name = wanted if wished else self._names[self._next % len(self._names)]
        cost = self._known.get(name, self._costs[name] * self._step)
        lent = cost if wished else 0.0
        return (name,) if self._credit + lent >= cost else ()

    def affords(self, look: Look) -> bool:
        return self._saved[look] >= self._known.get(look, 0.0)

    def spent(self, name: str, seconds: float) -> None:
        old = self._known.get(name)
        self._known[name] = seconds if old is None else old + _FORGET * (seconds - old)
        if name in self._saved:
            self._saved[name] -= seconds
            return
        self._credit -= seconds
        self._granted = name != self._names[self._next % len(self._names)]
        if not self._granted:
            self._next += 1

    def owes(self, seconds: float) -> None:
        self._credit -= seconds
