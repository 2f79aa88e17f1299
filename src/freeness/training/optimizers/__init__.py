"""The optimisers that have a name, one file each; what is known by its name is found here."""

from __future__ import annotations

from typing import Any

from freeness.errors import InputError
from freeness.training.optimizer import Optimizer
from freeness.training.register import Register

_NAMED = Register[Optimizer]("optimizer", "freeness.training.optimizers")


def optimizer_names() -> tuple[str, ...]:
    """The names that :func:`optimizer_of` knows.

    Example:
        >>> optimizer_names()
        ('adam', 'adamw', 'sgd', 'momentum', 'nesterov')
    """
    return _NAMED.names


def register_optimizer(optimizer: Optimizer) -> None:
    """Make an optimiser of your own known by its name, wherever names are taken.

    Raises:
        InputError: another optimiser has the name.
    """
    _NAMED.add(optimizer)


def optimizer_of(given: Any = "sgd", momentum: float | None = None, weight_decay: float | None = None) -> Optimizer:
    """An optimiser from its name, with the usual numbers or with others; an :class:`Optimizer` is itself.

    Args:
        given: the name, or an :class:`~freeness.training.Optimizer`.
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
    found = _NAMED.get(given)
    if found is None:
        raise InputError(
            f"expected an optimizer among {', '.join(_NAMED.names)}, got {given!r}, whose stability is not covered; "
            "choose one, or search the rate by trial."
        )
    return found.having(momentum, weight_decay)
