"""How ``find_rate`` chooses, replayed on the stored losses of ``rates_curves.py``: what its constants rest on.

``python scripts/rates_replay.py`` replays the trials of the package on the networks of OLDER and prints how near their rates
come, for several powers of the drift with the length of training. The powers are judged by leaving out a family at a time. Losses
are those of each seed, over the least at its stored rates; between these they are interpolated in logarithms.
"""

from __future__ import annotations

import math
import random
from itertools import product
from pathlib import Path

import numpy as np

from bank_networks import SEEDS, Case
from freeness.training import Leg, RateTrial, diverges, halved, minimum_of, run_all
from rates_curves import FACTOR, STEPS, cases

FOLDER = Path("build/rates-curves")
BUDGET, LONGEST, FIELD = 295, 120, 7
POWERS = (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5)
LOST, NEAR, CAP = 1e6, (1.05, 1.1), 0.4
Told = tuple[Case, int, float, int]  # a seed, the best rate of its trials, and their length


class Stored:
    """The losses of one network."""

    def __init__(self, case: Case, folder: Path) -> None:
        data = np.load(folder / f"{case.name.replace(' ', '_')}.npz")
        self.rates, self.steps, self.initial = data["rates"], np.exp(data["steps"].astype(float)), data["initial"]
        seen = np.exp(data["seen"].astype(float))[:, :, -5:].mean(2)  # of the last 40 steps
        self.final = np.where(seen < 3 * self.initial, seen, LOST)

    def regret(self, seed: int, rate: float) -> float:
        """The loss at a rate over the least."""
        heights = np.log(self.final[:, seed])
        return math.exp(np.interp(math.log(rate), np.log(self.rates), heights) - heights.min())

    def trial(self, place: int, seed: int, until: int) -> RateTrial:
        """Above what is stored it diverges, below it is a little worse than the lowest."""
        if place >= len(self.rates):
            losses = [float(self.initial[seed])] * 3 + [math.nan]
        else:
            losses = (self.steps[max(place, 0), seed] * (1 + 0.02 * max(-place, 0))).tolist()
        for count in range(1, until + 1):
            if diverges(losses[:count]):
                return RateTrial(self.rate(place), tuple(losses[:count]), stopped=True)
        return RateTrial(self.rate(place), tuple(losses[:until]))

    def rate(self, place: int) -> float:
        """Also beyond those that are stored."""
        return float(self.rates[0]) * FACTOR**place


def told(case: Case, stored: Stored, seed: int) -> Told:
    """The trials of the package; where their field begins is drawn, as the critical rate knows little of the best."""
    draw = random.Random(f"{case.name} {seed}")
    lowest = int(stored.final.mean(1).argmin()) - draw.randrange(2, 2 * FIELD - 1)

    def perform(leg: Leg) -> RateTrial:
        place = round(math.log(leg.rate / stored.rate(0)) / math.log(FACTOR))
        found = stored.trial(place, seed, leg.until)
        return RateTrial(leg.rate, found.losses, found.stopped)

    trials = run_all(halved([stored.rate(lowest + 2 * k) for k in range(FIELD)], BUDGET, LONGEST), perform).values()
    length = max(trial.steps for trial in trials if not trial.stopped)
    return case, seed, minimum_of(list(trials)).rate, length


def main() -> None:
    """Print counts for powers, and those of families left out."""
    every = [case for case, _ in cases("OLDER")]
    stored = {case.name: Stored(case, FOLDER) for case in every}
    found = [told(case, stored[case.name], seed) for case, seed in product(every, range(len(SEEDS)))]
    print(f"{len(found)} seeds, trials of {np.mean([steps for *_, steps in found]):.0f} steps")

    def regrets(some: list[Told], power: float) -> np.ndarray:
        return np.array(
            [stored[case.name].regret(seed, rate * (steps / STEPS) ** power) for case, seed, rate, steps in some]
        )

    def shown(some: np.ndarray) -> str:
        near = "  ".join(f"within {limit - 1:.0%}: {np.mean(some <= limit):.0%}" for limit in NEAR)
        return f"{near}  mean of logarithms {np.minimum(np.log(some), CAP).mean():.4f}"

    for loss in ("half_squared_error", "cross_entropy"):
        own = [one for one in found if one[0].loss == loss]
        for power in POWERS:
            print(f"{loss:20} power {power:4}  {shown(regrets(own, power))}")
        left: list[float] = []
        for kind in sorted({one[0].kind for one in own}):
            others = [one for one in own if one[0].kind != kind]
            best = min(POWERS, key=lambda power: np.minimum(np.log(regrets(others, power)), CAP).mean())
            left += regrets([one for one in own if one[0].kind == kind], best).tolist()
            print(f"{loss:20} fitted without {kind}: {best}")
        print(f"{loss:20} families left out  {shown(np.array(left))}")


if __name__ == "__main__":
    main()
