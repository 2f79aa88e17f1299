"""Whether a watch names the layer that was spoilt: faults planted in kinds of small networks, and sound starts.

    PYTHONPATH=. python scripts/watch_faults.py first|second|third [SEED]

The rules were mended with the first part of the kinds in view; the others judge. A case is eleven steps of a training
under a watch at its default. The first warning of the kind "layer" must name the spoilt module, the block that it is in, or the
activation behind it; a sound start must get none.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from freeness.torch import Watch
from watch_networks import HALVES, Branch

STEPS = 11
FACTORS = {"ten times": 10.0, "a tenth": 0.1, "zero": 0.0}
_LAYERS = nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d
Loss = Callable[[Tensor, Tensor], Tensor]


def redrawn(model: nn.Module, how: str) -> None:
    """A start that is sound, in one of the ways that people use."""
    layers = [one for one in model.modules() if isinstance(one, nn.Linear | nn.Conv1d | nn.Conv2d)]
    for layer in layers:
        if how == "he":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif how == "xavier":
            nn.init.xavier_uniform_(layer.weight)
        elif how == "orthogonal":
            nn.init.orthogonal_(layer.weight, 2**0.5)
        elif how == "fan out" and not isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if how == "small head":
        layers[-1].weight.data.div_(layers[-1].weight[0].numel() ** 0.5)
    elif how == "zero head":
        nn.init.zeros_(layers[-1].weight)
    elif how == "zero branches":
        for branch in (one for one in model.modules() if isinstance(one, Branch)):
            ends = [one for one in branch.inner.modules() if getattr(one, "weight", None) is not None]
            nn.init.zeros_(ends[-1].weight)


SOUND = ("torch", "he", "xavier", "orthogonal", "small head", "zero head", "zero branches", "fan out")


def planted(model: nn.Module, draw: random.Random) -> Iterator[tuple[str, str, Callable[[], None]]]:
    """Faults: their kind, the module, and what plants them; of layers of a kind of fault two are drawn."""
    named = dict(model.named_modules())
    layers = [name for name, one in named.items() if isinstance(one, _LAYERS)]
    for kind, factor in FACTORS.items():
        places = layers[:-1] if factor < 1 else layers  # a head that starts small, or at zero, is sound
        for place in draw.sample(places, min(3, len(places))):
            yield kind, place, lambda place=place, factor=factor: named[place].weight.data.mul_(factor)
    norms = [name for name, one in named.items() if isinstance(one, nn.LayerNorm | nn.BatchNorm2d | nn.GroupNorm)]
    for kind, factor in (("gain of ten", 10.0), ("gain of a tenth", 0.1)):
        for place in draw.sample(norms, min(2, len(norms))):
            yield kind, place, lambda place=place, factor=factor: named[place].weight.data.mul_(factor)
    names = list(named)
    fronts = [
        names[k - 1]
        for k, name in enumerate(names)
        if isinstance(named[name], nn.ReLU | nn.ReLU6) and getattr(named[names[k - 1]], "bias", None) is not None
    ]
    for place in draw.sample(fronts, min(2, len(fronts))):
        yield "dead", place, lambda place=place: named[place].bias.data.fill_(-20.0)
    branches = [name for name, one in named.items() if isinstance(one, Branch) and one.scale < 1]
    for place in draw.sample(branches, min(2, len(branches))):
        yield "no scale", place, lambda place=place: setattr(named[place], "scale", 1.0)
    for place in draw.sample(norms, min(1, len(norms))):
        yield "gain of zero", place, lambda place=place: named[place].weight.data.zero_()
    for place in [name for name, one in named.items() if isinstance(one, nn.Embedding)]:
        yield "loud embedding", place, lambda place=place: named[place].weight.data.mul_(30.0)


def said(model: nn.Module, shape: tuple[int, ...], seed: int) -> tuple[str | None, str]:
    """What the first warning about a layer names, and its words."""
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    pictures = len(shape) == 3 and shape[0] == 1
    loss: Loss = functional.mse_loss if pictures or shape == (48,) else functional.cross_entropy
    watch = Watch(model, optimizer, loss="mse" if loss is functional.mse_loss else "cross_entropy")
    for _ in range(STEPS):
        if not shape:
            x = torch.randint(20, (32, 12), generator=draw)
            y = x.roll(-1, 1)
        else:
            x = torch.randn(32, *shape, generator=draw)
            y = torch.randint(5, (32,), generator=draw)
            if loss is functional.mse_loss:
                y = x.cumsum(-1) / 3 if pictures else x[:, :1].sin()
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
        for warning in watch.step((x, y)):
            if warning.kind == "layer":
                return warning.place, warning.sentence
    return None, ""


def near(found: str | None, place: str) -> bool:
    """The module itself, what stands one or two places behind it in its chain, or the block that both are in."""
    if found is None or found == place:
        return found == place
    if place.startswith(found + ".") and re.search(r"\d$", found):
        return True  # a block with the module in it
    here, there = found.rpartition("."), place.rpartition(".")
    whole = place
    while whole:  # behind the module, or behind a block that it ends
        front = whole.rpartition(".")
        if here[0] == front[0] and here[2].isdigit() and front[2].isdigit():
            return 0 <= int(here[2]) - int(front[2]) <= (2 if whole == place else 1)
        whole = front[0]
    return here[0] == there[0] != "" and re.search(r"\d", here[0]) is not None


def judge(half: str, seed: int) -> None:
    """All cases, one a line, and the counts."""
    counts: Counter[tuple[str, bool]] = Counter()
    for name, (make, shape) in HALVES[half].items():
        draw = random.Random(f"{name} {seed}")
        torch.manual_seed(seed)
        faults = [(kind, place) for kind, place, _ in planted(make(), draw)]
        for number, (kind, place) in enumerate([*faults, *(("sound", how) for how in SOUND)]):
            torch.manual_seed(1000 * seed + number)
            model = make()
            if kind == "sound":
                redrawn(model, place)
            else:
                redrawn(model, SOUND[number % 4])
                spoil = {(k, p): action for k, p, action in planted(model, random.Random(f"{name} {seed}"))}
                spoil[kind, place]()
            found, words = said(model, shape, number)
            right = found is None and not words if kind == "sound" else near(found, place)
            counts[kind, right] += 1
            print(f"{name:24} {kind:16} {place:18} {'right' if right else 'WRONG':6} {found}  {words[:90]}", flush=True)
    for kind in dict.fromkeys(kind for kind, _ in counts):
        print(f"{kind:16} {counts[kind, True]} of {counts[kind, True] + counts[kind, False]}")
    named = sum(n for (kind, right), n in counts.items() if right and kind != "sound")
    print("faults", named, "of", sum(n for (kind, _), n in counts.items() if kind != "sound"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    judge(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
