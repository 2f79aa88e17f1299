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
from freeness.torch.model.state import untouched
from freeness.torch.request.analyze_options import OWN
from freeness.torch.request.batch import Batch
from freeness.training import Objective

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
        objective = whole if batch.several is None else loss_of_several(whole, batch.several)
        returned: Any = batch.call(model)
        if batch.targets is None:
            objective = _alone(objective, returned)
        module = criterion(objective)
        if isinstance(objective, WrittenLoss):
            return module(returned, batch.targets)
        outputs = select_output(returned)[1]
        assert batch.targets is not None
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
            raise no_own_loss(model)
        if own is not None:
            return TrialLoss("the model's own loss", output=output)
        objective = given_loss("cross_entropy" if loss is None else loss)
        if first.several is not None:
            objective = loss_of_several(loss, first.several)
        returned = first.call(model)
        if first.targets is None:
            objective = _alone(objective, returned, output)
            return TrialLoss(str(objective), criterion(objective), output, whole=output is None)
        whole = (
            isinstance(objective, WrittenLoss)
            and output is None
            and takes_returned(objective.function, returned, first.targets)
        )
        if not whole:
            check(objective, select_output(returned, output)[1], first.targets)
    return TrialLoss(str(objective), criterion(objective), output, whole)


def no_own_loss(model: nn.Module) -> InputError:
    """What to say where the loss of the model itself is asked for, and there is none."""
    return InputError(f"expected a model that returns its loss, got {type(model).__name__}, which does not; name one.")


def aimed(model: nn.Module, batch: Batch, loss: Objective, output: OutputKey = None) -> tuple[Tensor, Objective]:
    """Numbers in the place of targets, of a batch without them, and the loss that does not look at these.

    Args:
        model: any module; left as it was.
        batch: without targets.
        loss: a function that takes None for targets, as contrastive losses do.
        output: name or number of the output that the loss is of; of all that the model returns when left out.

    Raises:
        InputError: any other loss.

    Example:
        >>> batch = Batch((torch.ones(2, 1),), count=2)
        >>> targets, loss = aimed(nn.Identity(), batch, given_loss(lambda f, _: f.sum()))
        >>> targets
        tensor([0., 0.])
    """
    with untouched(model, training=None), torch.no_grad():
        found = _alone(loss, batch.call(model), output)
    device = next((one.device for one in (*batch.args, *batch.kwargs.values()) if isinstance(one, Tensor)), None)
    return torch.zeros(batch.count, device=device), found


def _alone(loss: Objective, returned: Any, output: OutputKey = None) -> Objective:
    returned = returned if output is None else select_output(returned, output)[1]
    found = loss.alone(returned) if isinstance(loss, WrittenLoss) else None
    if found is None:
        raise InputError(
            "expected targets beside the inputs, got none; pass (inputs, targets), a dict with labels, loss='own' for a model's "
            "own loss, or a loss function that takes None for targets."
        )
    return found


def _own(model: nn.Module, batch: Batch) -> Tensor:
    return _returned_loss(batch.labelled.call(model))


def _returned_loss(returned: Any) -> Tensor:
    own = loss_of(returned)
    if own is None:
        raise InputError(
            "expected a model that returns its loss, got none of its outputs; name a loss, or give it labels."
        )
    return own
