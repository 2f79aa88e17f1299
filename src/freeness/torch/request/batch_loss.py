"""The loss of a batch as training computes it, whatever the model returns and whoever computes the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.loss.adapted import takes_returned
from freeness.torch.loss.given import GivenLoss, given_loss
from freeness.torch.loss.loss_rules import check, criterion
from freeness.torch.loss.several_targets import loss_of_several
from freeness.torch.loss.written_loss import WrittenLoss
from freeness.torch.model.outputs import OutputKey, loss_of, select_output
from freeness.torch.request.analyze_options import OWN
from freeness.torch.request.batch import Batch

LossOf = Callable[[nn.Module, Batch], Tensor]


def batch_loss(given: GivenLoss) -> LossOf:
    """A loss as users give it, of a model and a batch.

    "own" is the loss that the model computes of its labels. A function of (outputs, targets) gets what the model returns, as it
    is.

    Raises:
        InputError: targets are missing or do not fit, or the model computes no loss; when it is called.

    Example:
        >>> import torch
        >>> from freeness.torch.request.user_data import batch_of
        >>> model = nn.Linear(2, 2)
        >>> batch = batch_of((torch.ones(3, 2), torch.tensor([0, 1, 1])), model)
        >>> batch_loss("cross_entropy")(model, batch).shape
        torch.Size([])
    """
    if given == OWN:
        return _own
    whole = given_loss(given)

    def computed(model: nn.Module, batch: Batch) -> Tensor:
        if batch.targets is None:
            raise InputError(
                "expected (inputs, targets), got inputs alone; pass both, or loss='own' for a model's own loss."
            )
        objective = whole if batch.several is None else loss_of_several(whole, batch.several)
        module = criterion(objective)
        returned: Any = batch.call(model)
        if isinstance(objective, WrittenLoss):
            return module(returned, batch.targets)
        outputs = select_output(returned)[1]
        check(objective, outputs, batch.targets)
        return module(outputs, batch.targets)

    return computed


@dataclass(frozen=True)
class TrialLoss:
    """The loss of a batch as it is trained on, with its name; the model's own where ``module`` is None.

    ``output``: which of several outputs it is of; a ``whole`` one is a function of all that the model returns.
    """

    name: str
    module: nn.Module | None = None
    output: OutputKey = None
    whole: bool = False

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        return self.of(self.returned(model, batch), batch)

    def returned(self, model: nn.Module, batch: Batch) -> Any:
        """What the model returns, of its labels, too, where the loss is its own."""
        return (batch.labelled if self.module is None else batch).call(model)

    def of(self, returned: Any, batch: Batch) -> Tensor:
        """The loss, of what the model returned."""
        if self.module is None:
            return _returned_loss(returned)
        return self.module(returned if self.whole else self.outputs(returned), batch.targets)

    def outputs(self, returned: Any) -> Tensor:
        """The outputs among that; its loss, where the model returns nothing else."""
        alone = self.module is None and isinstance(returned, Tensor)
        return returned.reshape(1) if alone else select_output(returned, self.output)[1]


def trial_loss(model: nn.Module, first: Batch, loss: GivenLoss | None, output: OutputKey = None) -> TrialLoss:
    """How the loss of a batch is computed.

    Args:
        model: any module, which is run.
        first: a batch on which it is tried.
        loss: whatever :func:`~freeness.torch.analyze` takes; "own", or None where the model returns its loss, is the model's.
        output: name or number of the output that the loss is of.

    Raises:
        InputError: the loss does not fit the outputs, there are no targets, or no loss.

    Example:
        >>> batch = Batch((torch.ones(2, 1),), targets=torch.zeros(2, 1), count=2)
        >>> model = nn.Linear(1, 1)
        >>> found = trial_loss(model, batch, "mse")
        >>> bool(found(model, batch) == (model(torch.ones(2, 1))).square().mean()), found.name
        (True, 'mse')
    """
    with torch.no_grad():
        own = first.loss(model) if loss in (None, OWN) else None
        if loss == OWN and own is None:
            raise InputError(
                f"expected a model that returns its loss, got {type(model).__name__}, which does not; name one."
            )
        if own is not None:
            return TrialLoss("the model's own loss", output=output)
        if first.targets is None:
            raise InputError(
                "expected targets beside the inputs, got none; pass (inputs, targets), or a dict with labels."
            )
        objective = given_loss("cross_entropy" if loss is None else loss)
        if first.several is not None:
            objective = loss_of_several(loss, first.several)
        returned = first.call(model)
        whole = (
            isinstance(objective, WrittenLoss)
            and output is None
            and takes_returned(objective.function, returned, first.targets)
        )
        if not whole:
            check(objective, select_output(returned, output)[1], first.targets)
    return TrialLoss(str(objective), criterion(objective), output, whole)


def _own(model: nn.Module, batch: Batch) -> Tensor:
    return _returned_loss(batch.labelled.call(model))


def _returned_loss(returned: Any) -> Tensor:
    own = loss_of(returned)
    if own is None:
        raise InputError(
            "expected a model that returns its loss, got none of its outputs; name a loss, or give it labels."
        )
    return own
