"""The losses that have a name, one file each; what is known by its name is found here."""

from __future__ import annotations

from typing import Any

from freeness.errors import InputError, choice
from freeness.training.loss import Loss
from freeness.training.quadratic_loss import QuadraticLoss
from freeness.training.register import Register

_NAMED = Register[Loss]("loss", "freeness.training.losses")


def loss_names() -> tuple[str, ...]:
    """The names that :func:`loss_of` knows.

    Example:
        >>> loss_names()
        ('binary_cross_entropy', 'cross_entropy', 'half_squared_error', 'half_mean_squared_error', 'mse')
    """
    return _NAMED.names


def register_loss(loss: Loss) -> None:
    """Make a loss of your own known by its name, wherever names are taken.

    Raises:
        InputError: another loss has the name.
    """
    _NAMED.add(loss)


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
    found = _NAMED.get(given)
    if found is None:
        raise InputError(
            f"expected a loss among {', '.join(_NAMED.names)}, got {given!r}; {choice(given, _NAMED.names)}"
        )
    return found
