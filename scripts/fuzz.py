"""Random laws, texts and networks against matrices and exact moments: prints what is not right, and the counts.

Run `PYTHONPATH=. python scripts/fuzz.py --kind network --cases 500 --seed 1 --store fuzz.jsonl`; what the store holds is not
run again, and `--only-counts` tells what it holds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tests.fuzz.verdict import KINDS, Verdict, counted, drawn, judged


def main() -> int:
    """Returns 1 where a case is wrong, raw or without an end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=[*KINDS], default="tree")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--only-counts", action="store_true")
    options = parser.parse_args()
    known = _known(options.store)
    if not options.only_counts:
        for k in range(options.first, options.first + options.cases):
            key = (options.kind, options.seed, k)
            if key not in known:
                known[key] = _one(key, options.store)
    for kind in KINDS:
        counts = counted([verdict for key, verdict in known.items() if key[0] == kind])
        if any(counts.values()):
            print(f"{kind}: {sum(counts.values())} cases: {', '.join(f'{name} {n}' for name, n in counts.items())}")
    return int(any(verdict.outcome in ("wrong", "raw error", "hung") for verdict in known.values()))


def _known(store: Path | None) -> dict[tuple[str, int, int], Verdict]:
    """The last verdict on each case."""
    if store is None or not store.exists():
        return {}
    rows = [json.loads(line) for line in store.read_text().splitlines()]
    return {(row["kind"], row["seed"], row["number"]): Verdict(row["outcome"], row["reason"]) for row in rows}


def _one(key: tuple[str, int, int], store: Path | None) -> Verdict:
    kind, seed, number = key
    case = drawn(*key)
    start = time.process_time()
    verdict = judged(case, number)
    seconds = round(time.process_time() - start, 2)
    row = {"kind": kind, "seed": seed, "number": number, "outcome": verdict.outcome, "reason": verdict.reason}
    if store is not None:
        with store.open("a") as file:
            file.write(json.dumps({**row, "seconds": seconds, "text": case.text}, ensure_ascii=False) + "\n")
    if verdict.outcome != "right":
        print(f"{kind} {number} {verdict.outcome} ({seconds} s): {case.text}\n    {verdict.reason}", flush=True)
    return verdict


if __name__ == "__main__":
    sys.exit(main())
