"""The lookout of a training: it remembers what a watch saw, and says each trouble once."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from statistics import median

from freeness.advice.post_mortem import post_mortem
from freeness.advice.sharpening import sharpening_of
from freeness.advice.usual import TIMES, WINDOW, Usual
from freeness.advice.watch_rules import (
    AHEAD,
    RESULTS,
    OddResult,
    beyond,
    clipping,
    growing,
    odd_inputs,
    odd_result,
    silent,
)
from freeness.advice.watching import StepCheck, WatchRecord, WatchWarning

_BENT, _STEEPEST = 1.01, 2.0  # times the change of the steps before: from which on it is no line, and what is believed
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
        self.curious = False  # whether the gradients of this step are wanted, whatever they cost
        self._checks: deque[StepCheck] = deque(maxlen=WINDOW)
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._records: list[WatchRecord] = []
        self._standing: set[tuple[str, str | None]] = set()  # troubles that were said and are not over
        self._diverged = False
        self._first: list[float] = []
        self._shares: list[float] = []  # of the critical rate
        self._usual = {name: Usual() for name in RESULTS}
        self._inputs: dict[str, Usual] = {}
        self._odd: dict[str, OddResult] = {}  # what stood out last
        self._named = self._glanced = self._seen = (
            0  # steps: whose batch was named, that was glanced at; how many had gradients
        )

    def glanced(self, step: int, loss: float | None, inputs: Mapping[str, float]) -> list[WatchWarning]:
        """What a step tells without its gradients."""
        self._glanced = step
        if self._diverged:
            return []
        said = self._of_inputs(step, inputs)
        self.curious = bool(said or self._odd)
        if loss is not None:
            said += self._of_result("loss", step, loss)
            self._losses.append(loss)
            if len(self._first) < _FIRST:
                self._first.append(loss)
                self._usual["loss"].odd = max(median(self._first), 0.0) or math.inf  # worse than an untrained network
            if not self._signed:
                if "growth" in self._kinds() or not loss <= TIMES / 2 * self._usual["loss"].middle:
                    said += self._once("growth", growing(step, "loss", self._losses))
                self._usual["loss"].add(loss)
        self.curious |= "loss" in self._odd
        return said

    def checked(self, check: StepCheck) -> list[WatchWarning]:
        """What a step tells with its gradients."""
        said = [] if self._glanced == check.step else self.glanced(check.step, check.loss, check.inputs)
        if self._diverged:
            return said
        self._checks.append(check)
        self._seen += bool(check.layers)
        if check.gradient is not None:
            said += self._of_result("gradient", check.step, check.gradient)
            self._usual["gradient"].add(check.gradient)
        self.uneasy = bool(self._odd)
        if self._is_lost(check):
            self._diverged = True
            return [*said, post_mortem(list(self._checks), self._records)]
        if check.layers and self._seen == _FIRST:
            idle = silent(list(self._checks))
            said += [] if idle is None else self._once("layer", idle)
        if self._seen % _FIRST == 0:  # fifty steps are alike, or not, for a while
            said += self._once("clipping", clipping(list(self._checks)))
            norms = [one.gradient for one in self._checks if one.gradient is not None]
            said += self._once("growth of gradients", growing(check.step, "gradient", norms))
        return said

    @property
    def _signed(self) -> bool:
        """Whether the loss has both signs, as a policy's or a critic's: then no multiple of it says anything."""
        return any(loss < 0 for loss in self._first)

    def _kinds(self) -> set[str]:
        return {kind for kind, _ in self._standing}

    def _of_inputs(self, step: int, inputs: Mapping[str, float]) -> list[WatchWarning]:
        """A batch whose numbers are not as those before."""
        found: list[WatchWarning] = []
        for name, value in inputs.items():
            known = self._inputs.setdefault(name, Usual())
            times = known.times(value)
            if times is not None and self._named != step:
                self._named = step
                found.append(odd_inputs(step, name, times))
            known.add(value)
        return found

    def _of_result(self, name: str, step: int, value: float) -> list[WatchWarning]:
        """A batch that made the loss or the gradient of the step before stand out; and whether this one's does."""
        before = self._odd.pop(name, None)
        times = self._usual[name].times(value)
        if times is not None and not (name == "gradient" and math.isinf(times)):  # mixed precision skips such steps
            self._odd[name] = OddResult(step, value, times)
        if before is None or before.step != step - 1 or before.step == self._named or not before.is_over(value):
            return []
        self._named = before.step
        return [odd_result(name, before)]

    def visited(self, record: WatchRecord) -> list[WatchWarning]:
        """What a visit tells."""
        self._records.append(record)
        self.uneasy = False
        said: list[WatchWarning] = []
        if record.critical is not None and not self._diverged:
            ahead, rises = self._ahead(record.rate)
            self._shares.append(ahead / record.critical if record.critical > 0 else math.inf)
            course = sharpening_of(self._records) if rises else None
            said += self._once("rate", beyond(record, self._shares, rises, course))
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

    def _ahead(self, rate: float) -> tuple[float, bool]:
        """The rate some steps from now, and whether it rises.

        Over the last ten steps, its change in the second half over that in the first says whether it goes along a line or grows
        by a factor; so a line and a power go on as they are.
        """
        last = list(self._checks)[-_FIRST - 1 :]
        if len(last) < 2:
            return rate, False
        middle = last[len(last) // 2]
        steps = last[-1].step - middle.step
        early, late = middle.rate - last[0].rate, last[-1].rate - middle.rate
        even = middle.step - last[0].step == steps
        if not (even and 0 < _BENT * early < late):
            slope = (last[-1].rate - last[0].rate) / (last[-1].step - last[0].step)
            return max(rate + AHEAD * slope, 0.0), slope > 0
        grown = min(late / early, _STEEPEST)
        return rate + late * sum(grown ** (k + 1) for k in range(AHEAD // steps)), True

    def _is_lost(self, check: StepCheck) -> bool:
        """What is not finite, but for a step that was skipped, or a loss that has stayed at twice that of the start."""
        if not all(math.isfinite(value) for value in (check.loss, check.gradient) if value is not None):
            return not check.sound
        start = median(self._first) if self._first and not self._signed else 0.0
        if check.loss is None or not check.loss > _LOST * start > 0:
            return False
        losses = list(self._losses)[-_FIRST:]
        return len(losses) == _FIRST and median(losses) > _LOST * start
