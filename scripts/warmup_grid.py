"""The warm-up that is advised beside a grid of lengths, at several rates: how near it comes to the best, and whether it diverges.

    python scripts/warmup_grid.py run [NAME …]    trains what is missing; a line a network, optimiser and rate
    python scripts/warmup_grid.py table           counts them

Rates are multiples of the critical rate of the first step, the median of the seeds. A run has 200 steps on fresh samples, with a
cosine behind the warm-up, and is judged by its loss on 1,024 others. All seeds and lengths of a cell are trained as one stack, on
the same starts and samples. A length's loss is the mean over seeds; it has diverged where one of them ends a tenth above a guess.
Lines go to docs/rates/warmup-grid.jsonl, and a second call goes on behind the last.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, replace_all_batch_norm_modules_, stack_module_state, vmap
from torch.nn import functional

from freeness.experiments.update import step as update
from freeness.torch import critical_rate
from freeness.training import SGD, Adam, Optimizer, Schedule, warm_up
from rates import Line, Store
from watch_faults import HALVES

STEPS, BATCH, SEEDS, TESTED = 200, 16, 6, 1024
LENGTHS = (0, 5, 10, 20, 40, 80)
MULTIPLES = {  # of the critical rate of a first step, which has no momentum yet
    "adam": (0.03, 0.1, 0.3, 1.0, 3.0),
    "momentum": (0.003, 0.01, 0.03, 0.1),
}
NEAR, DIVERGED = 0.02, 1.1  # of the best loss, and times that of a guess
FITTED = ("MLP of tanh", "CNN", "Transformer, norm behind", "scaled branches")
JUDGED = ("MLP of relu", "GCN", "ViT", "Mixer", "ConvNeXt", "VGG", "ResNet")
MEMORY = {"adam": 10, "momentum": 0}  # 1/(1-β₁)
OPTIMIZERS: dict[str, tuple[Optimizer, Callable[..., torch.optim.Optimizer]]] = {
    "adam": (Adam(), lambda parameters: torch.optim.Adam(parameters, lr=1e-3)),
    "momentum": (SGD(momentum=0.9), lambda parameters: torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)),
}
STORE = Path(__file__).resolve().parents[1] / "docs" / "rates" / "warmup-grid.jsonl"
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


def trained(models: Sequence[nn.Module], plans: Sequence[Schedule], rate: float, task: Task, optimizer: str) -> Tensor:
    """The loss at the end on other samples, a row a seed and a column a plan; of seed s plans[s] are its own."""
    each = len(plans) // len(models)
    base = models[0]
    state, _ = stack_module_state([model for model in models for _ in range(each)])
    weights = {name: value.detach() for name, value in state.items()}
    kept: dict[str, list[Tensor]] = {name: [] for name in weights}
    draws = [torch.Generator().manual_seed(100 + seed) for seed in range(len(models))]

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
    begun = time.process_time()
    make, shape = (HALVES["first"] | HALVES["second"])[name]
    task = Task(shape, 1)
    models = [started(make, seed) for seed in range(SEEDS)]
    edges = [
        edge_of(model, task.drawn(BATCH, torch.Generator().manual_seed(100 + seed)), optimizer)
        for seed, model in enumerate(models)
    ]
    rate = multiple * median(edges)
    plans: list[Schedule] = []
    told: list[int] = []
    for edge in edges:
        advised = warm_up(rate, edge, Schedule(STEPS, "cosine"), MEMORY[optimizer])
        told.append(advised.steps)
        first = min(1.0, advised.start / rate) if advised.steps else 0.0
        plans += [Schedule(STEPS, "cosine", warmup=length) for length in LENGTHS]
        plans.append(Schedule(STEPS, "cosine", warmup=advised.steps, first=first))
    start = math.log(5)
    losses = trained(models, plans, rate, task, optimizer)
    rows = [[round(float(value), 5) if math.isfinite(value) else None for value in column] for column in losses.T]
    return {
        "rate": rate,
        "edges": edges,
        "told": told,
        "losses": dict(zip([*map(str, LENGTHS), "told"], rows, strict=True)),
        "start": start,
        "seconds": round(time.process_time() - begun, 1),
    }


def run(names: Sequence[str]) -> None:
    """All that is missing."""
    store = Store(STORE)
    for name in names or (*FITTED, *JUDGED):
        for optimizer in OPTIMIZERS:
            for multiple in MULTIPLES[optimizer]:
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


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    match sys.argv[1:]:
        case ["run", *names]:
            run(names)
        case ["table"]:
            table()
        case _:
            sys.exit(__doc__)
