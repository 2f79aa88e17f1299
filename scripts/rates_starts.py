"""The rate from the start alone on the twelve real networks of rates_networks.py, beside the search of runs.jsonl.

``python scripts/rates_starts.py`` measures what is missing, a line of JSON a training in docs/rates/starts.jsonl, and prints the
table of docs/rates.md; ``--later`` does so for the networks of rates_later.py. None of these networks made the rule. Losses are
read off the search, interpolated in logarithms; a rate is "as good" where the loss of the search is within 5 % of its least.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch

from freeness.torch import given_loss, given_optimizer
from freeness.torch.rate.rehearsal import rehearsed
from freeness.torch.rate.starts import rate_facts
from freeness.training import SGD, start_rate
from rates import RANGES, TRIALS, Line, Store, cases, loss_in, searched
from rates_networks import Network

FOLDER = Path("docs/rates")
SAMPLES, GOOD = 512, 1.05
LOST = 1e3  # times the best loss, that of a run that diverged


def told(network: Network, optimizer: str, *, tried: bool = False) -> Line:
    """By the rule, for the first seed's network in training mode; and tried for 100 steps, as `freeness analyze` does."""
    inputs, targets = (part[:SAMPLES] for part in network.data())
    descent = SGD(momentum=0.9) if optimizer == "momentum" else optimizer
    facts = rate_facts(network.started(0).train(), (inputs, targets), network.loss, descent, (network.batch, True))
    rate = start_rate(facts, given_loss(network.loss), descent)
    if tried:
        how = (given_loss(network.loss), given_optimizer(descent))
        rate = rehearsed(network.started(0), network.data(), how, rate, training=True)
    return {"rate": rate.recommended, "low": rate.low, "high": rate.high, "untried": facts.untried}


def row(runs: Store, line: Line) -> tuple[str, float, bool, float]:
    """Of the table; the loss over the least, whether the interval holds a rate as good, and how far these are off."""
    key = {"network": line["network"], "optimizer": line["optimizer"]}
    losses = searched(runs, key)
    rates = np.geomspace(*RANGES[line["optimizer"]], TRIALS)
    places = sorted(losses)
    least = min(losses.values())
    good = [float(rates[place]) for place in places if losses[place] <= GOOD * least]
    alone = {each["place"]: loss_in(each) for each in runs.of(**key, way="search", seed=0)}
    there = alone[min(losses, key=lambda place: losses[place])]
    known = {place: loss / there for place, loss in alone.items()}  # by the first seed where others did not run
    known |= {place: loss / least for place, loss in losses.items()}
    heights = [math.log(min(known[place], LOST)) for place in sorted(known)]
    loss = math.exp(np.interp(math.log(line["rate"]), np.log(rates[sorted(known)]), heights))
    off = max(good[0] / line["rate"], line["rate"] / good[-1], 1.0)
    cells = [
        f"{line['network']}, {line['optimizer']}",
        f"{line['rate']:.2g}",
        f"{line['low']:.2g} to {line['high']:.2g}",
        f"{good[0]:.2g} to {good[-1]:.2g}",
        f"{loss:.2f}",
    ]
    return f"| {' | '.join(cells)} |", loss, line["low"] <= good[-1] and good[0] <= line["high"], off


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--later", action="store_true", help="the networks that came later")
    parser.add_argument("--tried", action="store_true", help="tried for 100 steps, up to six rates")
    chosen = parser.parse_args()
    later, tried = chosen.later, chosen.tried
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    named = ("runs", "tried" if tried else "starts")
    runs, store = (Store(FOLDER / f"{name}{'-later' * later}.jsonl") for name in named)
    lines = [
        store.once(lambda n=network, o=optimizer: told(n, o, tried=tried), network=network.name, optimizer=optimizer)
        for optimizer, network in cases(later)
    ]
    ended = {(line["network"], line["optimizer"]) for line in runs.of(way="find_rate")}  # behind a search
    rows = [row(runs, line) for line in lines if (line["network"], line["optimizer"]) in ended]
    print("| training | told | interval | as good in the search | loss at it |\n|---|---|---|---|---|")
    print("\n".join(text for text, *_ in rows))
    near = sum(loss <= 1.1 for _, loss, _, _ in rows)
    held = sum(inside for _, _, inside, _ in rows)
    far = sum(off > 3 for *_, off in rows)
    print(f"within 10 %: {near} of {len(rows)}; interval holds one as good: {held}; more than 3 times off: {far}")


if __name__ == "__main__":
    main()
