"""``find_rate`` on the 96 networks of the learning-rate bank that no rule was fitted to, beside the searches that are kept there.

``python scripts/rates_bank.py`` writes one line of JSON a network to docs/rates/bank.jsonl and goes on behind the last;
``--table`` prints how many came within which part of the search. Networks come in an order that a fixed seed draws, so that
the part that is done is a fair sample. A loss is that of 256 training images after 200 steps, the mean of three seeds; each
seed's network finds its own rate, at a cost of 1.5 runs. The search is Optuna's, 20 trials, each the mean of the three seeds.
``--fresh`` takes three other seeds, into bank-fresh.jsonl: the rate that the search found is trained anew beside what
``find_rate`` tells there, for the least of 20 noisy losses is nobody's to reach, not even the search's own.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path
from typing import Any

import torch

from bank_networks import SEEDS, STEPS, Case, bank
from bank_training import Trainer
from freeness.torch import FindOptions, find_rate

ORDER = 25  # the seed that orders the networks
KEPT = Path("docs/learning-rate-bank")
HALVES = ("last", "judged")
FRESH = (3, 4, 5)  # seeds that no search has seen


def found(case: Case, seeds: tuple[int, ...] = SEEDS, searched: float | None = None) -> dict[str, Any]:
    """The rates of the three seeds, what they cost, and the losses at them; those at the rate of a search too."""
    trainer = Trainer(case, seeds)
    start, told = time.process_time(), []
    for place, network in enumerate(trainer.starts):
        batches = [(trainer.x[rows], trainer.y[rows]) for rows in trainer.batches[:, place]]
        told.append(
            find_rate(network, batches, FindOptions(seed=place), loss=case.loss, optimizer=case.optimizer, steps=STEPS)
        )
    seconds = (time.process_time() - start) / len(told)
    tried = [[each.recommended for each in told], *([] if searched is None else [[searched] * len(told)])]
    losses, *rest = trainer.losses(torch.tensor(tried)).tolist()
    return {
        "case": case.name,
        "half": case.half,
        "rates": [each.recommended for each in told],
        "intervals": [(each.low, each.high) for each in told],
        "critical": [finite(each.critical) for each in told],
        "costs": [each.cost for each in told],
        "losses": [finite(loss) for loss in losses],
        "initial": trainer.initial,
        "seconds": seconds,
        **({"search": [finite(loss) for loss in rest[0]]} if rest else {}),
    }


def finite(value: float) -> float | None:
    """None where it is without end: no rate raised the loss, or training diverged."""
    return value if math.isfinite(value) else None


def lines(path: Path) -> list[dict[str, Any]]:
    """The finished networks."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def cases() -> list[Case]:
    """The 96, in the order in which they are run."""
    some = [case for case in bank() if case.half in HALVES]
    random.Random(ORDER).shuffle(some)
    return some


def mean(losses: list[float | None]) -> float:
    """Infinite where one diverged."""
    return sum(math.inf if loss is None else loss for loss in losses) / len(losses)


def tabulate(path: Path) -> str:
    """Counts within parts of the search: of find_rate, of the rate from the start alone as kept, of torch-lr-finder."""
    done = {line["case"]: line for line in lines(path)}
    kept = {
        name: {line["case"]: line for half in HALVES for line in lines(KEPT / f"{name}-{half}.jsonl")}
        for name in ("search", "advice", "finder")
    }
    best = {case: kept["search"][case]["search"]["loss"] for case in done}
    if all("search" in line for line in done.values()):  # other seeds: the search's own rate, trained there
        best = {case: mean(line["search"]) for case, line in done.items()}
        kept = {name: {} for name in kept}
    ways = {"find_rate": done, "from the start alone": kept["advice"], "torch-lr-finder": kept["finder"]}
    rows = []
    for way, told in ways.items():
        if not told:
            continue
        regrets = [mean(told[case]["losses"]) / best[case] for case in done]
        above = sum(
            (math.inf if loss is None else loss) > 1.05 * first
            for case in done
            for loss, first in zip(told[case]["losses"], done[case]["initial"], strict=True)
        )
        counts = [f"{sum(regret <= limit for regret in regrets)}" for limit in (1.05, 1.1, 1.3)]
        median = sorted(regrets)[len(regrets) // 2]
        rows.append(f"| {way} | {' | '.join(counts)} | {median:.3f} | {above} of {len(SEEDS) * len(done)} |")
    head = f"| of {len(done)} networks | within 5 % | within 10 % | within 30 % | median | runs that end above their start |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def main() -> None:
    """All that is missing, or the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="three other seeds")
    parser.add_argument("--store", type=Path, help="docs/rates/bank.jsonl or bank-fresh.jsonl when left out")
    parser.add_argument("--table", action="store_true", help="print the table of what is done")
    chosen = parser.parse_args()
    store = chosen.store or Path(f"docs/rates/bank{'-fresh' if chosen.fresh else ''}.jsonl")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if chosen.table:
        print(tabulate(store))
        return
    there = {line["case"] for line in lines(store)}
    kept = {line["case"]: line["search"]["rate"] for half in HALVES for line in lines(KEPT / f"search-{half}.jsonl")}
    for case in cases():
        if case.name not in there:
            line = found(case, FRESH, kept[case.name]) if chosen.fresh else found(case)
            with store.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            print(case.name, flush=True)


if __name__ == "__main__":
    main()
