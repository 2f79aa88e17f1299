"""From what a watch over training has seen to what it says: one function a kind of trouble, each of plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from freeness.advice.usual import FEWEST, SCATTERS, Usual, unusual
from freeness.advice.watching import StepCheck, WatchRecord, WatchWarning

_CUT = 50  # steps in a row that are cut to one length
RESULTS = ("loss", "gradient")  # of a batch, in a step
_ALIKE = 1e-3  # relative: norms of gradients are never so equal unless they are cut to one length
_RECENT = 10  # steps that are compared with those before
_VISITS, _HALF = 3, 0.5  # visits, and the share of the critical rate: the lowest point along a step
AHEAD = 20  # steps by which a rate that changes is followed on


def odd_inputs(check: StepCheck, known: Mapping[str, Usual]) -> WatchWarning | None:
    """A batch with numbers that are not finite, or with a sample far larger than those of the batches before.

    Args:
        check: of the step.
        known: what is usual of every entry of a batch.
    """
    for name, value in check.inputs.items():
        if not math.isfinite(value):
            return _batch(check.step, f"its {name} are not all finite")
        times = known[name].times(value)
        if times is not None:
            return _batch(
                check.step, f"a sample of its {name} is {times:.2g} times as large as the largest one usually is"
            )
    return None


def odd_results(suspect: StepCheck, stood: Mapping[str, float], after: StepCheck) -> WatchWarning | None:
    """A batch whose loss or gradient stood out, where the next step is as usual again.

    A loss or gradient that stays up is no matter of one batch.

    Args:
        suspect: the step that may have had it.
        stood: how many times the usual its "loss" or "gradient" was.
        after: the next one.
    """
    for name, times in stood.items():
        value, following = getattr(suspect, name), getattr(after, name)
        if following is None or not _is_back(following, value, times):
            continue
        much = f"{times:.2g} times the usual one" if math.isfinite(times) else "not finite"
        return _batch(suspect.step, f"its {name} is {much}, and the next one's is as before")
    return None


def _batch(step: int, what: str) -> WatchWarning:
    advice = "look at its samples and labels, and clip gradients if more such come"
    return WatchWarning(step, "batch", f"The batch of step {step} is unlike the others: {what}; {advice}.")


def _is_back(following: float, value: float, times: float) -> bool:
    """At least half of the way, in logarithms."""
    if not math.isfinite(value):
        return math.isfinite(following)
    return following * math.sqrt(times) < value


def clipping(checks: Sequence[StepCheck]) -> WatchWarning | None:
    """Clipping that is active in every step: the norms of the gradients are all the same.

    Args:
        checks: of the last steps.
    """
    norms = [check.gradient for check in checks if check.gradient is not None]
    if len(norms) < _CUT or not max(norms) < math.inf or not min(norms) > 0:
        return None
    if max(norms) > (1 + _ALIKE) * min(norms):
        return None
    return WatchWarning(
        checks[-1].step,
        "clipping",
        f"The gradients of all the last {len(norms)} steps were clipped to the norm {norms[-1]:.3g}: the rate that is set is not "
        "the rate that acts; raise the limit until it cuts outliers only, and lower the rate if that is unstable.",
    )


def silent(checks: Sequence[StepCheck]) -> WatchWarning | None:
    """A layer whose weights had no gradient in any of the first steps, while others had.

    Args:
        checks: from the first step on.
    """
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


def growing(checks: Sequence[StepCheck], name: str) -> WatchWarning | None:
    """A loss, or a gradient, of the last steps that lies above that of the steps before by more than chance.

    Args:
        checks: of the last steps.
        name: "loss" or "gradient".
    """
    values = [value for check in checks if (value := getattr(check, name)) is not None]
    before, recent = values[:-_RECENT], values[-_RECENT:]
    if len(before) < FEWEST:
        return None
    times = unusual(median(recent), before, SCATTERS / 2)
    if times is None:
        return None
    much = f"{times:.2g} times that of the steps before" if math.isfinite(times) else "not finite"
    return WatchWarning(
        checks[-1].step,
        "growth",
        f"The {name} grows: over the last {_RECENT} steps it is {much}; lower the rate to a third, or go back to a "
        "checkpoint before.",
    )


def beyond(record: WatchRecord, shares: Sequence[float], rising: bool) -> WatchWarning | None:
    """A rate that is, or will soon be, beyond half of the critical one, by the median of the last three visits.

    At half of the critical rate a step lands at the lowest point of a parabola along it, and beyond overshoots that. Of one batch
    this is no harm, and one batch's critical rate scatters; of most batches it is what goes before a divergence.

    Args:
        record: of the visit, with its critical rate.
        shares: rates over critical rates, ahead by some steps, of this visit and those before.
        rising: whether the rate is being raised.
    """
    share = median(shares[-_VISITS:])
    if len(shares) < _VISITS or share <= _HALF:
        return None
    critical = record.critical or 0.0
    lower = f"{min(record.rate / share, record.rate) / 4:.2g}"
    if rising:
        told = f"The rate {record.rate:.3g} is raised towards the critical one ({critical:.3g} for this batch)"
        advice = f"make the warm-up longer, or end it at {lower}"
        return WatchWarning(record.step, "warm-up", f"{told}: in {AHEAD} steps it is {share:.2g} of that; {advice}.")
    told = f"The rate {record.rate:.3g} is {share:.2g} of the critical one ({critical:.3g} for this batch)"
    return WatchWarning(record.step, "rate", f"{told}, so that steps overshoot; lower it to {lower}.")
