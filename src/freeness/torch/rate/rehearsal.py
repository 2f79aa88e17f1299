"""A rate that the start alone tells, tried for some steps: where training breaks or stands still, a lower one is told.

Curvature may grow manifold once training leaves the start, and single batches of heavy tails throw it far; nothing at the start
shows either. Nor does it show that a rate too high finds the best constant output and nothing else, as sine layers do. Where no
lower rate is better, higher ones are tried.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import torch
from torch import Tensor, nn

from freeness.torch.loss.losses import loss_function
from freeness.torch.measured.plan import REHEARSED, TRIALS
from freeness.torch.model.outputs import run
from freeness.torch.model.pace import TimeUp, beat
from freeness.torch.model.state import untouched
from freeness.torch.rate.trial_runs import TrialOptions, TrialRuns
from freeness.torch.request.batch import Batch
from freeness.torch.request.stepping import stepping
from freeness.training import SPACING, Leg, Objective, Optimizer, Rate, RateTrial, Schedule, tail_of

_CLEAR = 0.1  # of a loss: less is no difference
_FIRST = 4  # losses that stand for the start
_FLAT = (
    f"In {REHEARSED} steps at the rates that were tried the loss of a copy stood still, as on a plateau: only longer trials tell "
    "more of it."
)
_SHARE = 0.75  # of the best trial's gain, which of a lower rate would be all on a plateau, and a third where rates are too low


@dataclass(frozen=True)
class Room:
    """How many rates may be tried; why no more, where that is not all that are called for; what is said where time is up."""

    rates: int = TRIALS
    fewer: str = ""
    late: str = "the time was over"


def rehearsed(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    how: tuple[Objective, Optimizer],
    rate: Rate,
    *,
    room: Room | None = None,
    training: bool | None = None,
) -> Rate:
    """The rate, where a model learns in 100 steps at it; else a lower one at which it learns more.

    The steps are those of a training, on whole batches of ``rate.batch`` samples, in another order in each pass. A trial breaks
    where it does for :func:`~freeness.torch.find_rate`, and stands still where its last third is less than a tenth below its
    first losses or below a third before it. Lower rates are tried then, as far apart as its trials, while none is a tenth worse
    than the best before it, nor lowers the loss by less than three quarters of that. The best is told if it is a tenth better
    than the first, and the one above it ends the interval. Where there is none, higher rates are tried up to the first beyond the
    interval, while each is a tenth better than the one below. Where room or time end this earlier, the reason says so. The model
    is left as it was.

    Args:
        model: of one tensor.
        data: inputs and targets.
        how: loss and optimiser.
        rate: that the start tells.
        room: for trials; six rates when left out.
        training: the mode.

    Example:
        >>> from freeness.training import SGD, loss_of
        >>> model, x = nn.Linear(1, 1, bias=False), torch.ones(8, 1)
        >>> told = Rate(6.0, 2.0, 1.0, "", "half_squared_error", "sgd", batch=4, low=3.0, high=12.0)
        >>> found = rehearsed(model, (x, x), (loss_of("half_squared_error"), SGD()), told)  # λ = 1
        >>> found.recommended, found.low, found.high
        (0.6666666666666666, 0.3333333333333333, 2.0)
    """
    room = room or Room()
    if room.rates == 0:
        return untried(rate, room.fewer)
    loss, optimizer = how
    criterion = loss_function(loss)
    inputs, targets = data
    batches = _Drawn(Batch((inputs,), targets=targets, count=len(inputs)), min(rate.batch, len(inputs)))
    with untouched(model, training=training), torch.enable_grad():
        runs = TrialRuns(
            model,
            batches,
            lambda one, batch: criterion(run(one, batch.args[0]), batch.targets),
            stepping(model, optimizer),
            TrialOptions(Schedule(REHEARSED, "constant")),
        )
        trials, ended = _trials(runs, rate, room)
    if not trials:
        return untried(rate, ended)
    found = _told(rate, trials)
    if ended:
        return replace(found, reason=f"{found.reason} Trials of it ended early: {ended}.")
    flat = found is rate and all(_stands(trial) for trial in trials if not trial.stopped)
    return replace(rate, reason=f"{rate.reason} {_FLAT}") if flat else found


def untried(rate: Rate, why: str) -> Rate:
    """The rate with what is said of one that was not tried."""
    return replace(rate, reason=f"{rate.reason} It was not tried: {why}.")


def _told(rate: Rate, trials: list[RateTrial]) -> Rate:
    """What the trials make of it."""
    whole = [trial for trial in trials if not trial.stopped]
    best = min(whole, key=lambda trial: trial.score, default=None)
    if trials[0].stopped or (
        best is not None and best.rate < rate.recommended and _better(best.score, trials[0].score)
    ):
        return _lowered(rate, trials, best)
    highest = _climbed(trials)
    return rate if highest is trials[0] else _raised(rate, highest)


def _trials(runs: TrialRuns, rate: Rate, room: Room) -> tuple[list[RateTrial], str]:
    """Those that are called for, and why there are no more of them, where there should be."""
    found: list[RateTrial] = []
    try:
        while (wanted := _next(rate, found)) is not None:
            if len(found) == room.rates:
                return found, room.fewer
            found.append(runs.run(Leg(wanted, REHEARSED), beat))
    except TimeUp:
        return found, room.late
    return found, ""


def _next(rate: Rate, trials: list[RateTrial]) -> float | None:
    """The rate to be tried next: that which is told, lower ones where they are called for, then higher ones."""
    if not trials:
        return rate.recommended
    highest = max(trial.rate for trial in trials)
    if highest == rate.recommended and _goes_on(trials):
        return rate.recommended / SPACING ** len(trials)
    return SPACING * highest if _goes_up(rate, trials) else None


class _Drawn(Sequence[Batch]):
    """Whole batches of some samples: pass after pass over all of them, each in another order. One is held at a time."""

    def __init__(self, samples: Batch, size: int) -> None:
        draw, whole = torch.Generator().manual_seed(0), samples.count // size
        passes = 1 if whole == 1 else math.ceil(REHEARSED / whole)
        orders = [torch.randperm(samples.count, generator=draw)[: whole * size] for _ in range(passes)]
        self._samples, self._rows = samples, [rows for order in orders for rows in order.split(size)]

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Batch: ...
    @overload
    def __getitem__(self, place: slice) -> list[Batch]: ...
    def __getitem__(self, place: int | slice) -> Batch | list[Batch]:
        if isinstance(place, slice):
            return [self._samples.rows(rows) for rows in self._rows[place]]
        return self._samples.rows(self._rows[place])


def _goes_on(trials: list[RateTrial]) -> bool:
    """Whether a lower rate is to be tried: where training broke or stands still, until lower ones are worse."""
    if trials[-1].stopped:
        return True
    last, before = trials[-1], [trial.score for trial in trials[:-1]]
    if not before:
        return _stands(last)
    start, best = math.fsum(last.losses[:_FIRST]) / _FIRST, min(before)
    slow = math.isfinite(best) and start - last.score < _SHARE * (start - best)
    return not (slow or _better(best, last.score))


def _goes_up(rate: Rate, trials: list[RateTrial]) -> bool:
    """Whether a higher rate is to be tried: while the highest lies within the interval, and is the best, clearly so."""
    highest = max(trials, key=lambda trial: trial.rate)
    if rate.high is None or highest.rate > rate.high or highest.stopped:
        return False
    if highest is trials[0]:
        return not any(_better(trial.score, highest.score) for trial in trials[1:])
    return _climbed(trials) is highest


def _climbed(trials: list[RateTrial]) -> RateTrial:
    """The highest rate up to which each is clearly better than the one below, from the first on."""
    found = trials[0]
    for trial in sorted(trials, key=lambda trial: trial.rate):
        if trial.rate > found.rate and not trial.stopped and _better(trial.score, found.score):
            found = trial
    return found


def _stands(trial: RateTrial) -> bool:
    """Whether the last third of the losses is no clear gain over the first ones, or over a third before it."""
    third = len(tail_of(trial.losses))
    before = trial.losses[:_FIRST], trial.losses[:third], trial.losses[third:-third]
    return not _better(trial.score, min(math.fsum(part) / len(part) for part in before))


def _better(loss: float, other: float) -> bool:
    return loss < other - _CLEAR * abs(other) if math.isfinite(other) else math.isfinite(loss)


def _lowered(rate: Rate, trials: list[RateTrial], best: RateTrial | None) -> Rate:
    """The best rate, with the interval that it has then; one below all that broke, where time allowed no other."""
    first = trials[0]
    told = trials[-1].rate / SPACING if best is None else best.rate
    found = replace(
        rate,
        recommended=told,
        low=None if rate.low is None else told / rate.recommended * rate.low,
        high=None if rate.high is None else min(rate.high, SPACING * told),
    )
    failed = f"training breaks within {first.steps} steps" if first.stopped else "training soon stands still"
    left = "Lower ones were not tried" if best is None else f"Of lower rates {told:.3g} leaves the least loss there"
    said = (
        f"At {rate.recommended:.3g}, which follows from the curvature, {failed}, as a copy of the model shows. {left}; they "
        f"stand {SPACING:g} times apart."
    )
    reason = f"At the rate that follows from the curvature {failed} on a copy of the model, so a lower one is told."
    return replace(found, reason=f"{reason} {_expected(found)}", details=(*rate.details, said))


def _raised(rate: Rate, trial: RateTrial) -> Rate:
    """A higher rate at which the model learns more, with the interval that it has then."""
    told = trial.rate
    low = None if rate.low is None else max(rate.low, told / SPACING)
    high = SPACING * told if rate.high is not None and told > rate.high else rate.high
    said = (
        f"At {told:.3g} a copy of the model learns more in {trial.steps} steps than at {rate.recommended:.3g}, which follows "
        f"from the curvature; rates that were tried stand {SPACING:g} times apart."
    )
    reason = (
        f"The rate that follows from the curvature is {told / rate.recommended:.3g} times lower, at which a copy of the model "
        "learns less."
    )
    found = replace(rate, recommended=told, low=low, high=high)
    return replace(found, reason=f"{reason} {_expected(found)}", details=(*rate.details, said))


def _expected(rate: Rate) -> str:
    """Where the best rate is expected; of a wide interval nobody counted how often it holds it."""
    known = rate.low is not None and rate.high is not None and not rate.wide
    return f"The best one is expected between {rate.low:.3g} and {rate.high:.3g}." if known else rate.outlook_sentence
