"""Seventeen more small networks that came when every way to choose a rate stood: nothing was chosen on them.

Kinds that the first twelve (rates_networks.py) lack: a GRU, dilated convolutions with weight norm, normalisation behind the
branches, group norm, squeeze and excitation, a bag of embeddings, sines, sets, graphs, a flow, two views of a picture held
against one another, binary classes, Huber's loss. And four that are as deep as they are wide.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from rates_networks import SAMPLES, Added, Data, Network, dense, flat_images, images, small_images, text

# --- data ---------------------------------------------------------------------------------------------------------


@cache
def given_back() -> Data:
    """The averaged images, to be given back."""
    x = small_images()[0]
    return x, x


@cache
def shirts() -> Data:
    """Rows of images, and 1 for pullovers and shirts."""
    x, labels = flat_images()
    return x, torch.isin(labels, torch.tensor([2, 6])).float()[:, None]


@cache
def letters() -> Data:
    """Pieces of text, half their letters drawn anew and all shifted by up to seven, and by how many."""
    generator = torch.Generator().manual_seed(0)
    codes = text(32)[0]
    drawn = torch.rand(codes.shape, generator=generator) < 0.5
    codes = torch.where(drawn, torch.randint(128, codes.shape, generator=generator), codes)
    shift = torch.randint(8, (len(codes),), generator=generator)
    return (codes + shift[:, None]) % 128, shift


@cache
def sets() -> Data:
    """Twenty places in the plane each, and the logarithm of their cloud's area."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.randn(SAMPLES, 2, 2, generator=generator)
    points = torch.randn(SAMPLES, 20, 2, generator=generator) @ spread
    area = torch.linalg.det(points.transpose(1, 2) @ points / 20 + 0.01 * torch.eye(2)).log()[:, None]
    return points, (area - area.mean()) / area.std()


@cache
def graphs() -> Data:
    """Random graphs of 12 nodes as adjacency matrices, and how many triangles they have, standardised."""
    generator = torch.Generator().manual_seed(0)
    shares = 0.2 + 0.4 * torch.rand(SAMPLES, 1, 1, generator=generator)
    upper = (torch.rand(SAMPLES, 12, 12, generator=generator) < shares).float().triu(1)
    joined = upper + upper.transpose(1, 2)
    count = torch.einsum("bij,bjk,bki->b", joined, joined, joined)[:, None] / 6
    return joined, (count - count.mean()) / count.std()


@cache
def prices() -> Data:
    """Ten numbers, and a rough function of five of them with heavy-tailed noise (Friedman's)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(SAMPLES, 10, generator=generator)
    y = 10 * torch.sin(math.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    noise = torch.randn(SAMPLES, generator=generator) / torch.rand(SAMPLES, generator=generator).clamp(0.05)
    y = (y + noise)[:, None]
    return (x - 0.5) * math.sqrt(12), (y - y.mean()) / y.std()


@cache
def moons() -> Data:
    """Points of two half circles with noise; nothing is asked of them but their density."""
    generator = torch.Generator().manual_seed(0)
    angle = math.pi * torch.rand(SAMPLES, generator=generator)
    which = torch.arange(SAMPLES) % 2
    x = torch.stack([torch.cos(angle) + which, torch.sin(angle) * (1 - 2 * which) + 0.5 * which], 1)
    x = x + 0.1 * torch.randn(SAMPLES, 2, generator=generator)
    return (x - x.mean(0)) / x.std(0), torch.zeros(SAMPLES)


@cache
def one_picture() -> Data:
    """Places of one picture, and how bright they are."""
    picture = images()[0][7, 0]
    side = torch.linspace(-1, 1, 28)
    at = torch.cartesian_prod(side, side)
    return at, picture.reshape(-1, 1) / picture.std()


# --- networks -----------------------------------------------------------------------------------------------------


class GRU(nn.Module):
    """Rows of an image, of which the last state is read."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(14, 48, num_layers=2, batch_first=True), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(x[:, 0])[0][:, -1])


class Causal(nn.Module):
    """A convolution that sees what was."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.before = 2 * dilation
        self.convolution = weight_norm(nn.Conv1d(width, width, 3, dilation=dilation))

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(F.pad(x, (self.before, 0)))


class Dilated(nn.Module):
    """Codes by four dilated convolutions with weight norm."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.enter = nn.Embedding(128, width)
        self.blocks = nn.Sequential(*(Added(Causal(width, 2**k), nn.ReLU()) for k in range(4)))
        self.head = nn.Conv1d(width, 128, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.enter(x).transpose(1, 2)))


class PostNorm(nn.Module):
    """Three Transformer blocks with their norms behind the branches, on codes."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.enter, self.places = nn.Embedding(128, width), nn.Parameter(0.1 * torch.randn(32, width))
        self.blocks = nn.Sequential(
            *(nn.TransformerEncoderLayer(width, 4, 2 * width, 0.1, batch_first=True) for _ in range(3))
        )
        self.head = nn.Linear(width, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.enter(x) + self.places).mean(1))


class Bag(nn.Module):
    """The mean of embeddings of pairs of codes, read by an MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(128 * 128, 24), dense(24, 48, 8, activation=nn.ReLU)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.bag(x[:, :-1] * 128 + x[:, 1:]))


class Excited(nn.Module):
    """Depthwise and pointwise convolutions with batch norm, and a weight for each channel (squeeze and excitation)."""

    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(width, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.Hardswish())
        depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        self.middle = nn.Sequential(depthwise, nn.BatchNorm2d(wide), nn.Hardswish())
        self.weight = nn.Sequential(nn.Linear(wide, 8), nn.ReLU(), nn.Linear(8, wide), nn.Hardsigmoid())
        self.leave = nn.Sequential(nn.Conv2d(wide, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.middle(self.enter(x))
        return x + self.leave(y * self.weight(y.mean((2, 3)))[:, :, None, None])


def mobile() -> nn.Module:
    """Three blocks as of MobileNetV3."""
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)]
    return nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), *(Excited(16, 32) for _ in range(3)), *head)


def autoencoder() -> nn.Module:
    """Down to 32 numbers and up again, with group norm."""
    down = [nn.Conv2d(1, 12, 4, 2, 1), nn.GroupNorm(3, 12), nn.SiLU(), nn.Flatten(), nn.Linear(12 * 49, 32)]
    up = [nn.Linear(32, 12 * 49), nn.Unflatten(1, (12, 7, 7)), nn.GroupNorm(3, 12), nn.SiLU()]
    return nn.Sequential(*down, *up, nn.ConvTranspose2d(12, 1, 4, 2, 1))


def selu() -> nn.Module:
    """Eight layers that keep mean and variance by their activation."""
    layers: list[nn.Module] = [nn.Linear(784, 64), nn.SELU()]
    for _ in range(6):
        layers += [nn.Linear(64, 64), nn.SELU(), nn.AlphaDropout(0.05)]
    return nn.Sequential(*layers, nn.Linear(64, 1))


class Sine(nn.Module):
    """sin(30 W x), with the first weights of Sitzmann et al. (arXiv 2006.09661)."""

    def __init__(self, before: int, after: int, *, first: bool = False) -> None:
        super().__init__()
        self.layer = nn.Linear(before, after)
        reach = 1 / before if first else math.sqrt(6 / before) / 30
        nn.init.uniform_(self.layer.weight, -reach, reach)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(30 * self.layer(x))


class Set(nn.Module):
    """A network of every point, their mean, and a network of that."""

    def __init__(self) -> None:
        super().__init__()
        self.each, self.all = dense(2, 64, 64, activation=nn.ReLU), dense(64, 64, 1, activation=nn.ReLU)

    def forward(self, x: Tensor) -> Tensor:
        return self.all(self.each(x).mean(1))


class Messages(nn.Module):
    """Three rounds of messages along the edges of a graph, each node adding what its neighbours send."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(12, width))
        self.rounds = nn.ModuleList(dense(2 * width, width, width, activation=nn.ReLU) for _ in range(3))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.head = dense(width, width, 1, activation=nn.ReLU)

    def forward(self, joined: Tensor) -> Tensor:
        x = self.start.expand(len(joined), -1, -1)
        for told, norm in zip(self.rounds, self.norms, strict=True):
            x = x + told(torch.cat([norm(x), joined @ norm(x)], 2))
        return self.head(x.mean(1))


class Flow(nn.Module):
    """Six affine couplings; gives back the place in the plane of a normal law and the logarithm of the volume there."""

    def __init__(self) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(dense(1, 32, 32, 2, activation=nn.Tanh) for _ in range(6))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x[:, :1], x[:, 1:]
        volume = torch.zeros_like(a)
        for coupling in self.couplings:
            scale, shift = coupling(a).chunk(2, 1)
            a, b = b * scale.tanh().exp() + shift, a
            volume = volume + scale.tanh()
        return torch.cat([a, b], 1), volume


def unlikelihood(found: tuple[Tensor, Tensor], _: Tensor) -> Tensor:
    """Minus the mean logarithm of the density."""
    place, volume = found
    return (place.square().sum(1, keepdim=True) / 2 - volume).mean() + math.log(2 * math.pi)


class Views(nn.Module):
    """Two halves of a picture by one network, as directions."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Flatten(), dense(98, 64, 64, 16, activation=nn.GELU))

    def forward(self, x: Tensor) -> Tensor:
        left, right = F.normalize(self.network(x[..., :7]), dim=1), F.normalize(self.network(x[..., 7:].flip(3)), dim=1)
        return 10 * left @ right.T


def contrast(likeness: Tensor, _: Tensor) -> Tensor:
    """Every half is to find its other half in the batch (InfoNCE)."""
    return F.cross_entropy(likeness, torch.arange(len(likeness)))


def siren() -> nn.Module:
    """Three layers of sines."""
    return nn.Sequential(Sine(2, 48, first=True), Sine(48, 48), Sine(48, 48), nn.Linear(48, 1))


def narrow(width: int, depth: int, activation: type[nn.Module], gain: float) -> nn.Module:
    """A chain of as many hidden layers as units in them, or more, with orthogonal weights."""
    network = dense(784, *[width] * depth, 10, activation=activation)
    for layer in network[::2]:
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return network


def narrow_convolutions() -> nn.Module:
    """Eight layers of six channels, averaged over places at the end."""
    layers: list[nn.Module] = []
    for before in (1, *[6] * 7):
        convolution = nn.Conv2d(before, 6, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight)
        layers += [convolution, nn.ELU()]
    return nn.Sequential(nn.AvgPool2d(2), *layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 10))


LATER = (
    Network("ReLU MLP of a table", lambda: dense(10, 64, 64, 64, 1, activation=nn.ReLU), prices, nn.HuberLoss(), 32),
    Network("SIREN", siren, one_picture, "mse"),
    Network("deep sets", Set, sets, nn.HuberLoss(), 16),
    Network("two views", Views, small_images, contrast),
    Network("SELU MLP", selu, shirts, nn.BCEWithLogitsLoss()),
    Network("graphs", Messages, graphs, "mse", 32),
    Network("autoencoder", autoencoder, given_back, "mse", 32),
    Network("flow", Flow, moons, unlikelihood),
    Network("bag of embeddings", Bag, letters, "cross_entropy", 32),
    Network("dilated convolutions", Dilated, text, "cross_entropy", 8),
    Network("GRU", GRU, small_images, "cross_entropy"),
    Network("MobileNet", mobile, small_images, "cross_entropy", 32),
    Network("Transformer, norms behind", PostNorm, letters, "cross_entropy", 32),
    Network("20 GELU layers, 12 wide", lambda: narrow(12, 20, nn.GELU, 1.5), flat_images, "cross_entropy", 32),
    Network("12 tanh layers, 12 wide", lambda: narrow(12, 12, nn.Tanh, 1.1), flat_images, "cross_entropy", 16),
    Network("24 ELU layers, 20 wide", lambda: narrow(20, 24, nn.ELU, 1.1), flat_images, "cross_entropy"),
    Network("narrow convolutions", narrow_convolutions, small_images, "cross_entropy", 32),
)
