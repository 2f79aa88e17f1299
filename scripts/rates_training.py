"""One run of training at one rate, as all ways to choose a rate are judged by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from freeness.torch import criterion, given_loss
from rates_networks import Network

STEPS, JUDGED = 200, 50  # a loss is the mean over the last of these steps
Maker = Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer]
MAKERS: dict[str, Maker] = {
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate),
    "adamw": lambda parameters, rate: torch.optim.AdamW(parameters, lr=rate),
    "momentum": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
}


def trained(network: Network, make: Callable[[nn.Module], Any], seed: int, steps: int = STEPS) -> list[float]:
    """The loss of every step of a run, before the step; shorter where it left the numbers."""
    model = network.started(seed).train()
    batches = network.batches(seed, steps)
    loss = network.loss if callable(network.loss) else criterion(given_loss(network.loss))
    optimizer, found = make(model), []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for inputs, targets in batches:
            optimizer.zero_grad()
            value = loss(model(inputs), targets)
            found.append(value.item())
            if not math.isfinite(found[-1]):
                break
            value.backward()
            optimizer.step()
    return found


def judged(losses: list[float], steps: int = STEPS) -> float:
    """The mean of the last steps; infinite where the run did not come to its end."""
    return sum(losses[-JUDGED:]) / JUDGED if len(losses) == steps and math.isfinite(losses[-1]) else math.inf
