"""How far a searched rate carries: the best rate of one seed's network, at the networks of the other two seeds.

``python scripts/bank_repeated.py`` reads the grids that ``scripts/bank.py tune`` wrote. The best rate of one seed is the lowest
point of its own curve over the whole grid, some 17 rates, interpolated in logarithms; it is judged by the mean loss of the
other two networks, whose architecture, data and training are the same: within 5 % of the best of their mean.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from bank import RANGE, read
from bank_networks import SEEDS, bank
from bank_table import WITHIN

_FINE = 2000  # rates of an interpolated curve
_BROKEN = 1e9  # stands for a loss that is no number


def carried(line: dict[str, Any]) -> float:
    """The share of the seeds whose best rate is within 5 % at the others."""
    rates, losses = np.log(line["rates"]), np.array(line["losses"], dtype=float)
    losses = np.where(np.isfinite(losses), losses, _BROKEN)
    fine = np.linspace(rates[0], rates[-1], _FINE)

    def curve(columns: list[int]) -> np.ndarray:
        return np.interp(fine, rates, np.log(losses[:, columns].mean(axis=1)))

    good = []
    for place in range(len(SEEDS)):
        others = curve([other for other in range(len(SEEDS)) if other != place])
        good.append(others[curve([place]).argmin()] <= others.min() + np.log(WITHIN))
    return float(np.mean(good))


def main() -> None:
    """Print the share for every kind of training, and over all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("docs/learning-rate-bank"))
    lines = {line["case"]: carried(line) for line in read(parser.parse_args().folder / "grid.jsonl")}
    cases = [case for case in bank() if case.name in lines]
    for loss in ("half_squared_error", "cross_entropy"):
        for batch in (1, 64):
            for optimizer in RANGE:
                some = [
                    lines[case.name]
                    for case in cases
                    if (case.loss, case.batch, case.optimizer) == (loss, batch, optimizer)
                ]
                print(f"{loss}, B = {batch}, {optimizer}: {np.mean(some):.0%} of {len(some)} networks")
    every = [lines[case.name] for case in cases]
    error = np.std(every, ddof=1) / len(every) ** 0.5
    print(f"all: {np.mean(every):.1%} ± {error:.1%} of {len(every)} networks")


if __name__ == "__main__":
    main()
