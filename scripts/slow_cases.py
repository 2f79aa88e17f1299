"""Writes tests/slow_cases.txt: the cases that `make test` leaves to `make slow`.

Of a test with several cases, those that took longer than 0.12 s; its quickest case always stays. Run it on what
`pytest -n 2 -m "not slow" --durations=0 --durations-min=0.1` printed on an idle machine: `python scripts/slow_cases.py LOG`.
Cases that are on the list already stay there; to measure all anew, empty the list first.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

LIST = Path(__file__).resolve().parents[1] / "tests" / "slow_cases.txt"
LONG = 0.12  # seconds
_LINE = re.compile(r"([0-9.]+)s (?:call|setup|teardown)\s+(tests/\S+::\w+\[.*\])\s*$")


def slow_cases(log: str) -> list[str]:
    """The cases that take long, without the quickest of each test."""
    seconds: dict[str, float] = defaultdict(float)
    for line in log.splitlines():
        if found := _LINE.match(line):
            seconds[found[2]] += float(found[1])
    cases: dict[str, list[str]] = defaultdict(list)
    for name in sorted(seconds, key=lambda name: seconds[name]):
        cases[name.split("[")[0]].append(name)
    return [name for names in cases.values() for name in names[1:] if seconds[name] > LONG]


def main() -> int:
    """Add what the log says to the list."""
    kept = LIST.read_text(encoding="utf-8").split("\n") if LIST.exists() else []
    found = slow_cases(Path(sys.argv[1]).read_text(encoding="utf-8"))
    LIST.write_text("\n".join(sorted({*filter(None, kept), *found})) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
