"""How long ends and quantiles of random laws of networks take: `support`, `bands`, `hull`, ten quantiles, each of a new law.

Run `PYTHONPATH=. python scripts/ends.py --kind chain --cases 60 --store ends.jsonl`. Chains are up to 30 layers deep and have
2 s of the processor a question, graphs of residual and convolutional networks 20 s. What the store holds is not run again.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.fuzz.networks import convolutional, residual

import freeness as fr
from freeness.network import mlp

LIMITS = {"chain": 2.0, "graph": 20.0}
PATIENCE = 3  # times the limit, after which a question is ended
LEVELS = (np.arange(10) + 0.5) / 10
ACTIVATIONS = (
    "linear",
    "relu",
    "leaky_relu",
    "hardtanh",
    "relu6",
    "hardsigmoid",
    "hardswish",
    "tanh",
    "erf",
    "sigmoid",
    "softplus",
    "gelu",
    "silu",
    "mish",
    "sin",
    "elu",
    "selu",
    "softsign",
)
QUESTIONS: dict[str, Callable[[fr.Law], object]] = {
    "hull": lambda law: law.hull,
    "support": lambda law: law.support,
    "bands": lambda law: law.bands,
    "quantile": lambda law: law.quantile(LEVELS),
}


class Over(Exception):
    """A question without an end."""


def chain(rng: np.random.Generator) -> tuple[str, Callable[[], fr.Law]]:
    """JJᵀ or Θ of a chain of the mean field."""
    depth = int(rng.integers(1, 31))
    width = int(rng.choice([100, 300, 1000]))
    widths = (
        [width] * (depth + 1)
        if rng.random() < 0.5
        else [int(n) for n in rng.choice([100, 200, 300, 400, 600], depth + 1)]
    )
    name, weights = str(rng.choice(ACTIVATIONS)), str(rng.choice(["haar", "gaussian"]))
    gain, bias = round(float(rng.uniform(0.8, 1.8)), 3), float(rng.choice([0.0, round(rng.uniform(0.01, 0.7), 3)]))
    q, fisher = round(float(rng.uniform(0.1, 1.5)), 3), bool(rng.random() < 0.5)
    network = mlp(depth, widths, name, weights, sigma_w=gain, sigma_b=bias)
    made = f"mlp({depth}, {widths}, {name!r}, {weights!r}, sigma_w={gain}, sigma_b={bias})"
    text = f"{'fisher' if fisher else 'jacobian'}_law({made}, {q})"
    return text, lambda: (fr.fisher_law if fisher else fr.jacobian_law)(network, q)


def graph(rng: np.random.Generator) -> tuple[str, Callable[[], fr.Law]]:
    """Of one pass of a residual or convolutional network, as the fuzzer draws them."""
    case = (residual if rng.random() < 0.5 else convolutional)(rng)
    return case.text, case.law


def answered(make: Callable[[], fr.Law], ask: Callable[[fr.Law], object], limit: float) -> tuple[float, str]:
    """Seconds, and why there is no answer."""

    def over(*_: object) -> None:
        raise Over

    before = signal.signal(signal.SIGVTALRM, over)
    law = make()
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE * limit)
    start, why = time.process_time(), ""
    try:
        ask(law)
    except Over:
        why = "no end"
    except (fr.InputError, fr.ConvergenceError) as error:
        why = str(error)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)
    return time.process_time() - start, why


def one(kind: str, seed: int, number: int) -> dict[str, Any]:
    """All questions to one law."""
    rng = np.random.default_rng([seed, number, sorted(LIMITS).index(kind)])
    text, make = (chain if kind == "chain" else graph)(rng)
    row: dict[str, Any] = {"kind": kind, "seed": seed, "number": number, "text": text, "seconds": {}, "refused": {}}
    try:
        make()  # a forward pass is drawn once
        for name, ask in QUESTIONS.items():
            seconds, why = answered(make, ask, LIMITS[kind])
            row["seconds"][name] = round(seconds, 3)
            if why:
                row["refused"][name] = why
    except fr.InputError as error:
        row["refused"]["law"] = str(error)
    return row


def main() -> int:
    """Ask, then count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=[*LIMITS], default="chain")
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", type=Path, required=True)
    options = parser.parse_args()
    rows = (
        [json.loads(line) for line in options.store.read_text("utf-8").splitlines()] if options.store.exists() else []
    )
    known = {(row["kind"], row["seed"], row["number"]) for row in rows}
    for number in range(options.first, options.first + options.cases):
        if (options.kind, options.seed, number) not in known:
            rows.append(one(options.kind, options.seed, number))
            with options.store.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1], ensure_ascii=False) + "\n")
    for kind, limit in LIMITS.items():
        some = [row for row in rows if row["kind"] == kind]
        refused = [row for row in some if row["refused"]]
        late = [row for row in some if row not in refused and max(row["seconds"].values()) > limit]
        print(
            f"{kind}: {len(some)} laws, {len(some) - len(refused) - len(late)} in time, {len(late)} late, "
            f"{len(refused)} not answered"
        )
        for row in sorted(late + refused, key=lambda row: -max(row["seconds"].values(), default=0.0)):
            print(f"  {row['number']} {row['seconds']} {row['refused']} {row['text']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
