"""Trains the architectures of bank_real.py over a grid of rates: ``python scripts/bank_real_runs.py``.

One line of JSON a case, written when it is done; a second call goes on behind the last. First one seed over a wide grid in steps
of √10, then three seeds in steps of 1.6 around its best, until the best lies inside. The loss of a run is the mean over its last
50 batches, which are the same at every rate; a run that leaves the numbers, or ten times its first loss, has none.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bank_real import Problem, RealCase, problem, real_cases

STEPS, LAST, SEEDS = 200, 50, (0, 1, 2)
RANGE = {"sgd": (1e-3, 10.0), "momentum": (1e-4, 3.2), "adamw": (3.2e-5, 0.1)}
COARSE, FINE, EITHER, MOST = 10**0.5, 1.6, 2, 16  # factors; rates on each side of the best; rates in all
LOST = 10.0  # times the first loss


def started(given: Problem, seed: int) -> nn.Module:
    """The network of a seed, as torch starts it, in training mode."""
    torch.manual_seed(1000 + seed)
    return given.make().train()


def batches(samples: int, batch: int, seed: int) -> list[Tensor]:
    """Passes over the data, each in a new order."""
    generator = torch.Generator().manual_seed(seed)
    passes = -(-STEPS * batch // (samples - samples % batch))
    kept = samples - samples % batch
    order = torch.cat([torch.randperm(samples, generator=generator)[:kept] for _ in range(passes)])
    return list(order.reshape(-1, batch)[:STEPS])


def optimizer(name: str, model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """As torch has it."""
    if name == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=rate)
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9 if name == "momentum" else 0.0)


def trained(given: Problem, case: RealCase, rate: float, seed: int) -> float:
    """The mean of the last losses; infinite where there is none."""
    model, losses = started(given, seed), []
    stepped = optimizer(case.optimizer, model, rate)
    torch.manual_seed(seed)
    for chosen in batches(len(given.inputs), case.batch, seed):
        loss = given.loss(model(given.inputs[chosen]), given.targets[chosen])
        losses.append(float(loss.detach()))
        if not losses[-1] <= LOST * losses[0]:
            return math.inf
        stepped.zero_grad()
        loss.backward()
        stepped.step()
    return float(np.mean(losses[-LAST:]))


def searched(case: RealCase) -> dict[str, object]:
    """Coarse with one seed, then fine with all."""
    given, start = problem(case), time.process_time()
    low, high = RANGE[case.optimizer]
    count = 1 + round(math.log(high / low) / math.log(COARSE))
    coarse = {rate: trained(given, case, rate, SEEDS[0]) for rate in np.geomspace(low, high, count).tolist()}
    best = min(coarse, key=coarse.__getitem__)
    fine: dict[float, list[float]] = {}
    while len(fine) < MOST:
        places = [float(f"{best * FINE**step:.6g}") for step in range(-EITHER, EITHER + 1)]
        fine |= {rate: [trained(given, case, rate, seed) for seed in SEEDS] for rate in places if rate not in fine}
        means = {rate: float(np.mean(losses)) for rate, losses in fine.items()}
        lowest = min(means, key=means.__getitem__)
        if min(fine) * FINE**EITHER <= lowest * 1.01 and lowest * FINE**EITHER <= max(fine) * 1.01:
            break
        best = lowest
    initial = [trained_nothing(given, case, seed) for seed in SEEDS]
    return {
        "case": case.name,
        "family": case.family,
        "loss": given.kind,
        "optimizer": case.optimizer,
        "batch": case.batch,
        "steps": STEPS,
        "initial": initial,
        "coarse": [[rate, coarse[rate]] for rate in sorted(coarse)],
        "rates": sorted(fine),
        "losses": [fine[rate] for rate in sorted(fine)],
        "seconds": time.process_time() - start,
    }


def trained_nothing(given: Problem, case: RealCase, seed: int) -> float:
    """The loss of the last batches at the start."""
    model = started(given, seed)
    chosen = torch.cat(batches(len(given.inputs), case.batch, seed)[-LAST:])[:512]
    with torch.no_grad():
        return float(given.loss(model(given.inputs[chosen]), given.targets[chosen]))


def main() -> None:
    """Parse and go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path("docs/learning-rate-bank/real.jsonl"))
    parser.add_argument("--cases", type=int, default=None, help="only the first ones")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    lines = chosen.store.read_text(encoding="utf-8").splitlines() if chosen.store.exists() else []
    done = {json.loads(line)["case"] for line in lines}
    for case in real_cases()[: chosen.cases]:
        if case.name in done:
            continue
        row = searched(case)
        with chosen.store.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        print(case.name, f"{row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
