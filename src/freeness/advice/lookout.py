"""The lookout of a training: it remembers what a watch saw, and says each trouble once."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

from freeness.advice.post_mortem import post_mortem
from freeness.advice.watch_rules import AHEAD, WINDOW, bad_batch, beyond, clipping, growing, silent, unusual
from freeness.advice.watching import StepCheck, WatchRecord, WatchWarning

_FIRST, _LOST = 10, 2.0  # steps that tell the loss at the start, and the times at which a training is lost


class Lookout:
    """Hears of steps and visits, and answers with warnings; a warning is repeated only after its trouble was over.

    Example:
        >>> lookout = Lookout()
        >>> said = [lookout.checked(StepCheck(k, 0.1, gradient=1.0 + 0.1 * (k % 3))) for k in range(1, 40)]
        >>> any(said)
        False
        >>> _ = lookout.checked(StepCheck(40, 0.1, gradient=30.0))
        >>> lookout.uneasy, [warning.kind for warning in lookout.checked(StepCheck(41, 0.1, gradient=1.0))]
        (True, ['batch'])
    """

    def __init__(self) -> None:
        self.uneasy = False  # whether a visit is wanted now
        self._checks: deque[StepCheck] = deque(maxlen=WINDOW + 10)
        self._records: list[WatchRecord] = []
        self._standing: set[tuple[str, str | None]] = set()  # troubles that were said and are not over
        self._diverged = False
        self._first: list[float] = []
        self._shares: list[float] = []  # of the critical rate

    def checked(self, check: StepCheck) -> list[WatchWarning]:
        """What a step tells.

        Args:
            check: of it; steps come in their order.
        """
        past = [one.gradient for one in self._checks if one.gradient is not None]
        self._checks.append(check)
        if self._diverged:
            return []
        if self._is_lost(check):
            self._diverged = True
            return [post_mortem(list(self._checks), self._records)]
        self.uneasy = check.gradient is not None and unusual(check.gradient, past) is not None
        checks = list(self._checks)
        batch = bad_batch(checks)
        said = [] if batch is None else [batch]
        idle = silent(checks) if len(checks) == _FIRST else None
        if idle is not None:
            said += self._once("layer", idle)
        for kind, standing in (("clipping", clipping(checks)), ("growth", growing(checks))):
            said += self._once(kind, standing)
        return said

    def visited(self, record: WatchRecord) -> list[WatchWarning]:
        """What a visit tells.

        Args:
            record: of it.
        """
        self._records.append(record)
        self.uneasy = False
        said: list[WatchWarning] = []
        if record.critical is not None and not self._diverged:
            slope = self._slope()
            ahead = max(record.rate + AHEAD * slope, 0.0)
            self._shares.append(ahead / record.critical if record.critical > 0 else math.inf)
            said += self._once("rate", beyond(record, self._shares, slope > 0))
        if record.layers:
            fault = None
            if record.fault:
                fault = WatchWarning(record.step, "layer", record.fault, record.place)
            said += self._once("layer", fault)
        return said

    def _once(self, kind: str, found: WatchWarning | None) -> list[WatchWarning]:
        if found is None:
            self._standing = {one for one in self._standing if one[0] != kind}
            return []
        key = (kind, found.place)
        if key in self._standing:
            return []
        self._standing.add(key)
        return [found]

    def _slope(self) -> float:
        """How the rate changes a step, over the last ten."""
        last = list(self._checks)[-_FIRST - 1 :]
        return (last[-1].rate - last[0].rate) / (last[-1].step - last[0].step) if len(last) > 1 else 0.0

    def _is_lost(self, check: StepCheck) -> bool:
        """What is not finite, or a loss that has stayed at twice that of the start."""
        if not all(math.isfinite(value) for value in (check.loss, check.gradient) if value is not None):
            return True
        if check.loss is not None and len(self._first) < _FIRST:
            self._first.append(check.loss)
        losses = [one.loss for one in self._checks if one.loss is not None][-_FIRST:]
        return len(losses) == _FIRST and median(losses) > _LOST * median(self._first) > 0
