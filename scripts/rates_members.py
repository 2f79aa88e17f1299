"""The rate from the start alone on the networks that `transfer` is judged on, beside their searches (docs/transfer/sweeps.jsonl).

``python scripts/rates_members.py`` measures what is missing, a line of JSON a network in docs/rates/members.jsonl, and prints by
family how often the interval holds a rate within 5 % of the search's least loss, and how often the told rate is within 10 %. No
constant of the rule comes from these networks. Losses between trials are interpolated in logarithms.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from freeness.torch import given_loss
from freeness.torch.rate.starts import rate_facts
from freeness.training import SGD, start_rate
from rates import Line, Store
from transfer_networks import Member, members

SWEEPS, KEPT = Path("docs/transfer/sweeps.jsonl"), Path("docs/rates/members.jsonl")
SAMPLES, GOOD, NEAR = 512, 1.05, 1.1


def told(member: Member) -> Line:
    """By the rule, for the first start in training mode."""
    inputs, targets = (part[:SAMPLES] for part in member.kind.data())
    name = "adam" if member.optimizer == "adamw" else member.optimizer
    descent = SGD(momentum=0.9) if name == "momentum" else name
    loss = "cross_entropy"
    facts = rate_facts(member.started().train(), (inputs, targets), loss, descent, (member.kind.batch, True))
    rate = start_rate(facts, given_loss(loss), descent)
    return {"rate": rate.recommended, "low": rate.low, "high": rate.high, "untried": facts.untried}


def judged(trials: list[tuple[float, float]], line: Line) -> tuple[bool, bool, float]:
    """Whether the rate is near, whether the interval holds one as good, and the middle of these over the told one."""
    trials = sorted((rate, loss) for rate, loss in trials if loss is not None and math.isfinite(loss))
    least = min(loss for _, loss in trials)
    good = [rate for rate, loss in trials if loss <= GOOD * least]
    places, heights = np.log(trials).T
    loss = math.exp(np.interp(math.log(line["rate"]), places, heights)) / least
    inside = places[0] - 0.1 <= math.log(line["rate"]) <= places[-1] + 0.1
    return (
        inside and loss <= NEAR,
        line["low"] <= good[-1] and good[0] <= line["high"],
        math.sqrt(good[0] * good[-1]) / line["rate"],
    )


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    swept = {line["member"]: line["trials"] for line in map(json.loads, SWEEPS.read_text("utf-8").splitlines())}
    store, table = Store(KEPT), defaultdict(list)
    for member in members():
        if member.key in swept:
            line = store.once(lambda m=member: told(m), member=member.key)
            table[member.family].append((*judged(swept[member.key], line), line["high"] / line["low"]))
    table["all"] = [row for rows in table.values() for row in rows]
    for family, rows in table.items():
        near, held, middles, widths = zip(*rows, strict=True)
        reach = f"{min(middles):.2g} to {max(middles):.2g}"
        print(f"| {family} | {len(rows)} | {sum(near)} | {sum(held)} | {np.median(widths):.3g} | {reach} |", flush=True)


if __name__ == "__main__":
    main()
