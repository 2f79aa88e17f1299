"""How ``find_rate`` chooses, replayed on the stored losses of ``rates_curves.py``: how near it comes, and why it misses.

``python scripts/rates_replay.py`` replays the trials of the package on all networks that are stored, several times, as the place
where their field begins is drawn: the critical rate knows little of the best. A network counts by the mean loss of its three
seeds, each at a rate of its own, over that of the best rate for all; between stored rates losses are interpolated in logarithms.
No constant is fitted here. Counts are told for each kind of network, loss and optimiser; a miss is put down to

* noise, where all stored rates at their whole length miss as well, by their own batches,
* length, where all stored rates tried for LENGTH steps do,
* selection, where these would have found it.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np

from bank_networks import SEEDS, Case
from freeness.training import Leg, RateSetting, RateTrial, Schedule, diverges, found_rate, halved, run_all
from rates_curves import FACTOR, STEPS, cases

FOLDER = Path("build/rates-curves")
BUDGET, LONGEST, FIELD, LENGTH, DRAWS = 295, 120, 7, 80, 4
MEMORY = 10  # gradients that Adam averages
LOST, NEAR, CAP = 5, (1.05, 1.1), 0.4  # a lost run counts as so many times the first loss


class Stored:
    """The losses of one network."""

    def __init__(self, case: Case, path: Path) -> None:
        data = np.load(path)
        self.case = case
        self._runs: dict[tuple[int, int], tuple[list[float], int]] = {}
        self.rates, self.steps, self.initial = data["rates"], np.exp(data["steps"].astype(float)), data["initial"]
        seen = np.exp(data["seen"].astype(float))
        kept = np.isfinite(seen).all(2) & (seen.max(2) < 3 * self.initial)
        self.final = np.where(kept, seen[:, :, -5:].mean(2), LOST * self.initial)  # of the last 40 steps

    def regret(self, rates: list[float]) -> float:
        """The mean loss of the seeds, each at its rate, over that of the best rate for all."""
        places, heights = np.log(self.rates), np.log(self.final)
        losses = [np.interp(math.log(rate), places, heights[:, seed]) for seed, rate in enumerate(rates)]
        return float(np.exp(losses).mean() / self.final.mean(1).min())

    def trial(self, place: int, seed: int, until: int) -> RateTrial:
        """Above what is stored it diverges, below it is a little worse than the lowest."""
        if (place, seed) not in self._runs:
            losses = [float(self.initial[seed])] * 3 + [math.nan]
            if place < len(self.rates):
                losses = (self.steps[max(place, 0), seed] * (1 + 0.02 * max(-place, 0))).tolist()
            ends = (count for count in range(1, len(losses) + 1) if diverges(losses[:count]))
            self._runs[place, seed] = losses, next(ends, STEPS + 1)
        losses, end = self._runs[place, seed]
        return RateTrial(self.rate(place), tuple(losses[: min(until, end)]), stopped=end <= until)

    def rate(self, place: int) -> float:
        """Also beyond those that are stored."""
        return float(self.rates[0]) * FACTOR**place

    @property
    def setting(self) -> RateSetting:
        """As ``find_rate`` has it."""
        memory = MEMORY if self.case.optimizer == "adam" else 0
        return RateSetting(self.case.loss, self.case.optimizer, self.case.batch, Schedule(STEPS), memory=memory)

    def told(self, trials: list[RateTrial]) -> float:
        """What the package makes of trials."""
        return found_rate(trials, self.setting, math.inf, (1.5, 1.5)).recommended

    def found(self, seed: int, draw: int) -> float:
        """By the trials of the package."""
        drawn = random.Random(f"{self.case.name} {seed} {draw}")
        lowest = int(self.final.mean(1).argmin()) - drawn.randrange(2, 2 * FIELD - 1)

        def perform(leg: Leg) -> RateTrial:
            place = round(math.log(leg.rate / self.rate(0)) / math.log(FACTOR))
            kept = self.trial(place, seed, leg.until)
            return RateTrial(leg.rate, kept.losses, kept.stopped)

        rates = [self.rate(lowest + 2 * k) for k in range(FIELD)]
        return self.told(list(run_all(halved(rates, BUDGET, LONGEST, self.setting.breaks_near), perform).values()))

    def whole(self, until: int) -> float:
        """The regret of trying all stored rates for so many steps."""
        every = range(len(self.rates))
        return self.regret([self.told([self.trial(at, seed, until) for at in every]) for seed in range(len(SEEDS))])

    @property
    def cause(self) -> str:
        """Of a miss."""
        return "noise" if self.whole(STEPS) > NEAR[0] else "length" if self.whole(LENGTH) > NEAR[0] else "selection"


def shown(name: str, some: np.ndarray) -> str:
    """One line."""
    near = "  ".join(f"within {limit - 1:.0%}: {np.mean(some <= limit):.0%}" for limit in NEAR)
    return f"{name:26} {len(some):4d}  {near}  mean of logarithms {np.minimum(np.log(some), CAP).mean():.4f}"


def main() -> None:
    """Print counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    every = [case for part in ("OLDER", "UNSEEN") for case, _ in cases(part)]
    paths = {case: folder / f"{case.name.replace(' ', '_')}.npz" for case in every}
    stored = [Stored(case, path) for case, path in paths.items() if path.exists()]
    regrets = np.array(
        [[one.regret([one.found(seed, draw) for seed in range(len(SEEDS))]) for draw in range(DRAWS)] for one in stored]
    )
    print(f"{len(stored)} networks")
    print(shown("all", regrets.flatten()))
    for key in ("kind", "loss", "optimizer", "batch"):
        for value in sorted({getattr(one.case, key) for one in stored}):
            print(shown(f"{key} {value}", regrets[[getattr(one.case, key) == value for one in stored]].flatten()))
    missed = [
        (one, float(np.median(row))) for one, row in zip(stored, regrets, strict=True) if np.median(row) > NEAR[0]
    ]
    causes = [(one.cause, regret, one.case.name) for one, regret in missed]
    print(Counter(cause for cause, *_ in causes))
    for cause, regret, name in sorted(causes):
        print(f"{cause:10} {regret:.2f}  {name}")


if __name__ == "__main__":
    main()
