"""λ_max from the products that a budget allows, beside that of the written-down Gauss–Newton matrix of 39 kinds of models.

PYTHONPATH=. python scripts/sharpness.py [SEEDS [NAME …]]    a line a model and effort into docs/sharpness.jsonl, but known ones
PYTHONPATH=. python scripts/sharpness.py --table             how many of the stored ones are within 2 %, 5 % and three errors
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))
EFFORTS = (7, 12, 24)  # products with the whole batch; a plan asks for 7 to 24, and 10 or more with batch statistics
TOGETHER = 10
STORE = _ROOT / "docs" / "sharpness.jsonl"


def rows(name: str, seed: int, known: Collection[int]) -> Iterator[dict[str, Any]]:
    """One draw of a model, by every effort that a plan may ask of it and that is not known."""
    from benchmarks.small import drawn, exact_sharpness, one_input

    from freeness.torch.loss.differentiated import differentiated
    from freeness.torch.measured.curvature_estimate import Effort, estimated_sharpness
    from freeness.torch.measured.plan import coarse_products, coarse_samples
    from freeness.torch.model.modes import is_coupled

    case = drawn(name, seed)
    model, x = one_input(case)
    coupled = is_coupled(model, None)
    efforts = [effort for effort in EFFORTS if effort not in known and not (coupled and effort < TOGETHER)]
    exact = exact_sharpness(case) if efforts else math.nan
    for effort in efforts:
        coarse = 0 if coupled else coarse_products(effort)
        work = Effort(effort, coarse, coarse_samples(len(x)))
        with differentiated(model):
            found = estimated_sharpness(model, x, case.targets, case.loss, None, work)
        yield {
            "model": name,
            "seed": seed,
            "products": effort,
            "exact": exact,
            "estimate": found.value,
            "error": found.error,
        }


def stored() -> list[dict[str, Any]]:
    """All rows so far."""
    return [json.loads(line) for line in STORE.read_text().splitlines()] if STORE.exists() else []


def table(known: Iterable[dict[str, Any]]) -> str:
    """Shares by the number of products, as they stand in docs/sizes.md, and the draws outside 5 % or three errors."""
    known = list(known)
    lines = [
        "| products | draws | within 2 % | within 5 % | within three stated errors |",
        "|---:|---:|---:|---:|---:|",
    ]
    for effort in EFFORTS:
        some = [row for row in known if row["products"] == effort]
        if not some:
            continue
        shares = [sum(_off(row) <= bound for row in some) / len(some) for bound in (0.02, 0.05)]
        shares.append(sum(_errors(row) <= 3 for row in some) / len(some))
        lines.append(f"| {effort} | {len(some)} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")
    for row in known:
        if _off(row) > 0.05 or _errors(row) > 3:
            told = f"{row['model']}, draw {row['seed']}, {row['products']} products"
            lines.append(f"{told}: {_off(row):.1%} off, {_errors(row):.2g} errors")
    return "\n".join(lines)


def _off(row: dict[str, Any]) -> float:
    return abs(row["estimate"] / row["exact"] - 1)


def _errors(row: dict[str, Any]) -> float:
    return abs(row["estimate"] - row["exact"]) / max(row["error"], 1e-9 * row["exact"])


def main(arguments: list[str]) -> None:
    """Run, store and print."""
    if "--table" in arguments:
        print(table(stored()))
        return
    from benchmarks.small import CASES

    seeds = int(arguments[0]) if arguments else 3
    done = stored()
    for name in arguments[1:] or CASES:
        for seed in range(seeds):
            known = {row["products"] for row in done if (row["model"], row["seed"]) == (name, seed)}
            found = list(rows(name, seed, known))
            if not found:
                continue
            with STORE.open("a") as lines:
                lines.writelines(json.dumps(row) + "\n" for row in found)
            print(f"{name}, draw {seed}: " + ", ".join(f"{_off(row):.2%}" for row in found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
