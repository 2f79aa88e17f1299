"""The forecast of an analysis: one pass is counted and timed, and the stages are planned by it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from freeness.advice import Stage
from freeness.torch.measured.any_model import Survey, gram_work, jacobian_passes, jacobian_plan, survey
from freeness.torch.measured.any_model import planned as dual_bytes
from freeness.torch.measured.plan import BEGINNING, NOTHING, REHEARSAL, Budget, Facts, forward_seconds, planned
from freeness.torch.model.batched import jacobian_rows, plain_attention
from freeness.torch.model.counting import Counts, counted, counts_of
from freeness.torch.model.function import Function
from freeness.torch.model.memory import readable
from freeness.torch.model.modes import fixed_masks
from freeness.torch.model.outputs import run
from freeness.torch.model.state import trained_parameters, untouched
from freeness.torch.record.tracing import Trace

WATCH = "watch the layers"
_PART, _HELD = 0.1, 0.4  # of seconds and of bytes for that
_WATCHED, _WATCHED_MOVED = 4.0, 6.0  # passes over the batch, and times what it moves
_TIMES, _TIMING = (2, 5), 0.2  # passes that are timed: so many at least and at most, and as many as take these seconds
_QUICK = 0.02  # seconds of a pass over the batch up to which all of it is timed
_SHARED, _AFFORDED = 4, 0.5  # else samples with shared statistics, or where these take so many seconds
_TRAINED = {WATCH, "curvature", BEGINNING, REHEARSAL}  # stages that run batches, in the mode of training
_LOOPED, _LIGHT = 200, 5_000_000  # calls of a pass as loops have them, and parameters up to which its rows are counted
_FEW, _MORE = 2, 4  # rows
_CARRIED = {"measure Jacobian", "measure Fisher"}
_BEFORE = 16  # passes of one sample about that reading and checking the model take
_FASTEST, _SLOWEST = 0.1, 30.0  # of the machine that costs are of


class Forecast(NamedTuple):
    """The plan by stage, how many times its seconds this machine takes, and to what a pass writes."""

    plan: dict[str, Stage]
    pace: float
    written: tuple[Tensor, ...] | None


class Request(NamedTuple):
    """Samples of the batch, the budget, the stages that are wanted; whether samples see each other, and may be run in parts.

    ``batch``: its inputs, and ``training`` the mode of passes over it.
    ``begun``: samples on which the first steps of training are looked at. ``length``: places of sequences that may be shortened.
    """

    samples: int
    budget: Budget
    stages: tuple[str, ...]
    coupled: bool = False
    parted: bool = True
    begun: int = 0
    length: int = 0
    batch: Tensor | None = None
    training: bool | None = None


def counted_pass(traced: Trace, sample: Tensor) -> Counts:
    """What a forward pass of one sample counts."""
    with plain_attention():
        return counted(traced.model, traced.input(sample))


def forecast(traced: Trace, sample: Tensor, asked: Request, one: Counts | None = None) -> Forecast:
    """Plan the stages of an analysis.

    ``one``: what a pass counts, where that is known.

    Example:
        >>> from freeness.torch import trace
        >>> x = torch.ones(1, 3)
        >>> asked = Request(1, Budget(60.0, 4e9), ("measure Fisher",))
        >>> forecast(trace(torch.nn.Linear(3, 2), x), x[0], asked).plan["measure Fisher"].way
        'exact'
    """
    x = traced.input(sample)
    one = one or counted_pass(traced, sample)
    with plain_attention(), torch.no_grad(), untouched(traced.model, copies=False):
        seconds = _timed(lambda: traced.model(x))
    known = forward_seconds(one)
    pace = min(max(seconds / known, _FASTEST), _SLOWEST) if known > 0 else 1.0  # a view of a parameter costs nothing
    with traced.function.ready(x) as (ready, point):
        found = survey(ready, point)
        rows = _rows(ready, point, found) if one.calls > _LOOPED else (0, NOTHING)
    facts = replace(_facts(traced, one, found, asked), rows=rows)
    plan = {watched.name: watched for watched in (_watched(one, asked),) if watched.name in asked.stages}
    fixed = _BEFORE * known + sum(stage.forecast for stage in plan.values())
    plan |= planned(facts, asked.budget, asked.stages, fixed)
    batched = _batched_pace(traced, one, asked, seconds)
    for name in _TRAINED & plan.keys() if batched > 0 else ():
        plan[name] = replace(plan[name], forecast=plan[name].forecast * batched / pace)
    if (one.calls > _LOOPED or one.read) and pace < 1:  # it tells what calls and cached weights take; rows move more
        for name in _CARRIED & plan.keys():
            plan[name] = replace(plan[name], forecast=plan[name].forecast / pace)
    return Forecast(plan, pace, ready.written)


def told(seconds: float, size: float) -> str:
    """A forecast for reading.

    Example:
        >>> told(41.7, 1.9e9)
        'forecast: about 42 s, 1.9 GB'
    """
    return f"forecast: about {seconds:.2g} s, {readable(size)}"


def _timed(compute: Callable[[], object]) -> float:
    """The least of some times: the first pass of its kind takes longer, and so does one beside other work."""
    found: list[float] = []
    while len(found) < _TIMES[0] or (len(found) < _TIMES[1] and sum(found) < _TIMING):
        start = time.perf_counter()
        compute()
        found.append(time.perf_counter() - start)
    return min(found)


def _rows(ready: Function, point: Tensor, found: Survey) -> tuple[int, Counts]:
    """Calls of a backward pass of several outputs to all parameters, and what each of them counts."""
    parameters = list(trained_parameters(ready.model).values())
    if found.outputs < _MORE or sum(found.sizes.values()) > _LIGHT:
        return 0, NOTHING
    with torch.enable_grad():
        outputs = ready(point)
    shapes = [parameter.shape for parameter in parameters]
    few, more = (counts_of(partial(jacobian_rows, outputs[:rows], parameters, shapes, rows)) for rows in (_FEW, _MORE))
    each = more.more_than(few, 1 / (_MORE - _FEW))
    return max(few.calls - _FEW * each.calls, 0), each


def _batched_pace(traced: Trace, one: Counts, asked: Request, seconds: float) -> float:
    """How many times its cost a pass over many samples takes, in the mode of training; 0 where one sample tells it.

    Batch statistics are one more walk over all signals. One sample of a light model has too little to do, and one of a recurrent
    layer waits for its weights, so that neither tells of many. ``seconds``: that one took.
    """
    quick = forward_seconds(one, asked.samples) < _QUICK
    few = asked.coupled or _SHARED * seconds < _AFFORDED
    samples = asked.samples if quick else min(asked.samples, _SHARED) if few else 1
    known = forward_seconds(one, samples)
    if asked.batch is None or samples < 2 or known <= 0:
        return 0.0
    model, batch = traced.model, asked.batch[:samples]
    kept = untouched(model, training=asked.training, copies=list(model.buffers()))
    with kept, fixed_masks(model), torch.no_grad():
        return min(max(_timed(lambda: run(model, batch)) / known, _FASTEST), _SLOWEST)


def _watched(one: Counts, asked: Request) -> Stage:
    """As many samples as fit a part of the budget."""
    samples = asked.samples
    while samples > 2 and (
        _watching(one, samples) > _PART * asked.budget.seconds or samples * one.saved > _HELD * asked.budget.bytes
    ):
        samples = -(-samples // 2)
    fewer = samples < asked.samples
    reason = f"all samples would take about {_watching(one, asked.samples):.2g} s" if fewer else ""
    seconds, work = _watching(one, samples), 3 * one.work * samples
    return Stage(WATCH, "exact", work, seconds, samples * one.saved, reason, samples=samples if fewer else 0)


def _watching(one: Counts, samples: int) -> float:
    moved = Counts(0.0, 0.0, one.moved, 0, 0.0)
    return _WATCHED * forward_seconds(one, samples) + _WATCHED_MOVED * forward_seconds(moved, samples)


def _facts(traced: Trace, one: Counts, found: Survey, asked: Request) -> Facts:
    trained = trained_parameters(traced.model).values()
    gram = sum(gram_work(found, name) for name in found.uses)
    parameters = sum(parameter.numel() for parameter in trained)
    passes = found.usual_passes()
    held = jacobian_plan(found, jacobian_passes(found)).bytes, dual_bytes(found, 1, passes).bytes
    counts, mode = (asked.samples, found.inputs, found.outputs, parameters), (not asked.coupled, asked.parted)
    return Facts(one, *counts, gram, held, *mode, found.itemsize, asked.begun, asked.length, passes=passes)
