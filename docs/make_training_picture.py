"""Draws training.png, the first picture of the README: 50 layers by PyTorch's default and by design.

Run in the root of the repository: `OMP_NUM_THREADS=1 PYTHONPATH=. python docs/make_training_picture.py`, half a minute.
Networks, data and rates are those of scripts/design_accuracy.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scripts.design_accuracy import BATCH, RATES, SEEDS, Split, default, designed, images
from torch import nn

from freeness.show import style

PICTURE = Path(__file__).resolve().parent / "training.png"
DEPTH, EPOCHS, EVERY = 50, 3, 7
Drawn = Callable[[int], tuple[nn.Module, float]]


def curve(draw: Drawn, data: tuple[Split, Split, float]) -> np.ndarray:
    """Test accuracy along training, (visits,), the mean over the seeds."""
    return np.mean([_trained(*draw(seed), seed, data) for seed in SEEDS], axis=0)


def _trained(network: nn.Module, rate: float, seed: int, data: tuple[Split, Split, float]) -> list[float]:
    (x, y), (other, labels), _ = data
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    order, told, step = torch.Generator().manual_seed(seed), [], 0
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(x), generator=order).split(BATCH):
            if step % EVERY == 0:
                with torch.no_grad():
                    told.append(float((network(other).argmax(1) == labels).float().mean()))
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[chosen]), y[chosen]).backward()
            optimizer.step()
            step += 1
    return told


def main() -> int:
    """Train, and draw."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    data = images()
    rate = designed(DEPTH, "tanh", 0, data[2])[1]
    found = curve(lambda seed: designed(DEPTH, "tanh", seed, data[2]), data)
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.subplots()
    steps = EVERY * np.arange(len(found))
    axes.plot(steps, 100 * found, color=style.THEORY, lw=2.2)
    for each in RATES:
        usual = curve(lambda seed, each=each: (default(DEPTH, "tanh", seed), each), data)
        axes.plot(steps, 100 * usual, color=style.RED, lw=1.6)
    tried = ", ".join(f"{each:g}" for each in RATES[:-1]) + f" and {RATES[-1]:g}"
    beside = {"textcoords": "offset points", "ha": "right", "fontsize": 10.5}
    axes.annotate(
        f"started by freeness, at its rate {rate:.2g}", (steps[-1], 84), xytext=(-6, 0), color=style.THEORY, **beside
    )
    axes.annotate(
        f"PyTorch's start, at the rates {tried}: chance", (steps[-1], 14), xytext=(-6, 0), color=style.RED, **beside
    )
    axes.set(xlabel="steps of SGD, 32 images each", ylabel="test accuracy, %", ylim=(0, 100), xlim=(0, steps[-1]))
    axes.set_title("A 50-layer tanh network on Fashion-MNIST", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
