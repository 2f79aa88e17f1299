"""The learning-rate bank: is the rate that costs no training as good as the best of a search?

``python scripts/bank.py tune`` trains all but the judged and the last part over a grid of rates; the rule's constants were fitted
to that.
``python scripts/bank.py run`` trains the last part at the recommended rate, at multiples of the limit, in a search of 20
trials by Optuna, and at the rate that torch-lr-finder suggests. Each case is one line of JSON that is written when the case is
done; a second call goes on behind the last.

A loss is that of 256 training images after 200 steps, the mean of three seeds. Runs of different rates see the same batches.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from torch import Tensor, nn
from torch_lr_finder import LRFinder

from bank_networks import SEEDS, STEPS, Case, bank
from bank_training import Trainer
from freeness.torch.rate.starts import start_facts
from freeness.training import optimizer_of, start_rate

HALVES = ("last", "judged", "unseen", "more", "fresh", "held out", "tuned")
RANGE = {"sgd": (1e-4, 10.0), "momentum": (1e-5, 1.0), "adam": (1e-5, 0.1)}  # of the search, and of the grid
TRIALS, STARTUP, TOGETHER = 20, 10, 2  # Optuna draws the first ten at random; the others in pairs
MULTIPLES = (0.5, 1.0, 2.0, 4.0)  # of the limit, to find the threshold
RAMP, SKIPPED = 75, (10, 5)  # steps of the learning-rate finder, and those that it leaves out at both ends by default


def searched(trainer: Trainer, case: Case) -> dict[str, Any]:
    """The best of Optuna's trials; a trial is the mean of the seeds."""
    low, high = RANGE[case.optimizer]
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=STARTUP, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    start, found = time.process_time(), []
    while len(found) < TRIALS:
        asked = [study.ask() for _ in range(STARTUP if not found else TOGETHER)]
        rates = [trial.suggest_float("rate", low, high, log=True) for trial in asked]
        for trial, rate, loss in zip(asked, rates, _means(trainer, rates), strict=True):
            study.tell(trial, min(loss, 1e9))
            found.append((rate, loss))
    rate, loss = min(found, key=lambda pair: pair[1])
    return {"rate": rate, "loss": loss, "trials": found, "seconds": time.process_time() - start}


def gridded(trainer: Trainer, case: Case) -> dict[str, Any]:
    """Losses over the whole range in steps of 2.5, finer around the best."""
    low, high = RANGE[case.optimizer]
    rates = np.geomspace(low, high, 1 + round(math.log(high / low) / math.log(2.5))).tolist()
    losses = _losses(trainer, rates)
    best = rates[int(np.argmin(np.mean(losses, axis=1)))]
    finer = [best * factor for factor in (0.38, 0.63, 1.6, 2.6)]
    pairs = sorted(zip(rates + finer, losses + _losses(trainer, finer), strict=True))
    return {"rates": [rate for rate, _ in pairs], "losses": [loss for _, loss in pairs]}


def above(trainer: Trainer, case: Case) -> dict[str, Any]:
    """Losses beyond the range: Adam hardly breaks within it."""
    rates = [RANGE[case.optimizer][1] * 2.5**step for step in range(1, 9)]
    return {"rates": rates, "losses": _losses(trainer, rates)}


def advised(trainer: Trainer, case: Case) -> dict[str, Any]:
    """The advice for each seed's network, what it cost, and how training goes at it and at multiples of its limit."""
    start, found, linear = time.process_time(), [], []
    for network in trainer.starts:
        facts = start_facts(network, (trainer.x, trainer.y), case.loss, case.optimizer, batch=case.batch)
        found.append(start_rate(facts, case.loss, case.optimizer))
        linear.append(optimizer_of(case.optimizer).bound(facts.sharpness))
    seconds = (time.process_time() - start) / len(found)
    rates = torch.tensor([[each.recommended for each in found]])
    limits = [each.limit or each.recommended for each in found]
    bounds = torch.tensor([[limit * multiple for limit in limits] for multiple in MULTIPLES])
    losses = _together(trainer, torch.cat([rates, bounds]))
    exceeds = [bool((row > torch.tensor(trainer.initial)).sum() > len(SEEDS) / 2) for row in losses[1:]]
    return {
        "recommended": rates[0].tolist(),
        "limit": limits,
        "linear": linear,
        "losses": losses[0].tolist(),
        "exceeds": exceeds,
        "seconds": seconds,
    }


def found_by_ramp(trainer: Trainer, case: Case) -> dict[str, Any]:
    """The suggestion of torch-lr-finder for each seed's network, its steepest descent, and how training goes at it."""
    start = time.process_time()
    rates = torch.tensor([[_steepest(trainer, case, place) for place in range(len(SEEDS))]])
    seconds = (time.process_time() - start) / len(SEEDS)
    return {"rates": rates[0].tolist(), "losses": _together(trainer, rates)[0].tolist(), "seconds": seconds}


def _steepest(trainer: Trainer, case: Case, place: int) -> float:
    low, high = RANGE[case.optimizer]
    network = trainer.starts[place]  # the finder puts it back
    kinds = {"adam": torch.optim.Adam, "momentum": partial(torch.optim.SGD, momentum=0.9), "sgd": torch.optim.SGD}
    criterion = nn.CrossEntropyLoss() if case.loss == "cross_entropy" else _half_squared_error
    finder = LRFinder(network, kinds[case.optimizer](network.parameters(), lr=low), criterion, device="cpu")
    order = trainer.batches[:RAMP, place]
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(trainer.x, trainer.y), batch_sampler=order.tolist()
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        finder.range_test(loader, end_lr=high, num_iter=RAMP)  # pyright: ignore[reportArgumentType]  a float, whatever it says
        finder.reset()
    history = {name: np.array(values)[SKIPPED[0] : -SKIPPED[1]] for name, values in finder.history.items()}
    if len(history["loss"]) < 2:
        return low  # it diverged at once: no suggestion
    return float(history["lr"][np.gradient(history["loss"]).argmin()])


def _half_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return 0.5 * (outputs - targets).square().sum(1).mean()


def _losses(trainer: Trainer, rates: list[float]) -> list[list[float]]:
    wide = torch.tensor(rates, dtype=torch.float32)[:, None].expand(-1, len(SEEDS))
    return _together(trainer, wide).tolist()


def _together(trainer: Trainer, rates: Tensor) -> Tensor:
    return torch.cat([trainer.losses(part) for part in rates.split(10)])


def _means(trainer: Trainer, rates: list[float]) -> list[float]:
    return [float(np.mean(row)) for row in _losses(trainer, rates)]


# --- the files ----------------------------------------------------------------------------------------------------


def write(path: Path, cases: list[Case], work: Callable[[Trainer, Case], dict[str, Any]]) -> None:
    """A line for every case that has none yet."""
    done = {line["case"] for line in read(path)}
    for case in cases:
        if case.name in done:
            continue
        trainer = Trainer(case)
        found = {"case": case.name, "half": case.half, "steps": STEPS, "initial": trainer.initial} | work(trainer, case)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found, ensure_ascii=False) + "\n")
        print(case.name, flush=True)


def read(path: Path) -> list[dict[str, Any]]:
    """The finished cases."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def main() -> None:
    """Parse and go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("tune", "run"))
    parser.add_argument("--half", choices=HALVES, default="last", help="of the bank, for run")
    parser.add_argument("--folder", type=Path, default=Path("docs/learning-rate-bank"), help="where the lines are kept")
    parser.add_argument("--cases", type=int, default=None, help="only the first ones")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # vanishing gradients are a hundred times slower without
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    chosen.folder.mkdir(exist_ok=True)
    half = chosen.half
    if chosen.what == "tune":
        cases = [case for case in bank() if case.half not in ("judged", "last")][: chosen.cases]
        write(chosen.folder / "grid.jsonl", cases, gridded)
        write(chosen.folder / "grid-adam-above.jsonl", [case for case in cases if case.optimizer == "adam"], above)
    else:
        cases, name = [case for case in bank() if case.half == half][: chosen.cases], half.replace(" ", "-")
        write(chosen.folder / f"advice-{name}.jsonl", cases, advised)
        write(chosen.folder / f"search-{name}.jsonl", cases, lambda trainer, case: {"search": searched(trainer, case)})
        write(chosen.folder / f"finder-{name}.jsonl", cases, found_by_ramp)


if __name__ == "__main__":
    main()
