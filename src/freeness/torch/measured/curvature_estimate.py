"""The sharpness of a batch from a given number of products: few samples first, then all of them from where these led."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Shaped
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.torch.loss.adapted import adapted
from freeness.torch.loss.given import GivenLoss
from freeness.torch.measured.curvature import CurvatureOptions, measured
from freeness.torch.measured.gauss_newton import GaussNewton, Parts
from freeness.torch.measured.products import Products
from freeness.torch.measured.ritz import FEWEST, Climb, climb
from freeness.torch.model.pace import TimeUp, beat, remaining

_LOG = logging.getLogger(__name__)
_CLOSE = 2e-3  # residual over value at which an estimate is good enough
_RANDOM = 0.1  # of the start: what samples that were left out may hide
_KEPT = 1 << 26  # numbers of a basis at most
_LEAST = 2  # products with the whole batch, from where few samples led
_TOGETHER = 4  # samples at least that share their statistics
_PASSED = 0.4  # products that a forward pass with its graph is worth


@dataclass(frozen=True)
class Effort:
    """Products with the whole batch, and with ``few`` samples before them.

    ``part``: samples whose graph is held at a time; all of them, in one graph that is kept, when None.
    """

    products: int = 24
    coarse: int = 12
    few: int = 2
    part: int | None = None


@dataclass(frozen=True)
class SharpnessEstimate:
    """λ_max, what it may be off, and the products that it took, with so many samples of the batch."""

    value: float
    error: float
    products: int
    samples: int


def estimated_sharpness(
    model: nn.Module,
    inputs: Shaped[Tensor, "samples ..."],
    targets: Shaped[Tensor, "samples ..."],
    loss: GivenLoss,
    options: CurvatureOptions | None = None,
    effort: Effort | None = None,
) -> SharpnessEstimate:
    """λ_max of the batch GGN from so many products that they fit a budget.

    Lanczos on a few samples finds a direction in the parameters that is nearly that of the whole batch, because samples share
    most of what the outputs do with the parameters. Where several eigenvalues are alike it is a sum of their directions, since
    which of them is the largest on the whole batch is not known yet. From there Lanczos on the whole batch needs few products.
    Each product is one pass with derivatives carried forward, and one backward. Two of them are taken at least, and six from a
    start that knows nothing. What one takes is measured: where the time does not allow so many with all samples, they are with
    the first half of these, or half of that. Where time ends before, λ is that of the few samples.

    Args:
        model: as in :func:`~freeness.torch.batch_sharpness`.
        inputs: the batch, (B, …).
        targets: as in :func:`~freeness.torch.batch_sharpness`.
        loss: as in :func:`~freeness.torch.batch_sharpness`.
        options: preconditioner and mode; the matrix is the GGN.
        effort: products with the matrix that are allowed, and samples of each.

    Raises:
        InputError: as :func:`~freeness.torch.batch_sharpness`.

    Example:
        >>> import torch
        >>> model = nn.Linear(2, 1, bias=False).double()
        >>> x = torch.tensor([[3.0, 4.0], [0.0, 1.0]]).double()
        >>> found = estimated_sharpness(model, x, torch.zeros(2, 1).double(), "half_squared_error")
        >>> exact = torch.linalg.eigvalsh(x.T @ x / 2)[-1].item()
        >>> abs(found.value - exact) < 1e-9
        True
    """
    how, work = options or CurvatureOptions(), effort or Effort()
    if how.matrix != "ggn":
        raise InputError(f'expected the matrix "ggn" for an estimate, got {how.matrix!r}; take batch_sharpness.')
    model, loss = adapted(model, (inputs, targets), loss)
    with measured(model, (inputs, targets), loss, how.training) as (ready, x, y):
        few = _few((x, y), work)
        first = _coarse(ready, few, loss, how, work) if few else None
        parts = Parts(how.preconditioner, work.part, first.way if first else None)
        try:
            whole = (
                _opened(ready, (x, y), loss, parts) if first is None else _afforded(ready, (x, y), loss, parts, first)
            )
            found, samples = _climbed(whole, first, work), whole.samples
        except TimeUp:  # λ of a few samples is better than none
            if first is None:
                raise
            found, samples = first.climb, first.samples
    return SharpnessEstimate(found.value, found.error, found.steps, samples)


class _First(NamedTuple):
    """What so few samples gave: λ, its direction in the parameters, the way of products that works, seconds of one a sample."""

    samples: int
    climb: Climb
    direction: list[Tensor]
    way: type[Products]
    seconds: float


def _opened(model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss, parts: Parts) -> GaussNewton:
    """The matrix of as many samples as there is time for, which the check of its first product tells."""
    while True:
        begun = time.monotonic()
        found = GaussNewton(model, data, loss, parts)
        seconds = (time.monotonic() - begun) / (1 + _PASSED)
        count = _affordable(found.samples, FEWEST * seconds, _TOGETHER)
        if count == found.samples:
            return found
        data, parts = (data[0][:count], data[1][:count]), parts._replace(known=found.way)
        del found


def _afforded(
    model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss, parts: Parts, first: _First
) -> GaussNewton:
    """The same, where products with few samples tell it."""
    beat(0.0)
    seconds = (_LEAST + _PASSED) * first.seconds * len(data[0])
    count = _affordable(len(data[0]), seconds, first.samples)
    if count <= first.samples:
        raise TimeUp("the time allows few samples")
    return GaussNewton(model, (data[0][:count], data[1][:count]), loss, parts)


def _affordable(samples: int, seconds: float, fewest: int) -> int:
    """All samples, half of them, or half of that: what takes the time that is left, where all of them take so many seconds."""
    while samples // 2 >= fewest and seconds > remaining():
        samples, seconds = samples // 2, seconds / 2
    return samples


def _climbed(whole: GaussNewton, first: _First | None, work: Effort) -> Climb:
    """λ of all samples, from where a few of them led."""
    start = whole.random()
    if first is not None and bool((led := whole.lower(first.direction)).any()):
        beat()
        start = led / led.norm() + _RANDOM * start / start.norm()
    steps = min(work.products, whole.size)
    least, kept = _LEAST if first is not None else FEWEST, _keeps(whole, work.products)
    return climb(whole.product, start, steps, keep=kept, tolerance=_CLOSE, least=least)


def _few(data: tuple[Tensor, Tensor], work: Effort) -> tuple[Tensor, Tensor] | None:
    """Some samples of the batch; None where these are all, or where none come first."""
    step = max(len(data[0]) // work.few, 1)
    x, y = data[0][::step][: work.few], data[1][::step][: work.few]
    return None if len(x) == len(data[0]) or work.coarse < 1 else (x, y)


def _keeps(matrix: GaussNewton, steps: int) -> bool:
    return matrix.size * steps <= _KEPT


def _coarse(
    model: nn.Module, few: tuple[Tensor, Tensor], loss: GivenLoss, how: CurvatureOptions, work: Effort
) -> _First | None:
    """λ of a few samples; None where they cannot be run alone."""
    begun = time.monotonic()
    try:
        matrix = GaussNewton(model, few, loss, Parts(how.preconditioner, work.part))
        steps, kept = min(work.coarse, matrix.size), _keeps(matrix, work.coarse)
        found = climb(matrix.product, matrix.random(), steps, keep=kept, least=FEWEST)
    except (RuntimeError, ValueError) as error:  # batch normalisation asks for several samples
        _LOG.info("no first direction from %d samples: %s", len(few[0]), brief(error))
        return None
    seconds = (time.monotonic() - begun) / (found.steps + 1 + _PASSED) / matrix.samples
    if found.leading is None:
        return None
    return _First(matrix.samples, found, matrix.lift(found.leading), matrix.way, seconds)
