"""Whether a watch names the layer that was spoilt: faults planted in sixteen kinds of small networks, and sound starts.

    PYTHONPATH=. python scripts/watch_faults.py first|second [SEED]

The rules were mended with the first half of the kinds in view; the second one judges. A case is eleven steps of a training
under a watch at its default. The first warning of the kind "layer" must name the spoilt module, the block that it is in, or the
activation behind it; a sound start must get none.
"""

from __future__ import annotations

import itertools
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import torch
from benchmarks.small import Turned
from torch import Tensor, nn
from torch.nn import functional

from freeness.torch import Watch

STEPS = 11
FACTORS = {"ten times": 10.0, "a tenth": 0.1, "zero": 0.0}
Loss = Callable[[Tensor, Tensor], Tensor]


class Branch(nn.Module):
    """x + scale·f(x), with the norm in front, behind, or nowhere."""

    def __init__(
        self, inner: nn.Module, norm: nn.Module | None = None, behind: bool = False, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.norm, self.inner, self.behind, self.scale = norm or nn.Identity(), inner, behind, scale

    def forward(self, x: Tensor) -> Tensor:
        if self.behind:
            return self.norm(x + self.scale * self.inner(x))
        return x + self.scale * self.inner(self.norm(x))


class Heads(nn.Module):
    """Attention of four heads, causal or not."""

    def __init__(self, width: int, causal: bool = False) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (one(x).unflatten(2, (4, -1)).transpose(1, 2) for one in (self.q, self.k, self.v))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Through(nn.Module):
    """A chain, then what is made of its output."""

    def __init__(self, body: nn.Module, end: Callable[[Tensor], Tensor], head: nn.Module) -> None:
        super().__init__()
        self.body, self.end, self.head = body, end, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.end(self.body(x)))


def units(width: int, wide: int, act: type[nn.Module] = nn.ReLU) -> nn.Module:
    """Two layers."""
    return nn.Sequential(nn.Linear(width, wide), act(), nn.Linear(wide, width))


def dense(*sizes: int, act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """A chain of layers."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def convolved(a: int, b: int, norm: bool = True, stride: int = 1) -> list[nn.Module]:
    """A convolution, its norm, its activation."""
    return [nn.Conv2d(a, b, 3, stride, 1, bias=not norm), *([nn.BatchNorm2d(b)] if norm else []), nn.ReLU()]


def transformer(width: int = 32, blocks: int = 3, causal: bool = False, behind: bool = False) -> list[nn.Module]:
    """Its blocks."""
    return [
        nn.Sequential(
            Branch(Heads(width, causal), nn.LayerNorm(width), behind),
            Branch(units(width, 4 * width), nn.LayerNorm(width), behind),
        )
        for _ in range(blocks)
    ]


def mean(x: Tensor) -> Tensor:
    """Over tokens."""
    return x.mean(1)


def pooled(x: Tensor) -> Tensor:
    """Over places."""
    return x.mean((2, 3))


class UNet(nn.Module):
    """Two levels down and up."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Sequential(*convolved(1, 12)), nn.Sequential(*convolved(12, 24, stride=2))
        self.middle = nn.Sequential(*convolved(24, 24))
        self.up2, self.up1 = nn.ConvTranspose2d(24, 12, 2, 2), nn.Sequential(*convolved(24, 12))
        self.out = nn.Conv2d(12, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        return self.out(self.up1(torch.cat([first, self.up2(self.middle(self.down2(first)))], 1)))


class Recurrent(nn.Module):
    """A BiLSTM or a GRU over a sequence."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU], both: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(12, 24)
        self.cells = kind(24, 24, 2, batch_first=True, bidirectional=both)
        self.head = nn.Linear(48 if both else 24, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(torch.relu(self.embed(x)))[0].mean(1))


class Graph(nn.Module):
    """Four graph convolutions over a ring of neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, 32) for a in (12, 32, 32, 32))
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            h = layer(x)
            x = torch.relu((h + h.roll(1, 1) + h.roll(-1, 1)) / 3**0.5)
        return self.head(x.mean(1))


class DeepONet(nn.Module):
    """A product of two chains."""

    def __init__(self) -> None:
        super().__init__()
        self.branch, self.trunk = dense(40, 48, 48, 48, 24, act=nn.Tanh), dense(8, 48, 48, 48, 24, act=nn.Tanh)

    def forward(self, x: Tensor) -> Tensor:
        return (self.branch(x[:, :40]) * self.trunk(x[:, 40:])).sum(1, keepdim=True)


class Gpt(nn.Module):
    """Tokens, blocks, a head of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(20, 32), nn.Embedding(12, 32)
        self.blocks, self.norm = nn.ModuleList(transformer(causal=True)), nn.LayerNorm(32)
        self.head = nn.Linear(32, 20, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x) + self.place.weight
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h)).transpose(1, 2)


def resnet() -> nn.Module:
    """Normalised branches of convolutions."""
    branches = [
        Branch(nn.Sequential(*convolved(16, 16), nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)))
        for _ in range(4)
    ]
    layers = [one for branch in branches for one in (branch, nn.ReLU())]
    return Through(nn.Sequential(*convolved(3, 16), *layers), pooled, nn.Linear(16, 5))


def convnext() -> nn.Module:
    """Depthwise convolutions, norm, two layers, and a scale."""
    blocks = [
        Branch(
            nn.Sequential(
                nn.Conv2d(24, 24, 5, padding=2, groups=24),
                nn.GroupNorm(1, 24),
                nn.Conv2d(24, 48, 1),
                nn.GELU(),
                nn.Conv2d(48, 24, 1),
            ),
            scale=0.1,
        )
        for _ in range(4)
    ]
    return Through(nn.Sequential(nn.Conv2d(3, 24, 2, 2), nn.GroupNorm(1, 24), *blocks), pooled, nn.Linear(24, 5))


def scaled() -> nn.Module:
    """Branches without a norm, scaled down instead."""
    return nn.Sequential(nn.Linear(24, 40), *(Branch(units(40, 80), scale=0.1) for _ in range(5)), nn.Linear(40, 5))


def mixer() -> nn.Module:
    """Over tokens and channels in turn."""
    blocks = [
        one
        for _ in range(3)
        for one in (
            Branch(Turned(units(12, 24, nn.GELU)), nn.LayerNorm(24)),
            Branch(units(24, 48, nn.GELU), nn.LayerNorm(24)),
        )
    ]
    return Through(nn.Sequential(nn.Linear(12, 24), *blocks, nn.LayerNorm(24)), mean, nn.Linear(24, 5))


def tokens_of(blocks: list[nn.Module], last: bool) -> nn.Module:
    """A Transformer over vectors."""
    return Through(
        nn.Sequential(nn.Linear(12, 32), *blocks, *([nn.LayerNorm(32)] if last else [])), mean, nn.Linear(32, 5)
    )


def vgg() -> nn.Module:
    """Convolutions with norms and poolings, then a chain."""
    layers = [*convolved(3, 12), *convolved(12, 12), nn.MaxPool2d(2), *convolved(12, 24), *convolved(24, 24)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(96, 32), nn.ReLU(), nn.Linear(32, 5))


def cnn() -> nn.Module:
    """Four convolutions without norms."""
    layers = [one for a, b in ((3, 12), (12, 12), (12, 24), (24, 24)) for one in convolved(a, b, norm=False)]
    return Through(nn.Sequential(*layers), pooled, nn.Linear(24, 5))


VECTORS, TOKENS, PICTURES = (24,), (12, 12), (3, 8, 8)
HALVES: dict[str, dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]]] = {
    "first": {
        "MLP of tanh": (lambda: dense(24, 48, 48, 48, 48, 48, 5, act=nn.Tanh), VECTORS),
        "CNN": (cnn, PICTURES),
        "ResNet": (resnet, PICTURES),
        "Transformer, norm behind": (lambda: tokens_of(transformer(behind=True), False), TOKENS),
        "GPT": (Gpt, ()),
        "BiLSTM": (lambda: Recurrent(nn.LSTM, True), TOKENS),
        "scaled branches": (scaled, VECTORS),
    },
    "second": {
        "MLP of relu": (lambda: dense(24, 64, 64, 48, 32, 5), VECTORS),
        "VGG": (vgg, PICTURES),
        "ViT": (lambda: tokens_of(transformer(), True), TOKENS),
        "Mixer": (mixer, TOKENS),
        "U-Net": (UNet, (1, 8, 8)),
        "GCN": (Graph, TOKENS),
        "DeepONet": (DeepONet, (48,)),
        "GRU": (lambda: Recurrent(nn.GRU, False), TOKENS),
        "ConvNeXt": (convnext, PICTURES),
    },
}


def redrawn(model: nn.Module, how: str) -> None:
    """A start that is sound, in one of the ways that people use."""
    layers = [one for one in model.modules() if isinstance(one, nn.Linear | nn.Conv2d)]
    for layer in layers:
        if how == "he":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif how == "xavier":
            nn.init.xavier_uniform_(layer.weight)
        elif how == "orthogonal":
            nn.init.orthogonal_(layer.weight, 2**0.5)
    if how == "small head":
        layers[-1].weight.data.div_(layers[-1].weight[0].numel() ** 0.5)
    elif how == "zero head":
        nn.init.zeros_(layers[-1].weight)
    elif how == "zero branches":
        for branch in (one for one in model.modules() if isinstance(one, Branch)):
            ends = [one for one in branch.inner.modules() if getattr(one, "weight", None) is not None]
            nn.init.zeros_(ends[-1].weight)


SOUND = ("torch", "he", "xavier", "orthogonal", "small head", "zero head", "zero branches")


def planted(model: nn.Module, draw: random.Random) -> Iterator[tuple[str, str, Callable[[], None]]]:
    """Faults: their kind, the module, and what plants them; of layers of a kind of fault two are drawn."""
    named = dict(model.named_modules())
    layers = [name for name, one in named.items() if isinstance(one, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
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
        if isinstance(named[name], nn.ReLU) and getattr(named[names[k - 1]], "bias", None) is not None
    ]
    for place in draw.sample(fronts, min(2, len(fronts))):
        yield "dead", place, lambda place=place: named[place].bias.data.fill_(-20.0)
    branches = [name for name, one in named.items() if isinstance(one, Branch) and one.scale < 1]
    for place in draw.sample(branches, min(2, len(branches))):
        yield "no scale", place, lambda place=place: setattr(named[place], "scale", 1.0)


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
