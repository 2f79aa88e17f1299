"""Checks of the numbers that losses and optimisers are made of."""

from __future__ import annotations

from freeness.errors import InputError, is_real


def is_share(value: object) -> bool:
    """Whether it is a real number in [0, 1).

    Example:
        >>> is_share(0.9), is_share(1.0), is_share(False)
        (True, False, False)
    """
    return is_real(value) and 0 <= value < 1


def check_share(name: str, value: object) -> None:
    """Refuse what is no share."""
    if not is_share(value):
        raise InputError(f"expected a {name} in [0, 1), got {value!r}; 0.9 is usual.")


def check_decay(value: object) -> None:
    """Refuse what is no weight decay."""
    if not (is_real(value) and value >= 0):
        raise InputError(f"expected a weight decay ≥ 0, got {value!r}; 0 is none.")
