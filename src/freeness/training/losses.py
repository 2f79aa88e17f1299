"""The losses that have a name: the one place where they are listed."""

from __future__ import annotations

from typing import Any

from freeness.errors import InputError
from freeness.training.binary_cross_entropy import BinaryCrossEntropy
from freeness.training.cross_entropy import CrossEntropy
from freeness.training.loss import Loss
from freeness.training.quadratic_loss import QuadraticLoss
from freeness.training.squared_error import SquaredError

_NAMED: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        SquaredError(),
        SquaredError(averaged=True),
        SquaredError(averaged=True, halved=False),
        CrossEntropy(),
        BinaryCrossEntropy(),
    )
}


def loss_names() -> tuple[str, ...]:
    """The names that :func:`loss_of` knows.

    Example:
        >>> loss_names()[:4]
        ('half_squared_error', 'half_mean_squared_error', 'mse', 'cross_entropy')
    """
    return tuple(_NAMED)


def register_loss(loss: Loss) -> None:
    """Make a loss of your own known by its name, wherever names are taken.

    Raises:
        InputError: another loss has the name.
    """
    if _NAMED.setdefault(loss.name, loss) != loss:
        raise InputError(f"expected a name that no other loss has, got {loss.name!r}; choose another.")


def loss_of(given: Any) -> Loss:
    """A loss from its name, or from its C×C Hessian in the outputs of one sample; a :class:`Loss` is itself.

    Raises:
        InputError: an unknown name, or a Hessian that is none.

    Example:
        >>> loss_of("half_mean_squared_error").formula
        '½ mean over outputs of (f - y)²'
    """
    if isinstance(given, Loss):
        return given
    if not isinstance(given, str):
        return QuadraticLoss(given)
    if given not in _NAMED:
        raise InputError(
            f"expected a loss among {', '.join(_NAMED)}, got {given!r}; choose one, or give the Hessian of yours in the "
            "outputs of one sample."
        )
    return _NAMED[given]
