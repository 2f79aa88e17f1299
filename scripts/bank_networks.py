"""The networks of the learning-rate bank: which, how they start, on which images; and which half is held out.

Every combination of batch, loss and optimiser meets eight networks: two shallow and two deep multilayer perceptrons, two
residual networks and two convolutional ones, drawn by a fixed seed. One of each pair, by the same seed, was held out; as the
first rule diverged on it, it helped to make the second, and 24 fresh networks of another seed were held out from that one. All of
these, and 96 more, made the fourth rule; 48 unseen networks were held out from it, and then helped to make the fifth, which
twice another 48 judge.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Literal

import torch
from torch import Tensor, nn

import freeness as fr
from freeness.advice import DesignOptions
from freeness.data import load_fashion_mnist
from freeness.torch import InitializeOptions, initialize_

SEED, FRESH, MORE, UNSEEN, JUDGED, LAST_SEED = 8, 11, 12, 13, 14, 15
STEPS = 200
LAST = (180, 190, 200)  # the loss after k = 200 steps is the mean over these, which is less noisy
SEEDS = (0, 1, 2)
CLASSES = 10
EVALUATED = 256  # of the training images
ACTIVATIONS = {"tanh": nn.Tanh, "hardtanh": nn.Hardtanh, "gelu": nn.GELU, "relu": nn.ReLU}
_SHALLOW, _DEEP, _BLOCKS, _CONVOLUTIONS = (5, 10), (20, 40, 60), (4, 10, 20), (3, 5)
Kind = Literal["mlp", "residual", "cnn"]
Start = Literal["default", "design", "critical"]
Half = Literal["tuned", "held out", "fresh", "more", "unseen", "judged", "last"]
STARTS: tuple[Start, ...] = ("default", "design", "critical")
_FAMILIES: tuple[tuple[Kind, tuple[int, ...]], ...] = (
    ("mlp", _SHALLOW),
    ("mlp", _DEEP),
    ("residual", _BLOCKS),
    ("cnn", _CONVOLUTIONS),
)


@dataclass(frozen=True)
class Case:
    """One network with the way it is trained."""

    kind: Kind
    activation: str
    depth: int
    start: Start
    norm: bool
    batch: int
    loss: str
    optimizer: str
    half: Half

    @property
    def name(self) -> str:
        """One line that tells the case from all others."""
        norm = "+norm" if self.norm else ""
        loss = {"half_squared_error": "½Σ", "cross_entropy": "CE"}[self.loss]
        return f"{self.kind}{norm} {self.activation} L={self.depth} {self.start} B={self.batch} {loss} {self.optimizer}"


def bank() -> list[Case]:
    """96 cases, half once held out, 24 fresh ones, 96 more, 48 unseen, 48 judged and 48 last ones; the same in every run."""
    cases = _drawn(SEED, [])
    fresh = [replace(case, half="fresh") for case in _drawn(FRESH, cases) if case.half == "held out"]
    cases += [case for place, case in enumerate(fresh) if (place // 4 + place) % 2 == 0]
    cases += [replace(case, half="more") for case in _drawn(MORE, cases)]
    for seed, half in ((UNSEEN, "unseen"), (JUDGED, "judged"), (LAST_SEED, "last")):
        cases += [replace(case, half=half) for case in _drawn(seed, cases) if case.half == "held out"]
    return cases


def _drawn(seed: int, others: list[Case]) -> list[Case]:
    draw = random.Random(seed)
    losses: tuple[str, ...] = ("half_squared_error", "cross_entropy")
    optimizers: tuple[str, ...] = ("sgd", "momentum", "adam")
    cases: list[Case] = []
    for batch, loss, optimizer in product((1, 64), losses, optimizers):
        for kind, depths in _FAMILIES:
            halves: list[Half] = ["tuned", "held out"]
            draw.shuffle(halves)
            for half in halves:
                start = draw.choice(STARTS)
                norm = kind == "residual" and draw.random() < 0.5
                activation, depth = draw.choice(list(ACTIVATIONS)), draw.choice(depths)
                case = Case(kind, activation, depth, start, norm, batch, loss, optimizer, half)
                cases.append(_unlike(case, {known.name for known in others + cases}))
    return cases


def _unlike(case: Case, known: set[str]) -> Case:
    """The next one that stands in no other part: of another activation, or if there is none of another start."""
    names, starts = list(ACTIVATIONS), list(STARTS)
    names = names[names.index(case.activation) :] + names[: names.index(case.activation)]
    starts = starts[starts.index(case.start) :] + starts[: starts.index(case.start)]
    others = (replace(case, activation=name, start=start) for start, name in product(starts, names))
    return next(other for other in others if other.name not in known)


# --- models -------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """x + β·W₂ φ(W₁ φ(x)), φ behind a layer normalisation if asked for, β = 1/√blocks."""

    def __init__(self, width: int, activation: str, scale: float, norm: bool) -> None:
        super().__init__()
        act = ACTIVATIONS[activation]
        self.branch = nn.Sequential(
            nn.LayerNorm(width) if norm else nn.Identity(),
            act(),
            nn.Linear(width, width),
            act(),
            nn.Linear(width, width),
        )
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.branch(x)


def model(case: Case, seed: int) -> nn.Module:
    """The network as it starts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000 + seed)
        if case.kind == "mlp":
            return _started(_mlp(case), case, seed)
        return _started(_residual(case) if case.kind == "residual" else _cnn(case), case, seed)


def _mlp(case: Case) -> nn.Sequential:
    width = 128 if case.depth in _SHALLOW else 64
    sizes = [784] + [width] * (case.depth - 1) + [CLASSES]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), ACTIVATIONS[case.activation]()]
    return nn.Sequential(*layers[:-1])


def _residual(case: Case) -> nn.Sequential:
    width = 64
    blocks = [Block(width, case.activation, case.depth**-0.5, case.norm) for _ in range(case.depth)]
    head = [nn.LayerNorm(width)] if case.norm else []
    return nn.Sequential(nn.Linear(784, width), *blocks, *head, nn.Linear(width, CLASSES))


def _cnn(case: Case) -> nn.Sequential:
    """Images averaged to 14×14, stride 2 in the first two of the convolutions."""
    act = ACTIVATIONS[case.activation]
    channels = [1, 8] + [16] * (case.depth - 1)
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 28, 28)), nn.AvgPool2d(2)]
    for index, (before, after) in enumerate(pairwise(channels)):
        layers += [nn.Conv2d(before, after, 3, stride=2 if index < 2 else 1, padding=1), act()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 4 * 4, CLASSES))


def _started(network: nn.Module, case: Case, seed: int) -> nn.Module:
    """torch's start, fr.design's, or Gaussian weights with χ₁ = 1 at q = 1 (He for ReLU)."""
    generator = torch.Generator().manual_seed(seed)
    if case.start == "default":
        return network
    if case.start == "design" and case.kind == "mlp":
        widths = [layer.in_features for layer in network.modules() if isinstance(layer, nn.Linear)] + [CLASSES]
        swap = case.activation == "gelu"  # lengths of the plain design of GELU are unstable, as its reasons say
        options = DesignOptions(form="normalised" if swap else "plain")
        found = fr.design(case.depth, widths, case.activation, options=options)
        initialize_(network, found, generator=generator, options=InitializeOptions(swap=swap))
        return network
    edge = {"tanh": (2.1533**0.5, 0.15096**0.5), "hardtanh": (1.46479**0.5, 0.24408**0.5)}
    sigma_w, sigma_b = edge.get(case.activation, (2**0.5, 0.0))
    initialize_(network, "haar" if case.start == "design" else "gaussian", sigma_w, sigma_b, generator=generator)
    return network


# --- data ---------------------------------------------------------------------------------------------------------


def images(case: Case) -> tuple[Tensor, Tensor]:
    """The 2,000 bundled training images, standardised, with targets that fit the loss."""
    bundled = load_fashion_mnist("train")
    x = torch.from_numpy(bundled.flattened()).float()
    x = (x - x.mean()) / x.std()
    labels = torch.from_numpy(bundled.labels).long()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(SEED))
    x, labels = x[order], labels[order]
    if case.loss == "cross_entropy":
        return x, labels
    return x, nn.functional.one_hot(labels, CLASSES).float()


def order(batch: int, samples: int, seed: int) -> Tensor:
    """(steps, batch) indices of the samples of a seed: passes over the data, each in a new order."""
    generator = torch.Generator().manual_seed(seed)
    passes = -(-STEPS * batch // samples)
    shuffled = [torch.randperm(samples, generator=generator) for _ in range(passes)]
    return torch.cat(shuffled)[: STEPS * batch].reshape(STEPS, batch)
