"""Whether the rate that ``find_rate`` tells is systematically too low or too high: multiples of it, trained as well.

``python scripts/rates_multiples.py`` trains the networks of docs/rates/bank-fresh.jsonl at multiples of the rates that are stored
there, with the same seeds, one line of JSON a network in docs/rates/bank-multiples.jsonl; a second call goes on behind the last.
``--table`` prints how many networks came within 5 and 10 % of the search's rate at every multiple.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from bank_networks import bank
from bank_training import Trainer
from rates_bank import FRESH, finite, lines, mean

FOLDER = Path("docs/rates")
MULTIPLES = (0.5, 0.66, 0.8, 1.25, 1.5, 2.0, 3.0)
CAP = 3.0  # that a diverged network counts as in the mean


def tabulate() -> str:
    """Counts by multiples, the told rate among them."""
    told = {line["case"]: line for line in lines(FOLDER / "bank-fresh.jsonl")}
    done = lines(FOLDER / "bank-multiples.jsonl")
    rows = []
    for multiple in sorted((*MULTIPLES, 1.0)):
        at = None if multiple == 1 else MULTIPLES.index(multiple)
        losses = [told[line["case"]]["losses"] if at is None else line["losses"][at] for line in done]
        searched = [mean(told[line["case"]]["search"]) for line in done]
        regrets = np.array([mean(tried) / best for tried, best in zip(losses, searched, strict=True)])
        near = [f"{int((regrets <= limit).sum())}" for limit in (1.05, 1.1)]
        rows.append(f"| {multiple:g} | {' | '.join(near)} | {np.exp(np.log(np.minimum(regrets, CAP)).mean()):.3f} |")
    head = f"| times the told rate, {len(done)} networks | within 5 % | within 10 % | geometric mean |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def main() -> None:
    """All that is missing, or the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print the table of what is done")
    if parser.parse_args().table:
        print(tabulate())
        return
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    store, networks = FOLDER / "bank-multiples.jsonl", {case.name: case for case in bank()}
    there = {line["case"] for line in lines(store)}
    for line in lines(FOLDER / "bank-fresh.jsonl"):
        if line["case"] not in there:
            rates = torch.tensor([[multiple * rate for rate in line["rates"]] for multiple in MULTIPLES])
            found = Trainer(networks[line["case"]], FRESH).losses(rates).tolist()
            kept = {"case": line["case"], "losses": [[finite(loss) for loss in tried] for tried in found]}
            with store.open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept, ensure_ascii=False, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
