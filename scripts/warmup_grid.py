"""The warm-up that is advised beside a grid of lengths, at several rates: how near it comes to the best, and whether it diverges.

    python scripts/warmup_grid.py run [NAME …]    trains what is missing; a line a network, optimiser and rate
    python scripts/warmup_grid.py table           counts them
    python scripts/warmup_grid.py fresh           trains the advised length and the best one anew, with seeds of their own
    python scripts/warmup_grid.py beside          counts these

Rates are multiples of the critical rate of the first step, the median of the seeds. A run has 200 steps on fresh samples, with a
cosine behind the warm-up, and is judged by its loss on 1,024 others. All seeds and lengths of a cell are trained as one stack, on
the same starts and samples. A length's loss is the mean over seeds; it has diverged where one of them ends a tenth above a guess.
Lines go to docs/rates/warmup-grid.jsonl, and a second call goes on behind the last.

The best of six lengths on six seeds owes some of its lead to chance. So ``fresh`` trains the length that was best and the advised
one on twelve other starts, both on the same samples; lines go to docs/rates/warmup-fresh.jsonl.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median, stdev

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, replace_all_batch_norm_modules_, stack_module_state, vmap
from torch.nn import functional

from freeness.experiments.update import step as update
from freeness.torch import critical_rate
from freeness.training import SGD, Adam, Optimizer, Schedule, warm_up
from rates import Line, Store
from watch_networks import HALVES, VECTORS, Branch, dense, units

STEPS, BATCH, SEEDS, TESTED = 200, 16, 6, 1024
FRESH = 12  # seeds of the second training
LENGTHS = (0, 5, 10, 20, 40, 80)
MULTIPLES = {  # of the critical rate of a first step, which has no momentum yet
    "adam": (0.03, 0.1, 0.3, 1.0, 3.0),
    "momentum": (0.003, 0.01, 0.03, 0.1),
}
NEAR, DIVERGED = 0.02, 1.1  # of the best loss, and times that of a guess
FITTED = ("MLP of tanh", "CNN", "Transformer, norm behind", "scaled branches")
JUDGED = ("MLP of relu", "GCN", "ViT", "Mixer", "ConvNeXt", "VGG", "ResNet")
LATER: dict[str, Callable[[], nn.Module]] = {  # drawn for the second judgement
    "MLP of GELU": lambda: dense(24, 32, 32, 5, act=nn.GELU),
    "MLP with layer norms": lambda: normed(nn.LayerNorm),
    "MLP with batch norms": lambda: normed(nn.BatchNorm1d),
    "one wide layer": lambda: dense(24, 128, 5, act=nn.Tanh),
    "residual MLP": lambda: nn.Sequential(
        nn.Linear(24, 32), *(Branch(units(32, 64), nn.LayerNorm(32)) for _ in range(3)), nn.Linear(32, 5)
    ),
}
MULTIPLES_LATER = {"adam": (0.03, 0.1, 0.3), "momentum": (0.01,)}
MEMORY = {"adam": 10, "momentum": 0}  # 1/(1-β₁)
OPTIMIZERS: dict[str, tuple[Optimizer, Callable[..., torch.optim.Optimizer]]] = {
    "adam": (Adam(), lambda parameters: torch.optim.Adam(parameters, lr=1e-3)),
    "momentum": (SGD(momentum=0.9), lambda parameters: torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)),
}
STORE = Path(__file__).resolve().parents[1] / "docs" / "rates" / "warmup-grid.jsonl"
ANEW = STORE.with_name("warmup-fresh.jsonl")
Samples = tuple[Tensor, Tensor]


class Task:
    """Inputs of any shape, five classes by the largest of five linear functions, a tenth of the labels drawn anew."""

    def __init__(self, shape: Sequence[int], seed: int) -> None:
        self.shape = tuple(shape)
        draw = torch.Generator().manual_seed(seed)
        self.classes = torch.randn(math.prod(shape), 5, generator=draw)

    def drawn(self, count: int, draw: torch.Generator) -> Samples:
        """So many samples."""
        x = torch.randn(count, *self.shape, generator=draw)
        noise = torch.rand(count, generator=draw) < 0.1
        return x, torch.where(
            noise, torch.randint(5, (count,), generator=draw), (x.flatten(1) @ self.classes).argmax(1)
        )


def started(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A start; batch normalisations use the batch, also where they are judged."""
    torch.manual_seed(seed)
    return replace_all_batch_norm_modules_(make())


def edge_of(model: nn.Module, batch: Samples, optimizer: str) -> float:
    """The critical rate of the first step."""
    x, y = batch
    return critical_rate(model, lambda: functional.cross_entropy(model(x), y), OPTIMIZERS[optimizer][1]).rate


def normed(norm: type[nn.Module]) -> nn.Module:
    """A chain with a norm behind every layer."""
    layers = [one for a, b in ((24, 48), (48, 48), (48, 48)) for one in (nn.Linear(a, b), norm(b), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(48, 5))


def trained(
    models: Sequence[nn.Module], plans: Sequence[Schedule], rate: float, task: Task, optimizer: str, first: int = 0
) -> Tensor:
    """The loss at the end on other samples, a row a seed and a column a plan; of seed s plans[s] are its own."""
    each = len(plans) // len(models)
    base = models[0]
    state, _ = stack_module_state([model for model in models for _ in range(each)])
    weights = {name: value.detach() for name, value in state.items()}
    kept: dict[str, list[Tensor]] = {name: [] for name in weights}
    draws = [torch.Generator().manual_seed(100 + first + seed) for seed in range(len(models))]

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(functional_call(base, parameters, (x,)), y)

    slope, value = vmap(grad(loss)), vmap(loss)
    for step in range(STEPS):
        parts = [task.drawn(BATCH, draw) for draw in draws for _ in (0,)]
        x, y = (torch.stack(one).repeat_interleave(each, 0) for one in zip(*parts, strict=True))
        rates = torch.tensor([rate * plan.share(step) for plan in plans])
        for name, gradient in slope(weights, x, y).items():
            shaped = rates.reshape(-1, *(1,) * (gradient.ndim - 1))
            weights[name] = weights[name] - update(OPTIMIZERS[optimizer][0], shaped, gradient, kept[name], step + 1)
    with torch.no_grad():
        parts = [task.drawn(TESTED, torch.Generator().manual_seed(7)) for _ in models]
        x, y = (torch.stack(one).repeat_interleave(each, 0) for one in zip(*parts, strict=True))
        return value(weights, x, y).reshape(len(models), each)


def cell(name: str, optimizer: str, multiple: float) -> Line:
    """All lengths at one rate, and the one that is advised to every seed."""
    models, edges, task = begun(name, optimizer, range(SEEDS))
    return compared(models, edges, task, optimizer, multiple * median(edges), LENGTHS)


def again(line: Line) -> Line:
    """The length that was best in a cell beside the advised one, on starts and samples of their own."""
    found = judged(line)
    best = min(LENGTHS, key=lambda length: found[str(length)])
    models, edges, task = begun(line["network"], line["optimizer"], range(SEEDS, SEEDS + FRESH))
    return {"best": best} | compared(models, edges, task, line["optimizer"], line["rate"], (best,), SEEDS)


def begun(name: str, optimizer: str, seeds: Sequence[int]) -> tuple[list[nn.Module], list[float], Task]:
    """Starts, their critical rates, and what they learn."""
    kinds = HALVES["first"] | HALVES["second"] | {name: (make, VECTORS) for name, make in LATER.items()}
    make, shape = kinds[name]
    task = Task(shape, 1)
    models = [started(make, seed) for seed in seeds]
    batches = [task.drawn(BATCH, torch.Generator().manual_seed(100 + seed)) for seed in seeds]
    edges = [edge_of(model, batch, optimizer) for model, batch in zip(models, batches, strict=True)]
    return models, edges, task


def compared(
    models: Sequence[nn.Module],
    edges: Sequence[float],
    task: Task,
    optimizer: str,
    rate: float,
    lengths: Sequence[int],
    first: int = 0,
) -> Line:
    """Losses by length, and of the length that every start is told."""
    begun = time.process_time()
    plans: list[Schedule] = []
    told: list[int] = []
    for edge in edges:
        advised = warm_up(rate, edge, Schedule(STEPS, "cosine"), MEMORY[optimizer])
        told.append(advised.steps)
        share = min(1.0, advised.start / rate) if advised.steps else 0.0
        plans += [Schedule(STEPS, "cosine", warmup=length) for length in lengths]
        plans.append(Schedule(STEPS, "cosine", warmup=advised.steps, first=share))
    losses = trained(models, plans, rate, task, optimizer, first)
    rows = [[round(float(value), 5) if math.isfinite(value) else None for value in column] for column in losses.T]
    return {
        "rate": rate,
        "edges": edges,
        "told": told,
        "losses": dict(zip([*map(str, lengths), "told"], rows, strict=True)),
        "start": math.log(5),
        "seconds": round(time.process_time() - begun, 1),
    }


def run(names: Sequence[str]) -> None:
    """All that is missing."""
    store = Store(STORE)
    for name in names or (*FITTED, *JUDGED, *LATER):
        for optimizer in OPTIMIZERS:
            for multiple in (MULTIPLES_LATER if name in LATER else MULTIPLES)[optimizer]:
                key = {"network": name, "optimizer": optimizer, "multiple": multiple}
                found = store.once(lambda n=name, o=optimizer, m=multiple: cell(n, o, m), **key)
                print(name, optimizer, multiple, found["seconds"], "s", judged(found), flush=True)


def judged(line: Line) -> dict[str, float]:
    """The mean over seeds of every length; infinite where one diverged."""

    def mean(values: list[float | None]) -> float:
        known = [math.inf if value is None or value > DIVERGED * line["start"] else value for value in values]
        return sum(known) / len(known)

    return {way: round(mean(values), 4) for way, values in line["losses"].items()}


def table() -> None:
    """How many cells are within 2 % of their best length, and how many diverged where a length did not."""
    for names in (FITTED, JUDGED):
        for ways in (("told",), *((str(length),) for length in LENGTHS)):
            near = over = count = 0
            for line in Store(STORE).lines:
                found = judged(line)
                best = min(found[str(length)] for length in LENGTHS)
                if line["network"] in names and math.isfinite(best):
                    count += 1
                    near += found[ways[0]] <= (1 + NEAR) * best
                    over += math.isinf(found[ways[0]])
            print(f"{names[0]} …: {ways[0]:5} within 2 % in {near} of {count}, diverged {over}")


def fresh() -> None:
    """Every cell whose best length did not diverge, anew."""
    store = Store(ANEW)
    for line in Store(STORE).lines:
        if math.isfinite(min(judged(line)[str(length)] for length in LENGTHS)):
            key = {name: line[name] for name in ("network", "optimizer", "multiple")}
            found = store.once(lambda one=line: again(one), **key)
            print(*key.values(), found["best"], found["told"][0], *lead(found), flush=True)


def lead(line: Line) -> tuple[float, float, float]:
    """The advised length's mean loss over that of the best one, the error of that ratio, and the scatter of one run."""
    means, ways = judged(line), ("told", str(line["best"]))
    if not all(math.isfinite(means[way]) for way in ways):
        return math.inf if math.isinf(means["told"]) else 0.0, 0.0, 0.0
    told, best = (line["losses"][way] for way in ways)
    ratio = fmean(told) / fmean(best)
    error = stdev(a - ratio * b for a, b in zip(told, best, strict=True)) / fmean(best) / math.sqrt(len(best))
    return round(ratio, 4), round(error, 4), round(stdev(best) / fmean(best), 4)


def beside() -> None:
    """How many are within 2 % of the length that was best, and how many are worse by more than twice the error."""
    lines = Store(ANEW).lines
    for what, some in (
        ("first", [one for one in lines if one["network"] not in LATER]),
        ("later", [one for one in lines if one["network"] in LATER]),
    ):
        leads = [lead(one) for one in some]
        near = sum(ratio <= 1 + NEAR for ratio, *_ in leads)
        sure = sum(ratio - 2 * error > 1 + NEAR for ratio, error, _ in leads)
        over = sum(math.isinf(judged(one)["told"]) for one in some)
        noise = median(scatter for *_, scatter in leads)
        print(
            f"{what}: within 2 % in {near} of {len(some)}, surely beyond in {sure}, {over} diverged; runs scatter by {noise:.1%}"
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    match sys.argv[1:]:
        case ["run", *names]:
            run(names)
        case ["table"]:
            table()
        case ["fresh"]:
            fresh()
        case ["beside"]:
            beside()
        case _:
            sys.exit(__doc__)
