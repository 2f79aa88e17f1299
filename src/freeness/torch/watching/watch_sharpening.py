"""λ of one batch along a training, and how one step is predicted to change it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from freeness.advice import REHEARSED
from freeness.errors import InputError
from freeness.torch.measured.hessian_products import drawn_direction, gradient_of, hessian_product, parts_of
from freeness.torch.measured.ritz import Climb, climb
from freeness.torch.model.state import trained_parameters, untouched
from freeness.torch.rate.critical import gradients_step
from freeness.torch.rate.next_step import first_rate, next_step
from freeness.torch.request.batch import Batch
from freeness.torch.request.batch_loss import LossOf

_PRODUCTS = 16, 6  # products for λ, and once a direction is known
_BEGUN, _LATEST = 20, 30  # steps behind the first visit between which the steps to come are rehearsed
_DISTINCT = 0.9  # share of the samples met that are new, below which the data come again
_HELD = 50_000_000  # numbers of the batches that are kept for it


def climbed_from(
    model: nn.Module, product: Callable[[Tensor], Tensor], direction: Tensor | None, products: tuple[int, int]
) -> Climb:
    """λ by Lanczos from the direction of the last visit, or from a drawn one.

    A direction of another length is not taken, for what is trained may change on the way; ``products`` from a drawn direction,
    and from a known one.
    """
    drawn = drawn_direction(model)
    known = direction is not None and len(direction) == len(drawn)
    return climb(product, direction if direction is not None and known else drawn, products[known])


class FirstBatch:
    """The batch that is visited first; λ of other batches differs by more than a training changes it."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, loss: LossOf) -> None:
        self._model, self._optimizer, self._loss = model, optimizer, loss
        self._batch: Batch | None = None
        self._direction: Tensor | None = None
        self._met: list[Batch] = []  # since the first visit, for the rehearsal
        self.meets = False  # whether batches are kept

    def met(self, batch: Batch) -> None:
        """A step was taken on this batch."""
        self._met.append(_copied(batch))
        self.meets = len(self._met) <= _LATEST and sum(map(_numbers, self._met)) <= _HELD
        if not self.meets:
            self._met = []

    def visited(self, batch: Batch) -> dict[str, Any]:
        """λ of the first batch; at the first time also by how much the optimiser's next step on it changes λ.

        Once, twenty steps later, λ of a rehearsal of the steps to come.

        Raises:
            InputError: the loss is not finite.
        """
        first = self._batch is None
        kept = self._batch = _copied(batch) if self._batch is None else self._batch
        loss = partial(self._loss, self._model, kept)
        with untouched(self._model, training=None):
            product, _ = hessian_product(self._model, loss)
            found = climbed_from(self._model, product, self._direction, _PRODUCTS)
            self._direction = found.vector
            ahead = self._ahead(loss) if first else None
        told: dict[str, Any] = {
            "first_sharpness": found.value,
            "sharpening": None if ahead is None else ahead - found.value,
        }
        if first:
            self.met(batch)
        elif self.meets and len(self._met) > _BEGUN:
            told["rehearsed"] = self._rehearsed(loss)
            self.meets, self._met = False, []
        return told

    def _rehearsed(self, loss: Callable[[], Tensor]) -> tuple[float, ...] | None:
        """λ of the first batch along the next steps, rehearsed on the batches met so far, as if none of them came again.

        What repeats add to λ is of first order in one over the number of batches: they are learnt by heart, and λ grows. So a
        second rehearsal, on the later half of them, has that twice, and 2 ln λ - ln λ' has it no more. Where samples had come
        again by now, repeats belong to the training, and the first rehearsal stands.

        Source: Quenouille, Biometrika 43 (1956), 353: a bias of order 1/n is taken away by halves.
        """
        whole = self._along(self._met, loss)
        half = self._along(self._met[-(len(self._met) // 2) :], loss) if whole and not _come_again(self._met) else whole
        if whole is None or half is None:
            return None
        return tuple(min(a, b) if min(a, b) <= 0 else a * a / b for a, b in zip(whole, half, strict=True))

    def _along(self, batches: Sequence[Batch], loss: Callable[[], Tensor]) -> tuple[float, ...] | None:
        """λ along the next steps, on these batches in turn, the oldest first; the model is put back.

        None where the training diverges, or the optimiser's step runs the model, as that of LBFGS.
        """
        parameters, direction = list(trained_parameters(self._model).values()), self._direction
        found: list[float] = []
        with untouched(self._model, training=None):
            optimizer = next_step(self._optimizer, self._model)(parameters)
            for number, batch in enumerate(itertools.islice(itertools.cycle(batches), REHEARSED[-1]), 1):
                self._model.zero_grad()
                try:
                    self._loss(self._model, batch).backward()
                    optimizer.step()
                    if number in REHEARSED:
                        seen = climbed_from(self._model, hessian_product(self._model, loss)[0], direction, _PRODUCTS)
                        direction = seen.vector
                        found.append(seen.value)
                except (InputError, TypeError):
                    return None
        return tuple(found)

    def _ahead(self, loss: Callable[[], Tensor]) -> float | None:
        """λ behind the optimiser's next step on this batch; the caller restores the weights."""
        rate, vector = first_rate(self._optimizer), self._direction
        if not rate > 0 or vector is None:
            return None
        parameters = list(trained_parameters(self._model).values())
        gradients = parts_of(gradient_of(self._model, loss)[0], parameters)
        try:
            steps = gradients_step(parameters, gradients, next_step(self._optimizer, self._model))
        except InputError:  # of an optimiser whose step runs the model, as that of LBFGS
            return None
        for parameter, step in zip(parameters, steps, strict=True):
            parameter.data.add_(rate * step)
        return climb(hessian_product(self._model, loss)[0], vector, _PRODUCTS[1]).value


def _copied(batch: Batch) -> Batch:
    """The loop may write into its tensors."""
    return batch.mapped(lambda value: value.detach().clone() if isinstance(value, Tensor) else value)


def _numbers(batch: Batch) -> int:
    """Of a batch, in its tensors."""
    values = (*batch.args, *batch.kwargs.values(), batch.targets)
    return sum(value.numel() for value in values if isinstance(value, Tensor))


def _come_again(batches: Sequence[Batch]) -> bool:
    """Whether a tenth or more of the samples had been there before; fewer may be alike by chance.

    Example:
        >>> one, other = (Batch((torch.arange(4.0) + shift,), count=4) for shift in (0, 9))
        >>> _come_again([one, other]), _come_again([one, other, one])
        (False, True)
    """
    seen = [row for batch in batches for row in _rows(batch)]
    return len(set(seen)) < _DISTINCT * len(seen)


def _rows(batch: Batch) -> list[int]:
    """A hash of every sample in the first argument that has one row for each; none, where no argument has."""
    values = (*batch.args, *batch.kwargs.values())
    rows = next((one for one in values if batch.has_rows(one) and one.layout == torch.strided), None)
    if rows is None:
        return []
    return [hash(bytes(row.reshape(-1).view(torch.uint8).numpy())) for row in rows.detach().cpu().contiguous()]
