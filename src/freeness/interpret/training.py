"""Training by the designed learning rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from freeness.advice import Progress, Report
from freeness.errors import InputError, is_real, is_size
from freeness.interpret.rate import descent_of, designed_rate
from freeness.training import SGD, Rate

Batches = Iterable[tuple[Tensor, Tensor]]
Watch = Callable[[int], object]


@dataclass(frozen=True)
class FitOptions:
    """How :func:`fit` trains.

    Args:
        epochs: passes over the data, ≥ 1.
        optimizer: "sgd", "momentum" (β = 0.9) or "nesterov". At the designed rates the last two go nine times as far and are
            too fast for networks of some tens of neurons: docs/interpretation.md.
        rate: the learning rate; designed when left out.
        watch: called with the number of steps done, before the first and after every pass.
    """

    epochs: int = 2
    optimizer: SGD | str = "sgd"
    rate: float | None = None
    watch: Watch | None = None

    def __post_init__(self) -> None:
        if not is_size(self.epochs):
            raise InputError(f"expected a whole number of epochs ≥ 1, got {self.epochs!r}; correct it.")
        descent_of(self.optimizer)
        if self.rate is not None and not (is_real(self.rate) and self.rate > 0):
            raise InputError(f"expected a learning rate > 0, got {self.rate!r}; leave it out to have it designed.")


@dataclass(frozen=True)
class Fit:
    """The rate and where it is from (None if it was given), the mean loss of every pass, steps and seconds."""

    rate: float
    designed: Rate | None
    losses: tuple[float, ...]
    steps: int
    seconds: float


def fit(model: nn.Module, data: Batches, options: FitOptions | None = None, progress: Report | None = None) -> Fit:
    """Train a classifier by cross-entropy, at the rate that its curvature on the first batch asks for.

    The order of the samples, and so the random numbers that are used, are the loader's own affair. The model is trained
    in place and left in the mode in which it was found.

    Args:
        model: maps inputs (n, …) to logits (n, K); an :class:`IdentityMLP` or any other module.
        data: a DataLoader, or anything that can be gone through several times and yields (inputs, class indices).
        options: epochs, optimizer, rate.
        progress: told before every pass.

    Raises:
        InputError: no batches, batches that are not pairs, labels that are not class indices below K, or a loss that is
            not finite any more.

    Example:
        >>> images = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
        >>> labels = (images[:, 0] > 0).long()
        >>> from freeness.interpret import IdentityMLP
        >>> found = fit(IdentityMLP(6, classes=2, depth=5), [(images, labels)], FitOptions(epochs=40))
        >>> found.losses[-1] < 0.5 * found.losses[0], found.steps
        (True, 40)
    """
    how = options or FitOptions()
    first = _first(data)
    designed = designed_rate(model, *first, how.optimizer) if how.rate is None else None
    rate = how.rate if designed is None else designed.recommended
    assert rate is not None
    watch = how.watch or (lambda step: None)
    descent = descent_of(how.optimizer)
    optimizer = torch.optim.SGD(model.parameters(), rate, descent.momentum, nesterov=descent.nesterov)
    losses, steps, start, mode = [], 0, time.perf_counter(), model.training
    model.train()
    try:
        watch(0)
        for epoch in range(how.epochs):
            if progress is not None:
                progress(Progress(f"training, pass {epoch + 1}", epoch, how.epochs))
            found = [_step(model, optimizer, batch) for batch in data]
            steps += len(found)
            losses.append(sum(loss * size for loss, size in found) / sum(size for _, size in found))
            watch(steps)
    finally:
        model.train(mode)
        optimizer.zero_grad(set_to_none=True)
    return Fit(rate, designed, tuple(losses), steps, time.perf_counter() - start)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor]) -> tuple[float, int]:
    inputs, labels = batch
    optimizer.zero_grad(set_to_none=True)
    logits = model(inputs)
    _check_labels(labels, logits.shape[1])
    loss = nn.functional.cross_entropy(logits, labels.long())
    loss.backward()
    optimizer.step()
    value = float(loss.detach())
    if not value < float("inf"):
        raise InputError("expected a finite loss, got NaN or infinity; lower the rate, or check the data.")
    return value, len(inputs)


def _first(data: Batches) -> tuple[Tensor, Tensor]:
    batch = next(iter(data), None)
    if batch is None:
        raise InputError(
            "expected a loader with at least one batch, got none; give it data that can be gone through again."
        )
    pair = isinstance(batch, (tuple, list)) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)
    if not pair or len(batch[0]) != len(batch[1]) or batch[1].ndim != 1:
        raise InputError(
            "expected batches (inputs, class indices) with one index a sample, got something else; use a DataLoader over "
            "TensorDataset(inputs, labels), for instance."
        )
    if batch[1].is_floating_point() or batch[1].is_complex():
        raise InputError(f"expected class indices, got {batch[1].dtype}; convert them to whole numbers.")
    return batch[0], batch[1]


def _check_labels(labels: Tensor, classes: int) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"expected labels from 0 to {classes - 1}, got {low if low < 0 else high}: the data has more classes than "
            "the network was built for; build it with classes=… as many as there are."
        )
