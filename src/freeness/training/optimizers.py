"""The optimisers that have a name: the one place where they are listed."""

from __future__ import annotations

from typing import Any

from freeness.errors import InputError
from freeness.training.adam import Adam
from freeness.training.optimizer import Optimizer
from freeness.training.sgd import SGD

_USUAL = 0.9  # β of momentum and nesterov
_NAMED: dict[str, Optimizer] = {
    optimizer.name: optimizer
    for optimizer in (
        SGD(),
        SGD(momentum=_USUAL),
        SGD(momentum=_USUAL, nesterov=True),
        Adam(),
        Adam(decoupled=True),
    )
}


def optimizer_names() -> tuple[str, ...]:
    """The names that :func:`optimizer_of` knows.

    Example:
        >>> optimizer_names()
        ('sgd', 'momentum', 'nesterov', 'adam', 'adamw')
    """
    return tuple(_NAMED)


def register_optimizer(optimizer: Optimizer) -> None:
    """Make an optimiser of your own known by its name, wherever names are taken.

    Raises:
        InputError: another optimiser has the name.
    """
    if _NAMED.setdefault(optimizer.name, optimizer) != optimizer:
        raise InputError(f"expected a name that no other optimizer has, got {optimizer.name!r}; choose another.")


def optimizer_of(given: Any = "sgd", momentum: float | None = None, weight_decay: float | None = None) -> Optimizer:
    """An optimiser from its name, with the usual numbers or with others; an :class:`Optimizer` is itself.

    Args:
        given: the name.
        momentum: β, or β₁ of adam; plain sgd has none and takes none.
        weight_decay: as torch means it: added to the gradient by the first three, taken off the weights by adamw.

    Raises:
        InputError: an unknown name, or numbers out of range.

    Example:
        >>> optimizer_of("nesterov"), optimizer_of("adamw", weight_decay=0.1).weight_decay
        (SGD(momentum=0.9, nesterov=True, weight_decay=0.0), 0.1)
    """
    if isinstance(given, Optimizer):
        return given.having(momentum, weight_decay)
    if not isinstance(given, str) or given not in _NAMED:
        raise InputError(
            f"expected an optimizer among {', '.join(_NAMED)}, got {given!r}, whose stability is not covered; choose one, or "
            "search the rate by trial."
        )
    return _NAMED[given].having(momentum, weight_decay)
