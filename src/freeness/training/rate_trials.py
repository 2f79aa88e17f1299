"""Short trials of several rates: which are run how far, within a budget of steps, and when one is given up.

The field is halved: many rates for a few steps, fewer for more. A trial goes on where it stood, so no step is paid twice.

Source: Jamieson, Talwalkar, arXiv 1502.07943 (successive halving).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from freeness.errors import InputError, is_real

SPACING = 3.0  # of neighbouring rates, as a factor, where the interval is wide
LEAST = 45  # steps with which anything can be told
_FIELD = (3, 9)  # rates at the start, least and most
_BEYOND = 6  # that are added at most where the best lies at an end
_AGAIN = 2  # the same, among those that went on
_SAME = 0.01  # of the loss: the lowest rates learn nothing where they differ by less
_CLEAR = 0.1  # of the loss: the best rate stands out where those beside it lose more
_DOWN, _FALLS = 3, 8  # places by which a field that diverges whole is left downwards, and how often at most
_SECOND, _LAST = 4, 3  # rates that are left
_SHORT, _LONGER = 0.027, 0.1  # of the budget: length of the first trials, and of the second
_TAIL = 0.35  # of a trial that is averaged
_BROKEN, _WATCHED = (
    2.0,
    4,
)  # a trial is given up when so many losses in a row exceed the first ones by this multiple of them


@dataclass(frozen=True)
class RateTrial:
    """The losses of every step at one rate, each before its step; ``stopped`` where it diverged."""

    rate: float
    losses: tuple[float, ...]
    stopped: bool = False

    @property
    def steps(self) -> int:
        """How many were taken."""
        return len(self.losses)

    @property
    def score(self) -> float:
        """The mean loss over the last third or so; infinite where it diverged."""
        return math.inf if self.stopped else tail_mean(self.losses)

    def score_at(self, steps: int) -> float:
        """The score that it had after fewer steps."""
        return tail_mean(self.losses[:steps])


@dataclass(frozen=True)
class Leg:
    """What is to be run next: the trial of a rate, on to a number of steps; only those of ``kept`` may go on after it."""

    rate: float
    until: int
    kept: tuple[float, ...] = ()


def tail_mean(losses: Sequence[float]) -> float:
    """The mean of the last third or so of some losses, of at least one."""
    tail = tail_of(losses)
    return sum(tail) / len(tail)


def tail_of(losses: Sequence[float]) -> Sequence[float]:
    """The last third or so of some losses, at least one."""
    return losses[-max(1, math.ceil(_TAIL * len(losses))) :]


def diverges(losses: Sequence[float]) -> bool:
    """Whether a trial is to be given up: no number, or far above its first losses for some steps.

    The largest of the first losses counts, since those of single samples differ.

    Args:
        losses: after every step so far, not all need be finite.

    Example:
        >>> calm = [2.0, 1.0, 2.0, 1.0]
        >>> diverges([*calm, 9.0, 9.0, 9.0, 9.0]), diverges([*calm, 9.0, 9.0, 3.0]), diverges([2.0, math.nan])
        (True, False, True)
    """
    if not math.isfinite(losses[-1]):
        return True
    first = max(losses[:_WATCHED])
    return len(losses) > _WATCHED and min(losses[-_WATCHED:]) > first + _BROKEN * abs(first)


def rates_between(low: float, high: float) -> list[float]:
    """The rates with which trials begin: evenly spaced in logarithms, the ends among them.

    Raises:
        InputError: these are no two rates.

    Example:
        >>> [round(rate, 3) for rate in rates_between(0.01, 0.27)]
        [0.01, 0.03, 0.09, 0.27]
    """
    if not (is_real(low) and is_real(high) and 0 < low < high):
        raise InputError(f"expected rates 0 < low < high to try, got {low} and {high}; give two such numbers.")
    wanted = 1 + math.ceil(math.log(high / low) / math.log(SPACING) - 1e-9)
    count = min(max(wanted, _FIELD[0]), _FIELD[1])
    factor = (high / low) ** (1 / (count - 1))
    return [low * factor**place for place in range(count)]


def check_budget(budget: int) -> None:
    """Refuse trials that could not tell anything."""
    if budget < LEAST:
        raise InputError(
            f"expected at least {LEAST} steps for trials, got {budget}; raise cost, or the steps of the training."
        )


Legs = Generator[Leg, RateTrial, None]


def halved(rates: Sequence[float], budget: int, longest: int, close: bool = False) -> Legs:
    """Legs to be run one after the other; each answer is the trial as far as it has come.

    Args:
        rates: to begin with, ascending and evenly spaced in logarithms.
        budget: steps in all.
        longest: steps of a trial at most.
        close: whether the last rates stand half as far apart, around a best one that stands out, for training that breaks
            just above it.

    Raises:
        InputError: fewer steps than tell anything.

    Example:
        >>> def trial(leg):  # the best rate is 0.09
        ...     return RateTrial(leg.rate, tuple(1 + math.log(leg.rate / 0.09) ** 2 for _ in range(leg.until)))
        >>> legs = halved(rates_between(0.01, 7.29), budget=300, longest=200)
        >>> leg, lengths = next(legs), {}
        >>> try:
        ...     while True:
        ...         lengths[round(leg.rate, 2)] = leg.until
        ...         leg = legs.send(trial(leg))
        ... except StopIteration:
        ...     lengths
        {0.01: 30, 0.03: 82, 0.09: 82, 0.27: 82, 0.81: 8, 2.43: 8, 7.29: 8}
    """
    check_budget(budget)
    found = _Field(list(rates), budget)
    short, longer = max(2, round(_SHORT * budget)), max(4, round(_LONGER * budget))
    for place in range(len(rates)):
        yield from found.run(place, min(short, longest))
    for _ in range(_FALLS):
        yield from found.fall(min(short, longest))
    for _ in range(_BEYOND):
        yield from found.beyond(min(short, longest))
    found.keep(_SECOND)
    for place in sorted(found.alive):
        yield from found.run(place, min(longer, longest))
    for _ in range(_AGAIN):
        yield from found.beyond(min(longer, longest))
    found.keep(_LAST)
    if close:
        found.close_in()
    for _ in range(2):  # what a trial that breaks leaves goes to the others
        for place in sorted(found.alive, key=found.score):
            yield from found.run(place, min(longest, found.reach))


@dataclass
class _Field:
    """The rates by their places, and the steps that are left."""

    rates: list[float]
    left: int
    trials: dict[float, RateTrial] = field(default_factory=dict[float, RateTrial])
    alive: set[float] = field(default_factory=set[float])

    def run(self, place: float, until: int) -> Legs:
        """On to so many steps, as far as the budget goes."""
        before = self.trials[place].steps if place in self.trials else 0
        until = min(until, before + self.left)
        if until <= before:
            return
        alive = self.alive | {place}  # and those beside, which may come back
        kept = tuple(map(self._rate, sorted(alive | {min(alive) - 1, max(alive) + 1})))
        trial = yield Leg(self._rate(place), until, kept)
        self.left -= trial.steps - before
        self.trials[place] = trial
        self.alive.add(place)

    def score(self, place: float) -> float:
        """Of a trial so far; infinite where there is none."""
        return self.trials[place].score if place in self.trials else math.inf

    def _rate(self, place: float) -> float:
        return self.rates[0] * (self.rates[1] / self.rates[0]) ** place

    def fall(self, until: int) -> Legs:
        """Where all diverge: a rate far below, and those between."""
        if all(trial.stopped for trial in self.trials.values()):
            lowest = min(self.alive)
            for down in range(_DOWN, 0, -1):
                yield from self.run(lowest - down, until)
                if self.trials[lowest - down].stopped:
                    return

    def beyond(self, until: int) -> Legs:
        """One more rate where the best lies at an end; above none that diverged, below none where nothing is learnt."""
        best, ends = self.best, (min(self.alive), max(self.alive))
        if best == ends[0] and not self._flat(best):
            yield from self.run(best - 1, until)
        elif best == ends[1] and not (best + 1 in self.trials and self.trials[best + 1].stopped):
            yield from self.run(best + 1, until)

    def _flat(self, place: float) -> bool:
        """Whether the rate above has the same loss."""
        score, above = self.trials[place].score, self.trials.get(place + 1)
        return above is not None and abs(above.score - score) < _SAME * abs(score)

    @property
    def best(self) -> float:
        """The place of the least score; the lowest among equals."""
        return min(sorted(self.alive), key=self.score)

    def keep(self, count: int) -> None:
        """The best and those beside it, as many as are asked for and stand without a gap; of two sides the better."""
        kept = [self.best]
        while len(kept) < count:
            sides = [place for place in self.alive if place + 1 in kept or place - 1 in kept if place not in kept]
            if not sides:
                break
            kept.append(min(sorted(sides), key=self.score))
        self.alive = {place for place in kept if not self.trials[place].stopped} or {self.best}

    def close_in(self) -> None:
        """The best and the rates half a place from it, where it stands out from those beside it and these are far."""
        beside = [self.trials[place].score for place in (self.best - 1, self.best + 1) if place in self.trials]
        clear = len(beside) == 2 and min(beside) > self.score(self.best) + _CLEAR * abs(self.score(self.best))
        if clear and self.rates[1] / self.rates[0] > math.sqrt(SPACING) * (1 + 1e-9):
            self.alive = {self.best - 0.5, self.best, self.best + 0.5}

    @property
    def reach(self) -> int:
        """How far all that still run can go together."""
        steps = [self.trials[place].steps if place in self.trials else 0 for place in self.alive if self._runs(place)]
        return (self.left + sum(steps)) // len(steps) if steps else 0

    def _runs(self, place: float) -> bool:
        return place not in self.trials or not self.trials[place].stopped


def run_all(legs: Legs, perform: Callable[[Leg], RateTrial]) -> dict[float, RateTrial]:
    """Every trial at its full length, by rate."""
    found: dict[float, RateTrial] = {}
    try:
        leg = next(legs)
        while True:
            found[leg.rate] = perform(leg)
            leg = legs.send(found[leg.rate])
    except StopIteration:
        return dict(sorted(found.items()))
