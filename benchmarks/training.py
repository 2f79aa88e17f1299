"""The network of section C and how it is trained: 20 × 128, tanh, ½‖f - y‖², SGD, three initialisations.

The 2,000 bundled images of Fashion-MNIST, standardised, one-hot targets; weights Gaussian on the edge of chaos at q* = ½. What a
rate is worth is the loss of 256 training images after 200 steps, a mean over steps 180, 190, 200 and over initialisations;
whatever chooses the rate, the same batches follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn

from freeness.data import load_fashion_mnist
from freeness.torch import batch_sharpness, start_facts
from freeness.training import start_rate

torch.set_num_threads(1)
torch.set_flush_denormal(True)
LAYERS, WIDTH, CLASSES = 20, 128, 10
SIGMA_W, SIGMA_B = 1.68798**0.5, 0.03804**0.5
SEEDS, STEPS, LOOKED, EVALUATED = (0, 1, 2), 200, (180, 190, 200), 256


@cache
def data() -> tuple[Tensor, Tensor]:
    """Inputs (2000, 784) and targets (2000, 10), shuffled once."""
    images = load_fashion_mnist("train")
    x = torch.from_numpy(images.flattened()).float()
    y = nn.functional.one_hot(torch.from_numpy(images.labels).long(), CLASSES).float()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(8))
    return ((x - x.mean()) / x.std())[order], y[order]


def network(seed: int) -> nn.Sequential:
    """As it starts."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise([784] + [WIDTH] * (LAYERS - 1) + [CLASSES]):
        linear = nn.Linear(fan_in, fan_out)
        with torch.no_grad():
            linear.weight.normal_(0, SIGMA_W / fan_in**0.5, generator=generator)
            linear.bias.normal_(0, SIGMA_B, generator=generator)
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def half_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """½‖f - y‖², the mean over the batch."""
    return 0.5 * (outputs - targets).square().sum() / len(outputs)


def batches(batch: int, seed: int) -> Tensor:
    """(steps, batch) indices: passes over the data, each in a new order."""
    size = len(data()[0])
    generator = torch.Generator().manual_seed(100 + seed)
    passes = -(-STEPS * batch // size)
    return torch.cat([torch.randperm(size, generator=generator) for _ in range(passes)])[: STEPS * batch].view(
        -1, batch
    )


def trained(rate: float, batch: int, seed: int) -> float:
    """The loss after 200 steps of one initialisation; infinite where it left the numbers."""
    model, (x, y) = network(seed), data()
    optimizer, found = torch.optim.SGD(model.parameters(), lr=rate), []
    for step, chosen in enumerate(batches(batch, seed), 1):
        loss = half_squared_error(model(x[chosen]), y[chosen])
        if not math.isfinite(float(loss.detach())):
            return math.inf
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in LOOKED:
            with torch.no_grad():
                found.append(float(half_squared_error(model(x[:EVALUATED]), y[:EVALUATED])))
    return sum(found) / len(found) if all(math.isfinite(v) for v in found) else math.inf


def loss_at(rates: Sequence[float], batch: int) -> float:
    """The mean over the initialisations, each at its own rate."""
    return sum(trained(rate, batch, seed) for rate, seed in zip(rates, SEEDS, strict=True)) / len(SEEDS)


def ours(batch: int) -> Callable[[], list[float]]:
    """The recommended rate of each initialisation, without a step of training."""

    def job() -> list[float]:
        found = [start_facts(network(seed), data(), "half_squared_error", "sgd", batch=batch) for seed in SEEDS]
        return [start_rate(facts, "half_squared_error", "sgd").recommended for facts in found]

    data()
    return job


def linear(batch: int) -> Callable[[], list[float]]:
    """2/λ_max of the GGN of the first batch, where plain gradient descent on the linearised network ends."""

    def job() -> list[float]:
        x, y = data()
        found = [batch_sharpness(network(seed), x[:batch], y[:batch], "half_squared_error").value for seed in SEEDS]
        return [2 / value for value in found]

    data()
    return job
