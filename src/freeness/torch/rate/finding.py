"""A learning rate found by short trials on the user's own batches, within a budget that is told before."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict, Unpack

from torch import nn

from freeness.advice import Progress, Report
from freeness.bars import followed
from freeness.errors import InputError, is_real, is_size
from freeness.torch.loss.given import GivenLoss
from freeness.torch.loss.loss_modules import loss_kept
from freeness.torch.model.compiled import uncompiled
from freeness.torch.model.outputs import OutputKey
from freeness.torch.model.state import trained_parameters, untouched
from freeness.torch.rate.critical import CriticalRate, critical_rate
from freeness.torch.rate.trial_record import TrialRecord
from freeness.torch.rate.trial_runs import TrialOptions, TrialRuns
from freeness.torch.request.batch_loss import trial_loss
from freeness.torch.request.stepping import AnyOptimizer, Stepping, stepping
from freeness.torch.request.trained import train_what_is_stepped, trained_note
from freeness.torch.request.user_data import batches_of
from freeness.training import (
    USUAL_BATCH,
    FoundRate,
    Leg,
    Rate,
    RateSetting,
    RateTrial,
    Schedule,
    check_budget,
    found_rate,
    halved,
    rates_between,
)

_BELOW, _ABOVE = 810.0, 1.1  # the critical rate over this, and over that: where trials begin when nothing is known
_AROUND = 27.0  # the optimiser's own rate times and over this, where there is no critical one
_FURTHEST = 25.0  # times what a parabola has; batch normalisation was seen to reach 11
_PASSES = 3  # forward passes that cost as much as a gradient
_LONGEST = 0.4  # of the budget, for one trial


@dataclass(frozen=True)
class FindOptions:
    """How the training to come is run, what its trials may cost, and where they begin.

    Args:
        loss: what :func:`~freeness.torch.analyze` takes; that of the model where it returns one, else "cross_entropy", when left
            out.
        optimizer: a name, any optimiser of torch or of yours (its groups keep the ratios of their rates, its state is where
            trials begin), or what makes one of a list of parameters.
        steps: of the training to come.
        cost: gradient evaluations at most, as a multiple of those of that training.
        batch: samples of a batch, where the data have no batches of their own; 64 when left out.
        interval: rates between which trials begin, or a :class:`~freeness.training.Rate` that has some; a wide one below the
            critical rate when left out. Trials go on beyond it where the best lies at its end.
        schedule: "constant", "cosine" or "linear" over ``steps``, or a :class:`~freeness.training.Schedule`.
        accumulate: batches whose gradients make one step.
        clip: the norm to which gradients are clipped.
        precision: of autocast, "bfloat16".
        output: name or number of the output that the loss is of.
        seed: of the order of samples and of dropout.
        record: a file in which every trial is kept as a line of JSON; those that it holds are not run again.
    """

    loss: GivenLoss | None = None
    optimizer: AnyOptimizer = "adam"
    steps: int = 200
    cost: float = 1.5
    batch: int | None = None
    interval: tuple[float, float] | Rate | None = None
    schedule: str | Schedule = "constant"
    accumulate: int = 1
    clip: float | None = None
    precision: str = ""
    output: OutputKey = None
    seed: int = 0
    record: Path | None = None

    def __post_init__(self) -> None:
        if not (is_size(self.steps) and is_real(self.cost) and self.cost > 0):
            raise InputError(
                f"expected steps ≥ 1 and a cost > 0, got {self.steps!r} and {self.cost!r}; try steps=200, cost=1.5."
            )
        if self.batch is not None and not is_size(self.batch):
            raise InputError(f"expected a batch of at least 1 sample, got {self.batch!r}; correct it.")
        check_budget(self.budget)

    @property
    def budget(self) -> int:
        """Steps that the trials may take in all."""
        return math.floor(self.cost * self.steps + 1e-9)

    @property
    def whole_schedule(self) -> Schedule:
        """Of all the steps."""
        given = self.schedule
        return replace(given, steps=self.steps) if isinstance(given, Schedule) else Schedule(self.steps, given)

    @property
    def trial(self) -> TrialOptions:
        """How a step is taken."""
        return TrialOptions(self.whole_schedule, self.accumulate, self.clip, self.precision, self.seed)


class FindArguments(TypedDict, total=False):
    """The options that are named most."""

    loss: GivenLoss | None
    optimizer: AnyOptimizer
    steps: int
    cost: float


def find_rate(
    model: nn.Module,
    data: object,
    options: FindOptions | None = None,
    *,
    progress: Report | bool | None = None,
    **named: Unpack[FindArguments],
) -> FoundRate:
    """Find the learning rate by short trials from the model's present weights, all on the same batches with the same dropout.

    First the critical rate of the first step is sought by doubling and bisection. Then some seven rates are tried for a few
    steps; the best four go on, the best three until the budget is spent, and what diverges is stopped. The best rate is read off
    a parabola through their last losses over the logarithm of the rate. Ctrl-C ends the trials and returns the best so far.

    Weights, gradients, buffers, modes, random state, the optimiser and the loader's generators come back as they were.

    Args:
        model: any nn.Module, or a checkpoint; frozen parameters and those that the optimiser does not hold stay as they are.
        data: what :func:`~freeness.torch.analyze` takes: a DataLoader, whose first batches are taken in its order and kept in
            memory; (inputs, targets), of which batches are drawn; a dict for ``model(**batch)``; …
        options: loss, optimiser, steps, cost, batch, schedule and the folder of the trials; defaults when left out.
        progress: True shows a bar; a function is called before every trial and every step, as ``print``.
        **named: ``loss``, ``optimizer``, ``steps`` and ``cost``, before those of the options.

    Raises:
        InputError: the model, the data or the options do not fit, the budget is too small, or everything diverges.

    Example:
        >>> import torch
        >>> model, x = nn.Linear(4, 1), torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
        >>> found = find_rate(model, (x, x[:, :1]), loss="mse", optimizer="sgd", steps=60)
        >>> 0.01 < found.low < found.recommended < found.high, found.cost <= 1.5
        (True, True)
    """
    options = replace(options or FindOptions(), **named)
    if not isinstance(model, nn.Module):
        raise InputError(f"expected an nn.Module, got {type(model).__name__}; pass the model itself.")
    model = uncompiled(model)
    if not trained_parameters(model):
        raise InputError(f"expected a model with parameters, got {type(model).__name__} without; nothing is trained.")
    how = options.trial
    longest = min(options.steps, math.ceil(_LONGEST * options.cost * options.steps))
    size = USUAL_BATCH if options.batch is None else options.batch
    batches = batches_of(data, model, longest * options.accumulate, size=size, seed=options.seed)
    with untouched(model, training=None), loss_kept(options.loss, model):
        template = stepping(model, options.optimizer)
        train_what_is_stepped(model, template.template)
        with untouched(model, training=None):
            loss = trial_loss(model, batches[0], options.loss, options.output)
        setting = RateSetting(
            loss.name,
            template.name,
            batches[0].count * options.accumulate,
            how.schedule,
            template.shares,
            trained_note(model),
            template.memory,
        )
        runs = TrialRuns(model, batches, loss, template, how)
        with followed(progress) as report:
            return _Search(runs, template, setting, options, report).found(model, longest)


def steepest(critical: CriticalRate) -> float:
    """The largest critical rate that a parabola of this loss and slope has, if it stays above 0: four times their ratio.

    Of one sample the loss may fall along its gradient until the numbers overflow, and its critical rate says nothing. With
    curvatures a and distances w, loss ½Σaw², slope Σa²w² and critical rate 2Σa²w²/Σa³w², so by Cauchy and Schwarz
    (Σa²w²)² ≤ Σaw²·Σa³w² the critical rate is at most 4·loss/slope. Of a loss below 0 its size stands for what it may lose.

    Example:
        >>> round(steepest(CriticalRate(rate=2.0, below=1.9, loss=0.5, slope=-1.0, passes=9)), 3)  # ½w² at 1
        2.0
    """
    return 4 * abs(critical.loss) / -critical.slope if critical.loss != 0 > critical.slope else math.inf


@dataclass
class _Search:
    """The trials as they come."""

    runs: TrialRuns
    template: Stepping
    setting: RateSetting
    options: FindOptions
    report: Report | None
    trials: dict[float, RateTrial] = field(default_factory=dict[float, RateTrial])
    done: int = 0

    @property
    def budget(self) -> int:
        """Steps that may be taken, those before the trials among them."""
        return self.options.budget

    def found(self, model: nn.Module, longest: int) -> FoundRate:
        """The record, of the trials until the budget is spent or Ctrl-C."""
        record = TrialRecord.opened(self.options.record, self.setting, self._numbers(model))
        evaluations = self.budget * self.options.accumulate
        self._say(
            "critical rate of the first step",
            note=f"at most {evaluations} gradient evaluations, {self.options.cost:g} runs of {self.options.steps} steps",
        )
        critical = record.critical or self._critical(model)
        record.begin(critical)
        self.done = math.ceil(1 + critical.passes / _PASSES / self.options.accumulate)
        ended = False
        try:
            self._run(critical, longest, record)
        except KeyboardInterrupt:
            if not self.trials:
                raise
            ended = True
        spent = self.done + sum(trial.steps for trial in self.trials.values())
        costs = (spent / self.options.steps, self.options.cost)
        self._say("done")
        return found_rate(list(self.trials.values()), self.setting, critical.rate, costs, ended=ended)

    def _numbers(self, model: nn.Module) -> dict[str, float | str | None]:
        """What tells this search from another one of the same model class."""
        given, how = self.options, self.options.trial
        count = sum(parameter.numel() for parameter in trained_parameters(model).values())
        size = float(sum(parameter.detach().double().square().sum() for parameter in model.parameters()))
        asked = {"steps": given.steps, "cost": given.cost, "seed": given.seed, "interval": str(given.interval or "")}
        run = {"accumulate": how.accumulate, "clip": how.clip, "precision": how.precision}
        seen = {"data": self.runs.data_squares, "settings": self.template.settings}
        return asked | run | seen | {"parameters": count, "square": f"{size:.6g}"}

    def _critical(self, model: nn.Module) -> CriticalRate:
        factory = self.template.over(list(trained_parameters(model).values()))
        return critical_rate(model, self.runs.first_loss, factory, start=self.template.rate)

    def _run(self, critical: CriticalRate, longest: int, record: TrialRecord) -> None:
        legs = halved(self._rates(critical), self.budget - self.done, longest, self.setting.breaks_near)
        try:
            leg = next(legs)
            while True:
                trial = record.known(leg) or self._performed(leg, record)
                self.trials[leg.rate] = trial
                leg = legs.send(trial)
        except StopIteration:
            return

    def _performed(self, leg: Leg, record: TrialRecord) -> RateTrial:
        before = self.done + sum(trial.steps for trial in self.trials.values())
        at = self.trials[leg.rate].steps if leg.rate in self.trials else 0
        stage = f"rate {leg.rate:.3g}, steps {at + 1} to {leg.until}"
        self._say(stage, before)
        taken = iter(range(1, leg.until + 1))
        trial = self.runs.run(leg, lambda: self._say(stage, before + next(taken), 0.5))
        record.add(trial)
        return trial

    def _rates(self, critical: CriticalRate) -> list[float]:
        given = self.options.interval
        if isinstance(given, Rate):
            given = None if given.low is None or given.high is None else (given.low, given.high)
        if given is not None:
            return rates_between(*given)
        if math.isfinite(critical.rate) and critical.below > 0:
            top = min(critical.rate, _FURTHEST * steepest(critical))
            return rates_between(top / _BELOW, top / _ABOVE)
        return rates_between(self.template.rate / _AROUND, self.template.rate * _AROUND)

    def _say(self, stage: str, done: int = 0, share: float = 0.0, note: str = "") -> None:
        if self.report is not None:
            total = self.budget
            self.report(Progress(stage, total if stage == "done" else min(done, total - 1), total, share, note))
