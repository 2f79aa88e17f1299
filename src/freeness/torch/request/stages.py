"""The stages of an analysis run one after another: each may be left out, fail or be cut, and the rest stands."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from freeness.advice import INTERRUPTED, NOT_ASKED, Progress, Report, Stage
from freeness.errors import brief
from freeness.torch.model.pace import Pace, TimeUp, paced

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

STAGES = (
    "read the model",
    "watch the layers",
    "forward signals",
    "predict spectra",
    "measure Jacobian",
    "measure Fisher",
    "test freeness",
    "curvature",
)
PARTS: Mapping[str, tuple[str, ...]] = {
    "layers": ("watch the layers", "forward signals"),
    "spectra": ("forward signals", "predict spectra", "measure Jacobian", "measure Fisher", "test freeness"),
    "rate": ("curvature",),
}
"""What may be asked for alone, by its stages."""
HOLDS = "would hold"  # in the reason of what memory does not allow
_SLACK = 1.3  # of what later stages are expected to need, kept for them
_UNKNOWN = 0.5  # share of what is left that a stage gets at most of which nobody knows how long it takes
_USED = 0.93  # of the time, when what runs is stopped: single calls go on, and the report is made behind it
_NEAR = 0.01  # seconds between two deadlines that are one
_SHARE = "its share of"  # in the reason of what was stopped while there was time
_FLOOR = 0.04  # share of what is left that every stage gets: most of what is not forecast takes less


@dataclass(frozen=True)
class Lost:
    """In the place of what a stage would have given: why it is not there."""

    reason: str


def stages_of(only: Collection[str]) -> tuple[str, ...]:
    """The stages that are asked for; all where nothing is.

    Example:
        >>> stages_of(("rate",))
        ('read the model', 'curvature')
    """
    wanted = {"read the model", *(stage for part in only or PARTS for stage in PARTS[part])}
    return tuple(stage for stage in STAGES if stage in wanted)


class Stages:
    """Runs the stages of an analysis within its time and keeps account of them.

    ``begun``: when the time began, of ``time.monotonic``; now when left out. ``pace``: how many times its forecast this machine
    takes.
    """

    def __init__(
        self, wanted: Collection[str], seconds: float, report: Report | None, begun: float | None = None
    ) -> None:
        self.wanted, self.deadline = tuple(wanted), math.inf
        self.seconds, self._report = seconds, report
        self._begun = time.monotonic() if begun is None else begun
        self._end = self._begun + _USED * seconds
        self._plan: dict[str, Stage] = {}
        self.pace = 1.0
        self._done = 0
        self._ended = self._note = ""
        self.finished: list[Stage] = []

    def follow(self, plan: Mapping[str, Stage], pace: float) -> None:
        """What is planned, and how many times its forecast this machine takes."""
        self._plan, self.pace = {name: replace(s, forecast=s.forecast * pace) for name, s in plan.items()}, pace

    @property
    def forecast(self) -> tuple[float, float]:
        """Seconds until all is done or the time is up, from the beginning, and the most bytes that a stage holds."""
        planned = [stage for stage in self._plan.values() if stage.way != "left out"]
        elapsed = time.monotonic() - self._begun
        needed = elapsed + sum(stage.forecast for stage in planned)
        return min(needed, max(_USED * self.seconds, elapsed)), max((stage.bytes for stage in planned), default=0.0)

    @property
    def left(self) -> float:
        """Seconds until what runs is stopped."""
        return max(self._end - time.monotonic(), 0.0)

    @property
    def least(self) -> float:
        """Seconds that a stage has which is not left out where the time is up: what is left, or a small share of all."""
        return max(self.left, _FLOOR * self.seconds)

    def amend(self, stage: Stage) -> Stage:
        """Another plan of one stage."""
        self._plan[stage.name] = stage
        return stage

    def planned(self, name: str) -> Stage:
        """What is planned for a stage."""
        return self._plan.get(name, Stage(name, "exact", 0.0, 0.0, 0.0))

    def within(self, share: float) -> float:
        """The deadline of the stage, or of a share of all that is left where that is earlier."""
        now = time.monotonic()
        return min(self.deadline, now + share * max(self._end - now, 0.0))

    def needed(self, name: str, compute: Callable[[], _T]) -> _T:
        """A stage without which there is nothing: its errors are the caller's."""
        self._tell(Progress(name, self._done, len(self.wanted)))
        self._done += 1
        start = time.monotonic()
        found = compute()
        self.finished.append(replace(self.planned(name), seconds=time.monotonic() - start))
        return found

    def run(
        self, name: str, compute: Callable[[], _T | Lost], detail: str = "", note: str = "", *, vital: bool = False
    ) -> _T | Lost:
        """One stage: its result, or why there is none.

        ``vital``: run where the time is up, too; it ends soon then.
        """
        stage = self.planned(name)
        self._note = note or self._note
        if name not in self.wanted:
            return self._lost(stage, NOT_ASKED)
        shown = Progress(name + detail, self._done, len(self.wanted), note=self._note)
        self._tell(shown)
        self._done, self._note = min(self._done + 1, len(self.wanted)), ""
        reason = self._reason(stage, vital=vital)
        if reason:
            return self._lost(stage, reason)
        start = time.monotonic()
        self.deadline = max(self._deadline(name, start), start + self.least if vital else start)
        pace = Pace(stage.effort or 1, self.deadline, lambda share: self._tell(replace(shown, share=share)))
        try:
            with paced(pace):
                found = compute()
        except KeyboardInterrupt:
            self._ended = INTERRUPTED
            return self._lost(stage, self._ended, start)
        except TimeUp:
            return self._lost(stage, self.cut(), start)
        except (OverflowError, FloatingPointError):  # the caller says what that means of a spectrum
            raise
        except (ArithmeticError, MemoryError, RuntimeError) as error:
            _LOG.info("%s failed: %s", name, brief(error))
            return self._lost(stage, brief(error), start)
        if isinstance(found, Lost):
            return self._lost(stage, found.reason, start)
        self._finish(replace(stage, seconds=time.monotonic() - start))
        return found

    def again(self, name: str) -> bool:
        """Whether a stage that was stopped at its share may have what the others left, which is as much again at least."""
        cut = next((s for s in self.finished if s.name == name and s.missing.startswith(_SHARE)), None)
        return cut is not None and not self._ended and self.left > max(2 * (cut.seconds or 0.0), cut.forecast)

    def end(self) -> None:
        """Say that all is done."""
        self._tell(Progress("done", len(self.wanted), len(self.wanted)))

    @property
    def _more(self) -> str:
        return f"allow more, as by --budget {2 * self.seconds:g} (budget={2 * self.seconds:g} in Python)"

    def refusal(self, stage: Stage) -> str:
        """Why a stage is left out, or not all of it is done; "" where the plan says nothing of it."""
        bound = "the memory" if HOLDS in stage.reason else f"the budget of {self.seconds:g} s"
        return f"{stage.reason}, which {bound} does not allow" if stage.reason else ""

    @property
    def late(self) -> str:
        """What is said of that for which the time is over."""
        return f"the budget of {self.seconds:g} s ran out; {self._more}"

    def cut(self, deadline: float | None = None) -> str:
        """The same of what was stopped now, which had a share of the time where more is left; its deadline, or the stage's."""
        own = self.deadline if deadline is None else deadline
        return self.late if time.monotonic() > self._end or own > self._end - _NEAR else f"{_SHARE} {self.late}"

    def _reason(self, stage: Stage, *, vital: bool) -> str:
        """Why a stage does not run; "" where it does."""
        if self._ended:
            return self._ended
        if stage.way == "left out":
            return f"{self.refusal(stage)}; {self._more}"
        return self.late if time.monotonic() > self._end and not vital else ""

    def _deadline(self, name: str, now: float) -> float:
        """Its share of what is left, or all of it but what the stages behind it are expected to need."""
        done = {stage.name for stage in self.finished}
        later = [s for s in STAGES[STAGES.index(name) + 1 :] if s in self.wanted and s not in done]
        later = [s for s in later if self.planned(s).way != "left out"]
        behind = sum(self.planned(each).forecast for each in later)
        own, left = self.planned(name).forecast, self._end - now
        share = own / (own + behind) if own > 0 else 0.0
        alone = left - _SLACK * behind if own > 0 else min(left - _SLACK * behind, _UNKNOWN * left)
        return now + max(share * left, alone, _FLOOR * left)

    def _lost(self, stage: Stage, reason: str, start: float | None = None) -> Lost:
        seconds = None if start is None else time.monotonic() - start
        asked = stage.name in self.wanted
        if asked:
            self._finish(replace(stage, seconds=seconds, missing=reason))
        return Lost(reason)

    def _finish(self, stage: Stage) -> None:
        """One entry a stage: what it led to in the end."""
        places = [k for k, other in enumerate(self.finished) if other.name == stage.name]
        for k in places:
            self.finished[k] = stage
        if not places:
            self.finished.append(stage)

    def _tell(self, progress: Progress) -> None:
        if progress.share == 0:
            _LOG.info("stage %d of %d: %s", progress.done, progress.total, progress.stage)
        if self._report is not None:
            self._report(progress)
