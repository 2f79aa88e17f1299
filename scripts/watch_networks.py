"""Twenty-four kinds of small networks: seven with which the rules of a watch were mended, nine and eight that judge them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from benchmarks.small import Turned
from torch import Tensor, nn
from torch.nn import functional


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


class Temporal(nn.Module):
    """Dilated causal convolutions over a sequence, branches scaled down."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv1d(12, 32, 1)
        self.blocks = nn.ModuleList(
            Branch(
                nn.Sequential(nn.Conv1d(32, 32, 3, padding=d, dilation=d), nn.ReLU(), nn.Conv1d(32, 32, 1)), scale=0.2
            )
            for d in (1, 2, 4, 1, 2)
        )
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x.transpose(1, 2))
        for block in self.blocks:
            h = block(h)
        return self.head(torch.relu(h).mean(2))


class DenseLayer(nn.Module):
    """What came in, and twelve channels beside it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, 12, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(torch.relu(self.norm(x)))], 1)


class Densely(nn.Module):
    """A DenseNet of two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, padding=1, bias=False)
        self.first = nn.Sequential(*(DenseLayer(24 + 12 * k) for k in range(3)))
        self.between = nn.Sequential(nn.BatchNorm2d(60), nn.ReLU(), nn.Conv2d(60, 30, 1, bias=False), nn.AvgPool2d(2))
        self.second = nn.Sequential(*(DenseLayer(30 + 12 * k) for k in range(3)))
        self.norm, self.head = nn.BatchNorm2d(66), nn.Linear(66, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.second(self.between(self.first(self.stem(x))))
        return self.head(torch.relu(self.norm(h)).mean((2, 3)))


def inverted(channels: int) -> nn.Module:
    """A MobileNet block: widened, by channel, narrowed."""
    wide = 3 * channels
    layers: list[nn.Module] = [nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
    layers += [nn.Conv2d(wide, wide, 3, 1, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
    return Branch(nn.Sequential(*layers, nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)))


class Mobile(nn.Module):
    """Inverted residual blocks at two sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.high = nn.Sequential(inverted(16), inverted(16))
        self.down = nn.Sequential(nn.Conv2d(16, 24, 2, 2, bias=False), nn.BatchNorm2d(24))
        self.low = nn.Sequential(inverted(24), inverted(24))
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.low(self.down(self.high(self.stem(x)))).mean((2, 3)))


class Squeezed(nn.Module):
    """A branch of two convolutions whose channels are weighed by what they hold."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(4, channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.squeeze, self.excite = nn.Linear(channels, channels // 4), nn.Linear(channels // 4, channels)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(torch.relu(self.norm2(self.conv1(torch.relu(self.norm1(x))))))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(h.mean((2, 3))))))
        return x + h * gate[:, :, None, None]


class Excited(nn.Module):
    """A ResNet in front of whose sums channels are weighed."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.Sequential(*(Squeezed(16) for _ in range(4)))
        self.norm, self.head = nn.GroupNorm(4, 16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.blocks(self.stem(x)))).mean((2, 3)))


class Attending(nn.Module):
    """Graph attention over a ring of neighbours."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.value, self.here, self.there = nn.Linear(a, b), nn.Linear(a, 1), nn.Linear(a, 1)

    def forward(self, x: Tensor) -> Tensor:
        shifts = (-1, 0, 1)
        weights = torch.stack([self.here(x) + self.there(x).roll(k, 1) for k in shifts])
        values = torch.stack([self.value(x).roll(k, 1) for k in shifts])
        return (nn.functional.leaky_relu(weights, 0.2).softmax(0) * values).sum(0)


class GraphAttention(nn.Module):
    """Four of them, with norms."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Attending(a, 32) for a in (12, 32, 32, 32))
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(4))
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.relu(norm(layer(x)))
        return self.head(x.mean(1))


class Highway(nn.Module):
    """Layers of which a gate lets some through, with its bias at -1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, -1.0)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return gate * torch.relu(self.layer(x)) + (1 - gate) * x


class Language(nn.Module):
    """Embedding, an LSTM of two layers, a decoder of two."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.cells = nn.Embedding(20, 32), nn.LSTM(32, 32, 2, batch_first=True)
        self.decode = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 20))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.cells(self.embed(x))[0]).transpose(1, 2)


class Translator(nn.Module):
    """Two embeddings, torch's own Transformer with the norm in front, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target, self.place = nn.Embedding(20, 32), nn.Embedding(20, 32), nn.Embedding(12, 32)
        for table in (self.source, self.target, self.place):
            nn.init.normal_(table.weight, 0.0, 1 / math.sqrt(2))
        self.body = nn.Transformer(32, 4, 2, 2, 64, 0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(32, 20)

    def forward(self, x: Tensor) -> Tensor:
        source, target = self.source(x) + self.place.weight, self.target(x.flip(1)) + self.place.weight
        return self.head(self.body(source, target)).transpose(1, 2)


def highway() -> nn.Module:
    """Five of them between two layers."""
    return nn.Sequential(nn.Linear(24, 40), *(Highway(40) for _ in range(5)), nn.Linear(40, 5))


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
    "third": {
        "TCN": (Temporal, TOKENS),
        "DenseNet": (Densely, PICTURES),
        "MobileNet": (Mobile, PICTURES),
        "SE-ResNet": (Excited, PICTURES),
        "GAT": (GraphAttention, TOKENS),
        "highway": (highway, VECTORS),
        "LSTM of words": (Language, ()),
        "translator": (Translator, ()),
    },
}
