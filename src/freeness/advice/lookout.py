"""The lookout of a training: it remembers what a watch saw, and says each trouble once."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

from freeness.advice.post_mortem import post_mortem
from freeness.advice.usual import TIMES, WINDOW, Usual
from freeness.advice.watch_rules import AHEAD, RESULTS, beyond, clipping, growing, odd_inputs, odd_results, silent
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
        self._checks: deque[StepCheck] = deque(maxlen=WINDOW)
        self._deep: deque[StepCheck] = deque(maxlen=WINDOW)  # those whose gradients were seen, which may be few
        self._records: list[WatchRecord] = []
        self._standing: set[tuple[str, str | None]] = set()  # troubles that were said and are not over
        self._diverged = False
        self._first: list[float] = []
        self._shares: list[float] = []  # of the critical rate
        self._results = {name: Usual() for name in RESULTS}
        self._inputs: dict[str, Usual] = {}
        self._last: StepCheck | None = None
        self._stood: dict[str, float] = {}  # how many times the usual its loss or gradient was, where that stood out
        self._named = 0  # the step whose batch was named last
        self._seen = 0  # steps whose gradients were seen

    def asks(self, check: StepCheck) -> bool:
        """Whether the gradients of this step should be looked at, whatever that costs.

        Args:
            check: what is known of it without them.
        """
        return bool(self._stood or self._standing_out(check)) or self._inputs_stand_out(check)

    def checked(self, check: StepCheck) -> list[WatchWarning]:
        """What a step tells.

        Args:
            check: of it; steps come in their order.
        """
        if self._diverged:
            return []
        self._checks.append(check)
        if check.gradient is not None:
            self._deep.append(check)
        self._seen += bool(check.layers)
        said = self._of_batches(check)
        if self._is_lost(check):
            self._diverged = True
            before = [one for one in self._deep if one is not check]
            return [*said, post_mortem([*before, check], self._records)]
        if check.layers and self._seen == _FIRST:
            idle = silent(list(self._deep))
            said += [] if idle is None else self._once("layer", idle)
        if check.step % _FIRST == 0:  # fifty steps are alike, or not, for a while
            said += self._once("clipping", clipping(list(self._deep)))
        if self._may_grow(check):
            said += self._once("growth", growing(list(self._checks), "loss") or growing(list(self._deep), "gradient"))
        if len(self._first) == _FIRST and (start := median(self._first)) > 0:
            self._results["loss"].odd = start  # a trained network that does worse than an untrained one
        for name, known in self._results.items():
            value = getattr(check, name)
            if value is not None:
                known.add(value)
        return said

    def _of_batches(self, check: StepCheck) -> list[WatchWarning]:
        """A bad batch that has come now, or in the step before."""
        for name in check.inputs:
            self._inputs.setdefault(name, Usual())
        said: list[WatchWarning] = []
        inputs = odd_inputs(check, self._inputs)
        if inputs is not None:
            self._named = check.step
            said.append(inputs)
        for name, value in check.inputs.items():
            self._inputs[name].add(value)
        last = self._last
        if last is not None and self._stood and last.step == check.step - 1 != self._named:
            results = odd_results(last, self._stood, check)
            said += [] if results is None else [results]
        self._last, self._stood = check, self._standing_out(check)
        self.uneasy = bool(self._stood)
        return said

    def _standing_out(self, check: StepCheck) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, known in self._results.items():
            value = getattr(check, name)
            times = None if value is None else known.times(value)
            if times is not None and not (name == "gradient" and math.isinf(times)):  # mixed precision skips such steps
                found[name] = times
        return found

    def _inputs_stand_out(self, check: StepCheck) -> bool:
        known = ((self._inputs.get(name), value) for name, value in check.inputs.items())
        return any(usual is not None and usual.times(value) is not None for usual, value in known)

    def _may_grow(self, check: StepCheck) -> bool:
        """Whether growth may begin or end with this step; the medians that tell it take long."""
        if any(kind == "growth" for kind, _ in self._standing):
            return True
        values = ((known.middle, getattr(check, name)) for name, known in self._results.items())
        return any(value is not None and not value <= TIMES / 2 * middle for middle, value in values)

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
        """What is not finite, but for a step that was skipped, or a loss that has stayed at twice that of the start."""
        if not all(math.isfinite(value) for value in (check.loss, check.gradient) if value is not None):
            return not check.sound
        if check.loss is None:
            return False
        if len(self._first) < _FIRST:
            self._first.append(check.loss)
        start = median(self._first)
        if not check.loss > _LOST * start > 0:
            return False
        losses = [one.loss for one in self._checks if one.loss is not None][-_FIRST:]
        return len(losses) == _FIRST and median(losses) > _LOST * start
