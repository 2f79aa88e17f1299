"""When a watch measures what: everything at given steps, or one quantity after the other within a share of the time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, final

_LOOKS = {"glance": 0.5, "check": 0.2}  # of the share at most, for what is looked at between visits
_FIRST_CHECKS = 10  # which tell whether a layer gets a gradient at all
_EXPECTED, _MOST_EXPECTED = (
    200,
    1000,
)  # steps of a training whose length is not told, and of a longer one that are paid ahead
_AHEAD = 2.0  # looks for which time is saved up; what is beyond goes to visits
_PAUSE = 4.0  # times the usual duration that is believed
_FORGET = 0.2  # of an old duration, when a new one is known

Look: TypeAlias = Literal["glance", "check"]


class WatchSchedule(ABC):
    """Told what time goes by, it says what is due."""

    @abstractmethod
    def expect(self, steps: int) -> None:
        """The training will take so many steps."""

    @abstractmethod
    def trained(self, seconds: float) -> None:
        """Another step of training took so long."""

    @abstractmethod
    def due(self, step: int, wanted: str = "") -> tuple[str, ...]:
        """The quantities to be measured behind this step; one that is ``wanted`` comes first, where there is time for it."""

    @abstractmethod
    def affords(self, look: Look) -> bool:
        """Whether there is time to look at loss and batch of this step ("glance"), or at its gradients ("check")."""

    @abstractmethod
    def spent(self, name: str, seconds: float) -> None:
        """So much went into a quantity, or into one of the looks between visits."""

    @abstractmethod
    def passed(self, seconds: float) -> None:
        """A call of the watch took so long in all, with what was spent in it."""


@final
class Every(WatchSchedule):
    """All quantities behind steps 1, 1 + n, 1 + 2n and so on.

    Example:
        >>> Every(10, ["loss"]).due(11), Every(10, ["loss"]).due(12)
        (('loss',), ())
    """

    def __init__(self, n: int, names: Sequence[str]) -> None:
        self._n, self._names = n, tuple(dict.fromkeys(names))

    def expect(self, steps: int) -> None:
        """Nor does the length of the training."""

    def trained(self, seconds: float) -> None:
        """Time does not matter here."""

    def due(self, step: int, wanted: str = "") -> tuple[str, ...]:
        return self._names if (step - 1) % self._n == 0 else ()

    def affords(self, look: Look) -> bool:
        return True

    def spent(self, name: str, seconds: float) -> None:
        """Time does not matter here."""

    def passed(self, seconds: float) -> None:
        """Time does not matter here."""


@final
class Within(WatchSchedule):
    """One quantity after the other, each when the share of the training's time suffices for it.

    Trouble comes early, so early steps borrow from those that follow: behind step t the share of √(T·t) steps may be spent, and
    behind T steps the share of t. T is the length of the training, 1000 steps at most, or 200 where it is not told. The first
    quantity comes behind the first step, before anything was timed. Of that step code is loaded: it is paid as if it had taken
    four times what was expected, at most, and looks are not paid for. What is wished for comes on credit, where nothing is owed;
    then another quantity has its turn.

    ``names``: their order, in which one may occur several times; ``costs``: of each, in steps of training, before it was ever
    timed.

    Example:
        >>> schedule = Within(0.5, ["a", "b"], {"a": 1.0, "b": 2.0})
        >>> schedule.expect(4)
        >>> for step in range(1, 9):
        ...     for name in schedule.due(step):  # half a second comes with every step
        ...         schedule.spent(name, {"a": 1.0, "b": 2.0}[name])
        ...         print(step, name)
        ...     schedule.trained(1.0)
        1 a
        7 b
    """

    def __init__(self, share: float, names: Sequence[str], costs: Mapping[str, float]) -> None:
        self._share, self._names, self._costs = share, list(names), costs
        self._expected = _EXPECTED
        self._credit = 0.0  # seconds that visits may take
        self._first: tuple[str, float] | None = None  # that was visited before a step was timed, and its seconds
        self._lent = 0.0  # seconds that they may take ahead
        self._saved = dict.fromkeys(_LOOKS, 0.0)  # that looks may
        self._booked = 0.0  # of the call that goes on
        self._step, self._steps = 0.0, 0
        self._checks = 0
        self._known: dict[str, float] = {}
        self._dearer = 1.0  # times the cost that was expected of what was timed
        self._next = 0
        self._granted = False  # whether the last quantity was a wish on credit, after which another one's turn comes

    def expect(self, steps: int) -> None:
        self._expected = min(steps, _MOST_EXPECTED)

    def trained(self, seconds: float) -> None:
        self._step = seconds if self._step == 0 else min(self._step + _FORGET * (seconds - self._step), 2 * self._step)
        self._steps += 1
        if self._first is not None:
            (name, first), self._first = self._first, None
            self._known[name] = min(first, _PAUSE * self._costs[name] * seconds)
            self._credit -= self._known[name]
        self._credit += self._share * (1 - sum(_LOOKS.values())) * seconds
        for look, part in _LOOKS.items():
            saved = self._saved[look] + self._share * part * seconds
            self._saved[look] = min(saved, _AHEAD * self._known.get(look, 0.0))
            self._credit += saved - self._saved[look]
        reach = max(math.sqrt(self._expected * self._steps), min(self._expected, _EXPECTED) / 2)
        self._lent = self._share * self._step * max(reach - self._steps, 0.0)

    def due(self, step: int, wanted: str = "") -> tuple[str, ...]:
        wished = bool(wanted) and not self._granted
        name = wanted if wished else self._names[self._next % len(self._names)]
        if self._steps == 0:
            return () if self._first is not None else (name,)
        cost = self._known.get(name, self._costs[name] * self._dearer * self._step)
        lent = max(cost if wished else 0.0, self._lent)
        return (name,) if self._credit + lent >= cost else ()

    def affords(self, look: Look) -> bool:
        cost = self._known.get(look, 0.0)
        return self._saved[look] >= cost or (self._early(look) and self._credit + self._lent >= cost)

    def _early(self, look: str) -> bool:
        return look == "check" and self._checks < _FIRST_CHECKS

    def spent(self, name: str, seconds: float) -> None:
        self._booked += seconds
        if self._steps == 0:
            self._checks += name == "check"
            if name not in self._saved:
                self._first = name, seconds
                self._next += 1
            return
        old = self._known.get(name)
        if name in self._saved:
            if old is not None:  # a look of microseconds that took so long was interrupted by another process
                seconds = min(seconds, _PAUSE * old)
            if self._early(name):
                self._credit -= seconds
            else:
                self._saved[name] -= seconds
            self._checks += name == "check"
        else:
            self._visited(name, seconds)
        self._known[name] = seconds if old is None else old + _FORGET * (seconds - old)

    def _visited(self, name: str, seconds: float) -> None:
        self._credit -= seconds
        if self._step > 0:
            self._dearer = max(1.0, seconds / (self._costs[name] * self._step))
        self._granted = name != self._names[self._next % len(self._names)]
        if not self._granted:
            self._next += 1

    def passed(self, seconds: float) -> None:
        if self._steps > 0:
            self._credit -= seconds - self._booked
        self._booked = 0.0
