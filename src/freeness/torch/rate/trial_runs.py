"""Trials of a rate: a model trained for some steps from where it stands, in turn with others, each from where it was left."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from freeness.errors import InputError
from freeness.torch.rate.critical import check_trains
from freeness.torch.request.batch import Batch
from freeness.torch.request.batch_loss import LossOf
from freeness.torch.request.stepping import Stepping
from freeness.training import Leg, RateTrial, Schedule, diverges

_PRECISIONS = {"bfloat16": torch.bfloat16}
Watch = Callable[[], None]


@dataclass(frozen=True)
class TrialOptions:
    """How a step is taken: as the training to come takes it.

    Args:
        schedule: of the rate.
        accumulate: batches whose gradients make one step.
        clip: the norm to which gradients are clipped, None for none.
        precision: of autocast, "bfloat16"; "" for the model's own.
        seed: of the random numbers of dropout and the like, which are the same at every rate.

    Raises:
        InputError: a number out of range, or another precision.
    """

    schedule: Schedule
    accumulate: int = 1
    clip: float | None = None
    precision: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.precision not in ("", *_PRECISIONS):
            raise InputError(
                f"expected the precision {' or '.join(_PRECISIONS)}, or none, got {self.precision!r}; choose one (float16 "
                "needs a scaler, which has a rate of its own)."
            )
        if self.accumulate < 1 or (self.clip is not None and not self.clip > 0):
            raise InputError(
                f"expected accumulate ≥ 1 and clip > 0, got {self.accumulate} and {self.clip}; correct them."
            )


@dataclass(frozen=True, eq=False)
class _Left:
    """Where a trial was left: weights and buffers, its optimiser."""

    values: list[Tensor]
    optimizer: torch.optim.Optimizer


class TrialRuns:
    """Runs legs of trials; the caller keeps the model untouched around it.

    A trial that goes on after another one finds its weights, buffers and optimiser where it left them.

    Where gradients are accumulated several batches make a step; they are taken over again where there are fewer.
    """

    def __init__(
        self, model: nn.Module, batches: Sequence[Batch], loss: LossOf, optimizer: Stepping, options: TrialOptions
    ) -> None:
        self._model, self._batches, self._loss = model, batches, loss
        self._stepping, self._options = optimizer, options
        self._tensors = [*model.parameters(), *model.buffers()]
        self._start = [tensor.detach().clone() for tensor in self._tensors]
        self._left: dict[float, _Left] = {}
        self._losses: dict[float, list[float]] = {}
        first = next(model.parameters())
        self._device, self._dtype = first.device, first.dtype if first.is_floating_point() else None

    def run(self, leg: Leg, watch: Watch | None = None) -> RateTrial:
        """A trial on to the leg's end, or until it diverges.

        Raises:
            InputError: the loss does not depend on what is trained.
        """
        self._left = {rate: left for rate, left in self._left.items() if rate in leg.kept}
        losses = self._losses.setdefault(leg.rate, [])
        left = self._left.get(leg.rate)
        if left is None:
            losses.clear()  # what was read from a file is run again where it has to go on
        self._put(self._start if left is None else left.values)
        optimizer = self._stepping.fresh() if left is None else left.optimizer
        stopped = False
        while len(losses) < leg.until and not stopped:
            losses.append(self._step(optimizer, leg.rate, len(losses)))
            stopped = diverges(losses)
            if watch is not None:
                watch()
        if stopped:
            self._left.pop(leg.rate, None)
        else:
            self._left[leg.rate] = _Left([tensor.detach().clone() for tensor in self._tensors], optimizer)
        return RateTrial(leg.rate, tuple(losses), stopped)

    @property
    def data_squares(self) -> str:
        """Of the first and the last batch, the sums of squares of all tensors: other data have others."""
        ends = (self._batches[0], self._batches[-1])
        tensors = [one for batch in ends for one in tree_leaves((batch.args, dict(batch.kwargs), batch.targets))]
        return " ".join(
            f"{float(one.detach().double().square().sum()):.6g}" for one in tensors if isinstance(one, Tensor)
        )

    def first_loss(self) -> Tensor:
        """Of the first batch, with a graph; the same random numbers each time."""
        return self._computed(self._batches[0])

    def _put(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for tensor, value in zip(self._tensors, values, strict=True):
                tensor.copy_(value)

    def _step(self, optimizer: torch.optim.Optimizer, rate: float, step: int) -> float:
        """One step; the loss before it."""
        _draw_as(self._options.seed, step, self._device)
        many, total = self._options.accumulate, 0.0
        optimizer.zero_grad()
        for place in range(step * many, (step + 1) * many):
            value = self._computed(self._batches[place % len(self._batches)]) / many
            check_trains(value)
            value.backward()
            total += float(value.detach())
        if np.isfinite(total):
            if self._options.clip is not None:
                nn.utils.clip_grad_norm_(self._stepping.parameters, self._options.clip)
            self._stepping.set_rate(optimizer, rate * self._options.schedule.share(step))
            optimizer.step()
        return total

    def _computed(self, batch: Batch) -> Tensor:
        moved = batch.to(self._device, self._dtype)
        precision = _PRECISIONS.get(self._options.precision)
        with nullcontext() if precision is None else torch.autocast(self._device.type, precision):
            return self._loss(self._model, moved)


def _draw_as(seed: int, step: int, device: torch.device) -> None:
    """The random numbers of a step, the same at every rate."""
    drawn = (seed * 1_000_003 + step) % 2**32
    if device.type == "cpu":  # torch.manual_seed formats a stack of calls each time, for devices that are not there
        torch.default_generator.manual_seed(drawn)
    else:
        torch.manual_seed(drawn)
    np.random.seed(drawn)
    random.seed(drawn)
