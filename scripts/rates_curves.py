"""Losses of every step at many rates, so that a way to choose by short trials can be judged without training.

``python scripts/rates_curves.py OLDER|UNSEEN|REAL`` trains what is missing, in an order that a fixed seed draws, so that what is
done is a fair sample. OLDER are the older parts of the bank, UNSEEN the 96 that no rule was fitted to, REAL the twelve of
``rates_networks.py``.

Rates are in steps of √3 around the best that the stored grid or search found. A network has one file, of logarithms of losses:
of every step before it, and for the bank of 256 training images after some of them.
"""

from __future__ import annotations

import argparse
import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bank_networks import SEEDS, STEPS, Case, bank
from bank_training import Trainer
from rates import RANGES, TRIALS, Store, searched
from rates import cases as real
from rates_networks import Network
from rates_training import MAKERS, trained

BELOW, ABOVE, FACTOR = 5, 4, 3**0.5
EVALUATED_AFTER = (120, 140, 160, 170, 180, 190, 200)
KEPT, RUNS = Path("docs/learning-rate-bank"), Path("docs/rates/runs.jsonl")
ORDER = 25


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def best_of(line: dict[str, Any]) -> float:
    """The best rate that is stored."""
    if "search" in line:
        return float(line["search"]["rate"])
    means = np.mean(np.array(line["losses"], dtype=float), axis=1)
    return float(line["rates"][int(np.nanargmin(np.where(np.isfinite(means), means, np.inf)))])


def cases(part: str) -> list[tuple[Case, float]]:
    """Networks with the middle of their rates, in an order that a seed draws."""
    unseen = part == "UNSEEN"
    files = ("search-judged.jsonl", "search-last.jsonl") if unseen else ("grid.jsonl",)
    best = {line["case"]: best_of(line) for name in files for line in read(KEPT / name)}
    every = [case for case in bank() if (case.half in ("judged", "last")) == unseen and case.name in best]
    random.Random(ORDER).shuffle(every)
    return [(case, best[case.name]) for case in every]


def curves(case: Case, middle: float) -> dict[str, np.ndarray]:
    """Rates; logarithms of losses before every step (rates, seeds, steps), and of images (rates, seeds, places)."""
    trainer = Trainer(case)
    rates = [middle * FACTOR**place for place in range(-BELOW, ABOVE + 1)]
    steps, seen = trainer.followed(torch.tensor(rates)[:, None].expand(-1, len(SEEDS)), EVALUATED_AFTER)
    return {
        "rates": np.array(rates),
        "steps": _logarithms(steps.reshape(STEPS, len(rates), len(SEEDS)).permute(1, 2, 0)),
        "seen": _logarithms(seen.reshape(-1, len(rates), len(SEEDS)).permute(1, 2, 0)),
        "initial": np.array(trainer.initial),
    }


def real_curves(network: Network, optimizer: str) -> dict[str, np.ndarray]:
    """The same of a real network, without other images; a run that left the numbers has the largest loss from there on."""
    losses = searched(Store(RUNS), {"network": network.name, "optimizer": optimizer})
    middle = float(np.geomspace(*RANGES[optimizer], TRIALS)[min(losses, key=lambda at: losses[at])])
    rates = [middle * FACTOR**place for place in range(-BELOW, ABOVE + 1)]
    found = torch.full((len(rates), len(SEEDS), STEPS), torch.inf)
    for place, rate in enumerate(rates):
        for seed in SEEDS:
            run = trained(network, lambda model, at=rate: MAKERS[optimizer](model.parameters(), at), seed)
            found[place, seed, : len(run)] = torch.tensor(run)
    return {"rates": np.array(rates), "steps": _logarithms(found)}


def _logarithms(losses: torch.Tensor) -> np.ndarray:
    return losses.clamp(1e-7, 1e7).nan_to_num(1e7, 1e7, 1e7).log().numpy().astype(np.float16)


def main() -> None:
    """All that is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("OLDER", "UNSEEN", "REAL"))
    parser.add_argument("--folder", type=Path, default=Path("build/rates-curves"))
    parser.add_argument("--backwards", action="store_true", help="beside another process")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    if chosen.part == "REAL":
        some = [
            (f"{network.name} {optimizer}", partial(real_curves, network, optimizer)) for optimizer, network in real()
        ]
    else:
        some = [(case.name, partial(curves, case, middle)) for case, middle in cases(chosen.part)]
    for name, work in some[:: -1 if chosen.backwards else 1]:
        path = chosen.folder / f"{name.replace(' ', '_')}.npz"
        if not path.exists():
            np.savez_compressed(path, **work())  # pyright: ignore[reportArgumentType]  names are no flags
            print(name, flush=True)


if __name__ == "__main__":
    main()
