"""The loss of one batch of a training loop, as a function without arguments that runs the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.batch import Batch
from freeness.torch.given import GivenLoss, given_loss
from freeness.torch.loss_rules import check, criterion
from freeness.torch.outputs import select_output
from freeness.torch.written_loss import WrittenLoss

OWN = "own"


class BatchLoss:
    """A loss as users give it.

    "own" is the loss that the model computes of its labels. A function of (outputs, targets) gets what the model returns, as it
    is.

    Example:
        >>> import torch
        >>> from freeness.torch.user_data import batch_of
        >>> model = nn.Linear(2, 2)
        >>> batch = batch_of((torch.ones(3, 2), torch.tensor([0, 1, 1])), model)
        >>> BatchLoss("cross_entropy").function(model, batch)().shape
        torch.Size([])
    """

    def __init__(self, given: GivenLoss) -> None:
        self._objective = None if given == OWN else given_loss(given)
        self._module = None if self._objective is None else criterion(self._objective)

    def function(self, model: nn.Module, batch: Batch) -> Callable[[], Tensor]:
        """Runs the model on the batch and returns the loss.

        Raises:
            InputError: targets are missing or do not fit, or the model computes no loss; when it is called.
        """
        return lambda: self._value(model, batch)

    def _value(self, model: nn.Module, batch: Batch) -> Tensor:
        if self._objective is None or self._module is None:
            own = batch.loss(model)
            if own is None:
                raise InputError(
                    "expected a model that returns its loss, got none of its outputs; name a loss, or give it labels."
                )
            return own
        if batch.targets is None:
            raise InputError(
                "expected (inputs, targets), got inputs alone; pass both, or loss='own' for a model's own loss."
            )
        returned: Any = batch.call(model)
        if isinstance(self._objective, WrittenLoss):
            return self._module(returned, batch.targets)
        outputs = select_output(returned)[1]
        check(self._objective, outputs, batch.targets)
        return self._module(outputs, batch.targets)
