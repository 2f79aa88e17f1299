"""The constants of the start rule and its intervals, from what the bank's networks show and the rates that were best for them.

``python scripts/bank_fit.py`` fits the constants to docs/learning-rate-bank, judges them by leaving out a whole family of
networks at a time, and prints both. It needs no torch and takes seconds.

The rule is η = c·(λ/h)^-½·P^-¼/h·(1-β)^m for gradient descent, recommended up to 2(1+β)/λ, and c·λ^-¼·P^-½ for Adam, with one
c for each loss and batch (1 or 64) and one m for each batch; λ/h counts from 2 on. A constant is fitted so that the rates of its
networks lie within those whose loss is within 5 % of the least, or else near (the distance in logarithms, capped at a factor of
7). "Best" are all rates whose loss is within 2 % of the least: many networks hardly tell them apart.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "learning-rate-bank"
GOOD, BEST, NEAR, WITHIN = 1.05, 1.02, 1.1, 0.05  # of the least loss; ends of an interval
CAP, STEP = 2.0, 0.02  # in logarithms
FLAT = 2.0  # λ/h that flatter starts of gradient descent count as
USUAL, SINGLES = (
    (0.42, 2.5),
    (0.5, 20.0),
)  # intervals: below what is recommended, above the rule; as in training/from_trials.py
UNSEEN = ("judged", "last", "real")  # parts of the bank that no constant is fitted to
Fit = dict[tuple[str, ...], float]
Told = tuple["Run", float, float]  # with the rate that is recommended, and the rule's


@dataclass(frozen=True)
class Run:
    """A network with its losses over rates; ``shape``: logarithm of the rule without its constants; ``bound``: 2(1+β)/λ."""

    case: str
    family: str
    part: str
    loss: str
    optimizer: str
    batch: int
    rates: np.ndarray
    losses: np.ndarray
    initial: float
    shape: float
    bound: float
    normalised: bool

    def among(self, ratio: float) -> tuple[float, float]:
        """The logarithms of the rates around the best whose loss is within a ratio of the least."""
        grid, curve = self._curve()
        best = int(curve.argmin())
        good = curve <= curve[best] + math.log(ratio)
        left, right = np.flatnonzero(~good[:best]), np.flatnonzero(~good[best:])
        return grid[left[-1] + 1 if left.size else 0], grid[best + right[0] - 1 if right.size else -1]

    def loss_at(self, rate: float) -> float:
        """Interpolated in logarithms."""
        grid, curve = self._curve()
        return float(np.exp(np.interp(math.log(rate), grid, curve)))

    @property
    def least(self) -> float:
        """The least loss."""
        return float(self.losses.min())

    def _curve(self) -> tuple[np.ndarray, np.ndarray]:
        known = np.log(self.rates)
        grid = np.linspace(known[0], known[-1], 1500)
        return grid, np.interp(grid, known, np.log(np.minimum(self.losses, 1e9)))


def runs(folder: Path = FOLDER) -> list[Run]:
    """All networks whose rates and starts are stored."""
    starts = {line["case"]: line["seeds"] for line in _lines(folder / "starts.jsonl")}
    found: list[Run] = []
    for line in _lines(folder / "grid.jsonl"):
        found += _made(line, starts, line["half"], list(zip(line["rates"], _means(line["losses"]), strict=True)))
    for part in UNSEEN[:2]:
        for line in _lines(folder / f"search-{part}.jsonl"):
            found += _made(line, starts, part, line["search"]["trials"])
    for line in _lines(folder / "real.jsonl"):
        fine = dict(zip(line["rates"], _means(line["losses"]), strict=True))
        beyond = [(rate, loss) for rate, loss in line["coarse"] if not min(fine) * 0.99 < rate < max(fine) * 1.01]
        found += _made(line, starts, "real", beyond + list(fine.items()))
    return found


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _means(losses: list[list[float]]) -> list[float]:
    return [float(np.mean(row)) for row in losses]


def _made(line: dict[str, Any], starts: dict[str, Any], part: str, points: list[tuple[float, float]]) -> list[Run]:
    seeds = [seed for seed in starts.get(line["case"], []) if seed.get("sharpness", 0) > 0]
    if not seeds:
        return []
    told = line if part == "real" else _told(line["case"])
    sharpness = float(np.exp(np.mean([math.log(seed["sharpness"]) for seed in seeds])))
    parameters, scale = math.log(seeds[0]["parameters"]), math.log(seeds[0].get("scale", 1.0))
    curved = math.log(sharpness)
    adam = told["optimizer"].startswith("adam")
    flat = max(curved - scale, math.log(FLAT))
    shape = -curved / 4 - parameters / 2 if adam else -flat / 2 - parameters / 4 - scale
    rates, losses = np.array(sorted(points)).T
    losses = np.where(np.isfinite(losses), losses, 1e9)
    kind = "squared" if told["loss"] in ("½Σ", "mse") else "cross_entropy"
    optimizer = "adam" if adam else told["optimizer"]
    bound = math.inf if adam else 2 * (1.9 if optimizer == "momentum" else 1.0) / sharpness
    initial, normalised = float(np.mean(line["initial"])), bool(seeds[0]["normalised"])
    head = line["case"], told["family"], part, kind, optimizer, int(told["batch"])
    return [Run(*head, rates, losses, initial, shape, bound, normalised)]


def _told(case: str) -> dict[str, Any]:
    """Of a name of the bank."""
    words = case.split()
    depth = int(re.findall(r"L=(\d+)", case)[0])
    family = words[0] if words[0] != "mlp" else "shallow mlp" if depth <= 10 else "deep mlp"
    return {"family": family, "batch": words[4][2:], "loss": words[5], "optimizer": words[6]}


# --- the fit ------------------------------------------------------------------------------------------------------


def fitted(some: list[Run]) -> Fit:
    """c by (optimiser, loss, batch) of sgd and adam, m by ("momentum", batch); all as logarithms."""
    found: Fit = {}
    for optimizer in ("sgd", "adam"):
        for loss in ("squared", "cross_entropy"):
            for batch in (1, 64):
                part = [run for run in some if (run.optimizer, run.loss, run.batch) == (optimizer, loss, batch)]
                found[optimizer, loss, str(batch)] = _shift([(run, run.shape) for run in part])
    for batch in (1, 64):
        part = [run for run in some if (run.optimizer, run.batch) == ("momentum", batch)]
        pairs = [(run, run.shape + found["sgd", run.loss, str(batch)]) for run in part]
        found["momentum", str(batch)] = _shift(pairs) / math.log(0.1)
    return found


def _shift(pairs: list[tuple[Run, float]]) -> float:
    """What is to be added, so that rates lie in or near the good ones; the middle of what does as well."""
    ends = np.array([run.among(GOOD) for run, _ in pairs])
    at = np.array([place for _, place in pairs])
    shifts = np.arange(-12, 12, STEP)
    moved = at + shifts[:, None]
    away = np.minimum(np.maximum(0, np.maximum(ends[:, 0] - moved, moved - ends[:, 1])), CAP).mean(1)
    return float(shifts[away <= away.min() + 1e-12].mean())


def predicted(fit: Fit, run: Run) -> Told:
    """The recommended rate, and the rule's; batches between 1 and 64 in logarithms."""
    share = math.log(min(max(run.batch, 1), 64)) / math.log(64)

    def between(*key: str) -> float:
        return fit[*key, "1"] * (1 - share) + fit[*key, "64"] * share

    adam = run.optimizer == "adam"
    place = run.shape + between("adam" if adam else "sgd", run.loss)
    place += between("momentum") * math.log(0.1) if run.optimizer == "momentum" else 0.0
    return run, min(math.exp(place), run.bound), math.exp(place)


def away(run: Run, rate: float) -> float:
    """How far the best rates lie above (or below, negative) a rate, in logarithms; 0 where it is among them."""
    low, high = run.among(BEST)
    return max(low - math.log(rate), 0.0) + min(high - math.log(rate), 0.0)


def left_out(every: list[Run]) -> list[Told]:
    """Every network with the rates by constants that were fitted to other families."""
    found: list[Told] = []
    seen = [run for run in every if run.part not in UNSEEN]
    for family in sorted({run.family for run in every}):
        fit = fitted([run for run in seen if run.family != family])
        found += [predicted(fit, run) for run in every if run.family == family]
    return found


def inside(one: Told) -> bool:
    """Whether a best rate lies in the interval, which begins below the recommended rate and ends above the rule's."""
    run, rate, free = one
    below, above = interval(run)
    low, high = run.among(BEST)
    return math.log(below * rate) <= high and low <= math.log(above * free)


def interval(run: Run) -> tuple[float, float]:
    """Of a network: wide for single samples, squared losses and normalised layers."""
    return SINGLES if run.normalised and run.batch == 1 and run.loss == "squared" else USUAL


def told(some: Iterable[Told]) -> str:
    """One line about how rates did."""
    every = list(some)
    ratios = np.array([run.loss_at(rate) / run.least for run, rate, _ in every])
    far = np.array([away(run, rate) for run, rate, _ in every])
    lost = sum(run.loss_at(rate) > 1.05 * run.initial for run, rate, _ in every)
    ends = np.exp(np.quantile(far, [WITHIN, 1 - WITHIN]))
    width = np.median([interval(run)[1] * free / (interval(run)[0] * rate) for run, rate, free in every])
    held = np.mean([inside(one) for one in every])
    return (
        f"{len(every):4d}  within 5 %: {np.mean(ratios <= GOOD):.0%}  10 %: {np.mean(ratios <= NEAR):.0%}  diverged: {lost}  "
        f"best over it, 5 to 95 %: {ends[0]:.2f} to {ends[1]:.2f}  inside: {held:.0%}, width {width:.1f}"
    )


def main() -> None:
    """Print the constants, and how they do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    chosen = parser.parse_args()
    every = runs(chosen.folder)
    fit = fitted([run for run in every if run.part not in UNSEEN])
    for key, value in fit.items():
        print(" ".join(key), f"{value if key[0] == 'momentum' else math.exp(value):.3g}")
    pairs = left_out(every)
    bank = [one for one in pairs if one[0].part != "real"]
    lines = {"families left out: the bank": bank}
    lines |= {
        f"  {family}": [one for one in bank if one[0].family == family]
        for family in sorted({o[0].family for o in bank})
    }
    lines["  single samples, squared, normalised"] = [one for one in bank if interval(one[0]) == SINGLES]
    lines["  unseen parts"] = [one for one in bank if one[0].part in UNSEEN]
    lines["unseen parts, no family left out"] = [predicted(fit, one[0]) for one in lines["  unseen parts"]]
    lines["real architectures"] = [one for one in pairs if one[0].part == "real"]
    for name, some in lines.items():
        print(f"{name:38}", told(some))
    for run, rate, _ in lines["real architectures"]:
        least = math.exp(sum(run.among(BEST)) / 2)
        print(
            f"  {run.case:34} told {rate:.3g}, best {least:.3g}, loss {run.loss_at(rate) / run.least:.2f} of the least"
        )


if __name__ == "__main__":
    main()
