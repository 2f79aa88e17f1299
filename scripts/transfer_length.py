"""How the best rate changes with the length of training and with the batch: ``python scripts/transfer_length.py``.

The smallest networks of two families under three optimisers, trained eight times as long, and with batches 16 times as large. One
line of JSON each in docs/transfer/lengths.jsonl; a second call goes on behind the last.
"""

from __future__ import annotations

import argparse
import math
import time

import torch

from transfer_networks import OPTIMIZERS, Member
from transfer_sweep import FIRST, read, write
from transfer_training import Runs

FAMILIES = ("MLP", "residual MLP")
CASES = ((75, 64), (600, 64), (150, 16), (150, 256))  # steps and batch
SEEDS = (0, 1)


def searched(member: Member, steps: int, batch: int) -> dict[float, float]:
    """Loss by rate, the mean over the seeds: rates a factor of 2 apart, then √2 around the best."""
    runs = [Runs(member, seed, steps=steps, batch=batch) for seed in SEEDS]
    found: dict[float, float] = {}

    def tried(rates: list[float]) -> None:
        losses = [one.losses([one.uniform(rate) for rate in rates]) for one in runs]
        found.update({rate: sum(each) / len(each) for rate, each in zip(rates, zip(*losses, strict=True), strict=True)})

    middle = 2 * FIRST[member.optimizer]
    tried([middle * 2.0**power for power in range(-4, 4)])
    best = min(found, key=lambda rate: found[rate])
    tried([best * 2.0**power for power in (-1.5, -0.5, 0.5, 1.5)])
    return found


def main() -> None:
    """Go on where the last call ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--until", type=float, default=math.inf, help="seconds of this process after which none begins")
    given = parser.parse_args()
    torch.set_num_threads(1)
    done = {(line["member"], line["steps"], line["batch"]) for line in read("lengths.jsonl")}
    for steps, batch in CASES:
        for member in (Member(family, optimizer) for optimizer in OPTIMIZERS for family in FAMILIES):
            if (member.key, steps, batch) in done:
                continue
            if time.process_time() > given.until:
                return
            found = searched(member, steps, batch)
            rate = min(found, key=lambda each: found[each])
            trials = [[each, loss if math.isfinite(loss) else None] for each, loss in sorted(found.items())]
            write(
                "lengths.jsonl",
                {
                    "member": member.key,
                    "steps": steps,
                    "batch": batch,
                    "rate": rate,
                    "loss": found[rate],
                    "trials": trials,
                },
            )


if __name__ == "__main__":
    main()
