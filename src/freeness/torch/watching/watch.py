"""A watch over training: it sees where the rate stands and which layer fails before the loss shows it, and changes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from freeness.advice import Lookout, Sharpening, StepCheck, WatchRecord, WatchWarning, odd_layer, sharpening_of
from freeness.errors import InputError, brief
from freeness.torch.loss.given import GivenLoss
from freeness.torch.model.attributes import attributes_kept
from freeness.torch.model.state import owner, trained_parameters
from freeness.torch.rate.next_step import first_rate
from freeness.torch.request.batch import Batch
from freeness.torch.request.batch_loss import batch_loss
from freeness.torch.request.user_data import batch_of
from freeness.torch.watching.first_look import drawn_weights, first_look
from freeness.torch.watching.watch_glance import sample_sizes
from freeness.torch.watching.watch_logs import Logs
from freeness.torch.watching.watch_measures import Found, Measures
from freeness.torch.watching.watch_schedule import Every, WatchSchedule, Within

_BETWEEN = ("layers", "noise", "isometry", "sharpness", "gradient")
_ORDER = tuple(name for other in _BETWEEN for name in (other, "critical"))
_COSTS = {
    "layers": 1.0,
    "critical": 3.0,
    "sharpness": 8.0,
    "noise": 1.0,
    "gradient": 3.0,
    "isometry": 1.0,
}  # in steps, of a ResNet-18 and a Transformer


class Watch:
    """Visits a model while it trains, and says in one sentence when trouble is near.

    The training's results are bit for bit those of an unwatched run: weights, gradients, buffers, modes, random states, the
    optimiser's memory, version counters and what a forward pass writes on a module itself are left as they were. Only what is
    inside a module's own lists, dicts and other objects is not.

    Args:
        model: in training.
        optimizer: that steps it.
        loss: as :func:`~freeness.torch.given_loss` takes it, or "own" for a model that returns its loss.
        every: visits behind steps 1, 1 + n, 1 + 2n, …, each with all quantities, whatever that costs.
        overhead: where ``every`` is left out, the share of the training's time that watching may take. Visits are then
            as rare as that asks for, one quantity each; the first comes behind the first step, and early ones borrow from the
            time of the steps that follow. A training shorter than 200 steps may pay more, unless :meth:`expect` is told so.
        log: a path for JSON lines, a log such as :class:`~freeness.torch.TensorBoardLog`, or a list of these.

    Attributes:
        records: of the visits.
        warnings: all that were given.

    Raises:
        InputError: an argument that is none of these, or a log that holds another run; at the first step, a batch or a loss that
            does not fit. Later nothing is raised.

    Source: the critical rate of a step: arXiv 2601.16979; gradient noise: arXiv 1812.06162; theory.md §7, §13.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> watch = Watch(model, optimizer, every=5)
        >>> x, y = torch.randn(32, 4), torch.arange(32) % 2
        >>> for _ in range(10):
        ...     optimizer.zero_grad()
        ...     nn.functional.cross_entropy(model(x), y).backward()
        ...     optimizer.step()
        ...     for warning in watch.step((x, y)):
        ...         print(warning)
        >>> [record.step for record in watch.records], watch.records[0].critical > 0.1
        ([1, 6], True)
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        loss: GivenLoss = "cross_entropy",
        every: int | None = None,
        overhead: float = 0.02,
        log: object = None,
    ) -> None:
        self._model, self._optimizer = plain_model(model), unwrapped(optimizer)
        self._schedule = schedule_of(every, overhead)
        self._measures = Measures(self._model, self._optimizer, batch_loss(loss), loss)
        self._drawn = drawn_weights(self._model)  # before the first step moves what is zero
        self._lookout = Lookout()
        self._logs = Logs(log)
        self._steps = self._logs.resume
        self._first_batch = 0  # step of the batch whose λ is followed
        self._begun = self._looked = False  # whether a batch was tried, and the start of the layers looked at
        self._failed: set[str] = set()  # what could not be done and was said
        self._last: float | None = None  # when the last step was done with
        self._trained = self._spent = 0.0  # seconds of steps, and of the watch
        self.records: list[WatchRecord] = []
        self.warnings: list[WatchWarning] = []

    @property
    def overhead(self) -> float:
        """Time that the watch took so far over that of the training; 0 before the second step."""
        return self._spent / self._trained if self._trained > 0 else 0.0

    @property
    def sharpening(self) -> Sharpening | None:
        """The predicted change of λ beside what happened; None where ``every`` was left out, for that takes too long."""
        return sharpening_of(self.records)

    def expect(self, steps: int) -> None:
        """Tell how many steps the training will take: of a long one the first visits come earlier, a short one pays no more.

        Args:
            steps: in all; asked for before the first one.

        Raises:
            InputError: not a single step.
        """
        if steps < 1:
            raise InputError(
                f"expected a training of 1 or more steps, got {steps}; leave it out where it is not known."
            )
        self._schedule.expect(steps)

    def step(self, batch: object, loss: float | Tensor | None = None) -> list[WatchWarning]:
        """Behind ``optimizer.step()``, before the gradients are cleared; what is said now, nearly always nothing.

        Nothing that goes wrong in here ends a training: it is a warning of the kind "watch" or "log".

        Args:
            batch: that was trained on, in any form that :func:`~freeness.torch.batch_of` takes.
            loss: of that batch, where it is at hand; with it a bad batch and a growing loss are seen between visits, too.

        Raises:
            InputError: at the first step alone, a batch or a loss that does not fit.
        """
        begun = time.perf_counter()
        self._steps += 1
        if self._last is not None:
            self._schedule.trained(begun - self._last)
            self._trained += begun - self._last
        with torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext():
            said = [] if self._begun else self._tried(batch)
            said += self._guarded("the steps", self._looked_at, batch, loss)
            if self._measures.meets:
                said += self._guarded("the batches", self._met, batch)
            due = self._schedule.due(self._steps, "critical" if self._lookout.uneasy else "")
            if due:
                said += self._guarded("the visits", self._visited, batch, due)
        if said or self._logs.failing:
            said += self._logs.told(said)
            self.warnings += said
        self._last = time.perf_counter()
        self._schedule.passed(self._last - begun)
        self._spent += self._last - begun
        return said

    def _guarded(self, what: str, look: Callable[..., list[WatchWarning]], *arguments: Any) -> list[WatchWarning]:
        try:
            return look(*arguments)
        except Exception as error:  # whatever it is, the training must go on
            return self._trouble(what, brief(error))

    def _trouble(self, what: str, why: str) -> list[WatchWarning]:
        if what in self._failed:
            return []
        self._failed.add(what)
        return [
            WatchWarning(
                self._steps, "watch", f"The watch cannot look at {what}: {why.rstrip('.')}; the training goes on."
            )
        ]

    def _tried(self, data: object) -> list[WatchWarning]:
        """Two samples through model and loss: what does not fit is told now, and not when the first visit comes.

        Raises:
            InputError: the batch or the loss; that the model itself fails when it runs once more is no reason to end a training.
        """
        self._begun = True
        try:
            with attributes_kept(self._model):
                self._measures.tried(batch_of(data, self._model))
        except InputError as error:
            if error.__cause__ is None:
                raise
            return self._trouble("the visits", str(error))
        except Exception as error:
            return self._trouble("the visits", brief(error))
        return []

    def _looked_at(self, data: object, loss: float | Tensor | None) -> list[WatchWarning]:
        """At loss and batch, where there is time for that; at the gradients, where there is time or something stands out."""
        said: list[WatchWarning] = []
        told: float | None = None
        inputs: dict[str, float] = {}
        if self._schedule.affords("glance"):
            begun = time.perf_counter()
            told = float(loss.detach()) if isinstance(loss, Tensor) else loss
            inputs = sample_sizes(data)
            said += self._lookout.glanced(self._steps, told, inputs)
            self._schedule.spent("glance", time.perf_counter() - begun)
        if self._schedule.affords("check") or self._lookout.curious:
            begun = time.perf_counter()
            check, odd = self._deeper(StepCheck(self._steps, first_rate(self._optimizer), told, inputs=inputs))
            self._logs.write(check)
            said += odd + self._lookout.checked(check)
            self._schedule.spent("check", time.perf_counter() - begun)
        return said

    def _deeper(self, check: StepCheck) -> tuple[StepCheck, list[WatchWarning]]:
        """With the gradients of all layers, and at the first time what these tell of the start."""
        layers = gradient_norms(self._model)
        total = math.sqrt(sum(norm**2 for norm in layers.values())) if layers else None
        finite = all(math.isfinite(value) for value in (check.loss, total) if value is not None)
        sound = None if finite else all(bool(one.isfinite().all()) for one in self._model.parameters())
        odd = odd_layer(first_look(self._model), self._drawn) if layers and not self._looked else None
        self._looked |= bool(layers)
        said = [] if odd is None else [WatchWarning(self._steps, "layer", odd.sentence, odd.place)]
        return replace(check, gradient=total, layers=layers, sound=sound), said

    def _met(self, data: object) -> list[WatchWarning]:
        with attributes_kept(self._model):  # to fit the batch two samples are run
            self._measures.met(batch_of(data, self._model))
        return []

    def _visited(self, data: object, names: tuple[str, ...]) -> list[WatchWarning]:
        begun = time.perf_counter()
        found: Found = {}
        missing: list[str] = []
        batch: Batch | None = None
        for name in names:
            start = time.perf_counter()
            try:
                with attributes_kept(self._model):
                    batch = batch_of(data, self._model) if batch is None else batch
                    fields = self._measures.taken(name, batch)
                found |= {key: value for key, value in fields.items() if value is not None}
            except Exception as error:  # of a model, an optimiser, a device: training goes on
                missing.append(f"{name}: {error if isinstance(error, InputError) else brief(error)}")
            self._schedule.spent(name, time.perf_counter() - start)
        if "first_sharpness" in found:
            self._first_batch = self._first_batch or self._steps
            found["first_batch"] = self._first_batch
        rate, seconds = first_rate(self._optimizer), time.perf_counter() - begun
        share = (self._spent + seconds) / self._trained if self._trained > 0 else None
        record = WatchRecord(self._steps, rate, seconds, missing=tuple(missing), overhead=share, **found)
        self.records.append(record)
        self._logs.write(record)
        return self._lookout.visited(record)


def schedule_of(every: int | None, overhead: float) -> WatchSchedule:
    """The schedule that these two numbers ask for."""
    if every is not None:
        if every < 1:
            raise InputError(f"expected a visit every 1 or more steps, got {every}; raise it, or leave it out.")
        return Every(every, (*_ORDER, "sharpening"))
    if not 0 < overhead < 1:
        raise InputError(f"expected a share of the time between 0 and 1, got {overhead}; 0.02 is usual.")
    return Within(overhead, _ORDER, _COSTS)


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """The norm of the gradient in every module with trained weights, 0 of one that has none; empty if no module has any.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1))
        >>> model[0](torch.ones(1, 1)).sum().backward()
        >>> gradient_norms(model)
        {'0': 1.0, '1': 0.0}
    """
    named = [(owner(name), parameter.grad) for name, parameter in trained_parameters(model).items()]
    there = [(module, gradient) for module, gradient in named if gradient is not None and not gradient.is_sparse]
    if not there:
        return {}
    with torch.no_grad():
        norms = [torch.linalg.vector_norm(gradient) for _, gradient in there]
        values: list[float] = torch.stack([norm.float() for norm in norms]).tolist()
    squares = {module: 0.0 for module, gradient in named if gradient is None or not gradient.is_sparse}
    for (module, _), value in zip(there, values, strict=True):
        squares[module] += value * value
    return {module: math.sqrt(square) for module, square in squares.items()}


def unwrapped(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimiser of torch's inside the wrapper of a training framework, which keeps it as ``optimizer``."""
    inner = getattr(optimizer, "optimizer", None)
    if isinstance(inner, torch.optim.Optimizer):
        return unwrapped(inner)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(
            f"expected an optimizer of torch, got {type(optimizer).__name__}; pass the instance that steps the model."
        )
    return optimizer


def plain_model(model: nn.Module) -> nn.Module:
    """The model inside wrappers that count its passes (data parallel) or compile them anew for each kind of pass.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> plain_model(nn.DataParallel(model)) is model
        True
    """
    while (inner := _inside(model)) is not None:
        model = inner
    shared = any(isinstance(module, nn.SyncBatchNorm) for module in model.modules())
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    if shared and together and torch.distributed.get_world_size() > 1:
        raise InputError(
            "expected a model whose passes wait for no other process, got SyncBatchNorm in a group of several; watch a run of "
            "one process."
        )
    return model


def _inside(model: nn.Module) -> nn.Module | None:
    if isinstance(model, nn.DataParallel | DistributedDataParallel):
        return model.module
    return model._modules.get("_orig_mod")  # as torch.compile names it
