"""The benchmarks of two checkouts beside one another: old and new in turn, file by file, by seconds of the processor.

Run `python scripts/bench_beside.py OLD NEW --store beside.jsonl` in the environment that has both's dependencies. Every file of
benchmarks is a process of its own on each side, and what the store has is not run again: an interrupt loses one file. Rows are
matched by file name and test name, for folders move. A row's time is its shortest, over its rounds and over all turns.
`--turns 3 --slower 1.1` goes on with the files in which a row is slower than that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

SIDES = ("old", "new")
LIMIT = 1800.0  # seconds a file may take
FLAGS = (
    "--benchmark-only",
    "--benchmark-timer=time.process_time",
    "--benchmark-min-rounds=3",
    "--benchmark-max-time=.5",
)


@dataclass(frozen=True)
class Row:
    """Shortest seconds of a benchmark on both sides, turn by turn."""

    name: str
    old: tuple[float, ...]
    new: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """New over old; NaN where one side has no such benchmark."""
        return min(self.new) / min(self.old) if self.old and self.new else float("nan")


def files(checkout: Path) -> dict[str, Path]:
    """Files of benchmarks by their name."""
    return {path.name: path for path in sorted(checkout.glob("tests/**/*bench*.py"))}


def seconds_of(checkout: Path, file: Path, chosen: str) -> dict[str, float]:
    """Shortest seconds of every benchmark of a file; what failed is left out."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        paths = (checkout / "src", checkout, *filter(None, [os.environ.get("PYTHONPATH")]))
        surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "pytest", "-q", str(file), *FLAGS, f"--benchmark-json={told}"]
        command += ["-k", chosen] if chosen else []
        try:
            subprocess.run(command, cwd=checkout, env=surroundings, timeout=LIMIT, capture_output=True, check=False)
            found = json.loads(told.read_text(encoding="utf-8"))["benchmarks"]
        except (subprocess.TimeoutExpired, OSError, json.JSONDecodeError):
            return {}
    return {f"{file.name}::{row['name']}": row["stats"]["min"] for row in found}


def known(store: Path) -> list[dict[str, object]]:
    """What was measured, one line a file, side and turn."""
    return [json.loads(line) for line in store.read_text("utf-8").splitlines()] if store.exists() else []


def rows(lines: list[dict[str, object]]) -> list[Row]:
    """The benchmarks that either side has."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: {side: [] for side in SIDES})
    for line in lines:
        for name, seconds in line["seconds"].items():  # type: ignore[attr-defined]
            found[name][str(line["side"])].append(seconds)
    return [Row(name, tuple(both["old"]), tuple(both["new"])) for name, both in sorted(found.items())]


def table(found: list[Row]) -> str:
    """Markdown: what both sides have, the slowest first; then what one has."""
    both = sorted((row for row in found if row.ratio == row.ratio), key=lambda row: -row.ratio)
    lines = ["| benchmark | old, s | new, s | new / old | turns |", "|---|---|---|---|---|"]
    for row in both:
        lines.append(f"| {row.name} | {min(row.old):.3g} | {min(row.new):.3g} | {row.ratio:.2f} | {len(row.new)} |")
    for side in SIDES:
        alone = [row.name for row in found if row.ratio != row.ratio and getattr(row, side)]
        if alone:
            lines += ["", f"Only {side}: {', '.join(alone)}."]
    return "\n".join(lines)


PAGE = """# Benchmarks beside an older commit

Rows of `make bench` before the network became a graph of operations (commit b4b4b97), and long after it. Files are run in turn,
old and new, each in a process of its own on one core. A row's time is its shortest, in seconds of the processor.

A ratio of one turn proves little: the same code took up to 1.6 times as long from one turn to the next, beside other work.
Kernels, batches, graphs and Fisher laws are from earlier turns, most of them of 8d188d2 to 3355cfe. All other rows are two
turns of b6cb3fd, beside one or two other processes. A rate for hard-tanh comes with the start that is advised by the
curvature of a batch, which the old commit did not tell. What is above 1.10 wants more turns:

```
git worktree add ../old b4b4b97
pip install --no-deps --target ../peers curvlinops-for-pytorch einops einconv linear-operator tqdm
PYTHONPATH=../peers python scripts/bench_beside.py ../old . --store docs/beside.jsonl --turns 4 --page docs/beside.md
```

What the store has is not run again: `--turns` counts those that are there.

"""


def main() -> int:
    """Measure what the store lacks, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="FILE", help="names of files, for instance bench_graph.py"
    )
    parser.add_argument("-k", dest="chosen", default="", help="as pytest takes it")
    parser.add_argument("--slower", type=float, help="only files with a row of a larger ratio")
    parser.add_argument("--only-table", action="store_true")
    parser.add_argument("--page", type=Path, help="file for the table as a page of the documentation")
    options = parser.parse_args()
    places = {"old": files(options.old.resolve()), "new": files(options.new.resolve())}
    lines = known(options.store)
    wanted = set(options.only) or set(places["old"]) | set(places["new"])
    if options.slower is not None:
        wanted &= {row.name.partition("::")[0] for row in rows(lines) if row.ratio > options.slower}
    for turn in range(0 if options.only_table else options.turns):
        for name in sorted(wanted):
            for side, checkout in zip(SIDES, (options.old, options.new), strict=True):
                done = any((line["file"], line["side"], line["turn"]) == (name, side, turn) for line in lines)
                if done or name not in places[side]:
                    continue
                seconds = seconds_of(checkout.resolve(), places[side][name], options.chosen)
                lines.append({"file": name, "side": side, "turn": turn, "seconds": seconds})
                with options.store.open("a", encoding="utf-8") as store:
                    store.write(json.dumps(lines[-1], ensure_ascii=False) + "\n")
                print(f"{name} {side} {turn}: {len(seconds)} rows", file=sys.stderr, flush=True)
    print(table(rows(lines)))
    if options.page is not None:
        options.page.write_text(f"{PAGE}{table(rows(lines))}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
