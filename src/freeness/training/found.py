"""What trials say: the best rate by a parabola through the loss over the logarithm of the rate, and how far it is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from freeness.errors import InputError
from freeness.shown import Plotted, Printed, Shown
from freeness.training.losses.squared_error import SquaredError
from freeness.training.rate_trials import SPACING, RateTrial, tail_of
from freeness.training.schedule import Schedule

# While the rate is constant the best one falls as (steps of the trials/steps) to this power: usually, and at most. Of squared
# losses it stays, for it lies where training breaks, and that does not move with length.
_DRIFT, _MOST_DRIFT = 0.25, 0.5
_SQUARED = {SquaredError(averaged, halved).name for averaged in (True, False) for halved in (True, False)}
_FEW = 8  # samples a batch below which a high rate may pay later than trials end
_NEAR = 0.05  # of the loss: rates that lose less are as good
_SURE = 2.0  # standard errors
_WARM = 0.1  # of the training, the usual length of a warm-up from 0
_WIDEST = 3.0  # an end of the interval beyond the rates that were tried, as a factor


class Minimum(NamedTuple):
    """The best rate of trials of one length, the rates that are as good, and the standard error of a logarithm of the loss."""

    rate: float
    low: float
    high: float
    error: float


def minimum_of(trials: Sequence[RateTrial]) -> Minimum:
    """The best rate by the longest trials, read off a parabola through the best and those beside it.

    All trials saw the same batches: the noise is that of the difference between two of them over their last steps. A curvature
    that is not above it pulls the lowest point less.

    Raises:
        InputError: all diverged.

    Example:
        >>> trials = [RateTrial(x, (1 + math.log(x / 0.1) ** 2 / 9,) * 20) for x in (0.03, 0.09, 0.27)]
        >>> round(minimum_of(trials).rate, 2)
        0.1
    """
    kept = [trial for trial in trials if not trial.stopped]
    if not kept:
        raise InputError(
            "expected a rate at which training goes on, got loss without end at all of "
            f"{', '.join(f'{trial.rate:.3g}' for trial in trials)}; check the loss, or give a lower interval."
        )
    longest = max(trial.steps for trial in kept)
    last = sorted((trial for trial in kept if trial.steps == longest), key=lambda trial: trial.rate)
    heights = _heights(last)
    at = int(np.argmin(heights))
    best, error = last[at], _error(last, at)
    if len(last) < 3 or at in (0, len(last) - 1):
        return _at_an_end(last, trials, at, error)
    x = np.log([last[k].rate for k in (at - 1, at, at + 1)])
    y = np.array([heights[k] for k in (at - 1, at, at + 1)])
    curvature, slope = _parabola(x - x[1], y)
    curvature += error / (x[2] - x[0]) ** 2
    shift = float(np.clip(-slope / (2 * curvature), 0.5 * (x[0] - x[1]), 0.5 * (x[2] - x[1])))
    half = math.sqrt(max(math.log1p(_NEAR), _SURE * error) / curvature)
    middle = math.log(best.rate) + shift
    low, high = max(middle - half, x[0] - math.log(_WIDEST)), min(middle + half, x[2] + math.log(_WIDEST))
    return Minimum(math.exp(middle), math.exp(low), math.exp(high), error)


def _heights(trials: Sequence[RateTrial]) -> np.ndarray:
    """Logarithms of the scores; where a loss may be negative, differences over the size of the first."""
    scores = np.array([trial.score for trial in trials])
    if all(min(trial.losses) > 0 for trial in trials):
        return np.log(scores)
    return (scores - scores.min()) / max(abs(trials[0].losses[0]), abs(float(scores.min())), 1e-30)


def _error(trials: Sequence[RateTrial], at: int) -> float:
    """Of the best trial's height beside its neighbours', by their differences step by step."""
    own = np.array(tail_of(trials[at].losses))
    size = abs(float(own.mean())) or 1.0
    beside = [trials[k] for k in (at - 1, at + 1) if 0 <= k < len(trials)]
    spreads = [float(np.std(np.array(tail_of(other.losses)) - own)) for other in beside]
    return min(spreads, default=float(np.std(own))) / size / math.sqrt(len(own))


def _parabola(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """a and b of a·x² + b·x + c through three points, a > 0."""
    a, b, _ = np.polyfit(x, y, 2)
    return max(float(a), 1e-12), float(b)


def _at_an_end(last: Sequence[RateTrial], trials: Sequence[RateTrial], at: int, error: float) -> Minimum:
    """The best of those that came to the end; on its open sides the interval goes on to the next rate that was tried."""
    rate = last[at].rate
    tried = sorted(trial.rate for trial in trials)
    below = [other for other in tried if other < rate]
    above = [other for other in tried if other > rate]
    low, high = below[-1] if below else rate / _WIDEST, above[0] if above else rate * _WIDEST
    return Minimum(rate, low, high, error)


@dataclass(frozen=True)
class WarmUp:
    """Whether a warm-up is needed: ``steps`` of it, from the rate ``start`` on, and why."""

    steps: int
    start: float
    reason: str


@dataclass(frozen=True)
class RateSetting:
    """What was trained and how: names for sentences, the training to come, ``memory`` as of :func:`warm_up`."""

    loss: str
    optimizer: str
    batch: int
    schedule: Schedule
    groups: tuple[float, ...] = (1.0,)
    notes: tuple[str, ...] = ()
    memory: int = 0

    @property
    def drifts(self) -> bool:
        """Whether the best rate falls with the length of training: under a constant rate, but not under squared losses."""
        return not self.schedule.falls and self.loss not in _SQUARED

    @property
    def breaks_near(self) -> bool:
        """Whether training breaks little above the best rate, as gradient descent does under squared losses."""
        return self.loss in _SQUARED and not self.memory

    @property
    def pays_later(self) -> bool:
        """Whether a higher rate may be better than short trials see.

        Under squared losses gradient descent by single samples first raises the loss at a high rate, then finds flatter places.
        """
        return self.breaks_near and self.batch < _FEW


@dataclass(frozen=True)
class FoundRate(Shown, Printed, Plotted):
    """A learning rate that short trials found.

    ``recommended`` is the rate of the first parameter group, and ``groups`` are those of all as multiples of it. From ``low`` to
    ``high`` the loss hardly changes, or the trials do not tell it apart; for gradient descent by single samples under a squared
    loss ``high`` is five times that, as it may do better there later than trials see. ``reason`` says in words how it was found.
    ``critical`` is the largest rate of the first step that does not raise the loss of its batch. ``cost`` is what was spent, and
    ``budget`` what was allowed, in gradient evaluations as multiples of those of the training to come. ``noise`` is the standard
    error of the best trial's loss beside the next one's, as a share of it. ``interrupted``: the trials were ended early.
    """

    recommended: float
    low: float
    high: float
    reason: str
    setting: RateSetting
    trials: tuple[RateTrial, ...]
    critical: float
    budget: float
    cost: float
    noise: float
    warmup: WarmUp
    interrupted: bool = False

    @property
    def length(self) -> int:
        """Steps of the longest trials."""
        return max(trial.steps for trial in self.trials if not trial.stopped)


def found_rate(
    trials: Sequence[RateTrial],
    setting: RateSetting,
    critical: float,
    costs: tuple[float, float],
    *,
    ended: bool = False,
) -> FoundRate:
    """The record that some trials make.

    Args:
        trials: at the lengths that they came to.
        setting: what was trained, and how.
        critical: the critical rate of the first step.
        costs: that was spent, and that was allowed.
        ended: early.

    Raises:
        InputError: all diverged.

    Example:
        >>> trials = [RateTrial(x, (1 + math.log(x / 0.1) ** 2 / 9,) * 20) for x in (0.03, 0.09, 0.27)]
        >>> found = found_rate(trials, RateSetting("mse", "adam", 64, Schedule(20)), 1.0, (3.0, 3.0))
        >>> round(found.recommended, 2), found.low < found.recommended < found.high, found.warmup.steps
        (0.1, True, 0)
    """
    found = minimum_of(trials)
    length = max(trial.steps for trial in trials if not trial.stopped)
    share = min(1.0, length / setting.schedule.steps)
    usual, most = (share**_DRIFT, share**_MOST_DRIFT) if setting.drifts else (1.0, 1.0)
    rate = usual * found.rate
    around = math.sqrt(SPACING) if setting.breaks_near else 1.0  # rates that near were not all tried
    beyond = SPACING**1.5 if setting.pays_later else 1.0
    return FoundRate(
        recommended=rate,
        low=min(most * found.low, rate / around),
        high=max(beyond * max(found.high, rate), around * rate),
        reason=_reason(trials, length, setting, usual),
        setting=setting,
        trials=tuple(sorted(trials, key=lambda trial: trial.rate)),
        critical=critical,
        budget=costs[1],
        cost=costs[0],
        noise=found.error,
        warmup=warm_up(rate, critical, setting.schedule, setting.memory),
        interrupted=ended,
    )


def _reason(trials: Sequence[RateTrial], length: int, setting: RateSetting, usual: float) -> str:
    """Three sentences at most."""
    broken = sorted(trial.rate for trial in trials if trial.stopped)
    last = sum(trial.steps == length and not trial.stopped for trial in trials)
    told = (
        f"{len(trials)} rates from {min(trial.rate for trial in trials):.2g} to {max(trial.rate for trial in trials):.2g} were "
        f"tried on the same batches, {last} of them for {length} steps; the lowest loss lies here."
    )
    if broken:
        told += f" From {broken[0]:.2g} on training diverged."
    if usual < 1:
        told += f" It is {usual:.2f} of the best of so short a trial, because the best rate falls with the length of training."
    return told


def warm_up(rate: float, critical: float, schedule: Schedule, memory: int = 0) -> WarmUp:
    """Whether a warm-up is needed for a rate, and how long.

    Optimisers of Adam's kind divide the mean of gradients by their size. Until they have averaged 1/(1-β₁) of them, their steps
    are the signs of single gradients, full-sized in every parameter: so many steps they are warmed up from 0, at any rate.

    Of the others a rate below the critical one of the first step is stable from the start. Above it, training begins at the
    critical rate; of a linear warm-up from 0 over T steps the part below that, T·critical/rate, is saved.

    Args:
        rate: to train at.
        critical: of the first step.
        schedule: of the training.
        memory: 1/(1-β₁) of an optimiser of Adam's kind, 0 of others.

    Example:
        >>> warm_up(0.1, 1.0, Schedule(200)).steps, warm_up(4.0, 1.0, Schedule(200)).steps
        (0, 15)
        >>> warm_up(0.1, 1.0, Schedule(200), memory=10).steps
        10

    Source: Ma, Yarats, arXiv 1910.04209 (the size of Adam's first steps), with a length of ours; Kalra, Barkeshli, arXiv
    2406.09405 (a warm-up that begins at the critical rate); T is a tenth of the training. docs/rates.md has what both do.
    """
    if memory:
        steps = min(memory, schedule.steps - 1)
        return WarmUp(
            steps,
            0.0,
            f"Warm up from 0 over {steps} steps: until it has averaged so many gradients, this optimiser steps by the signs of "
            "single ones.",
        )
    if not rate > critical:
        return WarmUp(
            0,
            rate,
            f"No warm-up is needed: {rate:.3g} is below the critical rate {critical:.3g}, from which on the first step raises "
            "the loss of its own batch.",
        )
    steps = max(1, round(_WARM * schedule.steps * (1 - critical / rate)))
    return WarmUp(
        steps,
        critical,
        f"Warm up over {steps} steps, from the critical rate {critical:.3g} on: at {rate:.3g} the first step would raise the "
        "loss of its own batch.",
    )
