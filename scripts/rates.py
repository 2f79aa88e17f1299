"""Ways to choose a learning rate beside one another, on twelve small real networks: who comes how near to the best of a search?

``python scripts/rates.py run`` trains; every run is one line of JSON in docs/rates/runs.jsonl, written when it is done, and a
second call goes on behind the last. ``python scripts/rates.py table`` prints the table of docs/rates.md from these lines.

``--steps 1000`` trains longer, into runs-1000.jsonl. ``--later`` takes the networks of rates_later.py, into runs-later.jsonl.

A loss is the mean over the last 50 of 200 steps, of three seeds, each with weights and an order of batches of its own. Every way
chooses for each seed by itself; the search has one rate for all three, the best of 20 by their mean loss, which favours it.
Optuna has what `find_rate` may spend, 1.5 runs, as four trials of three eighths of the steps.
Prodigy, D-Adaptation, DoG, Schedule-Free, torch-lr-finder and Optuna are their authors' packages (prodigyopt, dadaptation,
dog-optimizer, schedulefree, torch-lr-finder, optuna) and are left out where these are not installed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from freeness.torch import FindOptions, criterion, find_rate, given_loss
from rates_later import LATER
from rates_networks import NETWORKS, Network
from rates_training import MAKERS, STEPS, judged, trained

SEEDS = (0, 1, 2)
RANGES = {"adamw": (1e-5, 0.1), "momentum": (1e-5, 1.0)}  # of the search, and of the finder
TRIALS = 20
FAR, IN_A_ROW = 1.25, 3  # the search goes no further where so many rates in a row are that much worse than its best
HABITS = {"adamw": (1e-3, 3e-4), "momentum": (0.1,)}
RAMP, SKIPPED = 75, (10, 5)  # steps of the learning-rate finder, and those that it leaves out at both ends by default
OPTUNA, SHORT, LAST = 4, 3 / 8, 20  # trials at equal cost, the part of the steps of each, and the last ones that count
# Those that need no rate, as their authors start them.
ADAPTIVE: dict[str, tuple[tuple[str, str, str, dict[str, float]], ...]] = {
    "adamw": (
        ("Prodigy", "prodigyopt", "Prodigy", {"lr": 1.0}),
        ("D-Adaptation", "dadaptation", "DAdaptAdam", {"lr": 1.0}),
        ("Schedule-Free", "schedulefree", "AdamWScheduleFree", {"lr": 0.0025}),
    ),
    "momentum": (("DoG", "dog", "DoG", {"reps_rel": 1e-6}), ("D-Adaptation", "dadaptation", "DAdaptSGD", {"lr": 1.0})),
}
ORDER = (
    *("DeepONet", "VAE", "MLP with batch normalisation", "CNN with max pooling", "BiLSTM", "PINN", "U-Net", "Mixer"),
    *("ViT", "ResNet with batch normalisation", "ConvNeXt", "GPT"),
)
QUICK = 6
Line = dict[str, Any]


class Store:
    """Lines of JSON, one a run of so many steps."""

    def __init__(self, path: Path, steps: int = STEPS) -> None:
        self.path, self.steps = path, steps
        text = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.lines: list[Line] = [json.loads(line) for line in text]

    def of(self, **wanted: Any) -> list[Line]:
        """All that have these values."""
        return [line for line in self.lines if all(line.get(key) == value for key, value in wanted.items())]

    def once(self, work: Callable[[], Line], **key: Any) -> Line:
        """The line of that key; it is worked for only where there is none."""
        found = self.of(**key)
        if not found:
            found = [key | work()]
            self.lines += found
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found[0], ensure_ascii=False) + "\n")
        return found[0]


def run_at(network: Network, optimizer: str, rate: float, seed: int, steps: int) -> Line:
    """The loss of a run at a rate; None where it diverged."""
    losses = trained(network, lambda model: MAKERS[optimizer](model.parameters(), rate), seed, steps)
    return {"rate": rate, "loss": _finite(judged(losses, steps)), "first": losses[0]}


def _finite(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def loss_in(line: Line) -> float:
    """The loss of a line, infinite where the run diverged."""
    return math.inf if line["loss"] is None else float(line["loss"])


def search(store: Store, network: Network, optimizer: str) -> None:
    """20 rates evenly spaced in logarithms, from the middle to both ends; the other seeds where the first is within a quarter."""
    rates = np.geomspace(*RANGES[optimizer], TRIALS).tolist()
    losses: dict[int, float] = {}

    def one(place: int, seed: int) -> float:
        key = {"network": network.name, "optimizer": optimizer, "way": "search", "place": place, "seed": seed}
        return loss_in(store.once(lambda: run_at(network, optimizer, rates[place], seed, store.steps), **key))

    def along(places: range) -> None:
        worse = 0
        for place in places:
            losses[place] = one(place, 0)
            worse = worse + 1 if losses[place] > FAR * min(losses.values()) else 0
            if worse == IN_A_ROW:
                return

    middle = TRIALS // 2
    along(range(middle, TRIALS))
    along(range(middle - 1, -1, -1))
    for place, loss in losses.items():
        if loss <= FAR * min(losses.values()):
            for seed in SEEDS[1:]:
                one(place, seed)


def found(network: Network, optimizer: str, seed: int, steps: int) -> Line:
    """By freeness, at a cost of 1.5 runs."""
    start = time.process_time()
    told = find_rate(
        network.started(seed),
        network.batches(seed, steps),
        FindOptions(seed=seed),
        loss=network.loss,
        optimizer=optimizer,
        steps=steps,
        cost=1.5,
    )
    seconds = time.process_time() - start
    more = {"cost": told.cost, "low": told.low, "high": told.high, "critical": told.critical, "noise": told.noise}
    return run_at(network, optimizer, told.recommended, seed, steps) | more | {"seconds": seconds}


def by_finder(network: Network, optimizer: str, seed: int, steps: int) -> Line:
    """At the suggestion of torch-lr-finder, its steepest descent."""
    finder_of = import_module("torch_lr_finder").LRFinder
    model = network.started(seed).train()
    low, high = RANGES[optimizer]
    loss = network.loss if callable(network.loss) else criterion(given_loss(network.loss))
    finder = finder_of(model, MAKERS[optimizer](model.parameters(), low), loss, device="cpu")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        finder.range_test(_Batches(network.batches(seed, RAMP)), end_lr=high, num_iter=RAMP)
    history = {name: np.array(values)[SKIPPED[0] : -SKIPPED[1]] for name, values in finder.history.items()}
    several = len(history["loss"]) > 1
    rate = float(history["lr"][np.gradient(history["loss"]).argmin()]) if several else low
    return run_at(network, optimizer, rate, seed, steps) | {"cost": RAMP / steps}


def by_optuna(network: Network, optimizer: str, seed: int, steps: int) -> Line:
    """At the best of the trials of Optuna that 1.5 runs buy, in its default way."""
    optuna = import_module("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    short = round(SHORT * steps)

    def lost(trial: Any) -> float:
        rate = trial.suggest_float("rate", *RANGES[optimizer], log=True)
        losses = trained(network, lambda model: MAKERS[optimizer](model.parameters(), rate), seed, short)
        kept = len(losses) == short and math.isfinite(losses[-1])
        return sum(losses[-LAST:]) / LAST if kept else 1e9

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(lost, n_trials=OPTUNA)
    return run_at(network, optimizer, float(study.best_params["rate"]), seed, steps) | {"cost": OPTUNA * short / steps}


class _Batches(torch.utils.data.DataLoader[Any]):
    """Batches at hand as the finder wants them."""

    def __init__(self, batches: list[Any]) -> None:
        super().__init__(_Listed(batches), batch_size=None)


class _Listed(torch.utils.data.Dataset[Any]):
    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, place: int) -> Any:
        return self.batches[place]


def adaptive(network: Network, how: tuple[str, str, dict[str, float]], seed: int, steps: int) -> Line:
    """A run of an optimiser that needs no rate; Schedule-Free's loss is that of its averaged weights' gradient points."""
    package, name, numbers = how
    kind = getattr(import_module(package), name)

    def made(model: nn.Module) -> torch.optim.Optimizer:
        optimizer = kind(model.parameters(), **numbers)
        if package == "schedulefree":
            optimizer.train()
        return optimizer

    losses = trained(network, made, seed, steps)
    return {"loss": _finite(judged(losses, steps)), "first": losses[0], "cost": 0.0}


def cases(later: bool = False) -> Iterator[tuple[str, Network]]:
    """Every optimiser with every network, the quick ones first; or those that came later, one after the other."""
    if later:
        yield from ((optimizer, network) for network in LATER for optimizer in RANGES)
        return
    for names in (ORDER[:QUICK], ORDER[QUICK:]):
        for optimizer in RANGES:
            for name in names:
                yield optimizer, next(network for network in NETWORKS if network.name == name)


def run(store: Store, later: bool = False) -> None:
    """All that is missing."""
    for optimizer, network in cases(later):
        key = {"network": network.name, "optimizer": optimizer}
        search(store, network, optimizer)
        for seed in SEEDS:
            run = (seed, store.steps)
            store.once(lambda n=network, o=optimizer, r=run: found(n, o, *r), **key, way="find_rate", seed=seed)
            for rate in HABITS[optimizer]:
                at = lambda n=network, o=optimizer, at=rate, r=run: run_at(n, o, at, *r)  # noqa: E731
                store.once(at, **key, way=f"{rate:g}", seed=seed)
            with contextlib.suppress(ModuleNotFoundError):
                finder = lambda n=network, o=optimizer, r=run: by_finder(n, o, *r)  # noqa: E731
                store.once(finder, **key, way="torch-lr-finder", seed=seed)
            with contextlib.suppress(ModuleNotFoundError):
                bought = lambda n=network, o=optimizer, r=run: by_optuna(n, o, *r)  # noqa: E731
                store.once(bought, **key, way="Optuna, 1.5 runs", seed=seed)
            for way, package, name, numbers in ADAPTIVE[optimizer]:
                with contextlib.suppress(ModuleNotFoundError):
                    work = lambda n=network, h=(package, name, numbers), r=run: adaptive(n, h, *r)  # noqa: E731
                    store.once(work, **key, way=way, seed=seed)
        print(optimizer, network.name, flush=True)


# --- the table ----------------------------------------------------------------------------------------------------


def mean_loss(lines: list[Line]) -> float:
    """Over the seeds; infinite where one diverged."""
    return float(np.mean([loss_in(line) for line in lines]))


def searched(store: Store, key: Line) -> dict[int, float]:
    """The mean loss at every place of the search that all seeds have."""
    places = {line["place"] for line in store.of(**key, way="search")}
    by_place = {place: store.of(**key, way="search", place=place) for place in places}
    return {place: mean_loss(lines) for place, lines in by_place.items() if len(lines) == len(SEEDS)}


def tabulate(store: Store, later: bool = False) -> str:
    """Regrets of every way, by optimiser: losses over that of the search's best."""
    told = []
    for optimizer in RANGES:
        ways = ["find_rate", *(f"{rate:g}" for rate in HABITS[optimizer]), "torch-lr-finder", "Optuna, 1.5 runs"]
        ways += [way for way, *_ in ADAPTIVE[optimizer]]
        rows, regrets = [], {way: [] for way in ways}
        for _, network in (case for case in cases(later) if case[0] == optimizer):
            key = {"network": network.name, "optimizer": optimizer}
            losses = searched(store, key)
            done = store.of(**key, way="find_rate")
            if not losses or len(done) < len(SEEDS):
                continue
            best = min(losses.values())
            cells = [f"{best:.4g}"]
            for way in ways:
                lines = store.of(**key, way=way)
                if len(lines) < len(SEEDS):
                    cells.append("–")
                    continue
                regrets[way].append(mean_loss(lines) / best)
                cells.append("diverged" if math.isinf(regrets[way][-1]) else f"{regrets[way][-1]:.2f}")
            rows.append((network.name, *cells))
        head = ("network", "best of the search", *ways)
        rows += [(label, "", *(summary(regrets[way], limit) for way in ways)) for label, limit in SUMMARIES]
        lines = [head, tuple("---" for _ in head), *rows]
        told.append(f"**{optimizer}**\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in lines))
    return "\n\n".join(told)


SUMMARIES = (
    ("within 5 %", 1.05),
    ("within 10 %", 1.1),
    ("within 30 %", 1.3),
    ("geometric mean", None),
    ("diverged", 0.0),
)


def summary(regrets: list[float], limit: float | None) -> str:
    """A count of networks within a limit, their geometric mean, or how many diverged."""
    if limit is None:
        kept = [regret for regret in regrets if math.isfinite(regret)]
        return f"{math.exp(np.mean(np.log(kept))):.2f}" if kept else "–"
    if limit == 0:
        return str(sum(math.isinf(regret) for regret in regrets))
    return f"{sum(regret <= limit for regret in regrets)} of {len(regrets)}"


def main() -> None:
    """Parse and go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--store", type=Path, help="docs/rates/runs.jsonl, or runs-1000.jsonl and the like")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--later", action="store_true", help="the networks that came later")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    named = ["runs", *["later"] * chosen.later, *[str(chosen.steps)] * (chosen.steps != STEPS)]
    path = chosen.store or Path("docs/rates") / f"{'-'.join(named)}.jsonl"
    path.parent.mkdir(exist_ok=True, parents=True)
    store = Store(path, chosen.steps)
    if chosen.what == "run":
        run(store, chosen.later)
    else:
        print(tabulate(store, chosen.later))


if __name__ == "__main__":
    main()
