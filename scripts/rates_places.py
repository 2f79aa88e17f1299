"""The rate from the start alone where a sample has numbers at several places: six networks that made no rule, beside a search.

``python scripts/rates_places.py`` trains what is missing, a line of JSON a run in docs/rates/places.jsonl, and prints how the
rule of the package does. Pictures are given back without noise, in twice the size, or a row ahead; no network is a U-Net. Rates
are a factor of 2 apart, a loss is the mean of the last 50 of 200 steps, of one seed.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freeness.torch import given_loss
from freeness.torch.rate.starts import rate_facts
from freeness.training import SGD, start_rate
from rates import Store, loss_in, run_at
from rates_networks import Added, Data, Network, Transformer, images, noisy_images, small_images

GOOD, SAMPLES = 1.05, 512
FIRST, FACTOR, MOST, WORSE = {"sgd": 0.1, "momentum": 0.03, "adamw": 0.003}, 2.0, 14, 1.5


def chain(activation: type[nn.Module], width: int = 12) -> nn.Module:
    """Four convolutions."""
    middle = [part for _ in range(2) for part in (nn.Conv2d(width, width, 3, padding=1), activation())]
    return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), activation(), *middle, nn.Conv2d(width, 1, 3, padding=1))


def residual() -> nn.Module:
    """Two blocks of convolutions between two others."""
    blocks = [Added(nn.Conv2d(16, 16, 3, padding=1), nn.GELU(), nn.Conv2d(16, 16, 3, padding=1)) for _ in range(2)]
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), *blocks, nn.Conv2d(16, 1, 3, padding=1))


def larger() -> nn.Module:
    """From 14 by 14 to 28 by 28 pixels."""
    first = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*first, nn.ConvTranspose2d(16, 8, 2, 2), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))


class Patches(nn.Module):
    """A Transformer that gives patches of 49 pixels back."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Transformer(16, 32, 2, patch=7)
        self.body.head = nn.Linear(32, 49)

    def forward(self, x: Tensor) -> Tensor:
        x = F.unfold(x, 7, stride=7).transpose(1, 2)
        x = self.body.enter(x) + self.body.places
        for block in self.body.blocks:
            x = block(x)
        return self.body.head(self.body.norm(x))


class Ahead(nn.Module):
    """A GRU that tells the next row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.head = nn.GRU(14, 32, batch_first=True), nn.Linear(32, 14)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rows(x)[0])


def twice_as_large() -> Data:
    """Small images and the large ones."""
    return small_images()[0], images()[0]


def noisy_patches() -> Data:
    """Images with noise, and 16 patches of them without."""
    x = images()[0]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return x + noise, F.unfold(x, 7, stride=7).transpose(1, 2).contiguous()


def next_rows() -> Data:
    """Rows of the small images, and the rows behind them."""
    x = small_images()[0][:, 0]
    return x[:, :-1].contiguous(), x[:, 1:].contiguous()


NETWORKS = (
    Network("convolutions, tanh", lambda: chain(nn.Tanh), noisy_images, "mse", 32),
    Network("convolutions, ReLU", lambda: chain(nn.ReLU), noisy_images, "half_squared_error", 32),
    Network("residual convolutions", residual, noisy_images, "mse", 16),
    Network("twice as large", larger, twice_as_large, "mse", 32),
    Network("Transformer on patches", Patches, noisy_patches, "mse", 32),
    Network("GRU, a row ahead", Ahead, next_rows, "mse", 32),
)


def searched(store: Store, network: Network, optimizer: str) -> dict[float, float]:
    """Loss by rate, from the middle on until both ends are worse by half."""
    middle = FIRST[optimizer] / (200 if network.loss == "half_squared_error" and optimizer != "adamw" else 1)

    def at(place: int) -> float:
        rate = middle * FACTOR**place
        key = {"network": network.name, "optimizer": optimizer, "place": place}
        return loss_in(store.once(lambda: run_at(network, optimizer, rate, 0, store.steps), **key))

    losses = {0: at(0)}
    for side in (1, -1):
        for count in range(1, MOST):
            losses[side * count] = at(side * count)
            if losses[side * count] > WORSE * min(losses.values()):
                break
    return {middle * FACTOR**place: losses[place] for place in sorted(losses)}


def main() -> None:
    """Train, and print how the rule does."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    store = Store(Path("docs/rates/places.jsonl"))
    rows = []
    for network in NETWORKS:
        for optimizer in FIRST:
            losses = searched(store, network, optimizer)
            inputs, targets = (part[:SAMPLES] for part in network.data())
            descent = optimizer if optimizer == "adamw" else SGD(momentum=0.9 if optimizer == "momentum" else 0.0)
            facts = rate_facts(
                network.started(0).train(), (inputs, targets), network.loss, descent, (network.batch, True)
            )
            rate = start_rate(facts, given_loss(network.loss), descent)
            least = min(losses.values())
            heights = [math.log(min(loss, 1e9)) for loss in losses.values()]
            loss = math.exp(np.interp(math.log(rate.recommended), np.log(list(losses)), heights)) / least
            good = [one for one, height in losses.items() if height <= GOOD * least]
            off = max(good[0] / rate.recommended, rate.recommended / good[-1], 1.0)
            low, high = rate.low or 0.0, rate.high or math.inf
            rows.append((loss, off, low <= good[-1] and good[0] <= high))
            told = f"{rate.recommended:.2g} | {low:.2g} to {high:.2g} | {good[0]:.2g} to {good[-1]:.2g}"
            print(f"| {network.name}, {optimizer} | {told} | {loss:.2f} | {off:.1f} |", flush=True)
    for name, count in (
        ("within 10 %", sum(loss <= 1.1 for loss, *_ in rows)),
        ("interval holds one as good", sum(held for *_, held in rows)),
        ("more than 3 times off", sum(off > 3 for _, off, _ in rows)),
    ):
        print(f"{name}: {count} of {len(rows)}")


if __name__ == "__main__":
    main()
