"""How the curvature of one batch goes along a training: what its start predicts, what happened, and whether a course is told."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from freeness.advice.watching import WatchRecord

REHEARSED = 10, 20, 30  # steps ahead
_APART = 10  # steps between two looks, of which the second and the third one must agree
_WOBBLE = 0.1  # of ln λ, from visit to visit
_LEAST = 0.2  # change of a logarithm; below that λ stays as it is


@dataclass(frozen=True)
class Sharpening:
    """λ of the first batch that was visited, as training went on.

    Attributes:
        step: behind which it was measured first.
        sharpness: λ there.
        slope: its change a step, predicted there by one finite difference along the optimiser's step.
        looked: steps at which it was measured again, ten or more after one another, two at most.
        happened: its mean change a step, up to each of these.
        course: the change of ln λ a step, where λ is expected to go one way; None where no course is told.
        why: a course is not told.
        rehearsed: λ ten, twenty and thirty steps later, rehearsed on the batches met by then, but for what repeats of them add.
    """

    step: int
    sharpness: float
    slope: float | None = None
    looked: tuple[int, ...] = ()
    happened: tuple[float, ...] = ()
    course: float | None = None
    why: str = ""
    rehearsed: tuple[float, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was predicted, what happened, and the course or why there is none.

        Example:
            >>> start = WatchRecord(1, 0.1, first_sharpness=2.0, sharpening=0.1)
            >>> later = [WatchRecord(step, 0.1, first_sharpness=value) for step, value in ((11, 3.0), (21, 4.0))]
            >>> for sentence in sharpening_of([start, *later]).sentences:
            ...     print(sentence)
            λ of the batch of step 1, not preconditioned, was 2 there, and its next step was predicted to change it by +0.1.
            From step 1 to 11 it changed by +0.1 a step.
            From step 1 to 21 it changed by +0.1 a step.
            It rises: over fifty steps from the start it is likely to end above that.
        """
        ahead = "" if self.slope is None else f", and its next step was predicted to change it by {self.slope:+.2g}"
        told = [f"λ of the batch of step {self.step}, not preconditioned, was {self.sharpness:.3g} there{ahead}."]
        for step, mean in zip(self.looked, self.happened, strict=True):
            told.append(f"From step {self.step} to {step} it changed by {mean:+.2g} a step.")
        if self.rehearsed:
            values = ", ".join(f"{value:.3g}" for value in self.rehearsed)
            told.append(f"Thirty more steps, rehearsed on the batches met so far, brought it to {values}.")
        if self.course is None:
            return (*told, f"No course is told: {self.why}.")
        way, end = ("rises", "above") if self.course > 0 else ("falls", "below")
        return (*told, f"It {way}: over fifty steps from the start it is likely to end {end} that.")


def sharpening_of(records: Sequence[WatchRecord]) -> Sharpening | None:
    """What visits tell of the course of λ; None where they did not measure it.

    The sign of the change along one step is that of fifty steps hardly more often than a coin's. A rehearsal of the steps to
    come, on the batches met so far, knows of curvature that falls again beyond the edge of stability. A course is told where its
    end lies on the side of the start on which λ is in the mean, and the mean is a tenth off: as much λ wobbles from visit to
    visit. Without a rehearsal it is told where λ went one way over two stretches of ten steps or more, and by a fifth in all.

    Example:
        >>> seen = ((1, 2.0), (11, 3.0), (21, 2.5))
        >>> sharpening_of([WatchRecord(step, 0.1, first_sharpness=value) for step, value in seen]).why
        'it went both ways'
    """
    seen = [record for record in records if record.first_sharpness is not None]
    seen = [
        record for record in seen if record.first_batch == seen[0].first_batch
    ]  # a run that goes on follows another batch
    known = [(record.step, record.first_sharpness) for record in seen if record.first_sharpness is not None]
    if not known:
        return None
    first, value = known[0]
    slope = seen[0].sharpening
    looks = _apart(known)
    looked, happened = tuple(step for step, _ in looks), tuple((one - value) / (step - first) for step, one in looks)
    course, why = _course([value, *(one for _, one in looks)])
    if course is not None:
        course /= looked[-1] - first
    ahead = next((record for record in seen if record.rehearsed), None)
    if ahead is not None:
        course, why = _rehearsed_course(value, ahead.rehearsed)
        if course is not None:
            course /= ahead.step + REHEARSED[-1] - first
    return Sharpening(first, value, slope, looked, happened, course, why, () if ahead is None else ahead.rehearsed)


def _apart(known: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The first two looks behind the first one that are ten steps or more behind one another."""
    found = [known[0]]
    for step, value in known:
        if len(found) < 3 and step >= found[-1][0] + _APART:
            found.append((step, value))
    return found[1:]


def _rehearsed_course(start: float, values: Sequence[float]) -> tuple[float | None, str]:
    """The change of ln λ up to the last of them, or why no course is told of them."""
    if min(start, *values) <= 0:
        return None, "the loss has no positive curvature"
    changes = [math.log(value / start) for value in values]
    mean = sum(changes) / len(changes)
    if changes[-1] * mean <= 0:
        return None, "rehearsed, it ends on the other side of its start than it is in the mean"
    if abs(mean) < _WOBBLE:
        return None, f"rehearsed, it is within {_WOBBLE:.0%} of its start in the mean"
    return changes[-1], ""


def _course(values: Sequence[float]) -> tuple[float | None, str]:
    """The change of ln λ over three looks, or why no course is told of them."""
    if len(values) < 3:
        return None, f"that takes three looks, {_APART} steps apart"
    if min(values) <= 0:
        return None, "the loss has no positive curvature"
    one, other = (math.log(b / a) for a, b in itertools.pairwise(values))
    if one * other <= 0:
        return None, "it went both ways"
    if abs(one + other) <= _LEAST:
        return None, f"it changed by less than {_LEAST:.0%}"
    return one + other, ""
