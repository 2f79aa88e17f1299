"""The best rate of every network of scripts/transfer_networks.py, one line of JSON each: ``python scripts/transfer_sweep.py``.

Rates a factor of 4 apart first, then closer and closer around the best, 13 to 16 of them. The smallest networks are trained from
three seeds, whose mean is told; all runs of one seed see the same batches. A second call goes on behind the last line. With
``--seed 3`` the same is searched from other starts and in other orders, into seeds.jsonl: how far one search scatters.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch

from transfer_networks import Member, members
from transfer_training import Runs

STORE = Path(__file__).resolve().parents[1] / "docs" / "transfer"
SCHEMA = 1
FIRST = {"sgd": 0.1, "momentum": 0.02, "adamw": 3e-3}  # the middle of the coarse field
_COARSE = 4.0
_SEEDS = 3  # of the smallest networks
_REFINED = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)  # of the best, as powers of 2; a second time in √2 around the new best


def read(name: str) -> list[dict[str, Any]]:
    """The lines of a store; none where it has not begun."""
    path = STORE / name
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def write(name: str, line: dict[str, Any]) -> None:
    """One line more."""
    STORE.mkdir(parents=True, exist_ok=True)
    with (STORE / name).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"schema_version": SCHEMA} | line, ensure_ascii=False) + "\n")


def rewrite(name: str, lines: list[dict[str, Any]]) -> None:
    """All lines in place of those that there are."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (new := STORE / f"{name}.new").write_text(text, encoding="utf-8")
    new.replace(STORE / name)


def searched(member: Member, first: int = 0) -> dict[float, float]:
    """Loss by rate, from the first seed on."""
    runs = [Runs(member, first + seed) for seed in range(_SEEDS if member == member.small else 1)]
    found: dict[float, float] = {}

    def tried(rates: list[float]) -> None:
        new = [rate for rate in dict.fromkeys(rates) if rate not in found]
        losses = [one.losses([one.uniform(rate) for rate in new]) for one in runs]
        found.update({rate: sum(each) / len(each) for rate, each in zip(new, zip(*losses, strict=True), strict=True)})

    def best() -> float:
        return min(found, key=lambda rate: found[rate])

    middle = FIRST[member.optimizer]
    tried([middle * _COARSE**power for power in range(-3, 4)])
    while best() in (min(found), max(found)) and len(found) < 13:
        edge = best()
        tried([edge / _COARSE, edge / _COARSE**2] if edge == min(found) else [edge * _COARSE, edge * _COARSE**2])
    tried([best() * 2.0**power for power in (-1, 1)])
    tried([best() * 2.0**power for power in _REFINED])
    tried([best() * 2.0**power for power in (-0.5, -0.25, 0.25, 0.5)])
    return dict(sorted(found.items()))


def main() -> None:
    """Go on where the last call ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--until", type=float, default=math.inf, help="seconds of this process after which no new network begins"
    )
    parser.add_argument("--families", nargs="*", help="only these")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    given = parser.parse_args()
    torch.set_num_threads(1)
    store = "seeds.jsonl" if given.seed else "sweeps.jsonl"
    done = {line["member"] for line in read(store)}
    for member in members():
        if member.key in done or (given.families and member.family not in given.families):
            continue
        if time.process_time() > given.until:
            break
        before = time.process_time()
        found = searched(member, given.seed)
        rate = min(found, key=lambda each: found[each])
        write(
            store,
            {
                "member": member.key,
                "rate": rate,
                "loss": found[rate],
                "trials": [[each, loss if math.isfinite(loss) else None] for each, loss in found.items()],
                "seconds": round(time.process_time() - before, 1),
            },
        )


if __name__ == "__main__":
    main()
