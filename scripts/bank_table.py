"""The tables of docs/learning-rate-bank.md from the lines that scripts/bank.py wrote: ``python scripts/bank_table.py``."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from bank import HALVES, MULTIPLES, RANGE, read

WITHIN = 1.05  # of the best loss of the search
BOUNDS = (0.5, 4.0)  # between which threshold/bound is wanted


def rows(folder: Path, half: str) -> list[dict[str, Any]]:
    """Advice, search and learning-rate finder of every case that has them, with the verdicts."""
    name = half.replace(" ", "-")
    searches = {line["case"]: line["search"] for line in read(folder / f"search-{name}.jsonl")}
    finders = {line["case"]: line for line in read(folder / f"finder-{name}.jsonl")}
    found = []
    for line in read(folder / f"advice-{name}.jsonl"):
        if line["case"] not in searches:
            continue
        loss, best = float(np.mean(line["losses"])), searches[line["case"]]["loss"]
        crossed = [multiple for multiple, exceeds in zip(MULTIPLES, line["exceeds"], strict=True) if exceeds]
        finder = finders.get(line["case"])
        found.append(
            {
                "case": line["case"],
                "advice": float(np.exp(np.mean(np.log(line["recommended"])))),
                "loss": loss,
                "initial": float(np.mean(line["initial"])),
                "seconds": line["seconds"],
                "search": searches[line["case"]],
                "within": loss <= WITHIN * best,
                "diverged": any(not a <= b for a, b in zip(line["losses"], line["initial"], strict=True)),
                "crossed": min(crossed, default=math.inf),
                "placed": bool(crossed) and BOUNDS[0] < min(crossed) <= BOUNDS[1],
                "finder": float(np.mean(finder["losses"])) if finder else math.nan,
            }
        )
    return found


def table(found: list[dict[str, Any]]) -> str:
    """One line a case."""
    lines = [
        "| network and training | advice: rate | loss | best of 20 trials: rate | loss | ratio | LR finder: loss "
        "| threshold/limit | advice, s | search, s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        ratio = row["loss"] / row["search"]["loss"]
        mark = "" if row["within"] else " ✗"
        crossed = row["crossed"]
        where = "> 4" if math.isinf(crossed) else "≤ ½" if crossed == MULTIPLES[0] else f"{crossed / 2:g}–{crossed:g}"
        finder = "–" if math.isnan(row["finder"]) else f"{row['finder']:.3g}"
        lines.append(
            f"| {row['case']} | {row['advice']:.2g} | {row['loss']:.3f} "
            f"| {row['search']['rate']:.2g} | {row['search']['loss']:.3f} | "
            f"{ratio:.2f}{mark} | {finder} | {where}{'' if row['placed'] else ' ✗'} | {row['seconds']:.1f} | "
            f"{row['search']['seconds']:.0f} |"
        )
    return "\n".join(lines)


def summary(found: list[dict[str, Any]]) -> str:
    """The counts."""
    count = max(len(found), 1)
    good, placed = sum(row["within"] for row in found), sum(row["placed"] for row in found)
    ratios = np.array([row["loss"] / row["search"]["loss"] for row in found])
    away = np.array([row["search"]["rate"] / row["advice"] for row in found])
    finder = sum(row["finder"] <= WITHIN * row["search"]["loss"] for row in found)
    lines = [
        f"cases {len(found)}; within 5 %: {good} ({good / count:.0%}); diverged: {sum(row['diverged'] for row in found)}; "
        f"ratio: median {np.median(ratios):.3f}, 90 % {np.quantile(ratios, 0.9):.2f}, largest {ratios.max():.2f}",
        f"best rate of the search over the advice, from 5 to 95 % of the cases: {np.quantile(away, 0.05):.2f} to "
        f"{np.quantile(away, 0.95):.2f}",
        f"threshold/limit in [½, 4]: {placed}; learning-rate finder within 5 %: {finder}",
    ]
    for part in (
        "½Σ",
        "CE",
        *(f"B={b} " for b in (1, 64)),
        *RANGE,
        "mlp",
        "residual",
        "cnn",
        "default",
        "design",
        "critical",
    ):
        some = [row["within"] for row in found if part in row["case"]]
        lines.append(f"  {part}: {sum(some)} of {len(some)}")
    return "\n".join(lines)


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=HALVES, default="last")
    parser.add_argument("--folder", type=Path, default=Path("docs/learning-rate-bank"))
    chosen = parser.parse_args()
    found = rows(chosen.folder, chosen.half)
    print(table(found), summary(found), sep="\n\n")


if __name__ == "__main__":
    main()
