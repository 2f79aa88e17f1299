"""A loss as users give it, computed by torch; targets that do not fit are refused."""

from __future__ import annotations

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from freeness.torch.loss.given import GivenLoss, given_loss
from freeness.torch.loss.loss_rules import averages, check, criterion


def loss_function(loss: GivenLoss) -> nn.Module:
    """The module that computes a loss of a batch.

    Args:
        loss: a name or anything else that :func:`~freeness.torch.loss.given.given_loss` takes.

    Raises:
        InputError: no such loss.

    Example:
        >>> import torch
        >>> float(loss_function("half_squared_error")(torch.ones(1, 4), torch.zeros(1, 4)))
        2.0
    """
    return criterion(given_loss(loss))


def check_targets(
    outputs: Float[Tensor, "samples ..."], targets: Shaped[Tensor, "samples ..."], loss: GivenLoss
) -> None:
    """Refuse targets that do not fit the outputs.

    Args:
        outputs: what the model returns for the batch.
        targets: for cross-entropy class numbers in int64, (B,) of outputs (B, C), (B, …) of outputs (B, C, …) or (B, …, C), or
            shares of the outputs' shape and dtype; otherwise numbers of the shape and dtype of the outputs.
        loss: as in :func:`loss_function`.

    Raises:
        InputError: another shape, dtype or range, or targets that are not finite.
    """
    check(given_loss(loss), outputs, targets)


def is_mean(loss: GivenLoss, targets: Tensor) -> bool:
    """Whether a loss is the mean of its values on single samples, so that parts of a batch may be taken by themselves.

    Example:
        >>> import torch
        >>> is_mean("cross_entropy", torch.tensor([0, 1])), is_mean("cross_entropy", torch.tensor([0, -100]))
        (True, False)
    """
    return averages(given_loss(loss), targets)
