"""A look at a network in training: accuracy and loss on held-out images, and what else was asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from freeness.errors import FreenessError
from freeness.experiments.data import Images
from freeness.experiments.losses import loss_and_pull
from freeness.experiments.specification import Cell
from freeness.torch import batch_sharpness, freeness_test
from freeness.training import CrossEntropy, loss_of

_AT_ONCE = 1000  # images of a forward pass
_SHARPNESS_BATCH = 64  # images, unless the batch of training is larger


@dataclass(frozen=True)
class Look:
    """Share of test images told right, mean test loss, and on request λ_max of the batch GGN and the largest freeness score.

    A number that does not exist (of weights that are not finite, of a network that cannot be tested) is None.
    """

    step: int
    accuracy: float
    loss: float | None
    sharpness: float | None = None
    freeness: float | None = None

    def at(self, step: int) -> Look:
        """The same numbers at another step."""
        return replace(self, step=step)


def look_at(model: nn.Module, cell: Cell, images: tuple[Images, Images], step: int) -> Look:
    """Look at one member."""
    train, test = images
    right, total = 0, 0.0
    device = next(model.parameters()).device
    with torch.no_grad():
        for start in range(0, len(test), _AT_ONCE):
            x, y = test.__getitems__(range(start, min(start + _AT_ONCE, len(test))))
            outputs, y = model(x.to(device)), y.to(device)
            finite = torch.isfinite(outputs).all(dim=1)
            right += int(((outputs.argmax(dim=1) == y) & finite).sum())
            total += float(loss_and_pull(cell.loss, outputs[:, None], y[:, None])[0].double().sum())
    loss = total / len(test)
    sharpness = _sharpness(model, cell, train) if "sharpness" in cell.metrics and math.isfinite(loss) else None
    freeness = _freeness(model, train) if "freeness" in cell.metrics and math.isfinite(loss) else None
    return Look(step, right / len(test), loss if math.isfinite(loss) else None, sharpness, freeness)


def _first(images: Images, count: int) -> tuple[Tensor, Tensor]:
    return images.__getitems__(range(min(count, len(images))))


def _sharpness(model: nn.Module, cell: Cell, train: Images) -> float | None:
    x, y = _first(train, max(_SHARPNESS_BATCH, cell.batch) if cell.batch > 1 else 1)
    targets = y if isinstance(loss_of(cell.loss), CrossEntropy) else nn.functional.one_hot(y, cell.outputs).to(x)
    model.requires_grad_(True)
    try:
        return batch_sharpness(model, x, targets, cell.loss).value
    except FreenessError:
        return None
    finally:
        model.requires_grad_(False)


def _freeness(model: nn.Module, train: Images) -> float | None:
    try:
        return freeness_test(model, _first(train, 1)[0]).largest
    except FreenessError:
        return None
