"""How good the warnings of freeness.torch.Watch are: bad runs, calm runs, bad batches, and the sharpening at the start.

    python scripts/watch_runs.py runs FOLDER        60 trainings with their logs, half of which diverge
    python scripts/watch_runs.py unseen FOLDER PART 60 more, of networks that the rules were not fitted to, in three parts
    python scripts/watch_runs.py later FOLDER PART  30 more, of five kinds that came later
    python scripts/watch_runs.py judge FOLDER       what the rules of today say of these logs
    python scripts/watch_runs.py batches            one bad batch a run, and calm runs
    python scripts/watch_runs.py sharpening A B     λ along the first 50 steps of networks A to B
    python scripts/watch_runs.py fresh A B          the same where no batch comes again, of the first batch alone
    python scripts/watch_runs.py sharpened FILE     what a watch told beside what happened, of these lines

Data are drawn: classes around random centres, or tokens of a random Markov chain. PYTHONPATH is the root of the repository.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from freeness.advice import Lookout, StepCheck, WatchRecord, read_run, sharpening_of
from freeness.errors import InputError
from freeness.torch import Watch, critical_rate
from freeness.torch.measured.hessian_products import drawn_direction, hessian_product
from freeness.torch.measured.ritz import climb
from freeness.torch.watching.watch_schedule import Every
from watch_networks import HALVES

STEPS, EVERY, BATCH = 200, 5, 32
CAUSE = 60  # the step from which on a rate is ramped
DIVERGED = 1.5  # times the loss at the start, over ten steps


class Block(nn.Module):
    """x + scale·W₂ relu(W₁ norm x)."""

    def __init__(self, width: int, norm: bool = True, scale: float = 1.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.one, self.two, self.scale = nn.Linear(width, 2 * width), nn.Linear(2 * width, width), scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.two(torch.relu(self.one(self.norm(x))))


class Mixer(nn.Module):
    """A tiny Transformer over vectors: tokens (B, 8, 6) to classes."""

    def __init__(self, blocks: int = 2, width: int = 24) -> None:
        super().__init__()
        self.embed = nn.Linear(6, width)
        layer = [
            nn.TransformerEncoderLayer(width, 2, 2 * width, 0.0, batch_first=True, norm_first=True)
            for _ in range(blocks)
        ]
        self.layers, self.head = nn.ModuleList(layer), nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x.unflatten(1, (8, 6)))
        for layer in self.layers:
            h = layer(h)
        return self.head(h.mean(1))


def tanh(depth: int = 4) -> nn.Module:
    """A chain in torch's own start."""
    layers: list[nn.Module] = [nn.Linear(48, 64), nn.Tanh()]
    for _ in range(depth - 2):
        layers += [nn.Linear(64, 64), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(64, 5))


def relu(depth: int = 4) -> nn.Module:
    """A chain in He's start."""
    model = nn.Sequential(*(nn.ReLU() if isinstance(one, nn.Tanh) else one for one in tanh(depth)))
    for layer in model[::2]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return model


def normalised() -> nn.Module:
    """Batch normalisation behind every layer."""
    layers: list[nn.Module] = []
    for a, b in ((48, 64), (64, 64), (64, 64)):
        layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, 5))


def convolutional() -> nn.Module:
    """Two convolutions and a head."""
    layers = (nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU(), nn.Flatten())
    return nn.Sequential(nn.Unflatten(1, (3, 4, 4)), *layers, nn.Linear(192, 5))


def residual() -> nn.Module:
    """Normalised residual blocks."""
    return nn.Sequential(nn.Linear(48, 40), *(Block(40) for _ in range(4)), nn.LayerNorm(40), nn.Linear(40, 5))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "tanh": tanh,
    "relu": relu,
    "normalised": normalised,
    "convolutional": convolutional,
    "residual": residual,
    "transformer": Mixer,
}
UNSEEN = ("MLP of tanh", "CNN", "ResNet", "MLP of relu", "VGG", "ViT", "Mixer", "GCN", "GRU", "ConvNeXt")
LATER = ("TCN", "MobileNet", "SE-ResNet", "GAT", "highway")
OPTIMIZERS: dict[str, tuple[float, Callable[..., torch.optim.Optimizer]]] = {  # with a rate that is usual
    "sgd": (0.05, lambda p, lr: torch.optim.SGD(p, lr=lr)),
    "momentum": (0.01, lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9)),
    "adam": (1e-3, lambda p, lr: torch.optim.AdamW(p, lr=lr)),
}


def batches(seed: int, count: int = STEPS) -> Iterator[tuple[Tensor, Tensor]]:
    """Five classes around two centres each, a tenth of the labels drawn anew."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(10, 48, generator=draw)
    for _ in range(count):
        which = torch.randint(10, (BATCH,), generator=draw)
        x = 0.7 * centres[which] + 0.7 * torch.randn(BATCH, 48, generator=draw)
        noise = torch.rand(BATCH, generator=draw) < 0.1
        yield x, torch.where(noise, torch.randint(5, (BATCH,), generator=draw), which % 5)


def rates(how: str, usual: float) -> Iterator[float]:
    """The rate of every step."""
    for step in range(STEPS):
        if how == "ramped":
            yield usual * 1.04 ** max(0, step - CAUSE)
        elif how == "steep":
            yield usual * 1.08 ** max(0, step - CAUSE)
        elif how == "far":
            yield usual * 600 * min(1.0, (step + 1) / 150)
        elif how == "raised":  # by a warm-up that goes too far
            yield usual * 60 * min(1.0, (step + 1) / 150)
        elif how == "cosine":
            yield usual * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        else:
            yield usual * min(1.0, (step + 1) / 20)


def unseen(folder: Path, part: int, names: Sequence[str] = UNSEEN, first: int = 5000) -> None:
    """A third of the calm and bad trainings of some kinds of networks; what is there already is left."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {name: pair for half in HALVES.values() for name, pair in half.items() if name in names}
    cases = list(itertools.product(("calm", "bad"), OPTIMIZERS, names))
    for number, (kind, optimizer, network) in list(enumerate(cases))[part::3][::-1]:  # the bad ones first
        make, shape = kinds[network]
        ways = ("steady", "cosine") if kind == "calm" else ("steep", "far")
        how, seed = ways[number % 2], first + number
        path = folder / f"{how}-{optimizer}-{network.replace(' ', '-')}.jsonl"
        if not path.with_suffix(".json").exists():
            run((network, make), optimizer, how, seed, path, labelled(seed, shape))
            print(path.stem, flush=True)


def labelled(seed: int, shape: tuple[int, ...]) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs of any shape, five classes by the largest of five fixed linear functions."""
    draw = torch.Generator().manual_seed(seed)
    classes = torch.randn(math.prod(shape), 5, generator=draw)
    for _ in range(STEPS):
        x = torch.randn(BATCH, *shape, generator=draw)
        yield x, (x.flatten(1) @ classes).argmax(1)


def run(
    network: tuple[str, Callable[[], nn.Module]],
    optimizer: str,
    how: str,
    seed: int,
    path: Path,
    data: Iterator[tuple[Tensor, Tensor]],
) -> None:
    """One training with its log; the last line tells what it was."""
    torch.manual_seed(seed)
    name, make_model = network
    model = make_model()
    usual, make = OPTIMIZERS[optimizer]
    stepped = make(model.parameters(), lr=usual)
    path.unlink(missing_ok=True)
    watch = Watch(model, stepped, every=EVERY, log=path)
    watch._schedule = Every(EVERY, ["critical", "layers"])  # what warnings are made of
    losses: list[float] = []
    spoilt = 150 if how == "spoilt" else None
    for step, ((x, y), rate) in enumerate(zip(data, rates(how, usual), strict=True), 1):
        for group in stepped.param_groups:
            group["lr"] = rate
        if step == spoilt:
            x = 6 * x
        stepped.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        stepped.step()
        losses.append(float(loss.detach()))
        watch.step((x, y), losses[-1])
        if not math.isfinite(losses[-1]) or median(losses[-10:]) > 20 * losses[0]:
            break
    told = {
        "network": name,
        "optimizer": optimizer,
        "how": how,
        "seed": seed,
        "end": ending(losses),
        "losses": losses,
    }
    path.with_suffix(".json").write_text(json.dumps(told), encoding="utf-8")


def ending(losses: list[float]) -> int | None:
    """The step from which on the loss stays above the start's; None where it does not."""
    for step in range(20, len(losses) + 1):
        if not math.isfinite(losses[step - 1]) or median(losses[step - 10 : step]) > DIVERGED * losses[0]:
            return step
    return None


def runs(folder: Path) -> None:
    """All trainings."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for how in ("ramped", "steady", "raised", "cosine", "spoilt"):
        for optimizer in OPTIMIZERS:
            for network in NETWORKS:
                number += 1
                path = folder / f"{how}-{optimizer}-{network}.jsonl"
                run((network, NETWORKS[network]), optimizer, how, number, path, batches(number))
                print(how, optimizer, network, flush=True)


def judge(folder: Path) -> None:
    """Replay the logs through the rules of today."""
    counts: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        run = read_run(path.with_suffix(".jsonl"))
        events = sorted([*run.checks, *run.records], key=lambda one: (one.step, isinstance(one, WatchRecord)))
        lookout = Lookout()
        said = [
            warning
            for event in events
            for warning in (lookout.checked(event) if isinstance(event, StepCheck) else lookout.visited(event))
        ]
        first = next((warning.step for warning in said if warning.kind in ("rate", "warm-up", "growth")), None)
        end = told["end"]
        if end is not None and told["how"] not in ("steady", "cosine", "spoilt"):
            verdict = "warned" if first is not None and first <= end - 10 else "late"
        elif told["how"] == "spoilt":
            verdict = "named" if any(w.kind == "batch" and w.step == 150 for w in said) else "missed"
        elif told["how"] not in ("steady", "cosine"):
            verdict = "held"  # a rate that was raised, and no divergence: no calm run and no bad one
        else:
            verdict = "calm" if not said else "false"
        kinds = [f"{warning.kind}@{warning.step}" for warning in said]
        print(f"{path.stem:34} end {end} {verdict:7}", *kinds[:5], flush=True)
        counts.setdefault(
            "bad" if end is not None else told["how"] if verdict in ("held", "named", "missed") else "calm", []
        ).append(verdict)
    for name, verdicts in counts.items():
        print(name, {one: verdicts.count(one) for one in set(verdicts)})


def spoilt(kind: str, x: Tensor, y: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch with a fault of its own."""
    x = x.clone()
    if kind == "labels":
        y = (y + 1 + torch.randint(4, y.shape, generator=draw)) % 5
    elif kind == "loud":
        x *= 6
    elif kind == "sample":
        x[5] *= 15
    elif kind == "nan":
        x[3, 7] = math.nan
    return x, y


def bad_batches(at: int = 130, steps: int = 180) -> None:
    """One bad batch a run, every step looked at, no visits but the first."""
    for kind in ("loud", "sample", "nan", "labels", "calm"):
        verdicts: list[bool] = []
        for number, (network, optimizer) in enumerate(itertools.product(NETWORKS, OPTIMIZERS), 1001):
            torch.manual_seed(number)
            model, draw = NETWORKS[network](), torch.Generator().manual_seed(number)
            usual, make = OPTIMIZERS[optimizer]
            stepped = make(model.parameters(), lr=usual)
            watch = Watch(model, stepped, every=10**6)
            for step, (x, y) in enumerate(batches(number, steps), 1):
                for group in stepped.param_groups:
                    group["lr"] = usual * min(1.0, step / 20)
                x, y = spoilt(kind if step == at else "", x, y, draw)
                stepped.zero_grad()
                loss = functional.cross_entropy(model(x), y)
                loss.backward()
                stepped.step()
                watch.step((x, y), loss)
            named = any(one.kind == "batch" and one.step == at for one in watch.warnings)
            verdicts.append(not watch.warnings if kind == "calm" else named)
            print(
                kind,
                network,
                optimizer,
                verdicts[-1],
                *(f"{one.kind}@{one.step}" for one in watch.warnings),
                flush=True,
            )
        print(kind, sum(verdicts), "of", len(verdicts), flush=True)


def sharpening(first: int, last: int, fresh: bool = False) -> None:
    """What a watch tells of λ over the first 50 steps, and λ of 256 samples, at shares of the critical rate; a line a network.

    Of one that diverges a line is left out.
    """
    for number in range(first, last):
        try:
            print(json.dumps(course(number, fresh)), flush=True)
        except InputError as error:
            print(f"{number}: {error}", file=sys.stderr, flush=True)


def course(number: int, fresh: bool) -> dict[str, Any]:
    """One network's."""
    fitted = {name: (make, (48,)) for name, make in NETWORKS.items()}
    kinds = fitted | {name: pair for half in HALVES.values() for name, pair in half.items() if name in UNSEEN}
    name, optimizer = list(kinds)[number % len(kinds)], list(OPTIMIZERS)[number // len(kinds) % 3]
    share, whole = (0.03, 0.1, 0.3)[number // 5 % 3], number // 7 % 2 == 1 and not fresh
    torch.manual_seed(number)
    (make_model, shape), make = kinds[name], OPTIMIZERS[optimizer][1]
    model = make_model()
    data = batches(number) if name in fitted else labelled(number, shape)
    parts = list(itertools.islice(data, 52 if fresh else 8))
    x, y = torch.cat([one for one, _ in parts[:8]]), torch.cat([one for _, one in parts[:8]])
    loss = lambda m=model, x=x, y=y: functional.cross_entropy(m(x), y)  # noqa: E731
    edge = critical_rate(model, loss, lambda p, make=make: make(p, 0.01), start=0.01).rate
    stepped = make(model.parameters(), share * edge / (5 if optimizer == "momentum" else 1))
    watch = Watch(model, stepped, every=10)
    watch._schedule = Every(10, ["sharpening"])
    found = [] if fresh else [largest(model, loss)]
    for step in range(1, 52):
        a, b = (x, y) if whole else parts[step % len(parts)]
        stepped.zero_grad()
        functional.cross_entropy(model(a), b).backward()
        stepped.step()
        watch.step((a, b))
        if step in (1, 51) and not fresh:
            found.append(largest(model, loss))
    told = {"number": number, "network": name, "optimizer": optimizer, "share": share, "whole": whole, "data": found}
    seen = [[one.step, one.first_sharpness, one.sharpening, one.rehearsed] for one in watch.records]
    return told | {"seen": seen}


def sharpened(path: Path) -> None:
    """How often the first step, and the course behind step 20, had the sign of the first 50 steps; without what diverged."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if None not in [value for _, value, *_ in line["seen"]]]
    for what in ("the first batch", "all data") if any(line["data"] for line in lines) else ("the first batch",):
        right: dict[str, list[bool]] = {"the start": [], "a course": []}
        for line in lines:
            records = [
                WatchRecord(step, 0.0, first_sharpness=one, sharpening=slope, rehearsed=tuple(ahead))
                for step, one, slope, ahead in line["seen"]
            ]
            found = sharpening_of(records)
            assert found is not None and found.slope is not None
            seen = [value for _, value, *_ in line["seen"]] if what == "the first batch" else line["data"][1:]
            risen = seen[-1] > seen[0]
            right["the start"].append((found.slope > 0) == risen)
            if found.course is not None:
                right["a course"].append((found.course > 0) == risen)
        print(what, len(lines), {name: f"{sum(one)} of {len(one)}" for name, one in right.items()})


def largest(model: nn.Module, loss: Callable[[], Tensor]) -> float:
    """The largest eigenvalue of the Hessian."""
    return climb(hessian_product(model, loss)[0], drawn_direction(model), 25).value


if __name__ == "__main__":
    torch.set_num_threads(1)
    match sys.argv[1:]:
        case ["runs", folder]:
            runs(Path(folder))
        case ["unseen", folder, part]:
            unseen(Path(folder), int(part))
        case ["later", folder, part]:
            unseen(Path(folder), int(part), LATER, 6000)
        case ["judge", folder]:
            judge(Path(folder))
        case ["batches"]:
            bad_batches()
        case ["sharpening" | "fresh" as how, first, last]:
            sharpening(int(first), int(last), how == "fresh")
        case ["sharpened", path]:
            sharpened(Path(path))
        case _:
            sys.exit(__doc__)
