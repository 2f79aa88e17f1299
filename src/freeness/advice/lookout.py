"""The lookout of a training: it remembers what a watch saw, and says each trouble once."""

from __future__ import annotations

import math
from collections import deque

from freeness.advice.watch_rules import WINDOW, bad_batch, beyond, clipping, growing, unusual
from freeness.advice.watching import StepCheck, WatchRecord, WatchWarning


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

    def checked(self, check: StepCheck) -> list[WatchWarning]:
        """What a step tells.

        Args:
            check: of it; steps come in their order.
        """
        past = [one.gradient for one in self._checks if one.gradient is not None]
        self._checks.append(check)
        if self._diverged:
            return []
        numbers = [value for value in (check.loss, check.gradient) if value is not None]
        if not all(map(math.isfinite, numbers)):
            self._diverged = True
            return [self._divergence(check)]
        self.uneasy = check.gradient is not None and unusual(check.gradient, past) is not None
        checks = list(self._checks)
        batch = bad_batch(checks)
        said = [] if batch is None else [batch]
        for kind, found in (("clipping", clipping(checks)), ("growth", growing(checks))):
            said += self._once(kind, found)
        return said

    def visited(self, record: WatchRecord) -> list[WatchWarning]:
        """What a visit tells.

        Args:
            record: of it.
        """
        self._records.append(record)
        self.uneasy = False
        said: list[WatchWarning] = []
        if record.critical is not None:
            rising = len(self._checks) > 1 and self._checks[-1].rate > self._checks[0].rate
            found = beyond(self._records, rising)
            said += self._once("rate", found)
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

    def _divergence(self, check: StepCheck) -> WatchWarning:
        return WatchWarning(check.step, "diverged", f"The training diverged at step {check.step}.")
