"""Twelve architectures that people train, small: what they are, what they learn, how they are trained.

Images are the 2,000 bundled ones of Fashion-MNIST, standardised; text is the help that Python ships, by characters; DeepONet
learns the antiderivative, the PINN Poisson's equation on an interval.
"""

from __future__ import annotations

import math
import pydoc_data.topics as topics
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freeness.data import load_fashion_mnist

ORDER, DATA = 25, 7  # seeds: of the cases' order, of drawn data
SIZES = {"small": (1, 1), "wide": (2, 1), "deep": (1, 2)}  # factors of width and depth
TRAININGS = (("adamw", 64), ("momentum", 64), ("sgd", 64), ("adamw", 16), ("momentum", 16))
CONTEXT = 32  # characters that GPT sees


@dataclass(frozen=True)
class Problem:
    """A model's maker, inputs and targets with the samples first, and the loss of (outputs, targets) with its name."""

    make: Callable[[], nn.Module]
    inputs: Tensor
    targets: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    kind: str = "cross_entropy"


@dataclass(frozen=True)
class RealCase:
    """An architecture in a size, with optimiser and batch."""

    family: str
    size: str
    optimizer: str
    batch: int

    @property
    def name(self) -> str:
        """One line that tells it from the others."""
        return f"{self.family} {self.size} B={self.batch} {self.optimizer}"


def real_cases() -> list[RealCase]:
    """All, the small ones first; the order within is drawn by a fixed seed, so that any beginning is a fair sample."""
    draw, found = random.Random(ORDER), []
    for size in SIZES:
        for trainings in (TRAININGS[:2], TRAININGS[2:]):
            part = [RealCase(family, size, *training) for family, training in product(FAMILIES, trainings)]
            draw.shuffle(part)
            found += part
    return found


# --- data ---------------------------------------------------------------------------------------------------------


def _images(side: int) -> tuple[Tensor, Tensor]:
    bundled = load_fashion_mnist("train")
    x = torch.from_numpy(bundled.flattened()).float().reshape(-1, 1, 28, 28)
    x = F.avg_pool2d(x, 28 // side) if side < 28 else x
    return (x - x.mean()) / x.std(), torch.from_numpy(bundled.labels).long()


def _text() -> tuple[Tensor, Tensor, int]:
    text = "".join(topics.topics[key] for key in sorted(topics.topics))[:200_000]
    letters = sorted(set(text))
    codes = torch.tensor([letters.index(letter) for letter in text])
    begins = torch.randint(len(codes) - CONTEXT - 1, (4000,), generator=torch.Generator().manual_seed(DATA))
    rows = torch.stack([codes[begin : begin + CONTEXT + 1] for begin in begins.tolist()])
    return rows[:, :-1], rows[:, 1:], len(letters)


# --- parts --------------------------------------------------------------------------------------------------------


class Added(nn.Module):
    """x + branch(x)."""

    def __init__(self, *branch: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class Swapped(nn.Module):
    """A map of the last but one axis."""

    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.transpose(1, 2)).transpose(1, 2)


class ChannelsLast(nn.Module):
    """A map of channels that stand in front."""

    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Attention(nn.Module):
    """Four heads."""

    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.mixed, self.out, self.causal = nn.Linear(width, 3 * width), nn.Linear(width, width), causal

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in self.mixed(x).chunk(3, -1))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if self.causal:
            later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


def _transformer(width: int, depth: int, causal: bool) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    for _ in range(depth):
        blocks.append(Added(nn.LayerNorm(width), Attention(width, causal)))
        wide = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        blocks.append(Added(nn.LayerNorm(width), *wide))
    return [*blocks, nn.LayerNorm(width)]


class Positioned(nn.Module):
    """Adds trained positions."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(0.02 * torch.randn(tokens, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.positions


class Tokens(nn.Module):
    """Places first, channels last."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


class Mean(nn.Module):
    """Over the tokens."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def _patches(width: int) -> list[nn.Module]:
    return [nn.Conv2d(1, width, 7, 7), Tokens()]


def _normed(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)]


class Recurrent(nn.Module):
    """Rows of an image, both ways."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.cells = nn.LSTM(14, width, depth, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x[:, 0])[0].mean(1))


class UNet(nn.Module):
    """Two halvings with what they skip."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()

        def block(before: int, after: int) -> nn.Sequential:
            widths = [before] + [after] * (1 + depth)
            return nn.Sequential(*(f for a, b in pairwise(widths) for f in (nn.Conv2d(a, b, 3, 1, 1), nn.ReLU())))

        self.down, self.middle, self.bottom = block(1, width), block(width, 2 * width), block(2 * width, 2 * width)
        self.up, self.top = block(4 * width, width), block(2 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down(x)
        second = self.middle(F.max_pool2d(first, 2))
        low = self.bottom(F.max_pool2d(second, 2))
        rising = self.up(torch.cat([second, F.interpolate(low, scale_factor=2.0)], 1))
        return self.head(self.top(torch.cat([first, F.interpolate(rising, scale_factor=2.0)], 1)))


def _chain(sizes: list[int], act: type[nn.Module]) -> nn.Sequential:
    layers = [f for a, b in pairwise(sizes) for f in (nn.Linear(a, b), act())]
    return nn.Sequential(*layers[:-1])


class DeepONet(nn.Module):
    """A function at 32 sensors and a place, in one row, to a value."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.branch = _chain([32] + [width] * (2 * depth + 1), nn.GELU)
        self.trunk = _chain([1] + [width] * (2 * depth + 1), nn.GELU)

    def forward(self, x: Tensor) -> Tensor:
        return (self.branch(x[:, :32]) * self.trunk(x[:, 32:])).sum(1, keepdim=True)


class Poisson(nn.Module):
    """What is left of u'' = -π² sin πx, u(0) = u(1) = 0, over π², of a tanh network u."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.u = _chain([1] + [width] * (2 * depth + 1) + [1], nn.Tanh)

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            place = x if x.requires_grad else x.detach().requires_grad_()
            slope = torch.autograd.grad(self.u(place).sum(), place, create_graph=True)[0]
            bend = torch.autograd.grad(slope.sum(), place, create_graph=True)[0]
        ends = self.u(torch.tensor([[0.0], [1.0]], dtype=x.dtype)).T.expand(len(x), 2)
        return torch.cat([bend / math.pi**2 + torch.sin(math.pi * place), ends], 1)


class Variational(nn.Module):
    """Images to (logits, means, logarithms of variances), in one row."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.encoder = _chain([784] + [width] * depth + [32], nn.ReLU)
        self.decoder = _chain([16] + [width] * depth + [784], nn.ReLU)

    def forward(self, x: Tensor) -> Tensor:
        mean, spread = self.encoder(x).chunk(2, 1)
        drawn = mean + torch.exp(spread / 2) * torch.randn_like(mean)
        return torch.cat([self.decoder(drawn), mean, spread], 1)


def evidence_bound(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the pixels and divergence from the normal distribution, summed, averaged over the batch."""
    logits, mean, spread = outputs.split([784, 16, 16], 1)
    pixels = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1)
    return (pixels + 0.5 * (mean.square() + spread.exp() - spread - 1).sum(1)).mean()


# --- problems -----------------------------------------------------------------------------------------------------


def _classes(make: Callable[[int, int], nn.Module], side: int = 14) -> Callable[[int, int], Problem]:
    def problem(width: int, depth: int) -> Problem:
        return Problem(lambda: make(width, depth), *_images(side), F.cross_entropy)

    return problem


def _bn_resnet(w: int, d: int) -> nn.Module:
    blocks: list[nn.Module] = []
    for before, after in pairwise((8 * w, 16 * w, 32 * w)):
        blocks += [*_normed(before, after, 2), nn.ReLU()]
        for _ in range(d):
            blocks += [Added(*_normed(after, after), nn.ReLU(), *_normed(after, after)), nn.ReLU()]
    return nn.Sequential(
        *_normed(1, 8 * w), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32 * w, 10)
    )


def _vit(w: int, d: int) -> nn.Module:
    width = 48 * w
    return nn.Sequential(
        *_patches(width), Positioned(16, width), *_transformer(width, 3 * d, False), Mean(), nn.Linear(width, 10)
    )


def _convnext(w: int, d: int) -> nn.Module:
    width, blocks = 24 * w, []
    for _ in range(3 * d):
        wide = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        blocks.append(Added(nn.Conv2d(width, width, 5, 1, 2, groups=width), ChannelsLast(*wide)))
    return nn.Sequential(
        nn.Conv2d(1, width, 2, 2),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(width),
        nn.Linear(width, 10),
    )


def _mixer(w: int, d: int) -> nn.Module:
    width, blocks = 48 * w, []
    for _ in range(3 * d):
        tokens = Swapped(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        wide = nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        blocks += [Added(nn.LayerNorm(width), tokens), Added(nn.LayerNorm(width), *wide)]
    return nn.Sequential(*_patches(width), *blocks, nn.LayerNorm(width), Mean(), nn.Linear(width, 10))


def _bn_mlp(w: int, d: int) -> nn.Module:
    sizes = [784] + [96 * w] * (4 * d)
    layers = [f for a, b in pairwise(sizes) for f in (nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(96 * w, 10))


def _pooled(w: int, d: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in pairwise((1, 12 * w, 24 * w)):
        sizes = [before] + [after] * d
        layers += [f for a, b in pairwise(sizes) for f in (nn.Conv2d(a, b, 3, 1, 1), nn.ReLU())] + [nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(24 * w * 9, 64 * w), nn.ReLU(), nn.Linear(64 * w, 10))


def _gpt(width: int, depth: int) -> Problem:
    inputs, targets, letters = _text()
    size = 48 * width

    def make() -> nn.Module:
        body = _transformer(size, 2 * depth, True)
        return nn.Sequential(nn.Embedding(letters, size), Positioned(CONTEXT, size), *body, nn.Linear(size, letters))

    return Problem(make, inputs, targets, lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten()))


def _unet(width: int, depth: int) -> Problem:
    clean = F.pad(_images(14)[0], (1, 1, 1, 1))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(DATA))
    return Problem(lambda: UNet(8 * width, depth), clean + 0.5 * noise, clean, F.mse_loss, "mse")


def _deeponet(width: int, depth: int) -> Problem:
    rng = torch.Generator().manual_seed(DATA)
    grid = torch.linspace(0, 1, 32)
    waves = torch.randn(2000, 5, generator=rng)
    scale, place = math.pi * torch.arange(1, 6), torch.rand(2000, 1, generator=rng)
    sensors = waves @ torch.sin(scale[:, None] * grid)
    values = (waves * (1 - torch.cos(place * scale)) / scale).sum(1, keepdim=True)
    inputs = torch.cat([sensors, place], 1)
    return Problem(lambda: DeepONet(64 * width, depth), inputs, values, F.mse_loss, "mse")


def _pinn(width: int, depth: int) -> Problem:
    points = torch.rand(2000, 1, generator=torch.Generator().manual_seed(DATA))
    return Problem(lambda: Poisson(32 * width, depth), points, torch.zeros(2000, 3), F.mse_loss, "mse")


def _vae(width: int, depth: int) -> Problem:
    images = load_fashion_mnist("train").flattened()
    x = torch.from_numpy(images).float()
    x = x / x.max()
    return Problem(
        lambda: Variational(128 * width, depth), (x - x.mean()) / x.std(), x, evidence_bound, "evidence bound"
    )


FAMILIES: dict[str, Callable[[int, int], Problem]] = {
    "BN-ResNet": _classes(_bn_resnet),
    "ViT": _classes(_vit, 28),
    "GPT": _gpt,
    "ConvNeXt": _classes(_convnext),
    "BiLSTM": _classes(lambda w, d: Recurrent(32 * w, d)),
    "U-Net": _unet,
    "DeepONet": _deeponet,
    "PINN": _pinn,
    "VAE": _vae,
    "Mixer": _classes(_mixer, 28),
    "BN-MLP": _classes(_bn_mlp, 28),
    "CNN": _classes(_pooled),
}


def problem(case: RealCase) -> Problem:
    """Of a case."""
    return FAMILIES[case.family](*SIZES[case.size])
