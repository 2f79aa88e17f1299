"""Seventeen families of networks that grow eightfold in width and in depth, with their data: the pairs of docs/transfer.md.

Small ones are 16 wide (4 channels) with one residual block or two hidden layers, so that two cores train hundreds of them.
"""

from __future__ import annotations

import pydoc_data.topics
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freeness.data import load_fashion_mnist
from freeness.torch import initialize_

GROWTH = 8  # of width, of depth
STEPS = 150
OPTIMIZERS = ("sgd", "momentum", "adamw")
_TOKENS = 32  # of a piece of text
_SEED = 28
Data = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Family:
    """Networks of any width and depth: how one is made, on which data, how many samples a step, how many runs at once."""

    name: str
    build: Callable[[int, int], nn.Module]
    data: Callable[[], Data]
    width: int
    depth: int
    batch: int
    together: int


@dataclass(frozen=True)
class Member:
    """One network of a family under one optimiser, so many times the width and depth of the smallest."""

    family: str
    optimizer: str
    wider: int = 1
    deeper: int = 1

    @property
    def key(self) -> str:
        """One line that tells it from all others."""
        return f"{self.family} {self.optimizer} width×{self.wider} depth×{self.deeper}"

    @property
    def kind(self) -> Family:
        """Its family."""
        return FAMILIES[self.family]

    @property
    def small(self) -> Member:
        """The smallest of its family."""
        return Member(self.family, self.optimizer)

    def started(self, seed: int = 0) -> nn.Module:
        """The network as a seed starts it, in training mode."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED + seed)
            return self.kind.build(self.kind.width * self.wider, self.kind.depth * self.deeper)


def members() -> list[Member]:
    """All of them, cheap ones first: small, deeper, wider, both."""
    sizes = ((1, 1), (1, GROWTH), (GROWTH, 1))
    found = [Member(family, optimizer, *size) for size, optimizer, family in product(sizes, OPTIMIZERS, FAMILIES)]
    return found + [Member(family, optimizer, GROWTH, GROWTH) for family, optimizer in product(FAMILIES, OPTIMIZERS)]


# --- data ---------------------------------------------------------------------------------------------------------


@cache
def images() -> Data:
    """(2000, 1, 28, 28) standardised, in a fixed order, and their classes."""
    bundled = load_fashion_mnist("train")
    x = torch.from_numpy(bundled.flattened()).float()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(_SEED))
    x, labels = ((x - x.mean()) / x.std())[order], torch.from_numpy(bundled.labels).long()[order]
    return x.reshape(-1, 1, 28, 28), labels


@cache
def small_images() -> Data:
    """Averaged to 14×14."""
    x, labels = images()
    return F.avg_pool2d(x, 2), labels


@cache
def patches() -> Data:
    """(2000, 16, 49): each image as 4×4 patches."""
    x, labels = images()
    return F.unfold(x, 7, stride=7).transpose(1, 2).contiguous(), labels


@cache
def text() -> Data:
    """Pieces of Python's own help, letter by letter, and the letters that follow."""
    topics = pydoc_data.topics.topics
    raw = "\n".join(topics[name] for name in sorted(topics))
    codes = torch.tensor([min(ord(letter), 127) for letter in raw])
    count = (len(codes) - 1) // _TOKENS
    order = torch.randperm(count, generator=torch.Generator().manual_seed(_SEED))[:4000]
    pieces = codes[: count * _TOKENS + 1]
    return pieces[:-1].reshape(count, -1)[order], pieces[1:].reshape(count, -1)[order]


# --- networks -----------------------------------------------------------------------------------------------------


class Added(nn.Module):
    """x + scale·branch(x)."""

    def __init__(self, branch: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.branch, self.scale = branch, scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.branch(x)


class Attention(nn.Module):
    """Softmax attention with heads of width 8, causal or not, in plain products."""

    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, -1, 8).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / 8**0.5
        if self.causal:
            scores = scores + torch.full((tokens, tokens), -torch.inf).triu(1)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, width))


class Transformer(nn.Module):
    """Pre-norm blocks on embedded tokens; of classes, on the mean over tokens."""

    def __init__(self, first: nn.Module, sizes: tuple[int, int, int], outputs: int, causal: bool) -> None:
        super().__init__()
        width, depth, tokens = sizes
        self.first = first
        self.position = nn.Parameter(0.5 * torch.randn(tokens, width))
        blocks: list[nn.Module] = []
        for _ in range(depth):
            blocks.append(Added(nn.Sequential(nn.LayerNorm(width), Attention(width, causal))))
            hidden = [nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)]
            blocks.append(Added(nn.Sequential(*hidden)))
        self.blocks = nn.Sequential(*blocks)
        self.last, self.head, self.causal = nn.LayerNorm(width), nn.Linear(width, outputs), causal

    def forward(self, x: Tensor) -> Tensor:
        x = self.last(self.blocks(self.first(x) + self.position))
        return self.head(x) if self.causal else self.head(x.mean(1))


def _mlp(width: int, depth: int) -> nn.Module:
    """A chain of tanh layers with Haar weights."""
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(196, width), nn.Tanh()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), nn.Tanh()]
    network = nn.Sequential(*layers, nn.Linear(width, 10))
    initialize_(network, "haar", generator=torch.Generator().manual_seed(int(torch.randint(2**31, ()))))
    return network


def _relu_mlp(width: int, depth: int) -> nn.Module:
    """A chain of ReLU layers with He weights."""
    layers: list[nn.Module] = [nn.Flatten()]
    for layer in range(depth):
        linear = nn.Linear(width if layer else 196, width)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def _residual_mlp(width: int, depth: int) -> nn.Module:
    """Pre-norm blocks of two GELU layers."""
    blocks = [
        Added(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)))
        for _ in range(depth)
    ]
    first = [nn.Flatten(), nn.Linear(196, width)]
    return nn.Sequential(*first, nn.Sequential(*blocks), nn.LayerNorm(width), nn.Linear(width, 10))


def _normalised(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return [convolution, nn.BatchNorm2d(after, track_running_stats=False)]


def _resnet(width: int, depth: int) -> nn.Module:
    """Blocks of two convolutions with batch normalisation on 7×7 positions."""
    blocks = [
        Added(nn.Sequential(*_normalised(width, width), nn.ReLU(), *_normalised(width, width))) for _ in range(depth)
    ]
    head = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
    return nn.Sequential(*_normalised(1, width, 2), nn.ReLU(), nn.Sequential(*blocks), *head)


def _gpt(width: int, depth: int) -> nn.Module:
    return Transformer(nn.Embedding(128, width), (width, depth, _TOKENS), 128, causal=True)


def _vit(width: int, depth: int) -> nn.Module:
    return Transformer(nn.Linear(49, width), (width, depth, 16), 10, causal=False)


def _cnn(width: int, depth: int) -> nn.Module:
    """Convolutions with ReLU and nothing normalised, the first one pooled from 14×14 to 7×7 positions."""
    layers: list[nn.Module] = []
    for layer in range(depth):
        convolution = nn.Conv2d(width if layer else 1, width, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, nn.ReLU()] + ([] if layer else [nn.MaxPool2d(2)])
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(49 * width, 10))


def _strided_cnn(width: int, depth: int) -> nn.Module:
    """Convolutions with ReLU and nothing normalised, the first one of stride 2."""
    layers: list[nn.Module] = []
    for layer in range(depth):
        convolution = nn.Conv2d(width if layer else 1, width, 3, 1 if layer else 2, 1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(49 * width, 10))


class Transposed(nn.Module):
    """A layer along positions in place of channels."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.mT).mT


class Averaged(nn.Module):
    """The mean over positions."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def _mixer(width: int, depth: int) -> nn.Module:
    """Pre-norm blocks that mix 16 patches, then channels."""
    blocks: list[nn.Module] = []
    for _ in range(depth):
        across = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        along = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        blocks += [Added(nn.Sequential(nn.LayerNorm(width), part)) for part in (Transposed(across), along)]
    return nn.Sequential(nn.Linear(49, width), *blocks, nn.LayerNorm(width), Averaged(), nn.Linear(width, 10))


class Recurrent(nn.Module):
    """One layer of gated recurrent units (Cho et al. 2014, as torch has it) along positions, in plain products."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.read, self.kept = nn.Linear(before, 3 * width), nn.Linear(width, 3 * width)

    def forward(self, x: Tensor) -> Tensor:
        read = self.read(x)
        state, found = torch.zeros_like(read[:, 0].chunk(3, -1)[0]), []
        for position in range(x.shape[1]):
            (r, z, new), (kept_r, kept_z, kept) = read[:, position].chunk(3, -1), self.kept(state).chunk(3, -1)
            share = torch.sigmoid(z + kept_z)
            state = share * state + (1 - share) * torch.tanh(new + torch.sigmoid(r + kept_r) * kept)
            found.append(state)
        return torch.stack(found, 1)


class Last(nn.Module):
    """The last position."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -1]


def _gru(width: int, depth: int) -> nn.Module:
    """Layers of recurrent units that read an image row by row."""
    layers = [Recurrent(width if layer else 14, width) for layer in range(depth)]
    return nn.Sequential(nn.Flatten(1, 2), *layers, Last(), nn.Linear(width, 10))


def _normalised_mlp(width: int, depth: int) -> nn.Module:
    """A chain of ReLU layers with a layer norm in front of each ReLU, and nothing that skips it."""
    layers: list[nn.Module] = [nn.Flatten()]
    for layer in range(depth):
        layers += [nn.Linear(width if layer else 196, width), nn.LayerNorm(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def _batch_normalised_mlp(width: int, depth: int) -> nn.Module:
    """A chain of tanh layers with batch normalisation in front of each tanh, and nothing that skips it."""
    layers: list[nn.Module] = [nn.Flatten()]
    for layer in range(depth):
        norm = nn.BatchNorm1d(width, track_running_stats=False)
        layers += [nn.Linear(width if layer else 196, width), norm, nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def _post_norm_mlp(width: int, depth: int) -> nn.Module:
    """Blocks of two ReLU layers, with a layer norm behind each sum."""
    blocks: list[nn.Module] = []
    for _ in range(depth):
        branch = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        blocks += [Added(branch), nn.LayerNorm(width)]
    return nn.Sequential(nn.Flatten(), nn.Linear(196, width), *blocks, nn.Linear(width, 10))


def _plain_residual_mlp(width: int, depth: int) -> nn.Module:
    """Blocks of two tanh layers on a residual stream, and nothing normalised."""
    blocks = [Added(nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width))) for _ in range(depth)]
    return nn.Sequential(nn.Flatten(), nn.Linear(196, width), *blocks, nn.Linear(width, 10))


class Joined(nn.Module):
    """What it reads, and behind it what the branch makes of it."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.branch(x)], -1)


def _dense_mlp(width: int, depth: int) -> nn.Module:
    """Each layer reads all that came before it, behind a layer norm and a SiLU (Huang et al. 2017, without convolutions)."""
    first: list[nn.Module] = [nn.Flatten(), nn.Linear(196, width)]
    layers = [
        Joined(nn.Sequential(nn.LayerNorm(k * width), nn.SiLU(), nn.Linear(k * width, width)))
        for k in range(1, depth + 1)
    ]
    return nn.Sequential(*first, *layers, nn.LayerNorm((depth + 1) * width), nn.Linear((depth + 1) * width, 10))


def _post_norm_vit(width: int, depth: int) -> nn.Module:
    """Attention and two GELU layers on embedded patches, with a layer norm behind each sum (Vaswani et al. 2017)."""
    blocks: list[nn.Module] = []
    for _ in range(depth):
        along = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        blocks += [Added(Attention(width, causal=False)), nn.LayerNorm(width), Added(along), nn.LayerNorm(width)]
    return nn.Sequential(nn.Linear(49, width), *blocks, Averaged(), nn.Linear(width, 10))


class Permuted(nn.Module):
    """The axes in another order."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


def _convnext(width: int, depth: int) -> nn.Module:
    """Blocks of a depthwise convolution, a layer norm over channels and two layers on 7×7 positions (Liu et al. 2022)."""
    blocks = []
    for _ in range(depth):
        along = [nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)]
        across = nn.Conv2d(width, width, 3, padding=1, groups=width)
        blocks.append(Added(nn.Sequential(across, Permuted(0, 2, 3, 1), *along, Permuted(0, 3, 1, 2))))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(width), nn.Linear(width, 10)]
    return nn.Sequential(nn.Conv2d(1, width, 2, 2), *blocks, *head)


FAMILIES = {
    family.name: family
    for family in (
        Family("MLP", _mlp, small_images, 16, 2, 64, 8),
        Family("residual MLP", _residual_mlp, small_images, 16, 1, 64, 8),
        Family("ResNet-BN", _resnet, small_images, 4, 1, 32, 1),
        Family("GPT", _gpt, text, 16, 1, 8, 4),
        Family("ViT", _vit, patches, 16, 1, 16, 4),
        Family("CNN", _cnn, small_images, 4, 1, 32, 1),
        Family("Mixer", _mixer, patches, 16, 1, 16, 4),
        Family("ReLU MLP", _relu_mlp, small_images, 16, 2, 64, 8),
        Family("strided CNN", _strided_cnn, small_images, 8, 2, 32, 1),
        Family("normalised MLP", _normalised_mlp, small_images, 16, 2, 64, 8),
        Family("GRU", _gru, small_images, 16, 1, 32, 8),
        Family("ConvNeXt", _convnext, small_images, 8, 1, 32, 4),
        Family("batch-normalised MLP", _batch_normalised_mlp, small_images, 16, 2, 64, 8),
        Family("post-norm MLP", _post_norm_mlp, small_images, 16, 1, 64, 8),
        Family("dense MLP", _dense_mlp, small_images, 16, 2, 64, 8),
        Family("plain residual MLP", _plain_residual_mlp, small_images, 16, 1, 64, 8),
        Family("post-norm ViT", _post_norm_vit, patches, 16, 1, 16, 4),
    )
}
