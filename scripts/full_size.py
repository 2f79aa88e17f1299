"""Analyse models at full size, each in a process of its own: time, memory, forecast, λ.

python scripts/full_size.py [NAME …]        all of them, or those named; rows of docs/sizes.md are printed
python scripts/full_size.py --exact NAME …  λ beside one of 80 products, which takes minutes
python scripts/full_size.py --busy NAME …   by the seconds that this process computes, on a machine with other work to do
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
_SAMPLES = 16
_MANY = 80  # products until λ counts as exact


def one(name: str, exact: bool) -> dict[str, Any]:
    """Analyse one model in this process."""
    import torch
    from benchmarks.language import OTHERS
    from benchmarks.vision import CLASSIFIERS

    from freeness.torch import AnalyzeOptions, analyze

    torch.manual_seed(0)
    if name in CLASSIFIERS:
        data = torch.randn(_SAMPLES, 3, 224, 224), torch.randint(1000, (_SAMPLES,))
        model, told = CLASSIFIERS[name](), {}
    else:
        model, data, told = OTHERS[name]()
    notes: list[str] = []
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    wall, processor = time.time(), time.process_time()
    found = analyze(model, data, AnalyzeOptions(**told), progress=lambda at: notes.append(at.note))
    seconds, wall, processor = time.perf_counter() - start, time.time() - wall, time.process_time() - processor
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rate = found.learning_rate
    row = {
        "name": name,
        "parameters": found.parameters,
        "seconds": seconds,
        "wall": wall,
        "processor": processor,
        "forecast": next(filter(None, notes), ""),
        "gigabytes": held / 1e6,
        "before": before / 1e6,
        "sharpness": rate.sharpness,
        "error": rate.sharpness_error,
        "batch": rate.batch,
        "reason": "" if rate.known else rate.reason,
        "stages": [(s.name, s.way, s.effort, s.forecast, s.seconds, s.missing) for s in found.stages],
    }
    return row | ({"exact": _exact(model, data, rate.batch)} if exact else {})


def _exact(model: Any, data: Any, batch: int) -> float:
    from freeness.torch import CurvatureOptions
    from freeness.torch.measured.curvature_estimate import Effort, estimated_sharpness

    x, y = (part[:batch] for part in data)
    how = CurvatureOptions(training=None)
    return estimated_sharpness(model, x, y, "cross_entropy", how, Effort(_MANY, 0)).value


def _count_own_seconds() -> None:
    """Clocks that stand still while other work has the cores. The main thread takes part in all that several compute."""
    for clock in ("monotonic", "perf_counter"):
        setattr(time, clock, time.thread_time)


def main(arguments: list[str]) -> None:
    """Run and print."""
    exact, busy = "--exact" in arguments, "--busy" in arguments
    names = [each for each in arguments if not each.startswith("--")]
    if "--one" in arguments:
        if busy:
            _count_own_seconds()
        print(json.dumps(one(names[0], exact)))
        return
    from benchmarks.language import OTHERS
    from benchmarks.vision import CLASSIFIERS

    for name in names or [*CLASSIFIERS, *OTHERS]:
        options = [option for option in ("--exact", "--busy") if option in arguments]
        command = [sys.executable, __file__, "--one", name, *options]
        quiet = {**os.environ, "OMP_WAIT_POLICY": "passive"}  # a thread that waits counts nothing
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
        lines = done.stdout.splitlines()
        if not lines:
            print(f"{name}: {done.stderr.splitlines()[-1:]}", flush=True)
            continue
        row = json.loads(lines[-1])
        beside = f" (exact {row['exact']:.4g})" if "exact" in row else ""
        cells = [
            name,
            f"{row['parameters'] / 1e6:.1f} M",
            f"{row['seconds']:.0f} s",
            f"{row['processor']:.0f} s of processors",
            row["forecast"],
        ]
        cells += [f"{row['gigabytes']:.1f} GB", f"{row['sharpness']:.4g} ± {row['error']:.2g}{beside}"]
        print(" | ".join(["", *cells, str(row["batch"]), row["reason"]]), flush=True)
        for stage in row["stages"]:
            print(f"    {stage}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
