"""From what a watch over training has seen to what it says: one function a kind of trouble, each of plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from freeness.advice.sharpening import Sharpening
from freeness.advice.usual import FEWEST, SCATTERS, unusual
from freeness.advice.watching import StepCheck, WatchRecord, WatchWarning

_CUT = 50  # steps in a row that are cut to one length
RESULTS = ("loss", "gradient")  # of a batch, in a step
_ALIKE = 1e-3  # relative: norms of gradients are never so equal unless they are cut to one length
_RECENT = 10  # steps that are compared with those before
_VISITS, _HALF = 3, 0.5  # visits, and the share of the critical rate: the lowest point along a step
AHEAD = 20  # steps by which a rate that changes is followed on


@dataclass(frozen=True)
class OddResult:
    """A loss or a gradient that stood out: of which step, how large, and how many times the usual."""

    step: int
    value: float
    times: float

    def is_over(self, following: float) -> bool:
        """Whether the next one is back by at least half of the way, in logarithms; one that stays up is no matter of one batch.

        Example:
            >>> OddResult(7, 8.0, 4.0).is_over(2.0), OddResult(7, 8.0, 4.0).is_over(5.0)
            (True, False)
        """
        if not math.isfinite(self.value):
            return math.isfinite(following)
        return following * math.sqrt(self.times) < self.value


def odd_inputs(step: int, name: str, times: float) -> WatchWarning:
    """A batch with numbers that are not finite, or with a sample far larger than those of the batches before."""
    if not math.isfinite(times):
        return _batch(step, f"its {name} are not all finite")
    return _batch(step, f"a sample of its {name} is {times:.2g} times as large as the largest one usually is")


def odd_result(name: str, odd: OddResult) -> WatchWarning:
    """A batch whose loss or gradient stood out, where the next step is as usual again."""
    much = f"{odd.times:.2g} times the usual one" if math.isfinite(odd.times) else "not finite"
    return _batch(odd.step, f"its {name} is {much}, and the next one's is as before")


def _batch(step: int, what: str) -> WatchWarning:
    advice = "look at its samples and labels, and clip gradients if more such come"
    return WatchWarning(step, "batch", f"The batch of step {step} is unlike the others: {what}; {advice}.")


def clipping(checks: Sequence[StepCheck]) -> WatchWarning | None:
    """Clipping that is active in every step: the norms of the gradients are all the same."""
    norms = [check.gradient for check in checks if check.gradient is not None]
    if len(norms) < _CUT or not max(norms) < math.inf or not min(norms) > 0:
        return None
    if max(norms) > (1 + _ALIKE) * min(norms):
        return None
    return WatchWarning(
        checks[-1].step,
        "clipping",
        f"The gradients of all the last {len(norms)} steps were clipped to the norm {norms[-1]:.3g}: the rate that is set is not "
        "the rate that acts. Raise the limit until it cuts outliers only, and lower the rate if that is unstable.",
    )


def silent(checks: Sequence[StepCheck]) -> WatchWarning | None:
    """A layer whose weights had no gradient in any of the first steps, while others had."""
    first = [check for check in checks if check.layers][:_RECENT]
    if len(first) < _RECENT:
        return None
    names = [name for name in first[0].layers if all(check.layers.get(name) == 0 for check in first)]
    if not names or len(names) == len(first[0].layers):
        return None
    more = f" ({len(names)} layers do not)" if len(names) > 1 else ""
    return WatchWarning(
        first[-1].step,
        "layer",
        f"The weights of {names[-1]!r} got no gradient in the first {_RECENT} steps{more}; check that its output is used and "
        "nothing behind it starts at zero or is detached.",
        names[-1],
    )


def growing(step: int, name: str, seen: Sequence[float]) -> WatchWarning | None:
    """A loss, or a gradient, of the last steps that lies above that of the steps before by more than chance."""
    values = list(seen)
    before, recent = values[:-_RECENT], values[-_RECENT:]
    if len(before) < FEWEST:
        return None
    times = unusual(median(recent), before, SCATTERS / 2)
    if times is None:
        return None
    much = f"{times:.2g} times that of the steps before" if math.isfinite(times) else "not finite"
    return WatchWarning(
        step,
        "growth",
        f"The {name} grows: over the last {_RECENT} steps it is {much}; lower the rate to a third, or go back to a "
        "checkpoint before.",
    )


def beyond(
    record: WatchRecord, shares: Sequence[float], rising: bool, sharpening: Sharpening | None = None
) -> WatchWarning | None:
    """A rate that is, or will soon be, beyond half of the critical one, by the median of the last three visits.

    At half of the critical rate a step lands at the lowest point of a parabola along it, and beyond overshoots that. Of one batch
    this is no harm, and one batch's critical rate scatters; of most batches it is what goes before a divergence.

    Where λ falls the critical rate grows, and a longer warm-up meets it later; where it rises only a lower end helps.
    """
    share = median(shares[-_VISITS:])
    if len(shares) < _VISITS or share <= _HALF:
        return None
    critical = record.critical or 0.0
    lower = f"{min(record.rate / share, record.rate) / 4:.2g}"
    if rising:
        told = f"The rate {record.rate:.3g} is raised towards the critical one ({critical:.3g} for this batch)"
        course = None if sharpening is None else sharpening.course
        advice = f"make the warm-up longer, or end it at {lower}."
        if course is not None and course > 0:
            advice = f"end the warm-up at {lower}. λ rises along the way, so a longer one meets a lower critical rate."
        elif course is not None:
            advice = "make the warm-up longer. λ falls along the way, which makes room for the rate."
        return WatchWarning(record.step, "warm-up", f"{told}: in {AHEAD} steps it is {share:.2g} of that; {advice}")
    told = f"The rate {record.rate:.3g} is {share:.2g} of the critical one ({critical:.3g} for this batch)"
    return WatchWarning(record.step, "rate", f"{told}, so that steps overshoot; lower it to {lower}.")
