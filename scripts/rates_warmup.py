"""Does a warm-up help where the rate is above the critical rate of the first step, and only there? A grid of lengths.

``python scripts/rates_warmup.py`` trains small real networks at multiples of the best rate of the search in runs.jsonl, with
warm-ups of several lengths from 0, and with the one that :func:`freeness.training.warm_up` tells; lines go to
docs/rates/warmup.jsonl.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from torch import nn

from freeness.torch import criterion, critical_rate, given_loss
from freeness.training import Schedule, warm_up
from rates import SEEDS, Line, Store, searched
from rates_networks import NETWORKS, Network
from rates_training import MAKERS, STEPS, judged, trained

LENGTHS = (0, 5, 10, 20, 40)  # of 200 steps
MULTIPLES = (1.0, 4.0, 16.0)  # of the best rate of the search
NAMES = (
    *("MLP with batch normalisation", "VAE", "DeepONet", "CNN with max pooling", "BiLSTM"),
    *("ViT", "GPT", "Mixer", "ResNet with batch normalisation"),
)


def critical(network: Network, optimizer: str, seed: int) -> float:
    """The critical rate of the first step of a seed's network."""
    model = network.started(seed).train()
    inputs, targets = network.batches(seed, 1)[0]
    loss = network.loss if callable(network.loss) else criterion(given_loss(network.loss))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return critical_rate(model, lambda: loss(model(inputs), targets), lambda p: MAKERS[optimizer](p, 1e-3)).rate


def warmed(network: Network, optimizer: str, seed: int, schedule: Schedule, rate: float) -> Line:
    """A run with a warm-up."""

    def made(model: nn.Module) -> torch.optim.Optimizer:
        found = MAKERS[optimizer](model.parameters(), rate)
        step = found.step
        count = iter(range(STEPS))

        def stepped() -> None:
            for group in found.param_groups:
                group["lr"] = rate * schedule.share(next(count))
            step()

        vars(found)["step"] = stepped
        return found

    loss = judged(trained(network, made, seed))
    return {"rate": rate, "loss": loss if math.isfinite(loss) else None}


def main() -> None:
    """All that is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("docs/rates"))
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    runs, store = Store(folder / "runs.jsonl"), Store(folder / "warmup.jsonl")
    for optimizer in ("adamw", "momentum"):
        for network in (next(one for one in NETWORKS if one.name == name) for name in NAMES):
            losses = searched(runs, {"network": network.name, "optimizer": optimizer})
            if not losses:
                continue
            place = min(losses, key=lambda at: losses[at])
            best = runs.of(network=network.name, optimizer=optimizer, way="search", place=place)[0]["rate"]
            for seed in SEEDS[:2]:
                edge = critical(network, optimizer, seed)
                for multiple in MULTIPLES:
                    rate = multiple * best
                    told = warm_up(rate, edge, Schedule(STEPS), 10 if optimizer == "adamw" else 0)
                    plans = {f"{length}": Schedule(STEPS, warmup=length) for length in LENGTHS}
                    plans["told"] = Schedule(STEPS, warmup=told.steps, first=told.start / rate if told.steps else 0.0)
                    for way, plan in plans.items():
                        key = {"network": network.name, "optimizer": optimizer, "multiple": multiple, "seed": seed}
                        store.once(
                            lambda n=network, o=optimizer, s=seed, p=plan, r=rate, e=edge, t=told: (
                                warmed(n, o, s, p, r) | {"critical": e, "told": t.steps}
                            ),
                            **key,
                            way=way,
                        )


if __name__ == "__main__":
    main()
