"""Twelve small real networks on which ways to choose a rate are compared: how they start, and on which batches.

A seed draws the weights and the order of the batches. Data are the bundled images, Python's own standard library as text, or
functions that a fixed seed draws.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freeness.data import load_fashion_mnist

SAMPLES = 2000
Data = tuple[Tensor, Tensor]
LossFunction = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Network:
    """One kind of network with its data, loss and batch size."""

    name: str
    build: Callable[[], nn.Module]
    data: Callable[[], Data]
    loss: str | LossFunction
    batch: int = 64

    def started(self, seed: int) -> nn.Module:
        """The network as a seed starts it."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1000 + seed)
            return self.build()

    def batches(self, seed: int, count: int) -> list[Data]:
        """The first batches of a seed: passes over the data, each in a new order."""
        inputs, targets = self.data()
        generator = torch.Generator().manual_seed(seed)
        passes = -(-count * self.batch // len(inputs))
        order = torch.cat([torch.randperm(len(inputs), generator=generator) for _ in range(passes)])
        chosen = order[: count * self.batch].reshape(count, self.batch)
        return [(inputs[rows], targets[rows]) for rows in chosen]


# --- data ---------------------------------------------------------------------------------------------------------


@cache
def images() -> Data:
    """(2000, 1, 28, 28) standardised bundled images, and their classes."""
    bundled = load_fashion_mnist("train")
    x = torch.from_numpy(bundled.flattened()).float()[:SAMPLES]
    labels = torch.from_numpy(bundled.labels).long()[:SAMPLES]
    return ((x - x.mean()) / x.std()).reshape(-1, 1, 28, 28), labels


@cache
def small_images() -> Data:
    """The images averaged to 14×14."""
    x, labels = images()
    return F.avg_pool2d(x, 2), labels


@cache
def flat_images() -> Data:
    """The images as rows."""
    x, labels = images()
    return x.flatten(1), labels


@cache
def copied_images() -> Data:
    """Pixels in [0, 1], to be given back."""
    x = small_images()[0].flatten(1)
    x = (x - x.min()) / (x.max() - x.min())
    return x, x


@cache
def noisy_images() -> Data:
    """Images with noise of their own size, and without it."""
    x = small_images()[0]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return x + noise, x


@cache
def text(length: int = 64) -> Data:
    """Pieces of Python's standard library, as ASCII codes, and the codes that follow."""
    folder = Path(sysconfig.get_path("stdlib"))
    files = ("argparse.py", "ast.py", "inspect.py", "pathlib.py", "typing.py", "subprocess.py", "tarfile.py")
    raw = "".join((folder / name).read_text("utf-8") for name in files if (folder / name).exists())
    codes = torch.tensor([min(ord(letter), 127) for letter in raw])[: SAMPLES * length + 1]
    count = (len(codes) - 1) // length
    return codes[:-1][: count * length].reshape(count, length), codes[1:][: count * length].reshape(count, length)


@cache
def integrals(sensors: int = 40) -> Data:
    """A random trigonometric sum at sensors, a place behind them; and its integral from 0 to that place."""
    generator = torch.Generator().manual_seed(0)
    waves = torch.arange(1, 6).float()
    weights = torch.randn(SAMPLES, 5, generator=generator) / waves
    at = torch.linspace(0, 1, sensors)
    place = torch.rand(SAMPLES, 1, generator=generator)
    values = weights @ torch.cos(torch.pi * waves[:, None] * at)
    integral = (weights * torch.sin(torch.pi * waves * place) / (torch.pi * waves)).sum(1, keepdim=True)
    return torch.cat([values, place], 1), integral / integral.std()


@cache
def places() -> Data:
    """Places in [0, 1], with nothing left of the equation there."""
    x = torch.rand(SAMPLES, 1, generator=torch.Generator().manual_seed(0))
    return x, torch.zeros_like(x)


# --- networks -----------------------------------------------------------------------------------------------------


class Added(nn.Module):
    """x + f(x), with an activation behind it if one is given."""

    def __init__(self, *layers: nn.Module, behind: nn.Module | None = None) -> None:
        super().__init__()
        self.branch, self.behind = nn.Sequential(*layers), behind or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.behind(x + self.branch(x))


def _normalised(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)]


def resnet() -> nn.Module:
    """Three blocks with batch normalisation."""
    blocks = [Added(*_normalised(16, 16), nn.ReLU(), *_normalised(16, 16), behind=nn.ReLU()) for _ in range(3)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)]
    return nn.Sequential(*_normalised(1, 16, 2), nn.ReLU(), *blocks, *head)


class Transformer(nn.Module):
    """Normalisation first; bidirectional on patches, or causal on codes."""

    def __init__(self, tokens: int, width: int, blocks: int, *, patch: int = 0) -> None:
        super().__init__()
        self.patch = patch
        self.enter: nn.Module = nn.Linear(patch * patch, width) if patch else nn.Embedding(128, width)
        self.places = nn.Parameter(torch.randn(tokens, width) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(blocks)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10 if patch else 128)

    def forward(self, x: Tensor) -> Tensor:
        if self.patch:
            x = F.unfold(x, self.patch, stride=self.patch).transpose(1, 2)
        x = self.enter(x) + self.places
        mask = None if self.patch else nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        for block in self.blocks:
            x = block(x, src_mask=mask, is_causal=mask is not None)
        x = self.head(self.norm(x.mean(1) if self.patch else x))
        return x if self.patch else x.transpose(1, 2)  # (B, classes, T), as cross-entropy takes it


class ChannelsLast(nn.Module):
    """A layer on the channels of images."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.movedim(1, -1)).movedim(-1, 1)


def convnext() -> nn.Module:
    """Patches, three blocks of a depthwise convolution and a wide position-wise layer."""

    def block(width: int = 24) -> nn.Module:
        wide = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        return Added(nn.Conv2d(width, width, 5, padding=2, groups=width), ChannelsLast(wide))

    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(24), nn.Linear(24, 10)]
    return nn.Sequential(nn.Conv2d(1, 24, 2, 2), ChannelsLast(nn.LayerNorm(24)), block(), block(), block(), *head)


class BiLSTM(nn.Module):
    """Rows of an image as a sequence, read from both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(14, 32, batch_first=True, bidirectional=True)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x[:, 0])[0].mean(1))


class UNet(nn.Module):
    """Down twice and up twice, with the images of each size handed over."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()

        def twice(before: int, after: int) -> nn.Module:
            first, second = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
            return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())

        self.first, self.second = twice(1, width), twice(width, 2 * width)
        self.up, self.last = nn.ConvTranspose2d(2 * width, width, 2, 2), twice(2 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.first(x)
        coarse = self.second(F.max_pool2d(fine, 2))
        return self.head(self.last(torch.cat([self.up(coarse), fine], 1)))


def dense(*sizes: int, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    """Fully connected layers with an activation between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


class DeepONet(nn.Module):
    """The product of a network of the function and one of the place."""

    def __init__(self) -> None:
        super().__init__()
        self.branch, self.trunk = dense(40, 64, 64, activation=nn.GELU), dense(1, 64, 64, activation=nn.GELU)

    def forward(self, x: Tensor) -> Tensor:
        return (self.branch(x[:, :-1]) * self.trunk(x[:, -1:])).sum(1, keepdim=True)


class PINN(nn.Module):
    """What is left of u'' = -π² sin πx·4, u(0) = u(1) = 0, where u is a network."""

    def __init__(self) -> None:
        super().__init__()
        self.solution = dense(1, 32, 32, 32, 1)

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            u = x * (1 - x) * self.solution(x)
            first = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
            second = torch.autograd.grad(first.sum(), x, create_graph=True)[0]
        return second / 10 + torch.pi**2 / 10 * 4 * torch.sin(2 * torch.pi * x)


class VAE(nn.Module):
    """Returns logits of the pixels, means and logarithms of variances."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = dense(196, 64, 16, activation=nn.ReLU), dense(8, 64, 196, activation=nn.ReLU)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        mean, spread = self.encoder(x).chunk(2, 1)
        drawn = mean + torch.randn_like(mean) * (0.5 * spread).exp()
        return {"logits": self.decoder(drawn), "mean": mean, "spread": spread}


def elbo(found: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """The negative bound of a VAE, a pixel."""
    likelihood = F.binary_cross_entropy_with_logits(found["logits"], pixels)
    mean, spread = found["mean"], found["spread"]
    return likelihood + 0.5 * (mean.square() + spread.exp() - 1 - spread).sum(1).mean() / pixels.shape[1]


class Transposed(nn.Module):
    """A layer on the tokens."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.transpose(1, 2)).transpose(1, 2)


class Mixer(nn.Module):
    """Patches mixed over tokens, then over channels."""

    def __init__(self, tokens: int = 16, width: int = 48) -> None:
        super().__init__()
        self.enter = nn.Linear(49, width)

        def block() -> nn.Module:
            mixed = Added(nn.LayerNorm(width), Transposed(dense(tokens, 32, tokens, activation=nn.GELU)))
            return nn.Sequential(mixed, Added(nn.LayerNorm(width), dense(width, 96, width, activation=nn.GELU)))

        self.blocks = nn.Sequential(block(), block(), block())
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(F.unfold(x, 7, stride=7).transpose(1, 2))
        return self.head(self.norm(self.blocks(x)).mean(1))


def bn_mlp() -> nn.Module:
    """Four layers with batch normalisation."""
    layers: list[nn.Module] = []
    for before in (784, 64, 64, 64):
        layers += [nn.Linear(before, 64), nn.BatchNorm1d(64), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def cnn() -> nn.Module:
    """Two convolutions with max pooling, and dropout."""
    first = [nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(8, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Flatten(), nn.Dropout(0.2), nn.Linear(16 * 9, 64), nn.ReLU(), nn.Linear(64, 10)]
    return nn.Sequential(*first, *second, *head)


NETWORKS = (
    Network("ResNet with batch normalisation", resnet, small_images, "cross_entropy"),
    Network("ViT", lambda: Transformer(16, 48, 2, patch=7), images, "cross_entropy", 32),
    Network("GPT", lambda: Transformer(64, 48, 2), text, "cross_entropy", 8),
    Network("ConvNeXt", convnext, small_images, "cross_entropy", 32),
    Network("BiLSTM", BiLSTM, small_images, "cross_entropy"),
    Network("U-Net", UNet, noisy_images, "mse", 32),
    Network("DeepONet", DeepONet, integrals, "mse"),
    Network("PINN", PINN, places, "mse"),
    Network("VAE", VAE, copied_images, elbo),
    Network("Mixer", Mixer, images, "cross_entropy", 32),
    Network("MLP with batch normalisation", bn_mlp, flat_images, "cross_entropy"),
    Network("CNN with max pooling", cnn, small_images, "cross_entropy", 32),
)
