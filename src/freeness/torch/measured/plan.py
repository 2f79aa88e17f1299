"""How an analysis spends its time: which way every stage goes, from what one pass counts.

Costs are those of two cores of a server of 2024, whatever the machine and however busy it is: a model gets the same plan, and so
the same numbers, everywhere. What a pass really took scales the forecast, never the plan.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

from freeness.advice import Stage
from freeness.torch.measured.ritz import FEWEST as SURE
from freeness.torch.model.counting import Counts
from freeness.torch.request.stages import HOLDS

DENSE, GROUPED, WIDE = 1.3e11, 1.2e10, 3e10  # operations a second: products, grouped convolutions, products in float64
MOVED, CALL = 6e9, 2e-5  # bytes a second, and seconds a call
_READ = 2e10  # bytes of weights a second that steps read again, from the cache
_ROW = 8e-6  # seconds of a call for one row of several
_PUSH, _PULL = 2.8, 2.0  # forward passes of J v and Jᵀu in all parameters; of one sample in its inputs:
_PUSH_IN, _PULL_IN = 2.2, 1.1
_GRADIENTS = 2  # times the backward passes to the input that those to all layers take
_CERTAIN = 60  # products until Lanczos has converged, where nothing is known
_SHARES = {"measure Jacobian": 0.12, "measure Fisher": 0.2, "curvature": 0.68}
_LEAST, _MOST = 12, 96  # products of an estimated spectrum
_FEWEST, _FEWEST_TOGETHER, _ENOUGH = 7, 10, 24  # products with the whole batch of an estimated λ; with batch statistics
_FIRST_OPENED, _OPENED = (
    1.6,
    1.4,
)  # products that forward passes, graphs and checks are worth, of a few samples and of all
_WEIGHED = 4.0  # times that a product with the curvature moves numbers of all parameters
_LATE = 2.0  # times the time that is left from which on a plan is cut down
SHORTEST = 16  # places to which sequences are shortened
_GRAPH = 0.5  # of the memory for the graph of a batch
_KEPT = 0.8  # of the time is planned
_PROBED, _LENGTHS = 128, 40  # samples of a first step, and passes along it
BEGINNING = "first steps"  # of training, beside the curvature
REHEARSAL = "rehearsal"  # of the rate that is told
TRIALS, _TRIED = 6, 3  # of rates at most, and as a rule: 2.9 in the mean of 152 trainings of all kinds
REHEARSED = 100  # steps: half of those in the trainings that its rule was fitted to
_STEP, _STEPPED = 3.0, 4.0  # forward passes of a step, and times that it moves numbers of all parameters
COARSE = 12  # products with a few samples that come before

NOTHING = Counts(0.0, 0.0, 0.0, 0, 0.0)


@dataclass(frozen=True)
class Budget:
    """Seconds and bytes beyond the model that may be spent."""

    seconds: float
    bytes: float


@dataclass(frozen=True)
class Facts:
    """What a plan knows of a model and its batch.

    ``one``: a forward pass of one sample. ``inputs``: numbers of one sample (of tokens: of their embedding). ``gram``: operations
    of all of Θ behind the backward passes. ``held``: bytes of all of JJᵀ and of all of Θ. ``single``: whether a few samples tell
    of all; ``parted``: whether they may be run in parts. ``begun``: samples on which the first steps of training are looked at;
    0 where they are not. ``length``: places of a sequence that may be shortened; 0 of others. ``rows``: calls of a backward pass
    of several outputs at once, and what each of them counts: some operations have no rule for several, and loops add up gradients
    of a weight step by step. ``passes``: groups of layers, each with a backward pass of its own for Θ.
    """

    one: Counts
    samples: int
    inputs: int
    outputs: int
    parameters: int
    gram: float
    held: tuple[float, float] = (0.0, 0.0)
    single: bool = True
    parted: bool = True
    itemsize: int = 4
    begun: int = 0
    length: int = 0
    rows: tuple[int, Counts] = (0, NOTHING)
    passes: int = 1

    def seconds(self, samples: float, passes: float = 1.0) -> float:
        """Of so many forward passes."""
        return passes * forward_seconds(self.one, samples)


def forward_seconds(one: Counts, samples: float = 1.0) -> float:
    """A forward pass of so many samples.

    Example:
        >>> round(forward_seconds(Counts(3.6e9, 0.0, 3.5e7, 90, 4e7), 16), 2)
        0.54
    """
    return samples * _computed(one) + _standing(one)


def _computed(one: Counts) -> float:
    return one.dense / DENSE + one.grouped / GROUPED + one.moved / MOVED


def _standing(one: Counts) -> float:
    """What a pass takes whatever the samples."""
    return one.calls * CALL + one.read / _READ


def carried_seconds(one: Counts, rows: int, passes: int = 1) -> float:
    """A forward pass of one sample and the cotangents of so many outputs carried back together, so many times.

    Example:
        >>> round(carried_seconds(Counts(3.6e9, 0.0, 3.5e7, 90, 4e7), 10), 2)
        0.41
    """
    return passes * (_computed(one) + rows * _carried(one) + 2 * _standing(one))


def _carried(one: Counts) -> float:
    """The cotangent of one output more, carried back to the input.

    A fused recurrent layer has no rule for several: it reads its weights again for each, and gives their gradients as well.
    """
    return _PULL * _computed(one) + one.read / _READ if one.read else _PULL_IN * _computed(one)


def product_seconds(one: Counts, samples: int) -> float:
    """A product with the GGN of so many samples whose graph is kept.

    Example:
        >>> round(product_seconds(Counts(3.6e9, 0.0, 3.5e7, 90, 4e7), 16), 1)
        2.6
    """
    return (_PUSH + _PULL) * forward_seconds(one, samples)


@dataclass(frozen=True)
class _Choice:
    """A stage that may be exact or estimated: seconds and bytes of all of it, seconds of a product, bytes of an estimate."""

    name: str
    exact: float
    exact_bytes: float
    product: float
    bytes: float
    work: float
    rows: int


def planned(facts: Facts, budget: Budget, stages: Collection[str], fixed: float) -> dict[str, Stage]:
    """The way of every stage that has a choice.

    Args:
        facts: what is known.
        budget: what may be spent.
        stages: the names of those that are asked for, among "measure Jacobian", "measure Fisher", "curvature".
        fixed: seconds that the other stages will take.
    """
    choices = [choice for choice in _choices(facts, budget) if choice.name in stages]
    left = max(_KEPT * budget.seconds - fixed, 0.25 * budget.seconds)
    found: dict[str, Stage] = {}
    while True:
        shares = sum(_SHARES[choice.name] for choice in choices)
        fitting = [c for c in choices if _fits(c, left * _SHARES[c.name] / shares, budget)]
        if not fitting:
            break
        for choice in fitting:
            found[choice.name] = _whole(choice)
            left -= choice.exact
            choices.remove(choice)
    least = _least(choices, facts, budget)
    for choice in choices:  # the curvature last: it gets what the others leave, and these leave what it needs
        given = left * _SHARES[choice.name] / sum(_SHARES[each.name] for each in choices if each.name not in found)
        found[choice.name] = _estimated(choice, facts, given, budget, left - least)
        left -= found[choice.name].forecast if found[choice.name].way == "estimated" else 0.0
    begun = _beginning(facts)
    if "curvature" in found and begun > 0:
        fits = found["curvature"].way == "exact" and begun <= left
        found[BEGINNING] = Stage(BEGINNING, "exact" if fits else "left out", 0.0, begun, 0.0)
        left -= begun if fits else 0.0
    if "curvature" in found:
        found[REHEARSAL] = _rehearsal(facts, left, found["curvature"])
    return found


def _rehearsal(facts: Facts, left: float, curvature: Stage) -> Stage:
    """As many trials of rates as fit; none behind a curvature that is not exact."""
    if curvature.way != "exact":
        why = curvature.reason.partition(", and ")[0]
        return Stage(REHEARSAL, "left out", 0.0, 0.0, 0.0, f"trials follow an exact λ only, and {why}")
    moved = _STEPPED * facts.itemsize * facts.parameters / MOVED
    trial = REHEARSED * (facts.seconds(facts.samples, _STEP) + moved)
    trials = int(min(left / trial, TRIALS)) if trial > 0 else TRIALS
    if trials == 0:
        reason = f"{REHEARSED} steps at it would take about {_told(trial)}"
        return Stage(REHEARSAL, "left out", 0.0, 0.0, 0.0, reason)
    reason = f"{TRIALS} trials of rates would take about {_told(TRIALS * trial)}" if trials < TRIALS else ""
    return Stage(REHEARSAL, "exact", 0.0, min(trials, _TRIED) * trial, 0.0, reason, trials)


def _least(choices: list[_Choice], facts: Facts, budget: Budget) -> float:
    """Seconds that the curvature takes at least, where it is estimated."""
    half = max(facts.length // 2, SHORTEST)
    return sum(
        _rated(choice, facts, 0.0, "", budget, half).forecast for choice in choices if choice.name == "curvature"
    )


def _beginning(facts: Facts) -> float:
    """Seconds until λ of the samples has converged, and the loss is known along the first step."""
    probed = min(facts.begun, _PROBED)
    converged = _CERTAIN * facts.seconds(facts.begun, _PUSH + _PULL)
    return converged + facts.seconds(probed, _LENGTHS) if facts.begun else 0.0


def _whole(choice: _Choice) -> Stage:
    work = choice.work * (_CERTAIN if choice.name == "curvature" else 1)
    return Stage(choice.name, "exact", work, choice.exact, choice.exact_bytes, effort=choice.rows)


def _fits(choice: _Choice, given: float, budget: Budget) -> bool:
    return choice.exact <= given and choice.exact_bytes <= budget.bytes


def _choices(facts: Facts, budget: Budget) -> list[_Choice]:
    one, outputs, inputs = facts.one, facts.outputs, facts.inputs
    side, other = min(outputs, inputs), max(outputs, inputs)
    together, apart = facts.rows[0] or _PULL_IN * one.calls, _ROW * facts.rows[1].calls
    carried = _carried(one) + apart
    rows = outputs * carried + together * CALL * max(outputs * one.saved / 1e9, 1.0)
    rows = max(max(facts.passes, _GRADIENTS) * rows, outputs * _computed(facts.rows[1]))
    values = 6.0 * side * side * other / WIDE
    held = facts.itemsize
    jacobian = _Choice(
        "measure Jacobian",
        side * carried + max(3 * _standing(one), together * CALL) + values,
        facts.held[0],
        facts.seconds(1, _PUSH_IN + _PULL_IN),
        2 * one.saved + 8.0 * 64 * outputs,
        one.work * side,
        side,
    )
    fisher = _Choice(
        "measure Fisher",
        rows + facts.gram / DENSE + 4.0 * outputs**3 / WIDE,
        facts.held[1],
        facts.seconds(1, _PUSH + _PULL),
        2 * one.saved + 8.0 * 64 * outputs + held * facts.parameters,
        one.work * outputs + facts.gram,
        outputs,
    )
    everything = _Taken(facts.samples)
    part = _part(facts, everything, budget)
    product = _curved(facts, everything, part)
    graph = (part or facts.samples) * one.saved
    curvature = _Choice(
        "curvature",
        _CERTAIN * product,
        3 * facts.samples * one.saved + 4.0 * held * facts.parameters,
        product,
        graph + 4.0 * held * facts.parameters,
        (_PUSH + _PULL) * one.work * facts.samples,
        _CERTAIN,
    )
    return [jacobian, fisher, curvature]


def _estimated(choice: _Choice, facts: Facts, given: float, budget: Budget, room: float) -> Stage:
    whole = f"all of it would take about {_told(choice.exact)}"
    if choice.exact_bytes > budget.bytes:
        whole = f"all of it {HOLDS} {choice.exact_bytes / 1e9:.2g} GB"
    if choice.name == "curvature":
        return _rated(choice, facts, given, whole, budget)
    products = int(min(max(given / choice.product, _LEAST), _MOST))
    seconds = products * choice.product
    found = Stage(choice.name, "estimated", products * choice.work, seconds, choice.bytes, whole, products)
    if seconds > min(3 * given, max(room, given)):
        return replace(found, way="left out", reason=f"{_LEAST} products would take about {_told(seconds)}", effort=0)
    return found


class _Taken(NamedTuple):
    """Samples, and places of each; 0: all of them."""

    samples: int
    length: int = 0

    def share(self, facts: Facts) -> float:
        """Of a sample that is taken."""
        return self.length / facts.length if self.length else 1.0


def _fewer(taken: _Taken, facts: Facts, shortest: int = SHORTEST) -> _Taken | None:
    """Half of the samples while there are more than two, then half of the places; None where there is no less."""
    samples, length = taken.samples, taken.length or facts.length
    if samples > 2:
        return _Taken(max(samples // 2, 2), taken.length)
    return _Taken(samples, max(length // 2, shortest)) if length > shortest else None


def _rated(choice: _Choice, facts: Facts, given: float, whole: str, budget: Budget, shortest: int = SHORTEST) -> Stage:
    """As many products as fit; where these are too few for all samples, fewer samples, and less of each."""
    taken, least = _Taken(facts.samples), _FEWEST if facts.single else _FEWEST_TOGETHER
    while True:
        part = _part(facts, taken, budget)
        product = _curved(facts, taken, part)
        few = taken._replace(samples=coarse_samples(taken.samples))
        single = _curved(facts, few, part) if facts.single else 0.0
        effort = int((given - (COARSE + _FIRST_OPENED) * single) / product - _OPENED)
        if effort <= least and given >= _opened(least, single) + (least + _OPENED) * product:
            effort = least
        if effort >= least and _holds(facts, taken, budget):
            break
        fewer = _fewer(taken, facts, shortest)
        if fewer is None:
            break
        taken = fewer
    effort = min(max(effort, least), _ENOUGH)
    if taken.samples < facts.samples or taken.length:
        whole = f"{whole}, and {least} products with all samples more than {_told(given)}"
    seconds = _opened(effort, single) + (effort + _OPENED) * product
    work = effort * choice.work * taken.samples / facts.samples * taken.share(facts)
    found = Stage(choice.name, "estimated", work, seconds, choice.bytes, whole, effort)
    samples = taken.samples if taken.samples < facts.samples else 0
    return replace(found, samples=samples, length=taken.length, part=min(part, taken.samples))


def _opened(effort: int, single: float) -> float:
    """Seconds of the products with a few samples that come before so many with all."""
    return (coarse_products(effort) + _FIRST_OPENED) * single


def hurried(stage: Stage, seconds: float, samples: int, length: int, coupled: bool = False) -> Stage:
    """A plan of λ for a machine so slow that not half of it would be done: fewer samples, and less of each.

    Where samples see each other no few lead to all, and six products are taken whatever the time; so much has to be done then.

    Args:
        stage: as planned, with the forecast for this machine.
        seconds: that are left.
        samples: of the batch.
        length: places of a sequence that may be shortened, or 0.
        coupled: whether samples see each other.

    Example:
        >>> slow = Stage("curvature", "estimated", 0.0, 80.0, 0.0, effort=3, samples=2)
        >>> hurried(slow, 15.0, 4, 128).length
        32
    """
    taken, facts = _Taken(stage.samples or samples, stage.length), Facts(NOTHING, samples, 0, 0, 0, 0.0, length=length)
    forecast, late = stage.forecast, (stage.effort + _OPENED) / (SURE + _OPENED) if coupled else _LATE
    while stage.way == "estimated" and forecast > late * seconds:
        fewer = _fewer(taken, facts)
        if fewer is None:
            break
        forecast *= fewer.samples * fewer.share(facts) / (taken.samples * taken.share(facts))
        taken = fewer
    return replace(stage, samples=taken.samples if taken.samples < samples else 0, length=taken.length)


def _curved(facts: Facts, taken: _Taken, part: int) -> float:
    """Seconds of a product with the GGN; a graph that is not kept is made again."""
    again = 1.0 if 0 < part < taken.samples else 0.0
    passed = facts.seconds(taken.samples * taken.share(facts), _PUSH + _PULL + again)
    return passed + _WEIGHED * facts.itemsize * facts.parameters / MOVED


def _part(facts: Facts, taken: _Taken, budget: Budget) -> int:
    """Samples whose graph is held at a time; 0 where that is all of them, or they cannot be parted."""
    room = _room(facts, taken, budget)
    return 0 if room >= taken.samples or not facts.parted else max(room, 1)


def _holds(facts: Facts, taken: _Taken, budget: Budget) -> bool:
    return _room(facts, taken, budget) >= (1 if facts.parted else taken.samples)


def _room(facts: Facts, taken: _Taken, budget: Budget) -> int:
    """Samples whose graphs fit."""
    one = taken.share(facts) * facts.one.saved
    return int(_GRAPH * budget.bytes / one) if one > 0 else facts.samples


def coarse_products(effort: int) -> int:
    """How many products with a few samples come before so many with all: half of the usual where these are as few as may be.

    Example:
        >>> coarse_products(8), coarse_products(7)
        (12, 6)
    """
    return COARSE if effort > _FEWEST else COARSE // 2


def coarse_samples(samples: int) -> int:
    """How many samples the first products take.

    Example:
        >>> coarse_samples(16), coarse_samples(3)
        (2, 1)
    """
    return max(samples // 8, 1)


def _told(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds / 60:.2g} min"
