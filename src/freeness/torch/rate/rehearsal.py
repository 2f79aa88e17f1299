"""A rate that the start alone tells, tried for some steps: where training breaks or stands still, a lower one is told.

Curvature may grow manifold once training leaves the start, and single batches of heavy tails throw it far; nothing at the start
shows either. Nor does it show that a rate too high finds the best constant output and nothing else, as sine layers do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import torch
from torch import Tensor, nn

from freeness.torch.loss.losses import loss_function
from freeness.torch.measured.plan import REHEARSED
from freeness.torch.model.outputs import run
from freeness.torch.model.pace import TimeUp, beat
from freeness.torch.model.state import untouched
from freeness.torch.rate.trial_runs import TrialOptions, TrialRuns
from freeness.torch.request.batch import Batch
from freeness.torch.request.stepping import stepping
from freeness.training import SPACING, Leg, Objective, Optimizer, Rate, RateTrial, Schedule, tail_of

_MOST = 6  # rates that are tried
_CLEAR = 0.1  # of a loss: less is no difference
_FIRST = 4  # losses that stand for the start


def rehearsed(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    how: tuple[Objective, Optimizer],
    rate: Rate,
    *,
    training: bool | None = None,
) -> Rate:
    """The rate, where a model learns in 100 steps at it; else a lower one at which it learns more.

    The steps are those of a training, on whole batches of ``rate.batch`` samples, in another order in each pass. A trial breaks
    where it does for :func:`~freeness.torch.find_rate`, and stands still where its last third is less than a tenth below its
    first losses or below a third before it. Lower rates are tried then, as far apart as its trials, while none is a tenth worse
    than the best before it. The best is told if it is a tenth better than the first, and the one above it ends the interval.
    The model is left as it was.

    Args:
        model: of one tensor.
        data: inputs and targets.
        how: loss and optimiser.
        rate: that the start tells.
        training: the mode.

    Example:
        >>> from freeness.training import SGD, loss_of
        >>> model, x = nn.Linear(1, 1, bias=False), torch.ones(8, 1)
        >>> told = Rate(6.0, 2.0, 1.0, "", "half_squared_error", "sgd", batch=4, low=3.0, high=12.0)
        >>> found = rehearsed(model, (x, x), (loss_of("half_squared_error"), SGD()), told)  # λ = 1
        >>> found.recommended, found.low, found.high
        (0.6666666666666666, 0.3333333333333333, 2.0)
    """
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
        trials: list[RateTrial] = []
        try:
            while len(trials) < _MOST and _goes_on(trials):
                leg = Leg(rate.recommended / SPACING ** len(trials), REHEARSED)
                trials.append(runs.run(leg, beat))
        except TimeUp:
            pass
    whole = [trial for trial in trials if not trial.stopped]
    best = min(whole, key=lambda trial: trial.score, default=None)
    if not trials or (not trials[0].stopped and (best is None or not _better(best.score, trials[0].score))):
        return rate
    return _lowered(rate, trials, best)


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
    if not trials or trials[-1].stopped:
        return True
    last, before = trials[-1], [trial.score for trial in trials[:-1]]
    return not _better(min(before), last.score) if before else _stands(last)


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
    known = (
        found.low is not None and found.high is not None and not found.wide
    )  # nobody counted how often it holds the best
    expected = (
        f"The best one is expected between {found.low:.3g} and {found.high:.3g}." if known else found.outlook_sentence
    )
    return replace(found, reason=f"{reason} {expected}", details=(*rate.details, said))
