"""What every network of the bank shows before it is trained: ``python scripts/bank_starts.py``, one line of JSON a case.

A second call goes on behind the last line. Of each seed's network: the facts of ``freeness.torch.start_facts``, the critical rate
of the optimiser's first step on 128 samples, and the slope and the loss there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bank_networks import Case, bank, images, model
from bank_real import RealCase, problem, real_cases
from bank_real_runs import SEEDS, started
from freeness.errors import FreenessError
from freeness.torch import critical_rate, start_facts

SAMPLES = 128
FACTORIES: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-3),
    "momentum": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3),
}


def half_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """½Σ over outputs."""
    return 0.5 * (outputs - targets).square().sum(1).mean()


def shown(
    network: nn.Module, data: tuple[Tensor, Tensor], loss: Any, how: tuple[str, int, bool | None]
) -> dict[str, Any]:
    """Of one network."""
    optimizer, batch, training = how
    x, y = data[0][:SAMPLES], data[1][:SAMPLES]
    function = (
        loss if callable(loss) else half_squared_error if loss == "half_squared_error" else nn.functional.cross_entropy
    )
    try:
        torch.manual_seed(0)
        first = critical_rate(network, lambda: function(network(x), y), FACTORIES[optimizer], training=training)
        found: dict[str, Any] = {"critical": first.rate, "value": first.loss, "slope": first.slope}
    except FreenessError as error:
        found = {"missing": str(error)}
    try:
        facts = start_facts(network, data, loss, optimizer, batch=batch, training=training)
        return asdict(facts) | found
    except (FreenessError, ArithmeticError, RuntimeError) as error:
        return found | {"parameters": sum(p.numel() for p in network.parameters()), "unmeasured": str(error)[:200]}


def of_bank(case: Case) -> list[dict[str, Any]]:
    """Of the networks of a case of the bank; two of its three seeds."""
    data = images(case)
    return [shown(model(case, seed), data, case.loss, (case.optimizer, case.batch, None)) for seed in SEEDS[:2]]


def of_real(case: RealCase) -> list[dict[str, Any]]:
    """Of the networks of a real case."""
    given = problem(case)
    return [
        shown(started(given, seed), (given.inputs, given.targets), given.loss, (case.optimizer, case.batch, True))
        for seed in SEEDS
    ]


def _all(folder: Path) -> Iterator[tuple[str, Callable[[], list[dict[str, Any]]]]]:
    trained = {json.loads(line)["case"] for line in (folder / "real.jsonl").read_text(encoding="utf-8").splitlines()}
    for case in bank():
        yield case.name, lambda case=case: of_bank(case)
    for real in real_cases():
        if real.name in trained:
            yield real.name, lambda real=real: of_real(real)


def main() -> None:
    """Parse and go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("docs/learning-rate-bank"))
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    store = folder / "starts.jsonl"
    lines = store.read_text(encoding="utf-8").splitlines() if store.exists() else []
    done = {json.loads(line)["case"] for line in lines}
    for name, measure in _all(folder):
        if name in done:
            continue
        row = {"case": name, "seeds": measure()}
        with store.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
