"""From what a watch over training has seen to what it says: one function a kind of trouble, each of plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from freeness.advice.watching import StepCheck, WatchRecord, WatchWarning

WINDOW = 50  # steps that say what is usual
_FEWEST = 20  # of them before anything is called unusual
_SCATTERS = 8.0  # robust standard deviations; told from 60 steps these may be a quarter too small, and tails are heavy
_TIMES = 3.0  # and so many times the usual, for a steady run's scatter may be tiny
_ALIKE = 1e-3  # relative: norms of gradients are never so equal unless they are cut to one length
_RECENT = 10  # steps that are compared with those before
_VISITS, _HALF = 3, 0.5  # visits, and the share of the critical rate: the lowest point along a step
AHEAD = 20  # steps by which a rate that changes is followed on


def usual(values: Sequence[float]) -> tuple[float, float]:
    """Median and robust standard deviation (1.4826 times the median distance from it).

    Example:
        >>> usual([1.0, 2.0, 3.0, 4.0, 100.0])
        (3.0, 1.4826)
    """
    middle = median(values)
    return middle, 1.4826 * median(abs(value - middle) for value in values)


def unusual(value: float, before: Sequence[float], scatters: float = _SCATTERS) -> float | None:
    """How many times the usual a positive number is, where that is far beyond scatter; None where it is not, or is not known.

    Args:
        value: the new one; what is not finite is infinitely many times the usual.
        before: what is usual, in logarithms, for losses and gradients scatter by factors.
        scatters: robust standard deviations that are still usual.

    Example:
        >>> unusual(50.0, [1.0, 1.1, 0.9] * 10), unusual(1.2, [1.0, 1.1, 0.9] * 10)
        (50.0, None)
    """
    known = [math.log(one) for one in before if 0 < one < math.inf]
    if len(known) < _FEWEST:
        return None
    if not math.isfinite(value):
        return math.inf
    middle, scatter = usual(known)
    if value <= 0 or math.log(value) - middle <= max(scatters * scatter, math.log(_TIMES)):
        return None
    return value / math.exp(middle)


def bad_batch(checks: Sequence[StepCheck]) -> WatchWarning | None:
    """The batch of the last step but one, where it stood out and the next step is as usual again.

    A loss or gradient that stays up is no matter of one batch.

    Args:
        checks: of the last steps.
    """
    if len(checks) < _FEWEST + 2 or checks[-1].step - checks[-2].step != 1:
        return None
    *before, suspect, after = checks
    for name in ("loss", "gradient"):
        past = [value for check in before if (value := getattr(check, name)) is not None]
        value, following = getattr(suspect, name), getattr(after, name)
        if value is None or following is None:
            continue
        times = unusual(value, past)
        if times is not None and _is_back(following, value, times):
            much = f"{times:.2g} times the usual one" if math.isfinite(times) else "not finite"
            return WatchWarning(
                suspect.step,
                "batch",
                f"The batch of step {suspect.step} is unlike the others: its {name} is {much}, and the next one's is as before; "
                "look at its samples, and clip gradients if more such come.",
            )
    return None


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
    if len(norms) < WINDOW or not max(norms) < math.inf or not min(norms) > 0:
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
    first = checks[:_RECENT]
    if len(first) < _RECENT or not all(check.layers for check in first):
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


def growing(checks: Sequence[StepCheck]) -> WatchWarning | None:
    """A loss, or a gradient, of the last steps that lies above that of the steps before by more than chance.

    Args:
        checks: of the last steps.
    """
    for name in ("loss", "gradient"):
        values = [value for check in checks if (value := getattr(check, name)) is not None]
        before, recent = values[:-_RECENT], values[-_RECENT:]
        if len(before) < _FEWEST:
            continue
        times = unusual(median(recent), before, _SCATTERS / 2)
        if times is not None:
            much = f"{times:.2g} times that of the steps before" if math.isfinite(times) else "not finite"
            return WatchWarning(
                checks[-1].step,
                "growth",
                f"The {name} grows: over the last {_RECENT} steps it is {much}; lower the rate to a third, or go back to a "
                "checkpoint before.",
            )
    return None


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
