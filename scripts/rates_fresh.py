"""The rate that a search found and what ``find_rate`` tells, both from three starts and orders of batches that no search saw.

The least of 20 noisy losses is partly luck, and favours the search: here both are trained anew. ``python scripts/rates_fresh.py``
goes on behind the last line of docs/rates/runs-fresh.jsonl and prints the table of docs/rates.md. Networks are those of
rates_networks.py and rates_later.py whose search has ended, in runs.jsonl and runs-later.jsonl.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from rates import RANGES, SEEDS, TRIALS, Line, Store, cases, found, loss_in, mean_loss, run_at, searched
from rates_networks import Network

FOLDER = Path("docs/rates")
FRESH = (3, 4, 5)
LIMITS = (1.05, 1.1, 1.3)


def both(store: Store, network: Network, optimizer: str, rate: float) -> tuple[float, float, float]:
    """The mean loss of ``find_rate`` over that of the searched rate, its standard error over seeds, and how many diverged."""
    key = {"network": network.name, "optimizer": optimizer}
    told, there = [], []
    for seed in FRESH:
        work = (seed, store.steps)
        told.append(store.once(lambda w=work: found(network, optimizer, *w), **key, way="find_rate", seed=seed))
        there.append(
            store.once(lambda w=work: run_at(network, optimizer, rate, *w), **key, way="search's rate", seed=seed)
        )
    ratios = [loss_in(one) / loss_in(other) for one, other in zip(told, there, strict=True)]
    error = float(np.std(ratios, ddof=1)) / len(ratios) ** 0.5
    return mean_loss(told) / mean_loss(there), error, sum(line["loss"] is None for line in told)


def best(runs: Store, key: Line) -> float | None:
    """The rate whose mean loss is least; None where the search, or what came behind it, has not ended."""
    losses = searched(runs, key)
    if not losses or len(runs.of(**key, way="find_rate")) < len(SEEDS):
        return None
    return float(np.geomspace(*RANGES[key["optimizer"]], TRIALS)[min(losses, key=lambda place: losses[place])])


def main() -> None:
    """Train what is missing, and print."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    store, ratios, diverged = Store(FOLDER / "runs-fresh.jsonl"), [], 0
    for later, name in ((False, "runs"), (True, "runs-later")):
        runs = Store(FOLDER / f"{name}.jsonl")
        for optimizer, network in cases(later):
            rate = best(runs, {"network": network.name, "optimizer": optimizer})
            if rate is not None:
                ratio, error, lost = both(store, network, optimizer, rate)
                ratios.append(ratio)
                diverged += lost
                print(f"| {network.name}, {optimizer} | {ratio:.2f} ± {error:.2f} |", flush=True)
        counts = [f"within {limit - 1:.0%}: {sum(ratio <= limit for ratio in ratios)}" for limit in LIMITS]
        print(f"{len(ratios)} trainings so far: {', '.join(counts)}; diverged: {diverged} runs", flush=True)


if __name__ == "__main__":
    main()
