"""torch-lr-finder: a range test of 100 steps for each initialisation, and the rate that its plot suggests."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import torch
from torch.utils.data import DataLoader, TensorDataset
from torch_lr_finder import LRFinder

from benchmarks import training
from benchmarks.measure import Row, run

START, END, STEPS = 1e-5, 10.0, 100


def _suggested(batch: int, seed: int) -> tuple[float, int]:
    """The rate, and the steps that it took."""
    model = training.network(seed)
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(TensorDataset(*training.data()), batch_size=batch, shuffle=True, generator=generator)
    finder = LRFinder(model, torch.optim.SGD(model.parameters(), lr=START), training.half_squared_error, device="cpu")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        finder.range_test(loader, end_lr=END, num_iter=STEPS)
        figure, axes = plt.subplots()
        rate = float(finder.plot(ax=axes)[1])
        plt.close(figure)
    return rate, len(finder.history["lr"])


def _row(batch: int, ours: Callable[[int], Callable[[], list[float]]] = training.ours) -> Row:
    def loss(rates: list[tuple[float, int]]) -> float:
        return training.loss_at([rate for rate, _ in rates], batch)

    def told(ours: list[float], theirs: list[tuple[float, int]]) -> str:
        found, steps = [rate for rate, _ in theirs], math.ceil(sum(count for _, count in theirs) / len(theirs))
        return (
            f"its rates {' / '.join(f'{rate:.3g}' for rate in found)} (apart by {max(found) / min(found):.3g}×), {steps} steps "
            f"each; ours, no training: {' / '.join(f'{rate:.3g}' for rate in ours)}"
        )

    return Row(
        ours=ours(batch),
        theirs=lambda: [_suggested(batch, seed) for seed in training.SEEDS],
        error=lambda rates: training.loss_at(rates, batch),
        their_error=loss,
        measure="training loss after 200 steps at the rates",
        bar=None,
        remark=told,
    )


ROWS = {
    "learning rate, batch 1": lambda: _row(1),
    "learning rate, batch 64": lambda: _row(64),
    "learning rate, batch 1, ours by 2/λ_max": lambda: _row(1, training.linear),
    "learning rate, batch 64, ours by 2/λ_max": lambda: _row(64, training.linear),
}

if __name__ == "__main__":
    run(ROWS)
