"""Random trees of operations against matrices and exact moments: prints what is not right, and the counts.

Run `PYTHONPATH=. python scripts/fuzz.py --cases 500 --seed 1`.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.fuzz.trees import Tree
from tests.fuzz.verdict import Verdict, counted, run


def main() -> int:
    """Returns 1 where a case is wrong, raw or without an end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--depth", type=int, default=2, help="of the trees")
    options = parser.parse_args()
    last = [time.process_time()]

    def told(k: int, case: Tree, verdict: Verdict) -> None:
        spent, last[0] = time.process_time() - last[0], time.process_time()
        if verdict.outcome != "right":
            print(f"{k} {verdict.outcome} ({spent:.1f} s): {case.text}\n    {verdict.reason}", flush=True)

    counts = counted(run(options.cases, options.seed, options.depth, told))
    print(", ".join(f"{outcome} {count}" for outcome, count in counts.items()))
    return int(any(counts[outcome] for outcome in ("wrong", "raw error", "hung")))


if __name__ == "__main__":
    sys.exit(main())
